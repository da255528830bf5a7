//! Questions to the tracer of a span, which must not be asked while it asks us.

use std::cell::Cell;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt as _;
use tracing_core::Dispatch;
use tracing_core::span::Id;
use tracing_opentelemetry::get_otel_context;

use crate::sync::Scoped;

thread_local! {
    static IS_INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// The context of a span that its tracer sees. It starts the span.
///
/// A sampler and a span processor are called under a lock on the span that starts. What
/// they log, open or send asks no tracer: it could ask for the same lock.
pub(super) fn tracer_context(dispatch: &Dispatch, id: &Id) -> Option<Context> {
    if is_inside_tracer() {
        return None;
    }
    inside_tracer(|| get_otel_context(id, dispatch)).filter(is_live)
}

/// Whether a context is part of a trace.
pub(super) fn is_live(context: &Context) -> bool {
    context.span().span_context().is_valid()
}

/// Whether this thread is in a call that may hold the lock of a span.
pub(super) fn is_inside_tracer() -> bool {
    IS_INSIDE.try_with(Cell::get).unwrap_or(false)
}

/// Makes a call that may start a span.
pub(super) fn inside_tracer<R>(call: impl FnOnce() -> R) -> R {
    let _inside = Scoped::set(&IS_INSIDE, true);
    call()
}
