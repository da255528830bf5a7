//! Spans of requests, with the fields that `http::trace_layer` gives them.

use std::sync::LazyLock;

use tracing::field::Empty;
use tracing::info_span;

use super::{Arrives, Operation};

const SEMANTIC: &[(&str, Arrives)] = &[
    ("http.server.request.duration", Arrives::EachTime),
    ("http.server.active_requests", Arrives::Back),
];

const BY_DIRECTIVE: &[(&str, Arrives)] = &[
    ("traces.span.metrics.calls", Arrives::EachTime),
    ("traces.span.metrics.in_flight", Arrives::Back),
    ("traces.span.metrics.duration", Arrives::EachTime),
];

/// Opens the span of a request that is measured by its fields' meanings.
macro_rules! request {
    ($method:expr) => {
        info_span!(
            "http.server",
            otel.kind = "server",
            otel.status_code = Empty,
            otel.status_description = Empty,
            http.request.method = $method,
            http.request.method_original = Empty,
            http.route = "/kv/{key}",
            http.response.status_code = Empty,
            error.type = Empty,
            url.path = "/kv/a",
            url.query = Empty,
            url.scheme = "http",
            server.address = "localhost",
            server.port = 8080_i64,
            client.address = Empty,
            network.protocol.version = "1.1",
            user_agent.original = "curl/8",
        )
    };
}

/// Its status comes late.
pub(crate) const REQUEST: Operation = Operation::new(
    |_| {
        let span = request!("GET").entered();
        span.record("http.response.status_code", 200_i64);
    },
    SEMANTIC,
);

/// The same, which is not measured.
pub(crate) const PLAIN_REQUEST: Operation = Operation::new(REQUEST.run, &[]);

pub(crate) const FAILED_REQUEST: Operation = Operation::new(
    |_| {
        let span = request!("GET").entered();
        span.record("http.response.status_code", 500_i64);
        span.record("otel.status_code", "ERROR");
        span.record("error.type", "500");
    },
    SEMANTIC,
);

/// The same measures as those of `REQUEST`, by the names of fields.
pub(crate) const REQUEST_BY_FIELDS: Operation = Operation::new(
    |_| {
        let span = info_span!(
            "http.server",
            duration.http.server.request.duration = Empty,
            in_flight.http.server.active_requests = Empty,
            otel.kind = "server",
            otel.status_code = Empty,
            otel.status_description = Empty,
            label.http.request.method = "GET",
            http.request.method_original = Empty,
            label.http.route = "/kv/{key}",
            label.http.response.status_code = Empty,
            error.type = Empty,
            url.path = "/kv/a",
            url.query = Empty,
            label.url.scheme = "http",
            server.address = "localhost",
            server.port = 8080_i64,
            client.address = Empty,
            label.network.protocol.version = "1.1",
            user_agent.original = "curl/8",
        );
        let span = span.entered();
        span.record("label.http.response.status_code", 200_i64);
    },
    SEMANTIC,
);

pub(crate) const REQUESTS_ON_TWO_THREADS: Operation = Operation {
    threads: 2,
    ..REQUEST
};

/// Each has an unknown method, of more than are remembered.
pub(crate) const REQUEST_OF_UNKNOWN_METHOD: Operation = Operation {
    warm_up: 20_000,
    ..Operation::new(
        |n| {
            let span = request!(unknown_method(n % METHODS).unwrap_or("GET")).entered();
            span.record("http.response.status_code", 200_i64);
        },
        SEMANTIC,
    )
};

/// A known method, after all those that are not.
pub(crate) const REQUEST_AFTER_UNKNOWN_METHODS: Operation = Operation {
    warm_up: 20_000,
    ..Operation::new(
        |n| {
            let span = request!(unknown_method(n).unwrap_or("GET")).entered();
            span.record("http.response.status_code", 200_i64);
        },
        SEMANTIC,
    )
};

const METHODS: u64 = 10_000;

fn unknown_method(number: u64) -> Option<&'static str> {
    static ALL: LazyLock<Vec<String>> =
        LazyLock::new(|| (0..METHODS).map(|number| format!("M{number}")).collect());
    let method = ALL.get(usize::try_from(number).ok()?)?;
    Some(method)
}

/// A span of another crate's, as `h2` opens them at TRACE.
pub(crate) const SPAN_BY_DIRECTIVE: Operation = Operation::new(
    |_| {
        let span = info_span!("FramedRead::poll_next", stream.id = 1_u32);
        drop(span.entered());
    },
    BY_DIRECTIVE,
);

/// The same measures as those of `SPAN_BY_DIRECTIVE`, by the names of fields.
pub(crate) const SPAN_BY_FIELDS: Operation = Operation::new(
    |_| {
        let span = info_span!(
            "FramedRead::poll_next",
            calls.traces.span.metrics.calls = Empty,
            duration.traces.span.metrics.duration = Empty,
            in_flight.traces.span.metrics.in_flight = Empty,
            stream.id = 1_u32
        );
        drop(span.entered());
    },
    BY_DIRECTIVE,
);
