//! Exporters of OTLP.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_otlp::{
    Compression, MetricExporter, SpanExporter, WithExportConfig, WithHttpConfig,
};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceResponse;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use opentelemetry_sdk::metrics::Temporality;
use tokio::runtime::Handle;
use tonic::codec::CompressionEncoding;
use tonic::metadata::MetadataMap;

use super::environment::Environment;
use super::error::{Cause, SetupError};
use super::exports::Exports;
use super::grpc::{Collector, GrpcMetrics, GrpcSpans, channel};
use super::http_client::Reading;
use super::rejected::Answer;
use super::tls::{NO_TLS, Tls};

/// How one signal is sent.
///
/// The exporters read the environment, too, but with other rules: a blank value is one,
/// and blanks around a value make it another. So they are told everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Otlp {
    pub(super) protocol: Protocol,
    pub(super) endpoint: String,
    headers: Headers,
    compression: Option<Compression>,
    timeout: Duration,
    /// `None` where nothing is encrypted.
    tls: Option<Tls>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
}

#[derive(Clone, Default, PartialEq, Eq)]
struct Headers(BTreeMap<String, String>);

/// What the environment says of a signal: by its own variable, or by that of all signals.
pub(super) fn read(env: &Environment<'_>, signal: &str) -> Result<Otlp, SetupError> {
    let protocols = [("grpc", Protocol::Grpc), ("http/protobuf", Protocol::Http)];
    let compressions = [("gzip", Some(Compression::Gzip)), ("none", None)];
    let protocol = env.of_signal(signal, "PROTOCOL", |env, name| env.choice(name, &protocols))?;
    let protocol = protocol.map_or(Protocol::Http, |(_, it)| it);
    let compression = env.of_signal(signal, "COMPRESSION", |env, name| {
        env.choice(name, &compressions)
    })?;
    let headers = env.of_signal(signal, "HEADERS", headers)?;
    let timeout = env.of_signal(signal, "TIMEOUT", Environment::milliseconds)?;
    let tls = Tls::read(env, signal)?;
    let endpoint = endpoint(env, signal, protocol)?;
    let is_encrypted = endpoint.starts_with("https:");
    Ok(Otlp {
        protocol,
        endpoint,
        headers: headers.map(|(_, it)| it).unwrap_or_default(),
        compression: compression.and_then(|(_, it)| it),
        timeout: timeout.map_or(Duration::from_secs(10), |(_, it)| it),
        tls: is_encrypted.then_some(tls),
    })
}

/// By the protocol that it speaks.
pub(super) enum Exporter<H, G> {
    Http(H),
    Grpc(G),
}

impl Otlp {
    /// Inside a runtime, if it is gRPC.
    pub(super) fn span_exporter(
        &self,
        exports: &Arc<Exports>,
    ) -> Result<Exporter<SpanExporter, GrpcSpans>, SetupError> {
        let refused = |why: &dyn ToString| refused("traces", why);
        Ok(match self.protocol {
            Protocol::Grpc => {
                let collector = self.collector(exports).map_err(|why| refused(&why))?;
                Exporter::Grpc(GrpcSpans::new(collector))
            }
            Protocol::Http => {
                let builder = SpanExporter::builder().with_http();
                let builder = self.over_http::<_, ExportTraceServiceResponse>(builder, exports);
                let built = builder.map_err(|why| refused(&why))?.build();
                Exporter::Http(built.map_err(|why| refused(&why))?)
            }
        })
    }

    /// Inside a runtime, if it is gRPC.
    pub(super) fn metric_exporter(
        &self,
        of: Temporality,
        exports: &Arc<Exports>,
    ) -> Result<Exporter<MetricExporter, GrpcMetrics>, SetupError> {
        let refused = |why: &dyn ToString| refused("metrics", why);
        Ok(match self.protocol {
            Protocol::Grpc => {
                let collector = self.collector(exports).map_err(|why| refused(&why))?;
                Exporter::Grpc(GrpcMetrics::new(collector, of))
            }
            Protocol::Http => {
                let builder = MetricExporter::builder().with_temporality(of).with_http();
                let builder = self.over_http::<_, ExportMetricsServiceResponse>(builder, exports);
                let built = builder.map_err(|why| refused(&why))?.build();
                Exporter::Http(built.map_err(|why| refused(&why))?)
            }
        })
    }

    fn collector(&self, exports: &Arc<Exports>) -> Result<Collector, tonic::transport::Error> {
        let gzip = |_| CompressionEncoding::Gzip;
        Ok(Collector {
            channel: channel(&self.endpoint, self.tls.as_ref())?,
            metadata: self.headers.as_metadata(),
            compression: self.compression.map(gzip),
            timeout: self.timeout,
            runtime: Handle::current(),
            exports: Arc::clone(exports),
        })
    }

