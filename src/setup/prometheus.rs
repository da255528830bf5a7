//! The endpoint for Prometheus.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use metrics::{Key, Label, Level, Metadata, Recorder as _};
use metrics_exporter_prometheus::{BuildError as ExporterError, PrometheusHandle};
use opentelemetry_sdk::Resource;

use super::background::Background;
use super::error::{Cause, SetupError};
use crate::boundaries::Boundaries;
use crate::prometheus_name::of_labels;
use crate::sink::FacadeSink;

/// An endpoint that listens, on the thread of the exporters.
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
    let source = match error {
        ExporterError::FailedToCreateHTTPListener(why) => why.into(),
        other => other.into(),
    };
    Cause::Listen { address, source }.into()
}

/// The resource, as OpenTelemetry's exporters for Prometheus show it.
fn say_target_info(recorder: &metrics_exporter_prometheus::PrometheusRecorder, of: &Resource) {
    let labels = labels(of).into_iter().map(|it| Label::new(it.0, it.1));
    let key = Key::from_parts("target_info", labels.collect::<Vec<_>>());
    let metadata = Metadata::new(module_path!(), Level::INFO, Some(module_path!()));
    recorder.describe_gauge("target_info".into(), None, "Target metadata".into());
    recorder.register_gauge(&key, &metadata).set(1.0);
}

fn labels(of: &Resource) -> BTreeMap<String, String> {
    let attributes = of
        .iter()
        .map(|(key, value)| (key.as_str(), value.to_string()));
    of_labels(attributes.collect::<BTreeMap<_, _>>())
}

#[cfg(test)]
mod tests {
    use opentelemetry::KeyValue;

    use super::*;

    #[test]
    fn attributes_that_become_one_label_are_joined() {
        let attributes = [("a_b", "2"), ("a.b", "1"), ("9", "x")];
        let attributes = attributes.map(|(key, value)| KeyValue::new(key, value));
        let resource = Resource::builder_empty()
            .with_attributes(attributes)
            .build();
        let labels = labels(&resource).into_iter().collect::<Vec<_>>();
        let expected = [("a_b", "1;2"), ("key_9", "x")];
        assert_eq!(labels, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
    }
}
