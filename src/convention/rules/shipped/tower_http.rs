//! What the defaults of `tower_http::trace` say of requests and responses.

use tracing_core::Level;

use super::method;
use crate::convention::rules::{Rule, RuleLabel, Rules};
use crate::convention::{Condition, Measure};

/// The codes of gRPC by number, as `tower-http` writes them, and as the conventions do.
const GRPC_CODES: [(&str, &str); 17] = [
    ("Ok", "OK"),
    ("Cancelled", "CANCELLED"),
    ("Unknown", "UNKNOWN"),
    ("InvalidArgument", "INVALID_ARGUMENT"),
    ("DeadlineExceeded", "DEADLINE_EXCEEDED"),
    ("NotFound", "NOT_FOUND"),
    ("AlreadyExists", "ALREADY_EXISTS"),
    ("PermissionDenied", "PERMISSION_DENIED"),
    ("ResourceExhausted", "RESOURCE_EXHAUSTED"),
    ("FailedPrecondition", "FAILED_PRECONDITION"),
    ("Aborted", "ABORTED"),
    ("OutOfRange", "OUT_OF_RANGE"),
    ("Unimplemented", "UNIMPLEMENTED"),
    ("Internal", "INTERNAL"),
    ("Unavailable", "UNAVAILABLE"),
    ("DataLoss", "DATA_LOSS"),
    ("Unauthenticated", "UNAUTHENTICATED"),
];

impl Rules {
    /// Requests of a server with the default spans and events of `tower-http` 0.7,
    /// `TraceLayer::new_for_http()`, and where no other span is a server span of the semantic
    /// conventions: with one, requests would be counted twice.
    ///
    /// | metric | kind | unit | labels |
    /// |---|---|---|---|
    /// | `http.server.request.duration` | histogram | `s` | `http.request.method`, `url.scheme`, `network.protocol.version`, of a panic `error.type` |
    /// | `http.server.active_requests` | up-down counter | `{request}` | `http.request.method`, `url.scheme` |
    /// | `tower_http.responses` | counter | `{response}` | `http.response.status_code`, or `rpc.response.status_code` of gRPC |
    /// | `tower_http.failures` | counter | `{failure}` | `error.type`: the status, or `_OTHER` |
    ///
    /// `scheme` is the label `url.scheme`, `http` or `https`, which the request does not tell.
    /// The duration is that of the span: until the body of the response was sent. A status is
    /// no label of it, because `tower-http` emits it in an event, with a latency in whole
    /// milliseconds. For metrics with all labels, and with routes, make server spans with
    #[cfg_attr(
        feature = "tower-http",
        doc = "[`http::trace_layer`](crate::http::trace_layer)"
    )]
    #[cfg_attr(
        not(feature = "tower-http"),
        doc = "`http::trace_layer` (feature `tower-http`)"
    )]
    /// instead.
    ///
    /// ```
    /// use tracing_meter::{MemorySink, Rules};
    /// use tracing_subscriber::prelude::*;
    ///
    /// let memory = MemorySink::new();
    /// let layer = tracing_meter::builder().sink(memory.clone()).convention(Rules::tower_http("http")).build()?;
    /// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
    ///     // As `tower-http` does:
    ///     tracing::debug!(target: "tower_http::trace::on_response", status = 404, "finished processing request");
    /// });
    /// let missing = [("http.response.status_code", "404")];
    /// assert_eq!(memory.snapshot().value("tower_http.responses", &missing), Some(1.0));
    /// # Ok::<(), tracing_meter::BuildError>(())
    /// ```
    pub fn tower_http(scheme: impl Into<String>) -> Self {
        let scheme = scheme.into();
        let duration = Measure::duration("http.server.request.duration")
            .help("Duration of HTTP server requests.");
        let active = Measure::in_flight("http.server.active_requests")
            .unit("{request}")
            .help("Number of active HTTP server requests.");
        Self::of([
            requests("tower-http requests", &scheme)
                .measure(duration)
                .label_rule(version())
                .label_rule(RuleLabel::new("error.type").failure("_OTHER")),
            requests("tower-http active requests", &scheme).measure(active),
            responses("tower-http responses", "tower_http::trace::on_response")
                .when(Condition::at_least("status", 100.0))
                .label("status", "http.response.status_code"),
            // With a status in its headers, or in its trailers.
            grpc_responses(
                "tower-http gRPC responses",
                "tower_http::trace::on_response",
            ),
            grpc_responses("tower-http gRPC streams", "tower_http::trace::on_eos"),
            failures(),
        ])
    }
}

/// The URI is read by no label: each client sends another one.
fn requests(name: &str, scheme: &str) -> Rule {
    Rule::spans(name)
        .target("tower_http::trace")
        .up_to(Level::DEBUG)
        .named("request")
        .with_field("method")
        .with_field("uri")
        .with_field("version")
        .label_rule(method("method"))
        .constant("url.scheme", scheme)
        .without_outcome()
}

fn version() -> RuleLabel {
    RuleLabel::new("network.protocol.version")
        .field("version")
        .map("HTTP/1.0", "1.0")
        .map("HTTP/1.1", "1.1")
        .map("HTTP/2.0", "2")
        .map("HTTP/3.0", "3")
}

fn responses(name: &str, target: &str) -> Rule {
    let responses = Measure::happened("tower_http.responses")
        .unit("{response}")
        .help("Responses, by status.");
    Rule::events(name)
        .target(target)
        .up_to(Level::DEBUG)
        .measure(responses)
}

fn grpc_responses(name: &str, target: &str) -> Rule {
    let label = RuleLabel::new("rpc.response.status_code").field("status");
    let codes = GRPC_CODES.iter().enumerate();
    let label = codes.fold(label, |label, (number, (_, code))| {
        label.map(number.to_string(), *code)
    });
    responses(name, target)
        .when(Condition::below("status", 100.0))
        .label_rule(label)
}

/// A body that fails does so after its response.
fn failures() -> Rule {
    let failures = Measure::happened("tower_http.failures")
        .unit("{failure}")
        .help("Responses and bodies that have failed.");
    let label = RuleLabel::new("error.type").field("classification");
    let error = (500..600).fold(label, |label, status: u16| {
        label.map(format!("Status code: {status}*"), status.to_string())
    });
    let error = GRPC_CODES.iter().fold(error, |label, (written, code)| {
        label.map(format!("Status: {written}*"), *code)
    });
    Rule::events("tower-http failures")
        .target("tower_http::trace::on_failure")
        .up_to(Level::DEBUG)
        .with_field("classification")
        .measure(failures)
        .label_rule(error.default("_OTHER"))
}
