//! W3C trace context, strictly: one trace across processes, queues and tasks.

mod active;
mod baggage;
mod carried;
mod carrier;
mod fields;
mod forward;
mod layer;
mod log;
mod propagator;
mod remote;
mod span;
mod traceparent;
mod tracestate;

pub use baggage::Baggage;
pub use carrier::{Carrier, CarrierInjector, CarrierMut};
pub use layer::{PassThroughLayer, PropagationLayer, layer, pass_through};
pub use log::{LineFormat, TraceIdsFormat, TraceIdsLayer, with_trace_ids};
pub use propagator::W3cPropagator;
pub use span::{ContinueError, SpanPropagation};
pub use traceparent::{Traceparent, TraceparentError};
pub use tracestate::{Tracestate, TracestateError};

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";
const BAGGAGE: &str = "baggage";

/// Without the blanks and tabs around it: RFC 9110's optional whitespace.
fn trim_ows(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}
