//! Server spans for `tower_http::trace::TraceLayer`.

use std::borrow::Cow;
use std::fmt::Display;
use std::time::Duration;

use http::header::USER_AGENT;
use http::{Extensions, Request, Response, Uri};
use tower_http::classify::{ServerErrorsFailureClass, SharedClassifier};
use tower_http::trace::{MakeSpan, OnFailure, OnResponse, TraceLayer};
use tracing::field::{Empty, display};
use tracing::{Span, info_span};

use super::failures::{ServerFailure, ServerFailures};
use super::method::{MethodFields, SpanName};
use super::url::{DEFAULT_SCHEME, Query, Server};
use super::{forwarded, protocol_version, record_error, record_status};
use crate::propagation::SpanPropagation as _;
use crate::semconv::{KnownMethods, OTHER};

/// What [`trace_layer`] makes.
pub type ServerTraceLayer = TraceLayer<
    SharedClassifier<ServerFailures>,
    ServerSpan,
    (),
    OnServerResponse,
    (),
    (),
    OnServerFailure,
>;

/// A span for each request to a server, in the trace that its client sent.
///
/// ```
/// use axum::{Router, routing::get};
/// # use opentelemetry::trace::TracerProvider as _;
/// # use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
/// # use tower::ServiceExt as _;
/// # use tracing_meter::propagation;
/// # use tracing_subscriber::prelude::*;
/// # let exporter = InMemorySpanExporter::default();
/// # let provider = SdkTracerProvider::builder().with_simple_exporter(exporter.clone()).build();
/// # let otel = tracing_opentelemetry::layer().with_tracer(provider.tracer("doc"));
/// # let _default = tracing_subscriber::registry().with(propagation::layer(otel)).set_default();
///
/// let app = Router::new()
///     .route("/kv/{key}", get(async || "value"))
///     .layer(tracing_meter::http::trace_layer());
///
/// let request = http::Request::get("/kv/a")
///     .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// app.oneshot(request.body(String::new())?).await?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
///
/// let spans = exporter.get_finished_spans()?;
#[cfg_attr(
    feature = "axum",
    doc = "assert_eq!(spans[0].name, \"GET /kv/{key}\");"
)]
/// assert_eq!(spans[0].parent_span_id.to_string(), "b7ad6b7169203331");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Put it onto the whole router, after its last route: layers that are added later
/// are outside of the span. A span lasts until the body of the response was sent or
/// dropped. Settings are those of a [`ServerSpan`]:
/// `trace_layer().make_span_with(ServerSpan::new().scheme("https"))`. No events are
/// emitted; `on_request` and the other callbacks of [`TraceLayer`] are free for that.
///
/// A handler that panics leaves no status. Put `tower_http::catch_panic::CatchPanicLayer`
/// inside of this layer: its 500 is recorded as any other.
#[must_use]
pub fn trace_layer() -> ServerTraceLayer {
    TraceLayer::new(SharedClassifier::new(ServerFailures))
        .make_span_with(ServerSpan::new())
        .on_request(())
        .on_response(OnServerResponse)
        .on_body_chunk(())
        .on_eos(())
        .on_failure(OnServerFailure)
}

/// Makes the span of a request to a server, by the [semantic conventions][spec].
///
/// It is of the level INFO and has the target `tracing_meter::http::server`. Its name
/// for OpenTelemetry is `{method} {route}`, or the method alone where no route matched.
/// It continues the trace of the request's headers; headers that are not valid are
/// ignored, and the span is what it would have been. Its fields:
///
/// | field | source |
/// |---|---|
/// | `http.request.method` | a known method, or `_OTHER` |
/// | `http.request.method_original` | a method that is not known |
/// | `http.route` | [`route`](Self::route), or axum's `MatchedPath` (feature `axum`) |
/// | `url.path`, `url.query` | the request target, as it was before axum nested it (feature `axum`), with signatures `REDACTED` |
/// | `url.scheme` | `Forwarded`, `X-Forwarded-Proto`, the target, or [`scheme`](Self::scheme) |
/// | `server.address`, `server.port` | `Forwarded`, `X-Forwarded-Host`, the target, or `Host` |
/// | `client.address` | `Forwarded` or `X-Forwarded-For`, without the port |
/// | `network.protocol.version` | `1.0`, `1.1`, `2` or `3` |
/// | `user_agent.original` | `User-Agent` |
/// | `http.response.status_code` | [`OnServerResponse`] |
/// | `error.type`, `otel.status_code` | [`OnServerResponse`], [`OnServerFailure`] |
///
/// Of several proxies it is the first that is believed, the one next to the client. Anybody
/// may send these headers: a proxy that is exposed must replace those of its clients.
///
/// There are no `network.peer.*`, and no `client.address` without a proxy, because a layer
/// does not see the socket, and no `http.request.resend_count`, which only a layer that
/// resends requests could know.
///
/// [spec]: https://opentelemetry.io/docs/specs/semconv/http/http-spans/#http-server-span
#[derive(Clone, Debug)]
pub struct ServerSpan {
    methods: KnownMethods,
    route: RouteOf,
    scheme: &'static str,
}

type RouteOf = fn(&Extensions) -> Option<Cow<'_, str>>;

