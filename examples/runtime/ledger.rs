//! What really happened, counted without `tracing`.
//!
//! It is filled by those who see it from outside: the clients of the load, the server
//! downstream, the file system. What is written here about labels is written a second
//! time on purpose.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A metric with its labels, named as on a scrape.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    pub(crate) name: String,
    pub(crate) labels: BTreeMap<String, String>,
}

/// The value of each series.
pub(crate) type Values = BTreeMap<Series, f64>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Values>>);

impl Ledger {
    /// A request that was answered, or that its client gave up.
    pub(crate) fn request(&self, method: &str, route: Option<&str>, status: Option<u16>) {
        let is_failure = status.is_some_and(|status| status >= 500);
        let outcome = if is_failure { "error" } else { "ok" };
        let status = status.map(|status| status.to_string());
        let opened = [("method", Some(method)), ("route", route)];
        let closed = [("status", status.as_deref()), ("outcome", Some(outcome))];
        let opened = present(&opened);
        let closed = [opened.clone(), present(&closed)].concat();
        self.add("wippy_http_requests_total", &closed, 1.0);
        self.add("wippy_http_request_duration_seconds_count", &closed, 1.0);
        self.add("wippy_http_requests_in_flight", &opened, 0.0);
        self.request_by_convention(method, route, status.as_deref());
    }

    fn request_by_convention(&self, method: &str, route: Option<&str>, status: Option<&str>) {
        let error = status.filter(|status| status.starts_with('5'));
        let opened = [("http_request_method", method), ("url_scheme", "http")];
        let closed = present(&[
            ("http_route", route),
            ("network_protocol_version", Some("1.1")),
            ("http_response_status_code", status),
            ("error_type", error),
        ]);
        let closed = [&opened[..], &closed].concat();
        self.add("http_server_request_duration_seconds_count", &closed, 1.0);
        self.add("http_server_active_requests", &opened, 0.0);
    }

    /// A request of the server to a port of this machine, which was answered, or given up.
    pub(crate) fn sent(&self, method: &str, port: u16, template: &str, status: Option<u16>) {
        let port = port.to_string();
        let error = status.filter(|status| *status >= 400);
        let [status, error] = [status, error].map(|it| it.map(|status| status.to_string()));
        let opened = [
            ("http_request_method", method),
            ("server_address", "127.0.0.1"),
            ("server_port", &port),
        ];
        let closed = present(&[
            ("network_protocol_version", status.as_ref().map(|_| "1.1")),
            ("http_response_status_code", status.as_deref()),
            ("error_type", error.as_deref()),
        ]);
        let closed = [&opened[..], &closed].concat();
        self.add("http_client_request_duration_seconds_count", &closed, 1.0);
        let opened = [&opened[..], &[("url_template", template)]].concat();
        self.add("http_client_active_requests", &opened, 0.0);
    }

    pub(crate) fn function(&self, function: &str, outcome: &str) {
        let closed = [("function", function), ("outcome", outcome)];
        self.add("wippy_function_calls_total", &closed, 1.0);
        self.add("wippy_function_duration_seconds_count", &closed, 1.0);
        self.add("wippy_function_in_flight", &[("function", function)], 0.0);
    }

    /// A message that was offered to a queue.
    pub(crate) fn offered(&self, queue: &str, result: &str) {
        let labels = [("queue", queue), ("result", result)];
        self.add("wippy_queue_messages_total", &labels, 1.0);
    }

    /// A message that a consumer has handled once.
    pub(crate) fn consumed(&self, queue: &str, is_acked: bool) {
        let (result, outcome) = if is_acked {
            ("ack", "ok")
        } else {
            ("nack", "error")
        };
        self.offered(queue, result);
        let closed = [("queue", queue), ("outcome", outcome)];
        self.add("wippy_queue_process_duration_seconds_count", &closed, 1.0);
        self.add("wippy_queue_in_flight", &[("queue", queue)], 0.0);
    }

    /// A process from its start to its end, which it notes in the store.
    pub(crate) fn process(&self, result: &str) {
        self.add("wippy_process_started_total", &[], 1.0);
        self.add("wippy_process_terminated_total", &[("result", result)], 1.0);
        self.add("wippy_process_active", &[], 0.0);
        self.kv("processes", "put", "ok");
    }

    pub(crate) fn kv(&self, namespace: &str, op: &str, result: &str) {
        let labels = [("namespace", namespace), ("op", op), ("result", result)];
        self.add("wippy_kv_ops_total", &labels, 1.0);
        self.add("wippy_kv_op_duration_seconds_count", &labels, 1.0);
    }

    pub(crate) fn sql(&self, op: &str, result: &str) {
        let labels = [("op", op), ("result", result)];
        self.add("wippy_sql_ops_total", &labels, 1.0);
        self.add("wippy_sql_op_duration_seconds_count", &labels, 1.0);
    }

    pub(crate) fn change(&self, table: &str, op: &str) {
        let labels = [("table", table), ("op", op)];
        self.add("wippy_cdc_changes_total", &labels, 1.0);
    }

    pub(crate) fn change_error(&self, table: &str) {
        self.add("wippy_cdc_errors_total", &[("table", table)], 1.0);
    }

    /// What the log of the database holds on disk.
    #[allow(clippy::cast_precision_loss, reason = "no file here has 2^53 bytes")]
    pub(crate) fn wal(&self, bytes: u64) {
        let series = Series::new("wippy_cdc_retained_wal_bytes", &[]);
        self.lock().insert(series, bytes as f64);
    }

    pub(crate) fn subscriber(&self) {
        self.add("eventbus_subscribers_active", &[], 0.0);
    }

    pub(crate) fn rejected_events(&self, events: u32) {
        self.add("eventbus_rejected_total", &[], events.into());
    }

    pub(crate) fn log(&self, level: &str) {
        self.add("runtime_log_emissions_total", &[("level", level)], 1.0);
    }

    pub(crate) fn values(&self) -> Values {
        self.lock().clone()
    }

    fn add(&self, name: &str, labels: &[(&str, &str)], value: f64) {
        *self.lock().entry(Series::new(name, labels)).or_default() += value;
    }

    fn lock(&self) -> MutexGuard<'_, Values> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Series {
    pub(crate) fn new(name: &str, labels: &[(&str, &str)]) -> Self {
        let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
        Self {
            name: name.to_owned(),
            labels: labels.iter().map(owned).collect(),
        }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels = self.labels.iter();
        let labels: Vec<_> = labels
            .map(|(key, value)| format!("{key}={value:?}"))
            .collect();
        if labels.is_empty() {
            return f.pad(&self.name);
        }
        f.pad(&format!("{}{{{}}}", self.name, labels.join(",")))
    }
}

fn present<'l>(labels: &[(&'l str, Option<&'l str>)]) -> Vec<(&'l str, &'l str)> {
    let labels = labels.iter();
    labels
        .filter_map(|(key, value)| Some((*key, (*value)?)))
        .collect()
}
