//! What spans carry of remote traces where no tracer does.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use tracing_core::Dispatch;
use tracing_core::span::Id;
use tracing_opentelemetry::get_otel_context;
use tracing_subscriber::Registry;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

/// The remote context that a span continues, in its extensions.
///
/// It is there for spans that the OpenTelemetry layer sees, too: whether it does cannot
/// be found out without starting the span.
struct Carried(Context);

static IS_ANY_CARRIED: AtomicBool = AtomicBool::new(false);

/// Lets a span carry a context.
pub(super) fn carry<'s, S: LookupSpan<'s> + 's>(span: &SpanRef<'s, S>, context: Context) {
    span.extensions_mut().replace(Carried(context));
    IS_ANY_CARRIED.store(true, Ordering::Relaxed);
}

/// The context that a span carries itself.
pub(super) fn carried<'s, S: LookupSpan<'s> + 's>(span: &SpanRef<'s, S>) -> Option<Context> {
    let extensions = span.extensions();
    Some(extensions.get::<Carried>()?.0.clone())
}

/// Whether any span has carried a context. If none has, nobody need look.
pub(super) fn is_any_carried() -> bool {
    IS_ANY_CARRIED.load(Ordering::Relaxed)
}

/// The context of a span's own: of its tracer, or else what it carries. Starts the span
/// for its tracer.
pub(super) fn own_context(dispatch: &Dispatch, id: &Id) -> Option<Context> {
    get_otel_context(id, dispatch)
        .filter(is_live)
        .or_else(|| carried(&registry(dispatch)?.span(id)?))
}

/// The context of the nearest span that has one, from `id` outwards.
pub(super) fn nearest_context(dispatch: &Dispatch, id: &Id) -> Option<Context> {
    let Some(span) = registry(dispatch).and_then(|registry| registry.span(id)) else {
        return own_context(dispatch, id);
    };
    span.scope()
        .find_map(|span| own_context(dispatch, &span.id()))
}

/// The registry below all layers. A subscriber that stands on another keeps no contexts.
pub(super) fn registry(dispatch: &Dispatch) -> Option<&Registry> {
    dispatch.downcast_ref()
}

/// Whether a context is part of a trace.
pub(super) fn is_live(context: &Context) -> bool {
    context.span().span_context().is_valid()
}
