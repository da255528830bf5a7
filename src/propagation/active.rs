//! The contexts of spans that were entered on this thread.

use std::cell::RefCell;

use opentelemetry::{Context, ContextGuard};
use tracing_core::span::Id;

thread_local! {
    static ENTERED: RefCell<Entered> = const { RefCell::new(Entered(Vec::new())) };
}

/// The spans with a context of theirs that were entered, the latest last.
struct Entered(Vec<(Whose, ContextGuard)>);

/// A span, and the layer that it is of: the spans of two subscribers may have one id.
#[derive(PartialEq, Eq)]
pub(super) struct Whose {
    pub(super) layer: usize,
    pub(super) span: Id,
}

/// Makes the context of a span that is entered the current one.
pub(super) fn activate(whose: Whose, context: Context) {
    let _ = ENTERED.try_with(|entered| {
        let guard = context.attach();
        entered.borrow_mut().0.push((whose, guard));
    });
}

/// Undoes it when the span is left.
pub(super) fn deactivate(whose: &Whose) {
    let guard = ENTERED.try_with(|entered| {
        let entered = &mut entered.borrow_mut().0;
        let at = entered.iter().rposition(|(entered, _)| entered == whose)?;
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
