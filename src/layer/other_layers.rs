//! What a subscriber wants of a callsite without this crate.

use std::cell::Cell;

use tracing_core::{Dispatch, Interest, Metadata};

use crate::sync::Scoped;

thread_local! {
    /// The question that is being asked on this thread.
    static ASKED: Cell<Option<Question>> = const { Cell::new(None) };
}

/// Asks a subscriber about a callsite, and what this crate's layers say meanwhile.
#[derive(Clone, Copy)]
struct Question {
    metadata: &'static Metadata<'static>,
    ours_say: Ours,
}

/// What the filters of this crate say of a callsite.
#[derive(Clone, Copy)]
pub(super) enum Ours {
    /// `never`, or what else is true.
    Interest,
    /// `always`, which decides nothing.
    Nothing,
}

/// What to say of a callsite that is not measured, so that it stays with what the other
/// layers say.
///
/// Where another layer has no filter, a filter that says `never` makes `tracing` ask at
/// each event and span whether it is enabled: a tax on callsites that are not measured. So the subscriber is asked first what it would answer without
/// us.
///
/// Asking takes away what filters have said before us, so this is not less
/// than they said together.
pub(super) fn interest(subscriber: &Dispatch, metadata: &'static Metadata<'static>) -> Interest {
    let ask = |ours_say| {
        let _asking = Scoped::set(&ASKED, Some(Question { metadata, ours_say }));
        subscriber.register_callsite(metadata)
    };
    // Where no layer says anything, the registry's answer is `always`, too: hence
    // the first question.
    if ask(Ours::Interest).is_never() {
        Interest::never()
    } else if ask(Ours::Nothing).is_always() {
        Interest::always()
    } else {
        Interest::sometimes()
    }
}

/// What to say of a callsite, if its subscriber is being asked about other layers.
pub(super) fn asked_about(metadata: &'static Metadata<'static>) -> Option<Ours> {
    let question = ASKED.try_with(Cell::get).ok().flatten()?;
    std::ptr::eq(question.metadata, metadata).then_some(question.ours_say)
}
