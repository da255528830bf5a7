//! The W3C's suite for Trace Context: its cases in our words, and what drives a service.
//!
//! A case sends a service requests, and looks at the headers of the calls that it makes
//! for them. The suite itself is a program in Python: `examples/w3c_service.rs` says how
//! to run it. These cases were written without it at hand, and stand in for it.

pub(crate) mod cases;
mod exchange;
mod harness;
pub(crate) mod relay;
pub(crate) mod traceparent;
pub(crate) mod tracestate;

pub(crate) use cases::for_each_case;
pub(crate) use exchange::{Exchange, PARENT_ID, TRACE_ID, pass};
pub(crate) use harness::{Called, Harness};

pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
