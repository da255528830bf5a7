//! What a subscriber wants of a callsite apart from this crate.

use std::cell::Cell;

use tracing_core::{Dispatch, Interest, Metadata};

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

/// What to say of a callsite that is not measured, so that it stays with what the layers
/// beside ours say.
///
/// A filter that says `never` beside a layer without a filter makes `tracing` ask
/// at each event and span whether it is enabled: a tax on callsites that are none
/// of our business. So the subscriber is asked first what it would answer without
/// us.
///
/// Asking takes away what filters have said before us, so this is not less
/// than they said together.
pub(super) fn interest(subscriber: &Dispatch, metadata: &'static Metadata<'static>) -> Interest {
    let ask = |ours_say| {
        let _asking = Asking::begin(Question { metadata, ours_say });
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

/// What to say of a callsite, if its subscriber is being asked about others.
pub(super) fn asked_about(metadata: &'static Metadata<'static>) -> Option<Ours> {
    let question = ASKED.try_with(Cell::get).ok().flatten()?;
    std::ptr::eq(question.metadata, metadata).then_some(question.ours_say)
}

struct Asking {
    before: Option<Question>,
}

impl Asking {
    fn begin(question: Question) -> Self {
        let before = ASKED.try_with(|asked| asked.replace(Some(question)));
        Self {
            before: before.ok().flatten(),
        }
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        // The thread may be ending: then nobody asks any more.
        let _ = ASKED.try_with(|asked| asked.set(self.before));
    }
}
