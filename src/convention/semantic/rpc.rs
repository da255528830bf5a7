//! Calls of RPC servers and clients.

use super::OptIn;
use super::attribute::{Attribute, error_type, status_if};
use super::callsite::{Callsite, Side};
use crate::convention::{Feed, Measure};
use crate::semconv::{OTHER, is_error_of_the_server};

const SYSTEM: &str = "rpc.system.name";
const STATUS: &str = "rpc.status_code";

const OF_A_SERVER: [Attribute; 5] = [
    Attribute::text(SYSTEM).required(),
    Attribute::text("rpc.method"),
    Attribute::text(STATUS),
    Attribute::text("server.address").opt_in(OptIn::ServerAddress),
    Attribute::int("server.port").opt_in(OptIn::ServerPort),
];

const OF_A_CLIENT: [Attribute; 5] = [
    Attribute::text(SYSTEM).required(),
    Attribute::text("rpc.method"),
    Attribute::text(STATUS),
    Attribute::text("server.address"),
    Attribute::int("server.port"),
];

pub(super) fn feeds(callsite: &Callsite<'_>) -> Vec<Feed> {
    if !callsite.has(SYSTEM) {
        return Vec::new();
    }
    let server = Measure::duration("rpc.server.call.duration")
        .help("Measures the duration of an incoming Remote Procedure Call (RPC).");
    let client = Measure::duration("rpc.client.call.duration")
        .help("Measures the duration of an outgoing Remote Procedure Call (RPC).");
    vec![
        calls(callsite, Side::Server, &OF_A_SERVER, is_error_of_the_server).measure(server),
        calls(callsite, Side::Client, &OF_A_CLIENT, is_error).measure(client),
    ]
}

fn calls(
    callsite: &Callsite<'_>,
    side: Side,
    attributes: &[Attribute],
    is_error: fn(&str) -> bool,
) -> Feed {
    let error = error_type().map(STATUS, status_if(is_error));
    let calls = callsite.feed_of((side, false), SYSTEM, attributes);
    calls.label_rule(error.failure(OTHER).optional())
}

/// For a client all codes are errors but `OK`, which is gRPC's 0.
fn is_error(status: &str) -> bool {
    !status.eq_ignore_ascii_case("ok") && status != "0"
}
