//! Exporters of OTLP.

use std::collections::BTreeMap;
use std::time::Duration;

use opentelemetry_otlp::{
    MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig as _, WithTonicConfig,
};
use opentelemetry_sdk::metrics::Temporality;

use super::environment::Environment;
use super::error::{Cause, SetupError};
use super::tls::{NO_TLS, Tls};

/// How one signal is sent.
///
/// The exporters read the endpoint, the headers and the compression themselves. Where they
/// would take a default for a value that they cannot read, it was refused here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Otlp {
    pub(super) protocol: Protocol,
    timeout: Duration,
    /// `None` where nothing is encrypted.
    tls: Option<Tls>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
}

/// What the environment says of a signal: by its own variable, or by that of all signals.
pub(super) fn read(env: &Environment<'_>, signal: &str) -> Result<Otlp, SetupError> {
    let protocols = [("grpc", Protocol::Grpc), ("http/protobuf", Protocol::Http)];
    let compressions = [("gzip", ()), ("none", ())];
    let protocol = env.of_signal(signal, "PROTOCOL", |env, name| env.choice(name, &protocols))?;
    let protocol = protocol.map_or(Protocol::Http, |(_, it)| it);
    env.of_signal(signal, "COMPRESSION", |env, name| {
        env.choice(name, &compressions)
    })?;
    env.of_signal(signal, "HEADERS", |env, name| headers(env, name).map(Some))?;
    let timeout = env.of_signal(signal, "TIMEOUT", Environment::milliseconds)?;
    let tls = Tls::read(env, signal)?;
    let is_encrypted = check_endpoint(env, signal, protocol)?;
    Ok(Otlp {
        protocol,
        timeout: timeout.map_or(Duration::from_secs(10), |(_, it)| it),
        tls: is_encrypted.then_some(tls),
    })
}

impl Otlp {
    /// Inside a runtime, if it is gRPC.
    pub(super) fn span_exporter(&self) -> Result<SpanExporter, SetupError> {
        let built = match self.protocol {
            Protocol::Grpc => self.over_grpc(SpanExporter::builder().with_tonic()).build(),
            Protocol::Http => SpanExporter::builder()
                .with_http()
                .with_timeout(self.timeout)
                .with_http_client(self.http_client().map_err(|why| refused("traces", &why))?)
                .build(),
        };
        built.map_err(|why| refused("traces", &why))
    }

    /// Inside a runtime, if it is gRPC.
    pub(super) fn metric_exporter(&self, of: Temporality) -> Result<MetricExporter, SetupError> {
        let builder = MetricExporter::builder().with_temporality(of);
        let built = match self.protocol {
            Protocol::Grpc => self.over_grpc(builder.with_tonic()).build(),
            Protocol::Http => builder
                .with_http()
                .with_timeout(self.timeout)
                .with_http_client(self.http_client().map_err(|why| refused("metrics", &why))?)
                .build(),
        };
        built.map_err(|why| refused("metrics", &why))
    }

    fn over_grpc<B: WithExportConfig + WithTonicConfig>(&self, builder: B) -> B {
        let builder = builder.with_timeout(self.timeout);
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return builder.with_tls_config(tls.of_grpc());
        }
        builder
    }

    /// One that blocks, as the threads that export need it: an exporter's own choice
    /// depends on what else is built into the program. Such a client must not be made in
    /// asynchronous code.
    fn http_client(&self) -> Result<reqwest::blocking::Client, String> {
        let make = || {
            let builder = reqwest::blocking::Client::builder().timeout(self.timeout);
            #[cfg(feature = "tls")]
            let builder = match &self.tls {
                Some(tls) => tls.of_http(builder)?,
                None => builder,
            };
            builder.build()
        };
        let built = std::thread::scope(|scope| scope.spawn(make).join());
        let built = built.map_err(|_| "its client has panicked".to_owned())?;
        built.map_err(|why| format!("{why:?}"))
    }
}

fn refused(of: &'static str, why: &impl ToString) -> SetupError {
    let why = why.to_string();
    Cause::Exporter { of, why }.into()
}

/// Names and values that a message can carry.
fn headers(env: &Environment<'_>, name: &str) -> Result<BTreeMap<String, String>, SetupError> {
    let headers = env.pairs(name)?;
    for (key, value) in &headers {
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
    Ok(headers)
}

/// Refuses what would only fail when something is sent, and says whether it is encrypted.
fn check_endpoint(env: &Environment<'_>, signal: &str, of: Protocol) -> Result<bool, SetupError> {
    let insecure = env.of_signal(signal, "INSECURE", Environment::boolean)?;
    let Some((name, endpoint)) = env.of_signal(signal, "ENDPOINT", Environment::text)? else {
        return Ok(false);
    };
    let error = |why: &str| Err(SetupError::variable(&name, format!("`{endpoint}`: {why}")));
    let no_scheme = || error("it does not start with http:// or https://");
    let (scheme, rest) = match endpoint.split_once("://") {
        Some((scheme, rest)) => (scheme, rest),
        None if of == Protocol::Http => return no_scheme(),
        None if insecure.is_some_and(|(_, it)| it) => ("http", &*endpoint),
        None => ("https", &*endpoint),
    };
    let is_encrypted = match scheme {
        "http" => false,
        "https" => true,
        _ => return no_scheme(),
    };
    let Ok(url) = format!("{scheme}://{rest}").parse::<http::Uri>() else {
        return error("it is no URL");
    };
    if url.host().is_none_or(str::is_empty) {
        return error("it has no host");
    }
    if is_encrypted && !cfg!(feature = "tls") {
        return error(NO_TLS);
    }
    Ok(is_encrypted)
}
