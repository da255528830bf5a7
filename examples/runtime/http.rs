//! Surface: HTTP. Its spans and metrics come from one layer; handlers only translate.

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use rusqlite::ErrorCode;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::{Span, debug};
use tracing_meter::http::trace_layer;
use tracing_meter::propagation::SpanPropagation as _;

use super::functions::{self, Failure};
use super::log;
use super::processes::{Origin, Processes};
use super::queue::Refused;
use super::streams;
use super::surfaces::Surfaces;

/// The namespace of what clients keep.
pub(crate) const NAMESPACE: &str = "clients";

type App = State<Arc<Surfaces>>;

pub(crate) fn routes(surfaces: Surfaces) -> Router {
    Router::new()
        .route("/functions/{function}", post(call))
        .route("/orders", post(place_order))
        .route("/queues/{queue}", post(publish))
        .route("/queues/{queue}/imports", post(import))
        .route("/processes/{process}", post(start).get(result).delete(kill))
        .route("/processes/{process}/detached", post(start_detached))
        .route(
            "/kv/{key}",
            get(get_value).put(put_value).delete(delete_value),
        )
        .route(
            "/items/{item}",
            get(select).post(insert).put(update).delete(delete),
        )
        .route(
            "/events/{topic}",
            get(subscribe).post(publish_events).delete(end_events),
        )
        .route("/ws", get(echo))
        .route("/resources/{resource}", get(fetch))
        .route("/logs/{level}", post(emit))
        .with_state(Arc::new(surfaces))
        // A panic is answered, too.
        .layer(CatchPanicLayer::new())
        .layer(trace_layer())
}

async fn call(State(app): App, Path(function): Path<String>, input: String) -> Response {
    answer(functions::call(&app, &function, input))
}

async fn place_order(State(app): App, order: String) -> Response {
    let placed = functions::call(&app, "place_order", order);
    answer(placed.map(|process| (StatusCode::ACCEPTED, process)))
}

fn answer(called: Result<impl IntoResponse, Failure>) -> Response {
    let failure = match called {
        Ok(output) => return output.into_response(),
        Err(failure) => failure,
    };
    let status = match failure {
        Failure::Unknown => StatusCode::NOT_FOUND,
        Failure::BadInput => StatusCode::UNPROCESSABLE_ENTITY,
        Failure::Busy => StatusCode::SERVICE_UNAVAILABLE,
        Failure::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    (status, failure.to_string()).into_response()
}

async fn publish(State(app): App, Path(queue): Path<String>, body: String) -> StatusCode {
    accepted(app.queues.publish(&queue, body))
}

async fn import(State(app): App, Path(queue): Path<String>, body: String) -> StatusCode {
    accepted(app.queues.import(&queue, body))
}

fn accepted(offered: Result<(), Refused>) -> StatusCode {
    match offered {
        Ok(()) => StatusCode::ACCEPTED,
        Err(Refused::NoSuchQueue) => StatusCode::NOT_FOUND,
        Err(Refused::Full) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// In the trace of the request.
async fn start(State(app): App, Path(job): Path<String>) -> Response {
    let mut origin = Origin::new();
    Span::current().inject_into(&mut origin);
    start_from(&app.processes, &job, &origin)
}

/// In a trace of its own.
async fn start_detached(State(app): App, Path(job): Path<String>) -> Response {
    start_from(&app.processes, &job, &Origin::new())
}

fn start_from(processes: &Processes, job: &str, origin: &Origin) -> Response {
    match job.parse() {
        Ok(job) => {
            let process = processes.start(job, origin);
            (StatusCode::CREATED, process.to_string()).into_response()
        }
        Err(()) => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn result(State(app): App, Path(process): Path<u64>) -> Result<String, StatusCode> {
    let result = app.processes.result(process).await;
    result.ok_or(StatusCode::NOT_FOUND)
}

async fn kill(State(app): App, Path(process): Path<u64>) -> StatusCode {
    found(app.processes.kill(process))
}

async fn get_value(State(app): App, Path(key): Path<String>) -> Result<String, StatusCode> {
    let found = app.store.get(NAMESPACE, &key);
    found.ok_or(StatusCode::NOT_FOUND)
}

async fn put_value(State(app): App, Path(key): Path<String>, value: String) -> StatusCode {
    match app.store.put(NAMESPACE, &key, value) {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::PAYLOAD_TOO_LARGE,
    }
}

async fn delete_value(State(app): App, Path(key): Path<String>) -> StatusCode {
    found(app.store.delete(NAMESPACE, &key))
}

fn found(is_found: bool) -> StatusCode {
    if is_found {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::NOT_FOUND
    }
}

async fn select(State(app): App, Path(item): Path<String>) -> Result<String, StatusCode> {
    let content = app.database.item(&item).map_err(|error| failed(&error))?;
    content.ok_or(StatusCode::NOT_FOUND)
}

async fn insert(State(app): App, Path(item): Path<String>, content: String) -> StatusCode {
    match app.database.insert_item(&item, &content) {
        Ok(_) => StatusCode::CREATED,
        Err(error) => failed(&error),
    }
}

async fn update(State(app): App, Path(item): Path<String>, content: String) -> StatusCode {
    changed(&app.database.update_item(&item, &content))
}

async fn delete(State(app): App, Path(item): Path<String>) -> StatusCode {
    changed(&app.database.delete_item(&item))
}

fn changed(rows: &rusqlite::Result<usize>) -> StatusCode {
    match rows {
        Ok(rows) => found(*rows > 0),
        Err(error) => failed(error),
    }
}

fn failed(error: &rusqlite::Error) -> StatusCode {
    match error.sqlite_error_code() {
        Some(ErrorCode::ConstraintViolation) => StatusCode::CONFLICT,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

async fn subscribe(State(app): App, Path(topic): Path<String>) -> Response {
    streams::events(app.bus.subscribe(&topic)).into_response()
}

/// Each line is an event.
async fn publish_events(State(app): App, Path(topic): Path<String>, lines: String) -> StatusCode {
    app.bus.publish(&topic, lines.lines());
    StatusCode::ACCEPTED
}

async fn end_events(State(app): App, Path(topic): Path<String>) -> StatusCode {
    app.bus.end(&topic);
    StatusCode::NO_CONTENT
}

async fn echo(State(app): App, upgrade: WebSocketUpgrade) -> Response {
    app.sockets.clone().echo(upgrade)
}

async fn fetch(State(app): App, Path(resource): Path<String>) -> Response {
    match app.outbound.get(&resource).await {
        Ok((status, _)) if status.is_server_error() => StatusCode::BAD_GATEWAY.into_response(),
        Ok(answer) => answer.into_response(),
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}

async fn emit(Path(level): Path<String>, text: String) -> StatusCode {
    match level.parse() {
        Ok(level) => log::emit(level, &text),
        Err(()) => return StatusCode::NOT_FOUND,
    }
    StatusCode::NO_CONTENT
}

pub(crate) fn describe() {
    debug!(
        describe.wippy_http_requests = "Requests that were answered, or given up.",
        describe.wippy_http_request_duration = "How long requests took, with their bodies.",
        describe.wippy_http_requests_in_flight = "Requests that are being answered.",
    );
}
