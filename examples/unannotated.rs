//! A service that is measured without a line of ours in its handlers: requests to it,
//! requests that it sends, statements that it executes, and the spans of its functions.
//!
//! ```text
//! cargo run --all-features --example unannotated              # until ctrl-c
//! cargo run --all-features --example unannotated -- --once    # one round, and its scrape
//! ```
//!
//! The environment says where metrics go, as `setup` reads it: by default they are at
//! `http://localhost:9464/metrics`.

#![allow(clippy::print_stdout, reason = "an example shows its output")]

use std::net::SocketAddr;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{Request, Response, StatusCode};
use axum::routing::{get, post};
use reqwest::Body;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use tokio::net::TcpListener;
use tower::util::BoxCloneSyncService;
use tower::{ServiceBuilder, ServiceExt as _};
use tracing::instrument;
use tracing_meter::http::{ClientLayer, UrlTemplate};
use tracing_meter::setup::{self, Guard};
use tracing_meter::{Rules, SpanMetrics};

type Failed = Box<dyn std::error::Error + Send + Sync>;
pub(crate) type Result<T, E = Failed> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> Result<()> {
    let once = std::env::args().any(|argument| argument == "--once");
    run(once).await
}

pub(crate) async fn run(once: bool) -> Result<()> {
    let telemetry = start_telemetry()?;
    let service = Service::start().await?;
    service.load().await?;
    if once {
        let prometheus = telemetry
            .prometheus()
            .ok_or("there is no Prometheus endpoint")?;
        println!("{}", prometheus.render());
    } else {
        println!("serving on http://{}", service.address);
        tokio::signal::ctrl_c().await?;
    }
    telemetry.shutdown()?;
    Ok(())
}

/// `setup` measures the spans of HTTP, RPC, databases and messaging by itself.
fn start_telemetry() -> Result<Guard> {
    let meter = tracing_meter::builder()
        .convention(Rules::sqlx("sqlite"))
        .convention(SpanMetrics::new(concat!(module_path!(), "=info"))?);
    let setup = setup::builder().service_name("unannotated").meter(meter);
    Ok(setup
        .metrics_exporters("prometheus")
        .traces_exporters("none")
        .init()?)
}

// The service: nothing in this part knows that it is measured.

#[derive(Clone)]
struct Notes {
    database: SqlitePool,
    translations: Client,
}

async fn write(State(notes): State<Notes>, text: String) -> Result<String, StatusCode> {
    let id = insert(&notes.database, &text).await.map_err(internal)?;
    Ok(id.to_string())
}

async fn read(State(notes): State<Notes>, Path(id): Path<i64>) -> Result<String, StatusCode> {
    let text = find(&notes.database, id).await.map_err(internal)?;
    text.ok_or(StatusCode::NOT_FOUND)
}

async fn translate(State(notes): State<Notes>, Path(id): Path<i64>) -> Result<String, StatusCode> {
    let text = find(&notes.database, id).await.map_err(internal)?;
    let text = text.ok_or(StatusCode::NOT_FOUND)?;
    notes
        .translations
        .translate(text)
        .await
        .map_err(|_| StatusCode::BAD_GATEWAY)
}

#[instrument(skip_all, err)]
async fn insert(database: &SqlitePool, text: &str) -> sqlx::Result<i64> {
    let insert = sqlx::query("INSERT INTO notes (text) VALUES (?)").bind(text);
    Ok(insert.execute(database).await?.last_insert_rowid())
}

#[instrument(skip_all, err)]
async fn find(database: &SqlitePool, id: i64) -> sqlx::Result<Option<String>> {
    let select = sqlx::query_scalar("SELECT text FROM notes WHERE id = ?").bind(id);
    select.fetch_optional(database).await
}

fn internal(_: sqlx::Error) -> StatusCode {
    StatusCode::INTERNAL_SERVER_ERROR
}

// The service that translates, and its client.

#[derive(Clone)]
struct Client {
    to: SocketAddr,
    http: BoxCloneSyncService<Request<Body>, Response<Body>, reqwest::Error>,
}

impl Client {
    fn new(to: SocketAddr) -> Self {
        let reqwest = ServiceBuilder::new()
            .layer(ClientLayer::new())
            .map_response(Response::<Body>::from)
            .service(reqwest::Client::new().map_request(sent));
        Self {
            to,
            http: BoxCloneSyncService::new(reqwest),
        }
    }

    async fn translate(&self, text: String) -> Result<String> {
        let request = Request::post(format!("http://{}/translations/en", self.to))
            .extension(UrlTemplate::new("/translations/{language}"))
            .body(Body::from(text))?;
        let response = self.http.clone().oneshot(request).await?;
        let response = reqwest::Response::from(response).error_for_status()?;
        Ok(response.text().await?)
    }
}

/// A request as `reqwest` has it.
fn sent(request: Request<Body>) -> reqwest::Request {
    reqwest::Request::try_from(request).expect("its URL is absolute")
}

/// Translates nothing that is long.
async fn translation(text: String) -> Result<String, StatusCode> {
    if text.len() > 20 {
        return Err(StatusCode::PAYLOAD_TOO_LARGE);
    }
    Ok(text.to_uppercase())
}

// What puts them together, and makes load.

struct Service {
    address: SocketAddr,
    client: reqwest::Client,
}

impl Service {
    async fn start() -> Result<Self> {
        let translations = Router::new().route("/translations/{language}", post(translation));
        let translations = serve(translations).await?;
        // Each connection has a memory of its own.
        let one = SqlitePoolOptions::new().max_connections(1);
        let database = one.connect("sqlite::memory:").await?;
        let create = "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)";
        sqlx::query(create).execute(&database).await?;
        let notes = Notes {
            database,
            translations: Client::new(translations),
        };
        let routes = Router::new()
            .route("/notes", post(write))
            .route("/notes/{id}", get(read))
            .route("/notes/{id}/translation", get(translate))
            .with_state(notes)
            .layer(tracing_meter::http::trace_layer());
        Ok(Self {
            address: serve(routes).await?,
            client: reqwest::Client::new(),
        })
    }

    async fn load(&self) -> Result<()> {
        let notes = format!("http://{}/notes", self.address);
        for text in ["short", "a note that is too long to be translated"] {
            let id = self
                .client
                .post(&notes)
                .body(text)
                .send()
                .await?
                .text()
                .await?;
            self.client.get(format!("{notes}/{id}")).send().await?;
            self.client
                .get(format!("{notes}/{id}/translation"))
                .send()
                .await?;
        }
        self.client.get(format!("{notes}/404")).send().await?;
        Ok(())
    }
}

async fn serve(routes: Router) -> Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(axum::serve(listener, routes).into_future());
    Ok(address)
}
