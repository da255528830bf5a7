//! W3C trace context, strictly: one trace across processes, queues and tasks.
//!
//! A span continues the trace of a message if it has a field `traceparent`, and needs
//! `tracing` alone for that. Where the headers are at hand, it can continue them itself,
//! and writes its trace into what it sends.
//!
//! ```
//! use std::collections::BTreeMap;
//!
//! use opentelemetry::trace::TracerProvider as _;
//! use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
//! use tracing::{Span, info_span, instrument};
//! use tracing_meter::propagation::{self, SpanPropagation};
//! use tracing_subscriber::prelude::*;
//!
//! type Headers = BTreeMap<String, String>;
//!
//! #[instrument(skip_all, fields(traceparent = message.get("traceparent")))]
//! fn consume(message: &Headers) -> Headers {
//!     let mut sent = Headers::new();
//!     Span::current().inject_into(&mut sent);
//!     sent
//! }
//!
//! fn serve(request: &Headers) {
//!     let span = info_span!("serve");
//!     let _ = span.continue_from(request); // before it is entered
//!     span.in_scope(|| { /* ... */ });
//! }
//!
//! // `propagation::layer` around the layer of `tracing_opentelemetry` does the first.
//! let exporter = InMemorySpanExporter::default();
//! let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
//! let otel = tracing_opentelemetry::layer().with_tracer(provider.tracer("app"));
//! let subscriber = tracing_subscriber::registry().with(propagation::layer(otel));
//!
//! let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
//! let message = Headers::from([("traceparent".to_owned(), traceparent.to_owned())]);
//! let sent = tracing::subscriber::with_default(subscriber, || {
//!     serve(&message);
//!     consume(&message)
//! });
//!
//! let spans = exporter.get_finished_spans()?;
//! assert!(spans.iter().all(|span| span.parent_span_id.to_string() == "b7ad6b7169203331"));
//! assert_eq!(sent["traceparent"], format!(
//!     "00-0af7651916cd43dd8448eb211c80319c-{}-01", spans[1].span_context.span_id(),
//! ));
//! # Ok::<(), opentelemetry_sdk::error::OTelSdkError>(())
//! ```
//!
//! # Where to look
//!
//! - [`layer()`] wraps the OpenTelemetry layer; [`pass_through`] is for services without
//!   a tracer.
//! - [`SpanPropagation`] continues, links and injects by hand.
//! - [`W3cPropagator`] is a propagator for OpenTelemetry, alone or among others.
//! - [`Carrier`] and [`CarrierMut`] are what is read and written: headers of HTTP and
//!   gRPC, maps, lists of names and bytes.
//! - [`Traceparent`], [`Tracestate`] and [`Baggage`] are the headers, parsed.
//! - [`with_trace_ids`] puts the ids of the trace on log lines.
#![cfg_attr(
    feature = "http",
    doc = "- [`http`](crate::http) has what servers and clients of HTTP and gRPC need."
)]
//!
//! # What may be relied upon
//!
//! - Headers are read as [W3C Trace Context, Level 2][spec] and [W3C Baggage] say, and
//!   nothing that these refuse is used, or sent on.
//! - What is not valid starts a new trace. It is no error, panics nowhere and is not
//!   logged: anybody may send it.
//! - What is set in what comes in, and OpenTelemetry's types do not hold, goes out again:
//!   long keys, keys with two `@`, the random flag, of spans that are not sampled, too.
//! - A service without a tracer passes `traceparent` and `tracestate` on as they came, but
//!   for blanks, empty members and what a higher version or an unknown flag says.
//!
//! [spec]: https://www.w3.org/TR/trace-context-2/
//! [W3C Baggage]: https://www.w3.org/TR/baggage/

mod active;
mod baggage;
mod carried;
mod carrier;
mod fields;
mod forward;
mod layer;
mod log;
mod propagator;
mod received;
mod remote;
mod span;
mod traceparent;
mod tracer;
mod tracestate;

pub use baggage::{Baggage, BaggageError};
pub use carrier::{Carrier, CarrierInjector, CarrierMut};
pub use layer::{PassThroughLayer, PropagationLayer, layer, pass_through};
pub use log::{LineFormat, TraceIdsFormat, TraceIdsLayer, with_trace_ids};
pub use propagator::W3cPropagator;
pub use span::{ContinueError, SpanPropagation};
pub use traceparent::{Traceparent, TraceparentError};
pub use tracestate::{Tracestate, TracestateError};

pub(crate) const TRACEPARENT: &str = "traceparent";
pub(crate) const TRACESTATE: &str = "tracestate";
pub(crate) const BAGGAGE: &str = "baggage";

/// Without the blanks and tabs around it: RFC 9110's optional whitespace.
fn trim_ows(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
