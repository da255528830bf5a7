//! What a process shall do with its telemetry, as its environment says.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::trace::Sampler;

use super::environment::Environment;
use super::error::SetupError;
use super::limits::Limits;
use super::otlp::{self, Otlp};
use crate::propagation::W3cPropagator;

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

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TracesExporter {
    Otlp(Otlp),
    Console,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum MetricsExporter {
    Otlp(Otlp, Push),
    Prometheus(SocketAddr),
    Console(Push),
}

/// How a reader exports by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Push {
    pub(super) interval: Duration,
    pub(super) temporality: Temporality,
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
        if env.boolean("OTEL_SDK_DISABLED")? == Some(true) {
            return Ok(Self::disabled(propagator));
        }
        Ok(Self {
            traces: traces(env, defaults)?,
            metrics: metrics(env, defaults)?,
            propagator,
            sampler: sampler(env)?,
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

fn traces(env: &Environment<'_>, defaults: &Defaults) -> Result<Vec<TracesExporter>> {
    let known = [("otlp", Exporter::Otlp), ("console", Exporter::Console)];
    let chosen = env.choices("OTEL_TRACES_EXPORTER", &defaults.traces, &known)?;
    let read = |exporter| match exporter {
        Exporter::Console => Ok(TracesExporter::Console),
        _ => Ok(TracesExporter::Otlp(otlp::read(env, "TRACES")?)),
    };
    chosen.into_iter().map(read).collect()
}

fn metrics(env: &Environment<'_>, defaults: &Defaults) -> Result<Vec<MetricsExporter>> {
    let known = [
        ("otlp", Exporter::Otlp),
        ("prometheus", Exporter::Prometheus),
        ("console", Exporter::Console),
    ];
    let chosen = env.choices("OTEL_METRICS_EXPORTER", &defaults.metrics, &known)?;
    let read = |exporter| {
        Ok(match exporter {
            Exporter::Otlp => MetricsExporter::Otlp(otlp::read(env, "METRICS")?, push(env)?),
            Exporter::Prometheus => {
                MetricsExporter::Prometheus(prometheus_address(env, defaults.prometheus)?)
            }
            Exporter::Console => MetricsExporter::Console(push(env)?),
        })
    };
    chosen.into_iter().map(read).collect()
}

#[derive(Clone, Copy, PartialEq)]
enum Exporter {
    Otlp,
    Prometheus,
    Console,
}

fn push(env: &Environment<'_>) -> Result<Push> {
    let temporality = [
        ("cumulative", Temporality::Cumulative),
        ("delta", Temporality::Delta),
        ("lowmemory", Temporality::LowMemory),
    ];
    let preference = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    // The SDK has the other one, and nothing that would ask for it.
    let aggregation = [("explicit_bucket_histogram", ())];
    env.choice(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        &aggregation,
    )?;
    let interval = env.milliseconds("OTEL_METRIC_EXPORT_INTERVAL")?;
    Ok(Push {
        interval: interval.unwrap_or(Duration::from_secs(60)),
        temporality: env.choice(preference, &temporality)?.unwrap_or_default(),
    })
}

fn propagator(env: &Environment<'_>) -> Result<W3cPropagator> {
    const NAME: &str = "OTEL_PROPAGATORS";
    #[derive(Clone, Copy, PartialEq)]
    enum Header {
        TraceContext,
        Baggage,
    }
    let known = [
        ("tracecontext", Header::TraceContext),
        ("baggage", Header::Baggage),
    ];
    let chosen = env.choices(NAME, "tracecontext,baggage", &known)?;
    let has = |header| chosen.contains(&header);
    Ok(match (has(Header::TraceContext), has(Header::Baggage)) {
        (true, true) => W3cPropagator::new(),
        (true, false) => W3cPropagator::trace_context(),
        (false, true) => W3cPropagator::baggage(),
        (false, false) => W3cPropagator::none(),
    })
}

fn sampler(env: &Environment<'_>) -> Result<Sampler> {
    const NAME: &str = "OTEL_TRACES_SAMPLER";
    let ratio = Sampler::TraceIdRatioBased(sampled_ratio(env)?);
    let of_roots = |sampler| Sampler::ParentBased(Box::new(sampler));
    let known = [
        ("always_on", Sampler::AlwaysOn),
        ("always_off", Sampler::AlwaysOff),
        ("traceidratio", ratio.clone()),
        ("parentbased_always_on", of_roots(Sampler::AlwaysOn)),
        ("parentbased_always_off", of_roots(Sampler::AlwaysOff)),
        ("parentbased_traceidratio", of_roots(ratio)),
    ];
    let chosen = env.choice(NAME, &known)?;
    Ok(chosen.unwrap_or_else(|| of_roots(Sampler::AlwaysOn)))
}

fn sampled_ratio(env: &Environment<'_>) -> Result<f64> {
    const NAME: &str = "OTEL_TRACES_SAMPLER_ARG";
    let ratio = env.number::<f64>(NAME)?.unwrap_or(1.0);
    if (0.0..=1.0).contains(&ratio) {
        return Ok(ratio);
    }
    Err(SetupError::variable(
        NAME,
        format!("`{ratio}` is not in 0..=1"),
    ))
}

/// `OTEL_SERVICE_NAME` wins over the list.
fn resource(env: &Environment<'_>) -> Result<BTreeMap<String, String>> {
    let mut attributes = env.pairs("OTEL_RESOURCE_ATTRIBUTES")?;
    if let Some(service) = env.text("OTEL_SERVICE_NAME")? {
        attributes.insert("service.name".to_owned(), service);
    }
    Ok(attributes)
}

/// Of several addresses of a host the first one of IPv4, as Prometheus' configurations
/// mostly write `localhost` and `127.0.0.1` for the same.
fn prometheus_address(env: &Environment<'_>, default: Option<SocketAddr>) -> Result<SocketAddr> {
    const HOST: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";
    const PORT: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";
    let of_the_code = default.map_or("localhost".to_owned(), |it| it.ip().to_string());
    let host = env.text(HOST)?.unwrap_or(of_the_code);
    let port = env.number::<u16>(PORT)?;
    let port = port.unwrap_or_else(|| default.map_or(9464, |it| it.port()));
    if port == 0 {
        return Err(SetupError::variable(PORT, "nobody would find port `0`"));
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = (bare, port).to_socket_addrs();
    let addresses = addresses
        .map_err(|why| SetupError::variable(HOST, format!("`{host}`: {why}")))?
        .collect::<Vec<_>>();
    let first = addresses.iter().find(|it| it.is_ipv4());
    let first = first.or(addresses.first()).copied();
    first.ok_or_else(|| SetupError::variable(HOST, format!("`{host}` has no address")))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Config> {
        read_with(variables, &Defaults::default())
    }

    fn read_with(variables: &[(&str, &str)], defaults: &Defaults) -> Result<Config> {
        let variable = |name: &str| {
            let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
            Some(OsString::from(value))
        };
        Config::read(&Environment::new(&variable), defaults)
    }

    fn sampler_of(name: &str, ratio: &str) -> String {
        let variables = [
            ("OTEL_TRACES_SAMPLER", name),
            ("OTEL_TRACES_SAMPLER_ARG", ratio),
        ];
        format!("{:?}", read(&variables).unwrap().sampler)
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
    fn the_environment_wins_over_the_code() {
        let code = Defaults {
            traces: "none".to_owned(),
            metrics: "prometheus".to_owned(),
            prometheus: None,
        };
        let config = read_with(&[], &code).unwrap();
        assert_eq!(config.traces, []);
        let address = SocketAddr::from(([127, 0, 0, 1], 9464));
        assert_eq!(config.metrics, [MetricsExporter::Prometheus(address)]);

        let variables = [
            ("OTEL_TRACES_EXPORTER", "console"),
            ("OTEL_METRICS_EXPORTER", "none"),
        ];
        let config = read_with(&variables, &code).unwrap();
        assert_eq!(config.traces, [TracesExporter::Console]);
        assert_eq!(config.metrics, []);
    }

    #[test]
    fn the_endpoint_is_where_the_environment_or_else_the_code_says() {
        let everywhere = SocketAddr::from(([0, 0, 0, 0], 9000));
        let address = |variables: &[(&str, &str)]| {
            let code = Defaults {
                metrics: "prometheus".to_owned(),
                prometheus: Some(everywhere),
                ..Defaults::default()
            };
            match read_with(variables, &code).unwrap().metrics[..] {
                [MetricsExporter::Prometheus(address)] => address.to_string(),
                ref other => panic!("{other:?}"),
            }
        };
        let host = ("OTEL_EXPORTER_PROMETHEUS_HOST", "::1");
        let port = ("OTEL_EXPORTER_PROMETHEUS_PORT", "9001");
        assert_eq!(address(&[]), "0.0.0.0:9000");
        assert_eq!(address(&[port]), "0.0.0.0:9001");
        assert_eq!(address(&[host]), "[::1]:9000");
        assert_eq!(address(&[host, port]), "[::1]:9001");
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
    fn a_signal_has_its_own_protocol_and_grpc_needs_no_scheme() {
        let variables = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4317"),
            ("OTEL_EXPORTER_OTLP_INSECURE", "true"),
        ];
        let config = read(&variables).unwrap();
        let [TracesExporter::Otlp(traces)] = &config.traces[..] else {
            panic!("{:?}", config.traces);
        };
        let [MetricsExporter::Otlp(metrics, _)] = &config.metrics[..] else {
            panic!("{:?}", config.metrics);
        };
        assert_eq!(traces.protocol, otlp::Protocol::Grpc);
        assert_eq!(metrics.protocol, otlp::Protocol::Http);
    }

    fn endpoints(protocol: &str, variables: &[(&str, &str)]) -> [String; 2] {
        let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        let config = read(&[variables, &[protocol]].concat()).unwrap();
        let [TracesExporter::Otlp(traces)] = &config.traces[..] else {
            panic!("{:?}", config.traces);
        };
        let [MetricsExporter::Otlp(metrics, _)] = &config.metrics[..] else {
            panic!("{:?}", config.metrics);
        };
        [traces.endpoint.clone(), metrics.endpoint.clone()]
    }

    #[test]
    fn an_endpoint_is_what_is_written_with_a_path_for_http_alone() {
        const OF_ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
        const OF_TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
        const INSECURE: (&str, &str) = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
        for (written, endpoint) in [
            ("", "http://localhost:4318"),
            ("http://[::1]:4318/", "http://[::1]:4318"),
            (" HTTP://collector/otlp ", "http://collector/otlp"),
        ] {
            let expected = ["traces", "metrics"].map(|it| format!("{endpoint}/v1/{it}"));
            assert_eq!(endpoints("", &[(OF_ALL, written)]), expected);
            let blank = [(OF_ALL, written), (OF_TRACES, " ")];
            assert_eq!(endpoints("", &blank), expected);
        }
        let own = [(OF_TRACES, "http://collector/?a=b")];
        assert_eq!(endpoints("", &own)[0], "http://collector/?a=b");
        let local = "http://localhost:4317";
        assert_eq!(endpoints("grpc", &[]), [local, local]);
        let bare = [(OF_ALL, "[::1]:4317"), INSECURE];
        let blank = ("OTEL_EXPORTER_OTLP_TRACES_INSECURE", "");
        let expected = ["http://[::1]:4317", "http://[::1]:4317"];
        assert_eq!(endpoints("grpc", &bare), expected);
        assert_eq!(endpoints("grpc", &[bare[0], INSECURE, blank]), expected);
    }

    #[test]
    fn every_sampler_is_known() {
        assert_eq!(sampler_of("always_on", ""), "AlwaysOn");
        assert_eq!(sampler_of("always_off", ""), "AlwaysOff");
        assert_eq!(
            sampler_of("traceidratio", "0.25"),
            "TraceIdRatioBased(0.25)"
        );
        assert_eq!(sampler_of("traceidratio", ""), "TraceIdRatioBased(1.0)");
        assert_eq!(
            sampler_of("parentbased_always_on", ""),
            "ParentBased(AlwaysOn)"
        );
        assert_eq!(
            sampler_of("parentbased_always_off", ""),
            "ParentBased(AlwaysOff)"
        );
        assert_eq!(
            sampler_of("parentbased_traceidratio", "0.5"),
            "ParentBased(TraceIdRatioBased(0.5))"
        );
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
