//! The subscriber that a layer is a part of.

use std::cell::Cell;
use std::ptr::from_ref;

use tracing_core::Dispatch;
use tracing_core::dispatcher::get_default;

use crate::sync::{OwnDispatch, Scoped};

thread_local! {
    /// Whose subscriber this thread looks for, until it is found.
    static SOUGHT: Cell<Option<*const OwnSubscriber>> = const { Cell::new(None) };
}

/// The subscriber of one layer, known or to be found.
#[derive(Default)]
pub(crate) struct OwnSubscriber {
    registered: OwnDispatch,
}

/// What a subscriber is asked for, so that its layers say whether they are sought.
pub(crate) struct Anybody;

impl OwnSubscriber {
    pub(crate) fn set(&self, subscriber: &Dispatch) {
        self.registered.set(subscriber);
    }

    /// The subscriber, while it is there.
    pub(crate) fn get(&self) -> Option<Dispatch> {
        if self.registered.is_known() {
            return self.registered.get();
        }
        // `Box` and `Arc` do not tell the subscriber in them that it was registered.
        get_default(|subscriber| self.is_in(subscriber).then(|| subscriber.clone()))
    }

    fn is_in(&self, subscriber: &Dispatch) -> bool {
        let _seeking = Scoped::set(&SOUGHT, Some(from_ref(self)));
        let _ = subscriber.is::<Anybody>();
        SOUGHT.try_with(Cell::get).is_ok_and(|left| left.is_none())
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
