//! The service that the server depends on, and what it has seen: it knows of no `tracing`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::Result;
use super::ledger::Ledger;

/// Listens until it is dropped.
pub(crate) struct Downstream {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Seen>,
    _stop: watch::Sender<bool>,
}

pub(crate) struct Seen {
    ledger: Ledger,
    pub(crate) port: u16,
    /// A permit for each request that waits for an answer in vain.
    stalled: Semaphore,
    is_ending: watch::Sender<bool>,
    deliveries: Mutex<Deliveries>,
}

/// The `traceparent` of each delivery, by its body, in their order.
type Deliveries = BTreeMap<String, Vec<Option<String>>>;

impl Downstream {
    pub(crate) async fn start(ledger: Ledger) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let seen = Arc::new(Seen {
            ledger,
            port: address.port(),
            stalled: Semaphore::new(0),
            is_ending: watch::Sender::new(false),
            deliveries: Mutex::default(),
        });
        let (stop, mut stopped) = watch::channel(false);
        let routes = Router::new()
            .route("/deliveries/{queue}", post(take))
            .route("/resources/{resource}", get(find))
            .with_state(Arc::clone(&seen));
        let serving = axum::serve(listener, routes);
        tokio::spawn(async move {
            tokio::select! {
                served = serving.into_future() => served,
                _ = stopped.changed() => Ok(()),
            }
        });
        Ok(Self {
            address,
            seen,
            _stop: stop,
        })
    }
}

impl Seen {
    /// Waits until one more request has come that gets no answer.
    pub(crate) async fn one_stalls(&self) -> Result<()> {
        self.stalled.acquire().await?.forget();
        Ok(())
    }

    /// A request for a resource, and how it was answered, if it was not given up.
    pub(crate) fn resource(&self, status: Option<StatusCode>) {
        self.answered("GET", "/resources/{resource}", status);
    }

    fn answered(&self, method: &str, template: &str, status: Option<StatusCode>) {
        let status = status.map(|status| status.as_u16());
        self.ledger.sent(method, self.port, template, status);
    }

    /// Answers what still waits.
    pub(crate) fn stall_no_more(&self) {
        self.is_ending.send_replace(true);
    }

    async fn ending(&self) {
        let mut is_ending = self.is_ending.subscribe();
        let _ = is_ending.wait_for(|is_ending| *is_ending).await;
    }

    /// Those that came with this body.
    pub(crate) fn traceparents(&self, body: &str) -> Vec<String> {
        let deliveries = self.deliveries.lock();
        let deliveries = deliveries.unwrap_or_else(PoisonError::into_inner);
        let of_body = deliveries.get(body).into_iter().flatten();
        of_body.flatten().cloned().collect()
    }

    /// How often this body has come, with this time.
    fn note(&self, body: String, headers: &HeaderMap) -> usize {
        let traceparent = headers.get("traceparent");
        let traceparent = traceparent
            .and_then(|it| it.to_str().ok())
            .map(str::to_owned);
        let deliveries = self.deliveries.lock();
        let mut deliveries = deliveries.unwrap_or_else(PoisonError::into_inner);
        let of_body = deliveries.entry(body).or_default();
        of_body.push(traceparent);
        of_body.len()
    }
}

/// Poison is refused each time, and what is flaky the first time. What is late takes until
/// the end.
async fn take(
    State(seen): State<Arc<Seen>>,
    Path(queue): Path<String>,
    headers: HeaderMap,
    body: String,
) -> StatusCode {
    if body.starts_with("late") {
        seen.ending().await;
    }
    let is_poison = body.starts_with("poison");
    let is_flaky = body.starts_with("flaky");
    let is_first = seen.note(body, &headers) == 1;
    let is_refused = is_poison || is_flaky && is_first;
    seen.ledger.consumed(&queue, !is_refused);
    let status = if is_refused {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::NO_CONTENT
    };
    seen.answered("POST", "/deliveries/{queue}", Some(status));
    status
}

async fn find(State(seen): State<Arc<Seen>>, Path(resource): Path<String>) -> StatusCode {
    let status = match resource.as_str() {
        "here" => StatusCode::OK,
        "broken" => StatusCode::INTERNAL_SERVER_ERROR,
        "stalled" => {
            seen.stalled.add_permits(1);
            seen.ending().await;
            // Whoever sent it knows whether it was given up meanwhile.
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        _ => StatusCode::NOT_FOUND,
    };
    seen.resource(Some(status));
    status
}
