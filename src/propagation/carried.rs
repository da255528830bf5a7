//! What spans carry of remote traces where no tracer does.

use opentelemetry::Context;
use tracing_core::Dispatch;
use tracing_core::span::Id;
use tracing_subscriber::Registry;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::tracer::tracer_context;
use crate::sync::id_counts::{Counted, IdCounts};

/// The remote context that a span continues, in its extensions.
///
/// It is there for spans that the OpenTelemetry layer sees, too: whether it does cannot
/// be found out without starting the span.
struct Carried {
    context: Context,
    _counted: Counted<'static>,
}

/// How many contexts are carried: an entered span looks here, and takes no lock.
static COUNTS: IdCounts<1024> = IdCounts::new();

/// Lets a span carry a context.
pub(super) fn carry<'s, S: LookupSpan<'s> + 's>(span: &SpanRef<'s, S>, context: Context) {
    let carried = Carried {
        context,
        _counted: COUNTS.add(span.id().into_u64()),
    };
    span.extensions_mut().replace(carried);
}

/// The context that a span carries itself.
pub(super) fn carried<'s, S: LookupSpan<'s> + 's>(span: &SpanRef<'s, S>) -> Option<Context> {
    let extensions = span.extensions();
    Some(extensions.get::<Carried>()?.context.clone())
}

/// Whether a span may carry a context.
pub(super) fn may_carry(id: &Id) -> bool {
    COUNTS.may_have(id.into_u64())
}

/// A span's own context: of its tracer, or else what it carries. Starts the span
/// for its tracer.
pub(super) fn own_context(dispatch: &Dispatch, id: &Id) -> Option<Context> {
    tracer_context(dispatch, id).or_else(|| carried(&registry(dispatch)?.span(id)?))
}

/// The context of the nearest span that carries one, from `id` outwards.
pub(super) fn nearest_carried(dispatch: &Dispatch, id: &Id) -> Option<Context> {
    let mut scope = registry(dispatch)?.span(id)?.scope();
    scope.find_map(|span| may_carry(&span.id()).then(|| carried(&span))?)
}

/// The context of the nearest span that has one, from `id` outwards.
pub(super) fn nearest_context(dispatch: &Dispatch, id: &Id) -> Option<Context> {
    let Some(registry) = registry(dispatch) else {
        return own_context(dispatch, id);
    };
    let mut scope = registry.span(id)?.scope();
    scope.find_map(|span| own_context(dispatch, &span.id()))
}

/// The registry below all layers. A subscriber on another one keeps no contexts.
pub(super) fn registry(dispatch: &Dispatch) -> Option<&Registry> {
    dispatch.downcast_ref()
}
