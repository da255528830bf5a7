//! The subscriber that a layer was registered with.

use std::sync::OnceLock;

use tracing_core::Dispatch;
use tracing_core::dispatcher::WeakDispatch;

/// The subscriber of a layer, once it is known. It owns the layer, and so is not kept alive
/// by it.
#[derive(Debug, Default)]
pub(crate) struct OwnDispatch(OnceLock<WeakDispatch>);

impl OwnDispatch {
    pub(crate) fn set(&self, subscriber: &Dispatch) {
        // A layer has one subscriber: it was moved into it.
        let _ = self.0.set(subscriber.downgrade());
    }

    pub(crate) fn is_known(&self) -> bool {
        self.0.get().is_some()
    }

    /// The subscriber, if it is known, and while it is there.
    pub(crate) fn get(&self) -> Option<Dispatch> {
        self.0.get()?.upgrade()
    }
}
