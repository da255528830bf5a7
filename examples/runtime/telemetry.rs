//! Where metrics, traces and log lines go. Nothing else here knows of it.

use std::env;
use std::net::Ipv6Addr;

use tokio::process::Command;
use tracing_meter::setup::{self, Guard};
use tracing_meter::{Boundaries, BuildError, Measure, Rule, Rules};

use super::Result;

pub(crate) const SERVICE: &str = "runtime";

/// Says where OTLP goes. Without it nothing is sent.
pub(crate) const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
pub(crate) const PROMETHEUS_HOST: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";
pub(crate) const PROMETHEUS_PORT: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";

/// Measures as `directives` say, for the rest of the process.
pub(crate) fn start(directives: &str) -> Result<Guard> {
    let meter = tracing_meter::builder()
        .directives(directives)
        .convention(requests()?)
        .boundaries(boundaries());
    let (metrics, traces) = if variable(OTLP_ENDPOINT).is_some() {
        ("prometheus,otlp", "otlp")
    } else {
        ("prometheus", "none")
    };
    let setup = setup::builder()
        .service_name(SERVICE)
        .service_version(env!("CARGO_PKG_VERSION"))
        .meter(meter)
        .metrics_exporters(metrics)
        .traces_exporters(traces);
    Ok(setup.init()?)
}

/// What dashboards have of requests, beside what `setup` measures by the semantic conventions.
fn requests() -> Result<Rules, BuildError> {
    let requests = Rule::spans("requests")
        .target("tracing_meter::http::server")
        .named("http.server")
        .measure(Measure::closed("wippy_http_requests"))
        .measure(Measure::duration("wippy_http_request_duration"))
        .measure(Measure::in_flight("wippy_http_requests_in_flight"))
        .label("http.request.method", "method")
        .label("http.route", "route")
        .label("http.response.status_code", "status");
    Rules::new().rule(requests)
}

/// Where `/metrics` is, as the environment says.
pub(crate) fn metrics_url() -> String {
    let host = variable(PROMETHEUS_HOST).unwrap_or_else(|| "localhost".to_owned());
    let port = variable(PROMETHEUS_PORT).unwrap_or_else(|| "9464".to_owned());
    match host.parse::<Ipv6Addr>() {
        Ok(host) => format!("http://[{host}]:{port}/metrics"),
        Err(_) => format!("http://{host}:{port}/metrics"),
    }
}

/// What a variable says. What is empty is not set, as `setup` has it.
pub(crate) fn variable(name: &str) -> Option<String> {
    let value = env::var(name).ok()?.trim().to_owned();
    (!value.is_empty()).then_some(value)
}

/// Whatever leads telemetry elsewhere, or changes what comes: not told to this program.
/// Where `/metrics` is and what the resource says is left to it.
pub(crate) fn forget_variables(program: &mut Command) {
    const KEPT: [&str; 4] = [
        PROMETHEUS_HOST,
        PROMETHEUS_PORT,
        "OTEL_SERVICE_NAME",
        "OTEL_RESOURCE_ATTRIBUTES",
    ];
    for (name, _) in env::vars_os() {
        let known = name.to_string_lossy();
        let is_of_telemetry = known.starts_with("OTEL_") || known.starts_with("TRACING_METER");
        if is_of_telemetry && !KEPT.contains(&&*known) {
            program.env_remove(name);
        }
    }
}

/// A key is found in less than a statement takes.
fn boundaries() -> Boundaries {
    Boundaries::new()
        .exact(
            "wippy_kv_op_duration",
            &[1e-6, 5e-6, 1e-5, 5e-5, 1e-4, 1e-3],
        )
        .exact(
            "wippy_sql_op_duration",
            &[1e-5, 5e-5, 1e-4, 5e-4, 1e-3, 1e-2, 0.1],
        )
}
