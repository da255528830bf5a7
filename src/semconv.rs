//! What the semantic conventions say of values, for the spans that are made here and for
//! the metrics that are made of any spans.

mod known_methods;
mod rpc_status;

pub(crate) use known_methods::{KNOWN as KNOWN_METHODS, KnownMethods};
pub(crate) use rpc_status::is_error_of_the_server;

/// What has no name that is known: a method, an error.
pub(crate) const OTHER: &str = "_OTHER";
