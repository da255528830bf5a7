//! Where metrics go to.

use std::net::{SocketAddr, ToSocketAddrs};
use std::time::Duration;

use opentelemetry_sdk::metrics::Temporality;

use super::{Defaults, Result};
use crate::setup::environment::Environment;
use crate::setup::error::SetupError;
use crate::setup::otlp::Otlp;
use crate::setup::variables::{
    METRIC_EXPORT_INTERVAL, METRICS_EXPORTER, METRICS_HISTOGRAM_AGGREGATION, METRICS_TEMPORALITY,
    PROMETHEUS_HOST, PROMETHEUS_PORT, Signal,
};

/// What exports metrics, with what it has to know.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::setup) enum MetricsExporter {
    Otlp(Otlp, Push),
    Prometheus(SocketAddr),
    Console(Push),
}

/// How a reader exports by itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::setup) struct Push {
    pub(in crate::setup) interval: Duration,
    pub(in crate::setup) temporality: Temporality,
}

#[derive(Clone, Copy, PartialEq)]
enum Chosen {
    Otlp,
    Prometheus,
    Console,
}

const KNOWN: [(&str, Chosen); 3] = [
    ("otlp", Chosen::Otlp),
    ("prometheus", Chosen::Prometheus),
    ("console", Chosen::Console),
];

/// What the environment says, or else the code.
pub(super) fn read(env: &Environment<'_>, code: &Defaults) -> Result<Vec<MetricsExporter>> {
    let read = |chosen| {
        Ok(match chosen {
            Chosen::Otlp => {
                MetricsExporter::Otlp(Otlp::read(env, Signal::Metrics)?, Push::read(env)?)
            }
            Chosen::Prometheus => {
                MetricsExporter::Prometheus(prometheus_address(env, code.prometheus)?)
            }
            Chosen::Console => MetricsExporter::Console(Push::read(env)?),
        })
    };
    let chosen = env.choices(&METRICS_EXPORTER, &code.metrics, &KNOWN)?;
    chosen.into_iter().map(read).collect()
}

impl Push {
    fn read(env: &Environment<'_>) -> Result<Self> {
        let temporality = [
            ("cumulative", Temporality::Cumulative),
            ("delta", Temporality::Delta),
            ("lowmemory", Temporality::LowMemory),
        ];
        // The SDK has the other one, and nothing that would ask for it.
        let aggregation = [("explicit_bucket_histogram", ())];
        env.choice(&METRICS_HISTOGRAM_AGGREGATION, &aggregation)?;
        let interval = env.milliseconds(&METRIC_EXPORT_INTERVAL)?;
        let temporality = env.choice(&METRICS_TEMPORALITY, &temporality)?;
        Ok(Self {
            interval: interval.unwrap_or(Duration::from_secs(60)),
            temporality: temporality.unwrap_or_default(),
        })
    }
}

/// Of several addresses of a host the first one of IPv4, as Prometheus' configurations
/// mostly write `localhost` and `127.0.0.1` for the same.
fn prometheus_address(env: &Environment<'_>, default: Option<SocketAddr>) -> Result<SocketAddr> {
    let of_the_code = default.map_or("localhost".to_owned(), |it| it.ip().to_string());
    let host = env.text(&PROMETHEUS_HOST)?.unwrap_or(of_the_code);
    let port = env.number::<u16>(&PROMETHEUS_PORT)?;
    let port = port.unwrap_or_else(|| default.map_or(9464, |it| it.port()));
    if port == 0 {
        return Err(SetupError::variable(
            &PROMETHEUS_PORT,
            "port `0` is found by none",
        ));
    }
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses = (bare, port).to_socket_addrs();
    let addresses = addresses
        .map_err(|why| SetupError::value(&PROMETHEUS_HOST, &host, why))?
        .collect::<Vec<_>>();
    let first = addresses.iter().find(|it| it.is_ipv4());
    let first = first.or(addresses.first()).copied();
    first.ok_or_else(|| SetupError::variable(&PROMETHEUS_HOST, format!("`{host}` has no address")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::config::TracesExporter;
    use crate::setup::config::tests::{read, read_with};
    use crate::setup::otlp::Protocol;

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
        assert_eq!(traces.protocol, Protocol::Grpc);
        assert_eq!(metrics.protocol, Protocol::Http);
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
}
