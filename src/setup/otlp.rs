//! Exporters of OTLP.

use std::collections::BTreeMap;

use opentelemetry_otlp::{ExporterBuildError, MetricExporter, SpanExporter};
use opentelemetry_sdk::metrics::Temporality;

use super::environment::Environment;
use super::error::{Cause, SetupError};

/// How one signal is sent.
///
/// The exporters read the other variables of `OTEL_EXPORTER_OTLP_*` themselves. Where
/// they would take a default for a value that they cannot read, it was refused here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Otlp {
    Grpc,
    Http,
}

/// What the environment says of a signal: by its own variable, or by that of all signals.
pub(super) fn read(env: &Environment<'_>, signal: &str) -> Result<Otlp, SetupError> {
    let protocols = [("grpc", Otlp::Grpc), ("http/protobuf", Otlp::Http)];
    let compressions = [("gzip", ()), ("none", ())];
    let mut protocol = None;
    for name in [format!("{signal}_"), String::new()] {
        let name = |what| format!("OTEL_EXPORTER_OTLP_{name}{what}");
        protocol = protocol.or(env.choice(&name("PROTOCOL"), &protocols)?);
        env.choice(&name("COMPRESSION"), &compressions)?;
        env.boolean(&name("INSECURE"))?;
        env.milliseconds(&name("TIMEOUT"))?;
        check_headers(&name("HEADERS"), &env.pairs(&name("HEADERS"))?)?;
        for of_tls in ["CERTIFICATE", "CLIENT_KEY", "CLIENT_CERTIFICATE"] {
            refuse(env, &name(of_tls))?;
        }
    }
    let protocol = protocol.unwrap_or(Otlp::Http);
    check_endpoint(env, signal, protocol)?;
    Ok(protocol)
}

impl Otlp {
    /// Inside a runtime, if it is gRPC.
    pub(super) fn span_exporter(self) -> Result<SpanExporter, SetupError> {
        let built = match self {
            Self::Grpc => SpanExporter::builder().with_tonic().build(),
            Self::Http => SpanExporter::builder().with_http().build(),
        };
        built.map_err(|why| refused("traces", &why))
    }

    /// Inside a runtime, if it is gRPC.
    pub(super) fn metric_exporter(self, of: Temporality) -> Result<MetricExporter, SetupError> {
        let builder = MetricExporter::builder().with_temporality(of);
        let built = match self {
            Self::Grpc => builder.with_tonic().build(),
            Self::Http => builder.with_http().build(),
        };
        built.map_err(|why| refused("metrics", &why))
    }
}

fn refused(of: &'static str, why: &ExporterBuildError) -> SetupError {
    let why = why.to_string();
    Cause::Exporter { of, why }.into()
}

/// Names and values that a message can carry.
fn check_headers(name: &str, headers: &BTreeMap<String, String>) -> Result<(), SetupError> {
    for (key, value) in headers {
        if http::HeaderName::try_from(key).is_err() {
            return Err(SetupError::variable(
                name,
                format!("no header is named `{key}`"),
            ));
        }
        if http::HeaderValue::try_from(value).is_err() {
            let why = format!("the value of `{key}` is none of a header");
            return Err(SetupError::variable(name, why));
        }
    }
    Ok(())
}

/// What is not built in must not be ignored: the connection would not be what it is taken for.
fn refuse(env: &Environment<'_>, name: &str) -> Result<(), SetupError> {
    match env.text(name)? {
        Some(_) => Err(SetupError::variable(name, "it is not supported")),
        None => Ok(()),
    }
}

/// Refuses what would only fail when something is sent.
fn check_endpoint(env: &Environment<'_>, signal: &str, of: Otlp) -> Result<(), SetupError> {
    let mut name = format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT");
    let mut endpoint = env.text(&name)?;
    if endpoint.is_none() {
        "OTEL_EXPORTER_OTLP_ENDPOINT".clone_into(&mut name);
        endpoint = env.text(&name)?;
    }
    let Some(endpoint) = endpoint else {
        return Ok(());
    };
    let error = |why: &str| Err(SetupError::variable(&name, format!("`{endpoint}`: {why}")));
    let (scheme, rest) = match endpoint.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        None if of == Otlp::Http => return error("it does not start with http:// or https://"),
        None if is_insecure(env, signal)? => ("http", &*endpoint),
        None => ("https", &*endpoint),
    };
    let is_tls = match scheme {
        "http" => false,
        "https" => true,
        _ => return error("it does not start with http:// or https://"),
    };
    let url = format!("{scheme}://{rest}");
    let Ok(url) = url.parse::<http::Uri>() else {
        return error("it is no URL");
    };
    if url.host().is_none_or(str::is_empty) {
        return error("it has no host");
    }
    if is_tls && !cfg!(feature = "tls") {
        return error("TLS needs the feature `tls` of tracing-meter");
    }
    Ok(())
}

fn is_insecure(env: &Environment<'_>, signal: &str) -> Result<bool, SetupError> {
    let of_signal = env.boolean(&format!("OTEL_EXPORTER_OTLP_{signal}_INSECURE"))?;
    let of_all = env.boolean("OTEL_EXPORTER_OTLP_INSECURE")?;
    Ok(of_signal.or(of_all).unwrap_or(false))
}
