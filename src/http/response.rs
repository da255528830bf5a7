//! The trace of a request in the headers of its response.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use http::header::{HeaderName, HeaderValue};
use http::{Request, Response};
use opentelemetry::trace::TraceContextExt as _;
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;
use tracing::Span;

use crate::propagation::{CarrierMut, SpanPropagation as _, TRACEPARENT, W3cPropagator};

/// Says in each response which trace the request was handled in, and by which span.
///
/// It stands inside of the layer that makes the server's span, and so is added to a
/// router before it:
///
/// ```
/// use axum::{Router, routing::get};
/// use tracing_meter::http::TraceResponseLayer;
/// # use opentelemetry::trace::TracerProvider as _;
/// # use opentelemetry_sdk::trace::SdkTracerProvider;
/// # use tower::ServiceExt as _;
/// # use tracing_meter::propagation;
/// # use tracing_subscriber::prelude::*;
/// # let provider = SdkTracerProvider::builder().build();
/// # let otel = tracing_opentelemetry::layer().with_tracer(provider.tracer("doc"));
/// # let _default = tracing_subscriber::registry().with(propagation::layer(otel)).set_default();
///
/// # #[cfg(feature = "tower-http")]
/// let app = Router::new()
///     .route("/", get(async || "hello"))
///     .layer(TraceResponseLayer::traceresponse())
///     .layer(tracing_meter::http::trace_layer());
///
/// let request = http::Request::get("/")
///     .header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// # #[cfg(feature = "tower-http")] {
/// let response = app.oneshot(request.body(String::new())?).await?;
/// let header = response.headers()["traceresponse"].to_str()?;
/// assert!(header.starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
/// # }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Where the span has no trace of a tracer here nothing is set: without a tracer there is
/// no id that would be that of the response, even where the request's trace is passed on. Nor
/// is it where the [propagator of the process](W3cPropagator::install) sends no
/// `traceparent`; that propagator says, too, whether ids of traces are random.
/// A header that the service itself has set is overwritten. Scripts in a browser see it on
/// responses of other origins if `Access-Control-Expose-Headers` names it.
#[derive(Clone, Debug)]
pub struct TraceResponseLayer {
    header: HeaderName,
}

impl TraceResponseLayer {
    /// The header `traceresponse` of the [drafts of Level 2][spec]: version, trace id, the
    /// id of the server's span, and flags, in the format of `traceparent`.
    ///
    /// [spec]: https://w3c.github.io/trace-context/#trace-context-http-response-headers-format
    #[must_use]
    pub const fn traceresponse() -> Self {
        Self {
            header: HeaderName::from_static("traceresponse"),
        }
    }

    /// The same in a header `traceparent`, which some clients and proxies look for.
    #[must_use]
    pub const fn traceparent() -> Self {
        Self {
            header: HeaderName::from_static(TRACEPARENT),
        }
    }
}

impl<S> Layer<S> for TraceResponseLayer {
    type Service = TraceResponseService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TraceResponseService {
            inner,
            header: self.header.clone(),
        }
    }
}

/// What [`TraceResponseLayer`] makes of a service.
#[derive(Clone, Debug)]
pub struct TraceResponseService<S> {
    inner: S,
    header: HeaderName,
}

impl<S, B, R> Service<Request<B>> for TraceResponseService<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = TraceResponseFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        TraceResponseFuture {
            response: self.inner.call(request),
            header: self.header.clone(),
        }
    }
}

pin_project! {
    /// A response that gets its header.
    #[derive(Debug)]
    pub struct TraceResponseFuture<F> {
        #[pin]
        response: F,
        header: HeaderName,
    }
}

impl<F, R, E> Future for TraceResponseFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let mut response = ready!(this.response.poll(cx))?;
        if let Some(trace) = current_trace() {
            response.headers_mut().insert(this.header.clone(), trace);
        }
        Poll::Ready(Ok(response))
    }
}

/// The current span as it would be a `traceparent`, if it is one of a tracer's here.
fn current_trace() -> Option<HeaderValue> {
    let context = Span::current().nearest_context();
    if context.span().span_context().is_remote() {
        return None;
    }
    let mut written = Written(None);
    W3cPropagator::of_the_process().inject_into(&context, &mut written);
    written.0
}

/// The `traceparent` alone.
struct Written(Option<HeaderValue>);

impl CarrierMut for Written {
    fn set_header(&mut self, name: &'static str, value: String) {
        if name == TRACEPARENT {
            self.0 = value.try_into().ok();
        }
    }

    fn remove_header(&mut self, _name: &'static str) {}
}
