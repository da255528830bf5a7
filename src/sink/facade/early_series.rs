//! The series that were measured before a recorder was installed.

use std::sync::Weak;

use crate::sync::Mutex;

/// A series with measurements that wait for the recorder.
pub(super) trait DeliverEarly: Send + Sync {
    /// Records them.
    fn deliver_early(&self);
}

/// All such series of a sink.
#[derive(Default)]
pub(super) struct EarlySeries(Mutex<Vec<Weak<dyn DeliverEarly>>>);

impl EarlySeries {
    pub(super) fn push(&self, series: Weak<dyn DeliverEarly>) {
        self.0.lock().push(series);
    }

    pub(super) fn deliver(&self) {
        let all = std::mem::take(&mut *self.0.lock());
        all.iter()
            .filter_map(Weak::upgrade)
            .for_each(|series| series.deliver_early());
    }
}
