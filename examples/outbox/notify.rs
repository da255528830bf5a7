//! Tells the publisher that there is an event, without waiting for it.

use tokio::sync::mpsc;
use tracing::info;

/// How many notifications wait for a publisher that is busy.
pub(crate) const CAPACITY: usize = 4;

pub(super) fn channel() -> (Notifier, Notifications) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    (Notifier(sender), Notifications(receiver))
}

/// The producer's end.
pub(super) struct Notifier(mpsc::Sender<i64>);

impl Notifier {
    /// A producer never waits: the publisher's next poll finds what it has missed.
    pub(super) fn notify(&self, event: i64) {
        if self.0.try_send(event).is_err() {
            info!(
                monotonic_counter.outbox.notify.missed = 1,
                "the publisher is busy"
            );
        }
    }
}

/// The publisher's end.
pub(super) struct Notifications(mpsc::Receiver<i64>);

impl Notifications {
    pub(super) fn next(&mut self) -> Option<i64> {
        self.0.try_recv().ok()
    }
}
