//! `TraceResponseLayer` writes by the propagator of the process, of which there is one: each
//! case is a process of its own.
#![cfg(feature = "tower")]
#![allow(clippy::print_stdout, reason = "a process says what it has answered")]

#[path = "support/traces.rs"]
mod traces;

use std::convert::Infallible;
use std::env;
use std::process::Command;

use http::{Request, Response};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tracing::{Instrument as _, info_span};
use tracing_meter::http::TraceResponseLayer;
use tracing_meter::propagation::{self, W3cPropagator};
use tracing_subscriber::prelude::*;

use traces::Traces;

/// Set where this process is a case.
const PROPAGATOR: &str = "PROPAGATOR";

#[tokio::test]
async fn a_case() {
    let Ok(propagator) = env::var(PROPAGATOR) else {
        return;
    };
    let installed = match &*propagator {
        "default" => None,
        "ids that are not random" => Some(W3cPropagator::new().random_ids(false)),
        "baggage" => Some(W3cPropagator::baggage()),
        "none" => Some(W3cPropagator::none()),
        unknown => panic!("{unknown}"),
    };
    if let Some(installed) = installed {
        installed.install().unwrap();
    }
    let traces = Traces::new();
    let otel = tracing_opentelemetry::layer().with_tracer(traces.tracer());
    let subscriber = tracing_subscriber::registry().with(propagation::layer(otel));
    let _default = subscriber.set_default();

    let handler = service_fn(async |_: Request<()>| Ok::<_, Infallible>(Response::new(())));
    let service = TraceResponseLayer::traceresponse().layer(handler);
    let answered = service
        .oneshot(Request::new(()))
        .instrument(info_span!("a"));
    let response = answered.await.unwrap();

    let header = response.headers().get("traceresponse");
    let flags = header.map_or("none", |it| &it.to_str().unwrap()[53..]);
    println!("flags: {flags}.");
}

#[test]
fn the_flags_are_those_of_the_installed_propagator() {
    for (propagator, flags) in [
        ("default", "03"),
        ("ids that are not random", "01"),
        ("baggage", "none"),
        ("none", "none"),
    ] {
        let mut case = Command::new(env::current_exe().unwrap());
        case.args(["a_case", "--exact", "--nocapture"]);
        let output = case.env(PROPAGATOR, propagator).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let expected = format!("flags: {flags}.");
        assert!(said.contains(&expected), "{propagator}: {said}");
    }
}
