//! The environment variables that `setup` reads: one table for the documentation, the
//! reading and the tests.

/// An environment variable, as the documentation has it. [`Environment`] reads no other:
/// only this file can make one.
///
/// [`Environment`]: super::environment::Environment
#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(test),
    allow(dead_code, reason = "a test holds the documentation against it")
)]
pub(super) struct Variable {
    name: &'static str,
    values: Values,
    /// What it is as if it were set to. `None` where the meaning says it.
    default: Option<&'static str>,
    meaning: &'static str,
}

#[derive(Clone, Copy, Debug)]
#[cfg_attr(
    not(test),
    allow(dead_code, reason = "a test holds the documentation against it")
)]
enum Values {
    /// One of these words, or a list of them.
    Words(&'static [&'static str]),
    Written(&'static str),
}

/// A variable of OTLP, which may be set for each signal.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignalVariable {
    /// Of all signals.
    pub(super) common: Variable,
    traces: Variable,
    metrics: Variable,
}

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    Traces,
    Metrics,
}

impl Variable {
    pub(super) const fn name(&self) -> &'static str {
        self.name
    }
}

impl SignalVariable {
    pub(super) const fn of(&self, signal: Signal) -> &Variable {
        match signal {
            Signal::Traces => &self.traces,
            Signal::Metrics => &self.metrics,
        }
    }
}

impl Signal {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Traces => "traces",
            Self::Metrics => "metrics",
        }
    }
}

use Values::{Words, Written};

