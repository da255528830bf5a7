//! Where metrics, traces and log lines go. Nothing else here knows of it.

use std::env;

use tracing_meter::Boundaries;
use tracing_meter::setup::{self, Guard};

use super::Result;
use super::convention::HttpRequests;

pub(crate) const SERVICE: &str = "runtime";

/// Says where OTLP goes. Without it nothing is sent.
pub(crate) const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
pub(crate) const PROMETHEUS_HOST: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";
pub(crate) const PROMETHEUS_PORT: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";

/// Measures as `directives` say, for the rest of the process.
pub(crate) fn start(directives: &str) -> Result<Guard> {
    let meter = tracing_meter::builder()
        .directives(directives)
        .convention(HttpRequests)
        .boundaries(boundaries());
    let (metrics, traces) = if env::var_os(OTLP_ENDPOINT).is_some() {
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

/// Where `/metrics` is, as the environment says.
pub(crate) fn metrics_url() -> String {
    let variable = |name, otherwise: &str| env::var(name).unwrap_or_else(|_| otherwise.to_owned());
    let host = variable(PROMETHEUS_HOST, "localhost");
    let port = variable(PROMETHEUS_PORT, "9464");
    format!("http://{host}:{port}/metrics")
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
