//! The endpoint for Prometheus.

use std::net::SocketAddr;

use metrics::{Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{BuildError as ExporterError, PrometheusHandle};
use opentelemetry_sdk::Resource;

use super::background::Background;
use super::error::{Cause, SetupError};
use crate::boundaries::Boundaries;
use crate::sink::FacadeSink;

/// An endpoint that listens, on a thread of its own.
pub(super) struct Endpoint {
    pub(super) sink: FacadeSink,
    pub(super) handle: PrometheusHandle,
}

impl Endpoint {
    pub(super) fn listen(
        address: SocketAddr,
        boundaries: &Boundaries,
        resource: &Resource,
        background: &Background,
    ) -> Result<Self, SetupError> {
        let builder = boundaries.prometheus_builder()?.with_http_listener(address);
        // What keeps its memory bounded between scrapes is started here, too.
        let _guard = background.enter();
        let (recorder, serve) = builder.build().map_err(|error| refused(address, error))?;
        background.spawn(serve);
        say_target_info(&recorder, resource);
        Ok(Self {
            handle: recorder.handle(),
            sink: FacadeSink::new(recorder),
        })
    }
}

fn refused(address: SocketAddr, error: ExporterError) -> SetupError {
    let address = address.to_string();
    let why = match error {
        ExporterError::FailedToCreateHTTPListener(why) => why,
        other => other.to_string(),
    };
    Cause::Listen { address, why }.into()
}

/// The resource, as OpenTelemetry's exporters for Prometheus show it.
fn say_target_info(recorder: &metrics_exporter_prometheus::PrometheusRecorder, of: &Resource) {
    let labels = of
        .iter()
        .map(|(key, value)| Label::new(key.as_str().to_owned(), value.to_string()));
    let key = Key::from_parts("target_info", labels.collect::<Vec<_>>());
    let metadata = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
    recorder.describe_gauge("target_info".into(), None, "Target metadata".into());
    recorder.register_gauge(&key, &metadata).set(1.0);
}
