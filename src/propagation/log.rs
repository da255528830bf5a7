//! Log lines that name their trace.

use std::any::TypeId;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use opentelemetry::Context as OtelContext;
use opentelemetry::trace::{SpanId, TraceContextExt as _, TraceId};
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Dispatch, Event, Interest, LevelFilter, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::format::{Compact, Format, FormatFields, Full, Pretty, Writer};
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::fmt::{self as fmt_layer, FmtContext, FormatEvent, MakeWriter};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::carried::{carried, nearest_context};
use super::forward::forward_to_inner;
use super::tracer::{is_live, tracer_context};
use crate::sync::OwnDispatch;

/// Puts `trace_id` and `span_id` on the lines of a `fmt` layer, of text and (feature
/// `json`) of JSON, wherever an event happens in a trace.
///
/// The ids are those of the event's span, or of the nearest span around it that is part
/// of a trace, in hexadecimal digits as in a `traceparent`. An event with an explicit
/// parent, `parent: &span`, starts that span for its tracer: continue its trace before.
///
/// ```
/// use tracing_meter::propagation;
/// use tracing_subscriber::prelude::*;
///
/// let otel = tracing_opentelemetry::layer().with_tracer(
/// #   opentelemetry::trace::TracerProvider::tracer(
/// #       &opentelemetry_sdk::trace::SdkTracerProvider::default(), "doc"));
/// # /*
///     provider.tracer("app"));
/// # */
/// let subscriber = tracing_subscriber::registry()
///     .with(propagation::layer(otel))
///     .with(propagation::with_trace_ids(tracing_subscriber::fmt::layer()));
/// # tracing::subscriber::with_default(subscriber, || {
/// let _span = tracing::info_span!("serve").entered();
/// tracing::info!("accepted");
/// // INFO serve: app: accepted trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331
/// # });
/// ```
pub fn with_trace_ids<S, N, F, T, W>(
    layer: fmt_layer::Layer<S, N, Format<F, T>, W>,
) -> TraceIdsLayer<fmt_layer::Layer<S, N, TraceIdsFormat<F, T>, W>>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: LineFormat + Clone + 'static,
    T: FormatTime + Clone + 'static,
    Format<F, T>: FormatEvent<S, N>,
    W: for<'writer> MakeWriter<'writer> + 'static,
{
    let subscriber = Arc::new(OwnDispatch::default());
    let format = |format: Format<F, T>| TraceIdsFormat {
        plain: format.clone().with_ansi(false),
        coloured: format.with_ansi(true),
        subscriber: Arc::clone(&subscriber),
    };
    let inner = layer.map_event_format(format);
    TraceIdsLayer { inner, subscriber }
}

/// A format of lines that ids can be put on: `Full`, `Compact`, `Pretty`, and `Json` with
/// the feature `json`.
#[diagnostic::on_unimplemented(note = "lines of JSON need the feature `json` of tracing-meter")]
pub trait LineFormat: sealed::Sealed {
    /// Puts the ids on a line, which has its line feed already.
    #[doc(hidden)]
    fn put_ids_on(line: &mut String, trace_id: TraceId, span_id: SpanId);
}

mod sealed {
    use tracing_subscriber::fmt::format;

    /// Where ids go on a line depends on its form.
    pub trait Sealed {}
    impl Sealed for format::Full {}
    impl Sealed for format::Compact {}
    impl Sealed for format::Pretty {}
    #[cfg(feature = "json")]
    impl Sealed for format::Json {}
}

impl LineFormat for Full {
    fn put_ids_on(line: &mut String, trace_id: TraceId, span_id: SpanId) {
        let text = line.trim_end_matches('\n').len();
        let end = line.split_off(text);
        let _ = write!(line, " trace_id={trace_id} span_id={span_id}{end}");
    }
}

impl LineFormat for Compact {
    fn put_ids_on(line: &mut String, trace_id: TraceId, span_id: SpanId) {
        Full::put_ids_on(line, trace_id, span_id);
    }
}

impl LineFormat for Pretty {
    fn put_ids_on(line: &mut String, trace_id: TraceId, span_id: SpanId) {
        Full::put_ids_on(line, trace_id, span_id);
    }
}

