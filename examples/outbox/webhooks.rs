//! The endpoints of those who subscribed, on loopback. They keep what they were asked.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path as PathOf, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use rusqlite::Connection;
use tokio::net::TcpListener;

use super::outbox::Result;

/// A request, and what it was answered.
#[derive(Clone)]
pub(crate) struct Asked {
    pub(crate) endpoint: String,
    pub(crate) event: i64,
    pub(crate) was_taken: bool,
}

/// `mail` takes everything. `warehouse` takes every third event when it is asked again,
/// `archive` while it is up, and `billing` may keep the database busy as it answers.
#[derive(Clone, Default)]
pub(crate) struct Webhooks(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    asked: Vec<Asked>,
    archive_is_up: bool,
    database_to_lock: Option<PathBuf>,
    lock: Option<WriteLock>,
}

impl Webhooks {
    /// They listen as long as the runtime does.
    pub(crate) async fn listen(&self) -> Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let routes = Router::new()
            .route("/{endpoint}", post(answer))
            .with_state(self.clone());
        tokio::spawn(async { axum::serve(listener, routes).await });
        Ok(address)
    }

    pub(crate) fn archive_is_up(&self, is_up: bool) {
        self.lock().archive_is_up = is_up;
    }

    /// When `billing` is asked next.
    pub(crate) fn lock_while_answering(&self, database: &Path) {
        self.lock().database_to_lock = Some(database.to_owned());
    }

    pub(crate) fn unlock(&self) {
        self.lock().lock = None;
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.lock().asked.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(
    State(webhooks): State<Webhooks>,
    PathOf(endpoint): PathOf<String>,
    headers: HeaderMap,
) -> StatusCode {
    let id = headers.get("webhook-id").and_then(|id| id.to_str().ok());
    let Some(event) = id.and_then(|id| id.parse().ok()) else {
        return StatusCode::BAD_REQUEST;
    };
    match webhooks.lock().take(endpoint, event) {
        Ok(true) => StatusCode::NO_CONTENT,
        Ok(false) => StatusCode::SERVICE_UNAVAILABLE,
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl Kept {
    fn take(&mut self, endpoint: String, event: i64) -> rusqlite::Result<bool> {
        let was_taken = match endpoint.as_str() {
            "warehouse" => event % 3 != 0 || self.was_asked(&endpoint, event),
            "archive" => self.archive_is_up,
            _ => true,
        };
        if endpoint == "billing"
            && let Some(database) = self.database_to_lock.take()
        {
            self.lock = Some(WriteLock::take(&database)?);
        }
        self.asked.push(Asked {
            endpoint,
            event,
            was_taken,
        });
        Ok(was_taken)
    }

    fn was_asked(&self, endpoint: &str, event: i64) -> bool {
        let mut asked = self.asked.iter();
        asked.any(|it| it.endpoint == endpoint && it.event == event)
    }
}

/// Keeps everybody else from writing to the database, until it is dropped.
pub(crate) struct WriteLock {
    _connection: Connection,
}

impl WriteLock {
    pub(crate) fn take(database: &Path) -> rusqlite::Result<Self> {
        let connection = Connection::open(database)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        Ok(Self {
            _connection: connection,
        })
    }
}