    fn over_http<B: WithExportConfig + WithHttpConfig, A: Answer>(
        &self,
        builder: B,
        exports: &Arc<Exports>,
    ) -> Result<B, String> {
        let (endpoint, tls) = (&self.endpoint, self.tls.as_ref());
        let client = Reading::<A>::new(endpoint, self.timeout, tls, exports)?;
        let builder = builder
            // What it would choose depends on what else is built into the program.
            .with_protocol(opentelemetry_otlp::Protocol::HttpBinary)
            .with_endpoint(&self.endpoint)
            .with_timeout(self.timeout)
            .with_headers(self.headers.0.clone().into_iter().collect())
            .with_http_client(client);
        Ok(match self.compression {
            Some(compression) => builder.with_compression(compression),
            None => builder,
        })
    }
}

impl Headers {
    fn as_metadata(&self) -> MetadataMap {
        let parsed = self.0.iter().filter_map(|(name, value)| {
            let value = HeaderValue::try_from(value).ok()?;
            Some((HeaderName::try_from(name).ok()?, value))
        });
        MetadataMap::from_headers(parsed.collect::<HeaderMap>())
    }
}

/// Their values are nobody's to read.
impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

fn refused(of: &'static str, why: &dyn ToString) -> SetupError {
    let why = why.to_string();
    Cause::Exporter { of, why }.into()
}

/// Names and values that a message can carry.
fn headers(env: &Environment<'_>, name: &str) -> Result<Option<Headers>, SetupError> {
    let headers = env.pairs(name)?;
    for (key, value) in &headers {
        if HeaderName::try_from(key).is_err() {
            // Which may be a secret that was written without a name before it.
            return Err(SetupError::variable(name, "a key is no name of a header"));
        }
        if HeaderValue::try_from(value).is_err() {
            let why = format!("the value of `{key}` is none of a header");
            return Err(SetupError::variable(name, why));
        }
    }
    Ok((!headers.is_empty()).then_some(Headers(headers)))
}

/// Refuses what would only fail when something is sent.
fn endpoint(env: &Environment<'_>, signal: &str, of: Protocol) -> Result<String, SetupError> {
    let insecure = env.of_signal(signal, "INSECURE", Environment::boolean)?;
    let Some((name, endpoint)) = env.of_signal(signal, "ENDPOINT", Environment::text)? else {
        return Ok(match of {
            Protocol::Grpc => "http://localhost:4317".to_owned(),
            Protocol::Http => with_path("http://localhost:4318", signal),
        });
    };
    let (scheme, rest) = match endpoint.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None if of == Protocol::Http => (String::new(), &*endpoint),
        None if insecure.is_some_and(|(_, it)| it) => ("http".to_owned(), &*endpoint),
        None => ("https".to_owned(), &*endpoint),
    };
    if rest.split('/').next().is_some_and(|it| it.contains('@')) {
        let why = "it holds a user's name, which is not sent: there are headers for that";
        return Err(SetupError::variable(name, why));
    }
    let gets_path = of == Protocol::Http && name == "OTEL_EXPORTER_OTLP_ENDPOINT";
    let checked = check_endpoint(&scheme, rest, gets_path);
    let url = checked.map_err(|why| SetupError::variable(name, format!("`{endpoint}`: {why}")))?;
    Ok(if gets_path {
        with_path(&url, signal)
    } else {
        url
    })
}

fn check_endpoint(scheme: &str, rest: &str, gets_path: bool) -> Result<String, &'static str> {
    if !["http", "https"].contains(&scheme) {
        return Err("it does not start with http:// or https://");
    }
    let url = format!("{scheme}://{rest}");
    let Ok(parsed) = url.parse::<http::Uri>() else {
        return Err("it is no URL");
    };
    let (Some(authority), Some(host)) = (parsed.authority(), parsed.host()) else {
        return Err("it has no host");
    };
    if host.is_empty() {
        return Err("it has no host");
    }
    if authority.as_str() != host && authority.port_u16().is_none() {
        return Err("its port is none");
    }
    if gets_path && parsed.query().is_some() {
        return Err("it has a query, and a path is to be added");
    }
    if scheme == "https" && !cfg!(feature = "tls") {
        return Err(NO_TLS);
    }
    Ok(url)
}

/// The signal's path at the endpoint of all signals.
fn with_path(endpoint: &str, signal: &str) -> String {
    let signal = signal.to_ascii_lowercase();
    format!("{}/v1/{signal}", endpoint.trim_end_matches('/'))
}