macro_rules! variables {
    ($($(#[$attribute:meta])* $constant:ident: $name:expr, $values:expr, $default:expr, $meaning:literal;)*) => {
        $($(#[$attribute])* pub(super) const $constant: Variable = Variable {
            name: $name,
            values: $values,
            default: $default,
            meaning: $meaning,
        };)*

        #[cfg(test)]
        const VARIABLES: &[Variable] = &[$($constant),*];
    };
}

macro_rules! signal_variables {
    ($($constant:ident: $name:literal, $values:expr, $default:expr, $meaning:literal;)*) => {
        $(pub(super) const $constant: SignalVariable = {
            let common = Variable {
                name: concat!("OTEL_EXPORTER_OTLP_", $name),
                values: $values,
                default: $default,
                meaning: $meaning,
            };
            SignalVariable {
                common,
                traces: Variable { name: concat!("OTEL_EXPORTER_OTLP_TRACES_", $name), ..common },
                metrics: Variable { name: concat!("OTEL_EXPORTER_OTLP_METRICS_", $name), ..common },
            }
        };)*

        #[cfg(test)]
        const SIGNAL_VARIABLES: &[SignalVariable] = &[$($constant),*];
    };
}

const BOOLEANS: Values = Words(&["true", "false"]);
const MILLISECONDS: Values = Written("milliseconds");
const NUMBER: Values = Written("a number");
const FILE: Values = Written("a file");
const PAIRS: Values = Written("`key=value,key=value`, percent-encoded");

variables! {
    SERVICE_NAME: "OTEL_SERVICE_NAME", Written("text"), None,
        "the service; without it, and without a name in the code, `unknown_service:EXECUTABLE`";
    RESOURCE_ATTRIBUTES: "OTEL_RESOURCE_ATTRIBUTES", PAIRS, None,
        "what all telemetry of the process is of";
    METRICS_EXPORTER: "OTEL_METRICS_EXPORTER", Words(&["otlp", "prometheus", "console", "none"]), Some("otlp"),
        "where metrics go to, or a list of it";
    TRACES_EXPORTER: "OTEL_TRACES_EXPORTER", Words(&["otlp", "console", "none"]), Some("otlp"),
        "where traces go to, or a list of it";
    PROPAGATORS: "OTEL_PROPAGATORS", Words(&["tracecontext", "baggage", "none"]), Some("tracecontext,baggage"),
        "which headers continue a trace, in a list";
    TRACES_SAMPLER: "OTEL_TRACES_SAMPLER",
        Words(&[
            "always_on",
            "always_off",
            "traceidratio",
            "parentbased_always_on",
            "parentbased_always_off",
            "parentbased_traceidratio",
        ]),
        Some("parentbased_always_on"),
        "which traces are recorded";
    TRACES_SAMPLER_ARG: "OTEL_TRACES_SAMPLER_ARG", Written("from 0 to 1"), Some("1.0"),
        "the ratio of a sampler that has one";
    METRIC_EXPORT_INTERVAL: "OTEL_METRIC_EXPORT_INTERVAL", MILLISECONDS, Some("60000"),
        "the time from an export to the next";
    METRICS_TEMPORALITY: "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        Words(&["cumulative", "delta", "lowmemory"]), Some("cumulative"),
        "whether an export has what was measured since the start, or since the last export";
    METRICS_HISTOGRAM_AGGREGATION: "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        Words(&["explicit_bucket_histogram"]), Some("explicit_bucket_histogram"),
        "the buckets are those of the code";
    PROMETHEUS_HOST: "OTEL_EXPORTER_PROMETHEUS_HOST", Written("a name or an address"), Some("localhost"),
        "where the Prometheus endpoint listens";
    PROMETHEUS_PORT: "OTEL_EXPORTER_PROMETHEUS_PORT", NUMBER, Some("9464"),
        "and its port";
    BATCH_DELAY: "OTEL_BSP_SCHEDULE_DELAY", MILLISECONDS, Some("5000"),
        "how long a span waits for its batch, at most";
    BATCH_QUEUE: "OTEL_BSP_MAX_QUEUE_SIZE", NUMBER, Some("2048"),
        "how many spans wait, at most";
    BATCH_SIZE: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", NUMBER, Some("512"),
        "how many spans are exported at once, at most";
    SPAN_ATTRIBUTES: "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", NUMBER, Some("128"),
        "how many attributes a span keeps";
    SPAN_EVENTS: "OTEL_SPAN_EVENT_COUNT_LIMIT", NUMBER, Some("128"),
        "how many events a span keeps";
    SPAN_LINKS: "OTEL_SPAN_LINK_COUNT_LIMIT", NUMBER, Some("128"),
        "how many links a span keeps";
    EVENT_ATTRIBUTES: "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", NUMBER, Some("128"),
        "how many attributes an event of a span keeps";
    LINK_ATTRIBUTES: "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", NUMBER, Some("128"),
        "how many attributes a link keeps";
    SDK_DISABLED: "OTEL_SDK_DISABLED", BOOLEANS, Some("false"),
        "`true`: no metrics, and traces are passed on as they came";
    RUST_LOG: "RUST_LOG", Written("`my_app=debug,h2=warn`"), Some("info"),
        "what is logged, to the standard error output";
    #[allow(dead_code, reason = "the layer reads it, with or without `setup`")]
    DIRECTIVES: crate::directives::VARIABLE, Written("in the grammar of `RUST_LOG`"), None,
        "what is measured: without it `info`, and what the next two ask for";
    SPANS: "TRACING_METER_SPANS", Written("`my_app=info,h2=trace`"), None,
        "spans that are measured as they are, by [`SpanMetrics`](crate::SpanMetrics)";
    #[cfg_attr(not(feature = "toml"), allow(dead_code, reason = "there are none without `toml`"))]
    RULES: "TRACING_METER_RULES", FILE, None,
        "[`Rules`](crate::Rules), with the feature `toml`";
    CONVENTIONS: "TRACING_METER_CONVENTIONS", Words(&["http", "rpc", "database", "messaging", "none"]), None,
        "spans that are measured by [`SemanticConventions`], in a list; without it those of the code, which are all four";
}

signal_variables! {
    OTLP_PROTOCOL: "PROTOCOL", Words(&["grpc", "http/protobuf"]), Some("http/protobuf"),
        "how it is sent";
    OTLP_ENDPOINT: "ENDPOINT", Written("a URL"), None,
        "where to; without it `http://localhost:4318`, for gRPC `http://localhost:4317`";
    OTLP_HEADERS: "HEADERS", PAIRS, None,
        "what is sent with each export";
    OTLP_TIMEOUT: "TIMEOUT", MILLISECONDS, Some("10000"),
        "how long an export may take";
    OTLP_COMPRESSION: "COMPRESSION", Words(&["gzip", "none"]), Some("none"),
        "how it is packed";
    OTLP_INSECURE: "INSECURE", BOOLEANS, Some("false"),
        "`true`: gRPC to an endpoint without `http://` or `https://` is not encrypted";
    OTLP_CERTIFICATE: "CERTIFICATE", FILE, None,
        "whom to trust, instead of the system's certificates";
    OTLP_CLIENT_CERTIFICATE: "CLIENT_CERTIFICATE", FILE, None,
        "how this process is known to the collector";
    OTLP_CLIENT_KEY: "CLIENT_KEY", FILE, None,
        "and its key";
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::BTreeSet;
    use std::ffi::OsString;
    use std::path::Path;

    use opentelemetry_sdk::Resource;

    use super::*;
    use crate::setup::config::{Config, Defaults};
    use crate::setup::environment::Environment;
    use crate::setup::error::SetupError;
    use crate::setup::{conventions, subscriber};
    use crate::{MeterLayerBuilder, SemanticConventions};

    fn documented() -> impl Iterator<Item = &'static Variable> {
        VARIABLES
            .iter()
            .chain(SIGNAL_VARIABLES.iter().map(|it| &it.common))
    }

    /// With those of each signal.
    fn names() -> BTreeSet<&'static str> {
        let of_signals = SIGNAL_VARIABLES
            .iter()
            .flat_map(|it| [&it.traces, &it.metrics]);
        documented().chain(of_signals).map(Variable::name).collect()
    }

    /// All that `setup` reads, as text.
    fn read_from(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<String, SetupError> {
        let env = Environment::new(variable);
        let config = Config::read(&env, &Defaults::default())?;
        let log_filter = subscriber::log_filter(&env)?;
        let (conventions, meter) = (SemanticConventions::new(), MeterLayerBuilder::new());
        let resource = Resource::builder_empty().build();
        let _ = conventions::add(&env, conventions, &resource, meter)?;
        Ok(format!("{config:?} {log_filter}"))
    }

    fn read(variables: &[(&str, &str)]) -> Result<String, SetupError> {
        read_from(&|name| {
            let (_, value) = variables.iter().find(|(known, _)| *known == name)?;
            Some(OsString::from(value))
        })
    }

    fn row(variable: &Variable) -> String {
        let code = |word: &str| format!("`{word}`");
        let values = match variable.values {
            Words(words) => words
                .iter()
                .map(|it| code(it))
                .collect::<Vec<_>>()
                .join(", "),
            Written(how) => how.to_owned(),
        };
        let default = variable.default.map(code).unwrap_or_default();
        let Variable { name, meaning, .. } = variable;
        format!("//! | `{name}` | {values} | {default} | {meaning} |")
    }

    #[test]
    fn the_documentation_has_every_variable_and_no_other() {
        let documentation = include_str!("../setup.rs");
        let rows = documentation.lines().filter(|it| it.starts_with("//! | `"));
        let expected = documented().map(row).collect::<Vec<_>>();
        assert_eq!(
            rows.collect::<Vec<_>>(),
            expected,
            "\n{}",
            expected.join("\n")
        );
    }

    #[test]
    fn the_guides_name_no_other_variable() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let guides = std::fs::read_dir(root.join("docs")).unwrap();
        let guides = guides
            .map(|it| it.unwrap().path())
            .filter(|it| it.is_file());
        let names = names();
        for guide in guides.chain([root.join("README.md")]) {
            let text = std::fs::read_to_string(&guide).unwrap();
            let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
            let ours = ["OTEL_", "TRACING_METER"];
            for word in words.filter(|it| ours.iter().any(|prefix| it.starts_with(prefix))) {
                let is_prefix = word.ends_with('_') && names.iter().any(|it| it.starts_with(word));
                assert!(
                    is_prefix || names.contains(word),
                    "{word} in {}",
                    guide.display()
                );
            }
        }
    }

    #[test]
    fn every_variable_of_the_table_is_read() {
        let asked = RefCell::new(BTreeSet::new());
        let prometheus_too = |name: &str| {
            asked.borrow_mut().insert(name.to_owned());
            (name == METRICS_EXPORTER.name()).then(|| OsString::from("otlp,prometheus"))
        };
        read_from(&prometheus_too).unwrap();
        let mut expected = names();
        // The layer reads its directives itself.
        expected.remove(DIRECTIVES.name());
        if !cfg!(feature = "toml") {
            expected.remove(RULES.name());
        }
        assert_eq!(
            asked.into_inner(),
            expected.into_iter().map(str::to_owned).collect()
        );
    }

    #[test]
    fn the_words_of_a_variable_are_those_that_are_taken() {
        for variable in documented() {
            let Words(words) = variable.values else {
                continue;
            };
            let error = read(&[(variable.name, "?")]).unwrap_err().to_string();
            let expected = format!("`?` is none of {}", words.join(", "));
            assert_eq!(error, format!("invalid {}: {expected}", variable.name));
        }
    }

    #[test]
    fn a_default_is_what_is_read_without_a_value() {
        let settings: [&[(&str, &str)]; 4] = [
            &[],
            &[("OTEL_METRICS_EXPORTER", "prometheus")],
            &[("OTEL_TRACES_SAMPLER", "traceidratio")],
            &[
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317"),
            ],
        ];
        for setting in settings {
            let without = format!("{:?}", read(setting));
            for variable in documented() {
                let is_set = setting.iter().any(|(name, _)| *name == variable.name);
                if let (Some(default), false) = (variable.default, is_set) {
                    let with = read(&[setting, &[(variable.name, default)]].concat());
                    assert_eq!(format!("{with:?}"), without, "{}", variable.name);
                }
            }
        }
    }
}
