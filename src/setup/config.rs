//! What a process does with its telemetry, as its environment says.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use opentelemetry_sdk::trace::Sampler;

use super::environment::Environment;
use super::error::SetupError;
use super::limits::Limits;
use super::variables::{PROPAGATORS, RESOURCE_ATTRIBUTES, SDK_DISABLED, SERVICE_NAME};
use crate::propagation::W3cPropagator;

mod metrics_exporter;
mod sampler;
mod traces_exporter;

pub(super) use metrics_exporter::{MetricsExporter, Push};
pub(super) use traces_exporter::TracesExporter;

type Result<T> = std::result::Result<T, SetupError>;

/// Every variable, parsed once.
#[derive(Debug)]
pub(super) struct Config {
    pub(super) traces: Vec<TracesExporter>,
    pub(super) metrics: Vec<MetricsExporter>,
    pub(super) propagator: W3cPropagator,
    pub(super) sampler: Sampler,
    pub(super) limits: Limits,
    pub(super) resource: BTreeMap<String, String>,
}

/// What the code says where the environment says nothing.
#[derive(Clone, Debug)]
pub(super) struct Defaults {
    pub(super) traces: String,
    pub(super) metrics: String,
    pub(super) prometheus: Option<SocketAddr>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            traces: "otlp".to_owned(),
            metrics: "otlp".to_owned(),
            prometheus: None,
        }
    }
}

impl Config {
    /// # Errors
    ///
    /// If a variable's value is not valid. Those of an exporter count if it is asked for,
    /// and a process whose telemetry is disabled starts, whatever is written of exporters.
    pub(super) fn read(env: &Environment<'_>, defaults: &Defaults) -> Result<Self> {
        let propagator = propagator(env)?;
        if env.boolean(&SDK_DISABLED)? == Some(true) {
            return Ok(Self::disabled(propagator));
        }
        Ok(Self {
            traces: traces_exporter::read(env, &defaults.traces)?,
            metrics: metrics_exporter::read(env, defaults)?,
            propagator,
            sampler: sampler::read(env)?,
            limits: Limits::read(env)?,
            resource: resource(env)?,
        })
    }

    fn disabled(propagator: W3cPropagator) -> Self {
        Self {
            traces: Vec::new(),
            metrics: Vec::new(),
            propagator,
            sampler: Sampler::AlwaysOff,
            limits: Limits::default(),
            resource: BTreeMap::new(),
        }
    }
}

fn propagator(env: &Environment<'_>) -> Result<W3cPropagator> {
    #[derive(Clone, Copy, PartialEq)]
    enum Header {
        TraceContext,
        Baggage,
    }
    let known = [
        ("tracecontext", Header::TraceContext),
        ("baggage", Header::Baggage),
    ];
    let chosen = env.choices(&PROPAGATORS, "tracecontext,baggage", &known)?;
    let has = |header| chosen.contains(&header);
    Ok(match (has(Header::TraceContext), has(Header::Baggage)) {
        (true, true) => W3cPropagator::new(),
        (true, false) => W3cPropagator::trace_context(),
        (false, true) => W3cPropagator::baggage(),
        (false, false) => W3cPropagator::none(),
    })
}

