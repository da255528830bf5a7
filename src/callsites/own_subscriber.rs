//! The subscriber that a layer is a part of.

use std::cell::Cell;
use std::ptr::from_ref;
use std::sync::OnceLock;

use tracing_core::Dispatch;
use tracing_core::dispatcher::{WeakDispatch, get_default};

thread_local! {
    /// Whose subscriber this thread looks for, until it is found.
    static SOUGHT: Cell<Option<*const OwnSubscriber>> = const { Cell::new(None) };
}

/// The subscriber of one layer, known or to be found.
#[derive(Default)]
pub(crate) struct OwnSubscriber {
    registered: OnceLock<WeakDispatch>,
}

/// What a subscriber is asked for, so that its layers say whether they are sought.
pub(crate) struct Anybody;

impl OwnSubscriber {
    pub(crate) fn set(&self, subscriber: &Dispatch) {
        // A layer has one subscriber: it was moved into it.
        let _ = self.registered.set(subscriber.downgrade());
    }

    /// The subscriber, while it is there.
    pub(crate) fn get(&self) -> Option<Dispatch> {
        match self.registered.get() {
            Some(subscriber) => subscriber.upgrade(),
            // `Box` and `Arc` do not tell the subscriber in them that it was registered.
            None => get_default(|subscriber| self.is_in(subscriber).then(|| subscriber.clone())),
        }
    }

    fn is_in(&self, subscriber: &Dispatch) -> bool {
        let seek = |sought| SOUGHT.try_with(|it| it.replace(sought));
        let before = seek(Some(from_ref(self)));
        let _ = subscriber.is::<Anybody>();
        let left = seek(before.ok().flatten());
        before.is_ok() && left.is_ok_and(|left| left.is_none())
    }

    /// Says so if it is this one that is sought.
    pub(crate) fn answer(&self) {
        let _ = SOUGHT.try_with(|sought| {
            if sought.get() == Some(from_ref(self)) {
                sought.set(None);
            }
        });
    }
}
