//! Surface: functions that clients call by name.

use std::fmt;
use std::sync::Arc;

use tracing::{Span, debug, instrument};
use tracing_meter::propagation::SpanPropagation as _;

use super::kv::Store;
use super::processes::{Job, Origin, Processes};
use super::queue::{self, Queues};
use super::sql::Database;

/// The namespace in which orders are kept.
pub(crate) const NAMESPACE: &str = "orders";

pub(crate) struct Functions {
    pub(crate) store: Arc<Store>,
    pub(crate) database: Arc<Database>,
    pub(crate) queues: Arc<Queues>,
    pub(crate) processes: Processes,
}

/// Why a function failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Unknown,
    BadInput,
    Busy,
    Internal(rusqlite::Error),
}

impl Functions {
    pub(crate) fn call(&self, function: &str, input: String) -> Result<String, Failure> {
        match function {
            "echo" => call("echo", || Ok(input)),
            "refuse" => call("refuse", || Err(Failure::BadInput)),
            "report" => call("report", || self.report()),
            "panic" => call("panic", || panic!("the function is to panic")),
            "place_order" => call("place_order", || self.place_order(&input)),
            _ => Err(Failure::Unknown),
        }
    }

    fn report(&self) -> Result<String, Failure> {
        Ok(self.database.report()?.to_string())
    }

    /// An order is sent to its queue, and settled by a process of the same trace.
    fn place_order(&self, order: &str) -> Result<String, Failure> {
        let queued = self.queues.publish(queue::ORDERS, order.to_owned());
        queued.map_err(|_| Failure::Busy)?;
        self.database.insert_order(order, "{}")?;
        let kept = self.store.put(NAMESPACE, order, order.to_owned());
        kept.map_err(|_| Failure::BadInput)?;
        let mut origin = Origin::new();
        Span::current().inject_into(&mut origin);
        Ok(self.processes.start(Job::Settle, &origin).to_string())
    }
}

#[instrument(skip_all, err, fields(
    otel.name = function,
    label.function = function,
    calls.wippy_function_calls,
    duration.wippy_function_duration,
    in_flight.wippy_function_in_flight,
))]
fn call(
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
