//! Client spans for outgoing requests.

use std::any::type_name;
use std::borrow::Cow;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use tracing::field::Empty;
use tracing::instrument::{Instrument as _, Instrumented};
use tracing::{Span, info_span};

use super::method::{MethodFields, SpanName};
use super::url::{DEFAULT_SCHEME, FullUrl, Server, default_port};
use super::{protocol_version, record_error, record_status};
use crate::propagation::SpanPropagation as _;
use crate::semconv::{KnownMethods, OTHER};

/// A span for each request that a client sends, whose headers continue its trace.
///
/// ```
/// use tower::{ServiceBuilder, ServiceExt as _, service_fn};
/// use tracing_meter::http::{ClientLayer, UrlTemplate};
/// # use std::convert::Infallible;
/// # use opentelemetry::trace::TracerProvider as _;
/// # use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
/// # use tracing_meter::propagation;
/// # use tracing_subscriber::prelude::*;
/// # let exporter = InMemorySpanExporter::default();
/// # let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
/// # let otel = tracing_opentelemetry::layer().with_tracer(provider.tracer("doc"));
/// # let _default = tracing_subscriber::registry().with(propagation::layer(otel)).set_default();
///
/// // Instead of a client, such as that of `hyper_util::client::legacy`.
/// let http = service_fn(async |request: http::Request<()>| {
///     assert!(request.headers().contains_key("traceparent"));
///     Ok::<_, Infallible>(http::Response::new(()))
/// });
/// let client = ServiceBuilder::new().layer(ClientLayer::new()).service(http);
///
/// let request = http::Request::get("http://user:secret@kv.example/kv/a")
///     .extension(UrlTemplate::new("/kv/{key}"));
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// client.oneshot(request.body(())?).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
///
/// let spans = exporter.get_finished_spans()?;
/// assert_eq!(spans[0].name, "GET /kv/{key}");
/// let url = spans[0].attributes.iter().find(|it| it.key.as_str() == "url.full");
/// assert_eq!(url.unwrap().value.as_str(), "http://REDACTED:REDACTED@kv.example/kv/a");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// It stands inside of layers that retry or follow redirects, so that each time that a
/// request is sent is a span, and outside of those that call the client in another task,
/// as `tower::buffer` does: the caller's span is not known there.
///
/// # Fields
///
/// By the [semantic conventions][spec], on a span of the level INFO with the target
/// `tracing_meter::http::client`. Its name for OpenTelemetry is the method, with the
/// [`UrlTemplate`] if there is one.
///
/// | field | source |
/// |---|---|
/// | `http.request.method` | a known method, or `_OTHER` |
/// | `http.request.method_original` | a method that is not known |
/// | `url.full` | the request target, with user, password and signatures `REDACTED` |
/// | `url.template` | the [`UrlTemplate`] |
/// | `server.address`, `server.port` | the target, or `Host`; the scheme's port |
/// | `http.response.status_code` | the response |
/// | `network.protocol.version` | the response |
/// | `error.type`, `otel.status_code` | 4xx and 5xx: the status; an error of the client: its type, or `_OTHER` if that is a `Box<dyn Error>` |
///
/// The span lasts until there are the headers of the response, because its body need
/// not be read. A future that is dropped before is no error.
///
/// # Reqwest
///
/// A `reqwest::Client` is a service of other types, which are made of those of `http`:
///
/// ```
/// use http::{Request, Response};
/// use tower::ServiceBuilder;
/// use tracing_meter::http::ClientLayer;
///
/// let reqwest = reqwest::Client::new();
/// let client = ServiceBuilder::new()
///     .layer(ClientLayer::new())
///     .service_fn(move |request: Request<reqwest::Body>| {
///         let reqwest = reqwest.clone();
///         async move { Ok::<_, reqwest::Error>(Response::from(reqwest.execute(request.try_into()?).await?)) }
///     });
/// ```
///
/// [spec]: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-client-span
#[derive(Clone, Debug, Default)]
pub struct ClientLayer {
    methods: KnownMethods,
}

impl ClientLayer {
    /// With the defaults that are said above.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The methods that are not `_OTHER`, instead of the default, which are those of
    /// RFC 9110 with PATCH and QUERY. Their case matters.
    #[must_use]
    pub fn known_methods(mut self, methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.methods = KnownMethods::new(methods);
        self
    }
}

impl<S> Layer<S> for ClientLayer {
    type Service = ClientService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        ClientService {
            inner,
            methods: self.methods.clone(),
        }
    }
}

/// The template of a request's URL, such as `/kv/{key}`, in the request's extensions: the
/// name of its client span, and its field `url.template`. There must be few of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlTemplate(Cow<'static, str>);

impl UrlTemplate {
    /// A `&'static str` or a `String`.
    #[must_use]
    pub fn new(template: impl Into<Cow<'static, str>>) -> Self {
        Self(template.into())
    }
}

/// What [`ClientLayer`] makes of a client.
#[derive(Clone, Debug)]
pub struct ClientService<S> {
    inner: S,
    methods: KnownMethods,
}

impl<S> ClientService<S> {
    fn span<B>(&self, request: &Request<B>) -> Span {
        let (uri, headers) = (request.uri(), request.headers());
        let method = MethodFields::new(&self.methods, request.method());
        let template = request.extensions().get::<UrlTemplate>();
        let template = template.map(|UrlTemplate(template)| &**template);
        let server = Server::of(uri, headers);
        let default_port = || default_port(uri.scheme_str().unwrap_or(DEFAULT_SCHEME));
        info_span!(
            "http.client",
            otel.name = %SpanName(method, template),
            otel.kind = "client",
            otel.status_code = Empty,
            http.request.method = method.method,
            http.request.method_original = method.original,
            http.response.status_code = Empty,
            error.type = Empty,
            url.full = %FullUrl(uri, headers),
            url.template = template,
            server.address = server.map(|it| it.address),
            server.port = server.and_then(|it| it.port.or_else(default_port)),
            network.protocol.version = Empty,
        )
    }
}

impl<S, B, R> Service<Request<B>> for ClientService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = ClientFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let span = self.span(&request);
        span.inject_into(request.headers_mut());
        let response = span.in_scope(|| self.inner.call(request));
        ClientFuture {
            response: Some(response.instrument(span)),
        }
    }
}

pin_project! {
    /// The response to a request, in the request's span.
    #[derive(Debug)]
    pub struct ClientFuture<F> {
        #[pin]
        // Until it is there: the span ends with it, however long this is kept.
        response: Option<Instrumented<F>>,
    }
}

impl<F, R, E> Future for ClientFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let mut response = this.response.as_mut().as_pin_mut().expect("polled again");
        let result = ready!(response.as_mut().poll(cx));
        record_result(response.span(), &result);
        this.response.set(None);
        Poll::Ready(result)
    }
}

fn record_result<R, E>(span: &Span, result: &Result<Response<R>, E>) {
    let Ok(response) = result else {
        return record_error(span, error_type::<E>());
    };
    let (status, version) = (response.status(), response.version());
    record_status(span, status);
    span.record("network.protocol.version", protocol_version(version));
    if status.is_client_error() || status.is_server_error() {
        record_error(span, status.as_str());
    }
}

/// A name that says which error it is, of which there are few.
fn error_type<E>() -> &'static str {
    let name = type_name::<E>();
    if name.contains("dyn ") { OTHER } else { name }
}