impl ServerSpan {
    /// With the defaults that are said above.
    #[must_use]
    pub fn new() -> Self {
        Self {
            methods: KnownMethods::default(),
            route: |_| None,
            scheme: DEFAULT_SCHEME,
        }
    }

    /// Where a framework other than axum keeps the template of the route that matched,
    /// `/users/{id}` for example. There must be few of them: a path is no route.
    ///
    /// ```
    /// use tracing_meter::http::ServerSpan;
    ///
    /// #[derive(Clone)]
    /// struct Template(String);
    ///
    /// let span = ServerSpan::new()
    ///     .route(|extensions| Some(extensions.get::<Template>()?.0.as_str().into()));
    /// ```
    #[must_use]
    pub fn route(mut self, route: fn(&Extensions) -> Option<Cow<'_, str>>) -> Self {
        self.route = route;
        self
    }

    /// The scheme of requests that do not tell theirs, as those of HTTP/1.1 do not:
    /// `https` where the service itself ends TLS. The default is `http`.
    #[must_use]
    pub fn scheme(mut self, scheme: &'static str) -> Self {
        self.scheme = scheme;
        self
    }

    /// The methods that are not `_OTHER`, instead of the default, which are those of
    /// RFC 9110 with PATCH and QUERY. Their case matters.
    #[must_use]
    pub fn known_methods(mut self, methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.methods = KnownMethods::new(methods);
        self
    }

    fn route_of<'e>(&self, extensions: &'e Extensions) -> Option<Cow<'e, str>> {
        let route = (self.route)(extensions);
        #[cfg(feature = "axum")]
        let route = route.or_else(|| {
            let matched = extensions.get::<axum::extract::MatchedPath>()?;
            Some(matched.as_str().into())
        });
        route
    }

    fn scheme_of<B>(&self, request: &Request<B>) -> &'static str {
        forwarded::scheme(request.headers())
            .or_else(|| forwarded::known_scheme(request.uri().scheme_str()?))
            .unwrap_or(self.scheme)
    }
}

impl Default for ServerSpan {
    fn default() -> Self {
        Self::new()
    }
}

/// What was asked for. A nested router of axum sees a part of it alone, while the route
/// that matched is that of the whole.
fn target<B>(request: &Request<B>) -> &Uri {
    #[cfg(feature = "axum")]
    if let Some(original) = request.extensions().get::<axum::extract::OriginalUri>() {
        return original;
    }
    request.uri()
}

impl<B> MakeSpan<B> for ServerSpan {
    fn make_span(&mut self, request: &Request<B>) -> Span {
        let (uri, headers) = (target(request), request.headers());
        let method = MethodFields::new(&self.methods, request.method());
        let route = self.route_of(request.extensions());
        let server = forwarded::server(headers).or_else(|| Server::of(uri, headers));
        let query = uri.query().map(Query).map(display);
        let user_agent = headers.get(USER_AGENT).and_then(|it| it.to_str().ok());
        let span = info_span!(
            "http.server",
            otel.name = %SpanName(method, route.as_deref()),
            otel.kind = "server",
            otel.status_code = Empty,
            otel.status_description = Empty,
            http.request.method = method.method,
            http.request.method_original = method.original,
            http.route = route.as_deref(),
            http.response.status_code = Empty,
            error.type = Empty,
            url.path = uri.path(),
            url.query = query,
            url.scheme = self.scheme_of(request),
            server.address = server.map(|it| it.address),
            server.port = server.and_then(|it| it.port),
            client.address = forwarded::client(headers),
            network.protocol.version = protocol_version(request.version()),
            user_agent.original = user_agent,
            // It has no value. `propagation::pass_through` enables spans by its name.
            traceparent = Empty,
        );
        // A span that is disabled, or without a subscriber, continues nothing.
        let _ = span.continue_from(headers);
        span
    }
}

/// Records the status of a response: `http.response.status_code`, and for 5xx that the
/// span has failed, with the status as `error.type`. A 4xx is the client's error, and
/// leaves a server's span as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnServerResponse;

impl<B> OnResponse<B> for OnServerResponse {
    fn on_response(self, response: &Response<B>, _latency: Duration, span: &Span) {
        let status = response.status();
        record_status(span, status);
        if status.is_server_error() {
            record_error(span, status.as_str());
        }
    }
}

/// Records that a service failed without a response, or that the body of its response
/// did: `error.type` is `_OTHER`, because all that is known of the error is its text,
/// which describes the status. A 5xx was seen by [`OnServerResponse`], and stays.
#[derive(Clone, Copy, Debug, Default)]
pub struct OnServerFailure;

impl OnFailure<ServerFailure> for OnServerFailure {
    fn on_failure(&mut self, failure: ServerFailure, _latency: Duration, span: &Span) {
        if !failure.has_status() {
            record_failure(span, failure);
        }
    }
}

/// For a [`TraceLayer::new_for_http`], which does not look at bodies.
impl OnFailure<ServerErrorsFailureClass> for OnServerFailure {
    fn on_failure(&mut self, class: ServerErrorsFailureClass, _latency: Duration, span: &Span) {
        if let ServerErrorsFailureClass::Error(error) = class {
            record_failure(span, error);
        }
    }
}

fn record_failure(span: &Span, error: impl Display) {
    record_error(span, OTHER);
    span.record("otel.status_description", display(error));
}
