//! What spans carry of remote traces where no tracer does.

use std::sync::atomic::{AtomicU32, Ordering};

use opentelemetry::Context;
use tracing_core::Dispatch;
use tracing_core::span::Id;
use tracing_subscriber::Registry;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::tracer::tracer_context;

/// The remote context that a span continues, in its extensions.
///
/// It is there for spans that the OpenTelemetry layer sees, too: whether it does cannot
/// be found out without starting the span.
struct Carried {
    context: Context,
    /// Where the span is counted.
    count: &'static AtomicU32,
}

/// How many spans carry a context, by a part of their ids: nobody need look for what
/// nobody carries. An entered span takes a look at one of these, and no lock.
static COUNTS: [AtomicU32; 1024] = [const { AtomicU32::new(0) }; 1024];

/// Lets a span carry a context.
pub(super) fn carry<'s, S: LookupSpan<'s> + 's>(span: &SpanRef<'s, S>, context: Context) {
    let count = count_of(&span.id());
    count.fetch_add(1, Ordering::Relaxed);
    let carried = Carried { context, count };
    span.extensions_mut().replace(carried);
}

/// The context that a span carries itself.
pub(super) fn carried<'s, S: LookupSpan<'s> + 's>(span: &SpanRef<'s, S>) -> Option<Context> {
    let extensions = span.extensions();
    Some(extensions.get::<Carried>()?.context.clone())
}

/// Whether a span may carry a context.
pub(super) fn may_carry(id: &Id) -> bool {
    count_of(id).load(Ordering::Relaxed) > 0
}

/// The registry's ids hold a place in their low bits, and a thread in the high ones.
fn count_of(id: &Id) -> &'static AtomicU32 {
    const THREAD_SHIFT: u32 = 38;
    let id = id.into_u64();
    let part = (id ^ (id >> THREAD_SHIFT)) % COUNTS.len() as u64;
    #[allow(clippy::cast_possible_truncation, reason = "less than their number")]
    &COUNTS[part as usize]
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The context of a span's own: of its tracer, or else what it carries. Starts the span
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

/// The registry below all layers. A subscriber that stands on another keeps no contexts.
pub(super) fn registry(dispatch: &Dispatch) -> Option<&Registry> {
    dispatch.downcast_ref()
}