#[cfg(feature = "json")]
impl LineFormat for fmt_layer::format::Json {
    fn put_ids_on(line: &mut String, trace_id: TraceId, span_id: SpanId) {
        let ids = format!(r#""trace_id":"{trace_id}","span_id":"{span_id}","#);
        line.insert_str(1, &ids);
    }
}

/// The format of a layer from [`with_trace_ids`].
#[derive(Debug)]
pub struct TraceIdsFormat<F, T> {
    /// A line is written by itself at first, where the writer's colours are not known.
    plain: Format<F, T>,
    coloured: Format<F, T>,
    subscriber: Arc<OwnDispatch>,
}

impl<S, N, F, T> FormatEvent<S, N> for TraceIdsFormat<F, T>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    N: for<'writer> FormatFields<'writer> + 'static,
    F: LineFormat,
    T: FormatTime,
    Format<F, T>: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        ctx: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let coloured = writer.has_ansi_escapes();
        let format = if coloured {
            &self.coloured
        } else {
            &self.plain
        };
        let Some(ids) = self.ids(ctx, event) else {
            return format.format_event(ctx, writer, event);
        };
        let mut line = String::new();
        format.format_event(ctx, Writer::new(&mut line), event)?;
        F::put_ids_on(&mut line, ids.trace_id, ids.span_id);
        writer.write_str(&line)
    }
}

impl<F, T> TraceIdsFormat<F, T> {
    /// Where the event is contextual this asks no tracer: the event may come from a sampler,
    /// which is called under a lock on the very span.
    fn ids<S, N>(&self, ctx: &FmtContext<'_, S, N>, event: &Event<'_>) -> Option<Ids>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
        N: for<'writer> FormatFields<'writer> + 'static,
    {
        if event.is_root() {
            return None;
        }
        if let (Some(span), true) = (event.parent(), event.metadata().is_span()) {
            // The layer's own line about a span. It must not start one that is new.
            return known_ids(&ctx.span(span)?);
        }
        let known = |span: SpanRef<'_, S>| span.scope().find_map(|span| known_ids(&span));
        let current = ctx.current_span();
        match event.parent().filter(|parent| current.id() != Some(parent)) {
            None => Ids::of_current().or_else(|| known(ctx.lookup_current()?)),
            Some(span) => Ids::of(&nearest_context(&self.subscriber.get()?, span)?),
        }
    }
}

/// In the extensions of a span that was entered.
#[derive(Clone, Copy)]
struct Ids {
    trace_id: TraceId,
    span_id: SpanId,
}

impl Ids {
    fn of(context: &OtelContext) -> Option<Self> {
        let span = context.span();
        let span = span.span_context();
        is_live(context).then(|| Self {
            trace_id: span.trace_id(),
            span_id: span.span_id(),
        })
    }

    fn of_current() -> Option<Self> {
        OtelContext::map_current(Self::of)
    }
}

/// The ids of a span itself, as far as they are known without its tracer.
fn known_ids<'s, S>(span: &SpanRef<'s, S>) -> Option<Ids>
where
    S: LookupSpan<'s> + 's,
{
    let ids = span.extensions().get::<Ids>().copied();
    ids.or_else(|| Ids::of(&carried(span)?))
}

/// What [`with_trace_ids`] makes.
#[derive(Debug)]
pub struct TraceIdsLayer<L> {
    inner: L,
    subscriber: Arc<OwnDispatch>,
}

impl<L> TraceIdsLayer<L> {
    /// Remembers the ids of a span that is entered.
    fn capture<S>(&self, id: &Id, ctx: &Context<'_, S>) -> Option<()>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let span = ctx.span(id)?;
        if span.extensions().get::<Ids>().is_none() {
            let subscriber = self.subscriber.get()?;
            let ids = Ids::of(&tracer_context(&subscriber, id)?)?;
            span.extensions_mut().replace(ids);
        }
        Some(())
    }
}

impl<S, L> Layer<S> for TraceIdsLayer<L>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    L: Layer<S>,
{
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        self.subscriber.set(subscriber);
        self.inner.on_register_dispatch(subscriber);
    }

    fn on_enter(&self, id: &Id, ctx: Context<'_, S>) {
        self.capture(id, &ctx);
        self.inner.on_enter(id, ctx);
    }

    forward_to_inner!(on_new_span, on_exit);
}
