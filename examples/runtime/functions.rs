//! Surface: functions that clients call by name.

use std::fmt;

use tracing::{Span, debug, instrument};
use tracing_meter::propagation::SpanPropagation as _;

use super::processes::{Job, Origin};
use super::queue;
use super::surfaces::Surfaces;

/// The namespace in which orders are kept.
pub(crate) const NAMESPACE: &str = "orders";

/// Why a function failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Unknown,
    BadInput,
    Busy,
    Internal(rusqlite::Error),
}

pub(crate) fn call(app: &Surfaces, function: &str, input: String) -> Result<String, Failure> {
    match function {
        "echo" => run("echo", || Ok(input)),
        "refuse" => run("refuse", || Err(Failure::BadInput)),
        "report" => run("report", || report(app)),
        "panic" => run("panic", || panic!("the function is to panic")),
        "place_order" => run("place_order", || place_order(app, &input)),
        _ => Err(Failure::Unknown),
    }
}

fn report(app: &Surfaces) -> Result<String, Failure> {
    Ok(app.database.report()?.to_string())
}

/// An order is sent to its queue, and settled by a process of the same trace.
fn place_order(app: &Surfaces, order: &str) -> Result<String, Failure> {
    let queued = app.queues.publish(queue::ORDERS, order.to_owned());
    queued.map_err(|_| Failure::Busy)?;
    app.database.insert_order(order, "{}")?;
    let kept = app.store.put(NAMESPACE, order, order.to_owned());
    kept.map_err(|_| Failure::BadInput)?;
    let mut origin = Origin::new();
    Span::current().inject_into(&mut origin);
    Ok(app.processes.start(Job::Settle, &origin).to_string())
}

#[instrument(skip_all, err, fields(
    otel.name = function,
    label.function = function,
    calls.wippy_function_calls,
    duration.wippy_function_duration,
    in_flight.wippy_function_in_flight,
))]
fn run(
    function: &'static str,
    body: impl FnOnce() -> Result<String, Failure>,
) -> Result<String, Failure> {
    body()
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Internal(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("there is no such function"),
            Self::BadInput => f.write_str("it does not take this input"),
            Self::Busy => f.write_str("the queue is full"),
            Self::Internal(error) => error.fmt(f),
        }
    }
}

pub(crate) fn describe() {
    debug!(
        describe.wippy_function_calls = "Calls of functions.",
        describe.wippy_function_duration = "How long calls of functions took.",
        describe.wippy_function_in_flight = "Functions that run.",
    );
}