/// `OTEL_SERVICE_NAME` wins over the list.
fn resource(env: &Environment<'_>) -> Result<BTreeMap<String, String>> {
    let mut attributes = env.pairs(&RESOURCE_ATTRIBUTES)?;
    if let Some(service) = env.text(&SERVICE_NAME)? {
        attributes.insert("service.name".to_owned(), service);
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::time::Duration;

    use opentelemetry_sdk::metrics::Temporality;

    use super::*;

    pub(super) fn read(variables: &[(&str, &str)]) -> Result<Config> {
        read_with(variables, &Defaults::default())
    }

    pub(super) fn read_with(variables: &[(&str, &str)], defaults: &Defaults) -> Result<Config> {
        let variable = |name: &str| {
            let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
            Some(OsString::from(value))
        };
        Config::read(&Environment::new(&variable), defaults)
    }

    #[test]
    fn without_a_variable_it_is_as_the_specification_says() {
        let config = read(&[]).unwrap();
        assert!(matches!(config.traces[..], [TracesExporter::Otlp(_)]));
        let [MetricsExporter::Otlp(_, push)] = config.metrics[..] else {
            panic!("{:?}", config.metrics);
        };
        assert_eq!(push.interval, Duration::from_secs(60));
        assert_eq!(push.temporality, Temporality::Cumulative);
        let sampler = format!("{:?}", config.sampler);
        assert_eq!(sampler, "ParentBased(AlwaysOn)");
        assert!(config.resource.is_empty());
    }

    #[test]
    fn disabled_there_are_no_exporters_and_still_propagators() {
        let variables = [
            ("OTEL_SDK_DISABLED", "true"),
            ("OTEL_METRICS_EXPORTER", "otlp,prometheus,console"),
            ("OTEL_PROPAGATORS", "baggage"),
        ];
        let config = read(&variables).unwrap();
        assert_eq!(config.traces, []);
        assert_eq!(config.metrics, []);
        let baggage = format!("{:?}", W3cPropagator::baggage());
        assert_eq!(format!("{:?}", config.propagator), baggage);
    }

    #[test]
    fn a_disabled_process_starts_whatever_is_written_of_exporters() {
        let variables = [
            ("OTEL_SDK_DISABLED", "True"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector"),
        ];
        assert!(read(&variables).is_ok());
    }

    #[test]
    fn an_error_tells_no_secret() {
        let headers = [
            "s3cret",
            "=s3cret",
            "a=%s3cret",
            "a=s3cret%0a",
            "Basic s3cret=",
        ];
        let headers = headers.map(|it| ("OTEL_EXPORTER_OTLP_HEADERS", it));
        let endpoints = ["http://me:s3cret@collector", "me:s3cret@collector:4317"];
        let endpoints = endpoints.map(|it| ("OTEL_EXPORTER_OTLP_ENDPOINT", it));
        for variable in headers.into_iter().chain(endpoints) {
            let error = read(&[variable]).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
        let config = read(&[("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cret")]);
        let config = format!("{:?}", config.unwrap());
        assert!(config.contains("api-key"), "{config}");
        assert!(!config.contains("s3cret"), "{config}");
    }

    #[test]
    fn the_limits_are_what_is_written_without_its_blanks() {
        let limits = read(&[]).unwrap().limits;
        assert_eq!(limits.of_a_span.max_events_per_span, 128);
        let batches = format!("{:?}", limits.of_batches());
        assert!(batches.contains("max_queue_size: 2048"), "{batches}");

        let variables = [
            ("OTEL_SPAN_EVENT_COUNT_LIMIT", " 7 "),
            ("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "8"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", " 100"),
            ("OTEL_BSP_SCHEDULE_DELAY", "50 "),
        ];
        let limits = read(&variables).unwrap().limits;
        assert_eq!(limits.of_a_span.max_events_per_span, 7);
        assert_eq!(limits.of_a_span.max_attributes_per_link, 8);
        let batches = format!("{:?}", limits.of_batches());
        for said in ["size: 100", "batch_size: 100", "delay: 50ms"] {
            assert!(batches.contains(said), "{batches}");
        }
    }

    #[test]
    fn a_service_name_wins_over_the_list_of_attributes() {
        let variables = [
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a,team=x%20y"),
            ("OTEL_SERVICE_NAME", "b"),
        ];
        let resource = read(&variables).unwrap().resource;
        assert_eq!(resource["service.name"], "b");
        assert_eq!(resource["team"], "x y");
    }

    #[test]
    fn what_is_not_known_is_refused_by_its_name() {
        for (name, value) in [
            ("OTEL_SDK_DISABLED", "yes"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_TRACES_EXPORTER", "prometheus"),
            ("OTEL_METRICS_EXPORTER", "statsd"),
            ("OTEL_METRICS_EXPORTER", "otlp,none"),
            ("OTEL_PROPAGATORS", "tracecontext,b3"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
            ("OTEL_TRACES_SAMPLER_ARG", "1.5"),
            ("OTEL_TRACES_SAMPLER_ARG", "NaN"),
            ("OTEL_TRACES_SAMPLER_ARG", "half"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "60s"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "0"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a=%zz"),
            ("OTEL_EXPORTER_PROMETHEUS_PORT", "70000"),
            ("OTEL_EXPORTER_PROMETHEUS_PORT", "0"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "udp"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "zstd"),
            ("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "10s"),
            ("OTEL_EXPORTER_OTLP_INSECURE", "1"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api key=1"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=%0a"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:99999"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:port"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector?a=b"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me@collector"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "unix:///collector"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "Cargo.toml"),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "Cargo.toml"),
            ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "Cargo.toml"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "sums"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "many"),
            ("OTEL_BSP_SCHEDULE_DELAY", "5s"),
            ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2049"),
            ("OTEL_SPAN_LINK_COUNT_LIMIT", "-1"),
            ("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "few"),
            (
                "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
                "base2_exponential_bucket_histogram",
            ),
        ] {
            let code = Defaults {
                metrics: "otlp,prometheus".to_owned(),
                ..Defaults::default()
            };
            let error = read_with(&[(name, value)], &code).unwrap_err();
            assert_eq!(error.invalid_variable(), Some(name), "{value}: {error}");
        }
    }
}
