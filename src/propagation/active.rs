//! The contexts of spans that were entered on this thread.

use std::cell::RefCell;

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, ContextGuard};
use tracing_core::span::Id;

thread_local! {
    static ENTERED: RefCell<Entered> = const { RefCell::new(Entered(Vec::new())) };
}

/// The spans with a context of theirs that were entered, the latest last. A span may be
/// entered more than once.
struct Entered(Vec<(Id, Option<ContextGuard>)>);

/// Makes the context of a span that is entered the current one, unless that is part of
/// the same trace already, by the span's tracer.
pub(super) fn activate(id: &Id, context: Context) {
    let trace_of = |context: &Context| context.span().span_context().trace_id();
    let is_there = Context::map_current(trace_of) == trace_of(&context);
    let _ = ENTERED.try_with(|entered| {
        let guard = (!is_there).then(|| context.attach());
        entered.borrow_mut().0.push((id.clone(), guard));
    });
}

/// Undoes it when the span is left.
pub(super) fn deactivate(id: &Id) {
    let guard = ENTERED.try_with(|entered| {
        let entered = &mut entered.borrow_mut().0;
        let at = entered.iter().rposition(|(entered, _)| entered == id)?;
        Some(entered.remove(at))
    });
    // Whatever the context owned may be dropped here, outside of the borrow.
    drop(guard);
}

impl Drop for Entered {
    /// A guard that is dropped while the thread ends finds no current context any more,
    /// and would panic.
    fn drop(&mut self) {
        self.0.drain(..).for_each(std::mem::forget);
    }
}
