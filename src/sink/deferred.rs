//! What a series was given before it could record it.

use std::mem::take;
use std::vec::IntoIter;

use crate::kind::Kind;
use crate::sync::Mutex;

/// Measurements of one series that wait until they can be recorded.
///
/// One thread delivers them; other threads add to them until that is done, so that nothing
/// overtakes what came before it.
pub(super) struct Deferred {
    kind: Kind,
    /// How many measurements of a histogram wait. Sums need one number, a gauge its last.
    most: usize,
    waiting: Mutex<Waiting>,
}

/// So many take two kilobytes.
const MANY: usize = 256;

#[derive(Default)]
struct Waiting {
    values: Vec<f64>,
    phase: Phase,
}

#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Waiting,
    Delivering,
    Over,
}

/// What became of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kept {
    /// It waits, the first one since the last delivery.
    First,
    More,
    /// It waits, and so do many of a histogram's: it is time to deliver them.
    Many,
    /// There was no room.
    Rejected,
    /// Nothing waits any more: it is to be recorded at once.
    Over,
}

impl Deferred {
    pub(super) const fn new(kind: Kind, most: usize) -> Self {
        Self {
            kind,
            most,
            waiting: Mutex::new(Waiting {
                values: Vec::new(),
                phase: Phase::Waiting,
            }),
        }
    }

    pub(super) fn keep(&self, value: f64) -> Kept {
        let mut waiting = self.waiting.lock();
        // What comes during a delivery does not wait for long.
        let is_full = waiting.phase == Phase::Waiting && waiting.values.len() >= self.most;
        if waiting.phase == Phase::Over {
            Kept::Over
        } else if self.kind == Kind::Histogram && is_full {
            Kept::Rejected
        } else {
            let is_first = waiting.values.is_empty() && waiting.phase == Phase::Waiting;
            waiting.add(self.kind, value);
            match waiting.values.len() {
                _ if is_first => Kept::First,
                MANY => Kept::Many,
                _ => Kept::More,
            }
        }
    }

    /// Delivers what waits, and what comes meanwhile, and ends the waiting: `over` is
    /// called before any other thread is told so. Does nothing if another thread is at it.
    ///
    /// A panic loses the measurement at which it happened. What is left waits for the next
    /// call.
    pub(super) fn deliver_to<T>(
        &self,
        series: impl FnOnce() -> T,
        record: impl Fn(&T, f64),
        over: impl FnOnce(T),
    ) {
        if !self.waiting.lock().begin() {
            return;
        }
        let mut delivery = Delivery {
            deferred: self,
            rest: Vec::new().into_iter(),
        };
        let series = series();
        loop {
            let mut waiting = self.waiting.lock();
            if waiting.values.is_empty() {
                waiting.phase = Phase::Over;
                return over(series);
            }
            delivery.rest = take(&mut waiting.values).into_iter();
            drop(waiting);
            for value in delivery.rest.by_ref() {
                record(&series, value);
            }
        }
    }
}

impl Waiting {
    /// Whether it is this thread that delivers.
    fn begin(&mut self) -> bool {
        let begins = self.phase == Phase::Waiting;
        if begins {
            self.phase = Phase::Delivering;
        }
        begins
    }

    fn add(&mut self, kind: Kind, value: f64) {
        match (kind, self.values.first_mut()) {
            (Kind::Counter | Kind::UpDownCounter, Some(sum)) => *sum += value,
            (Kind::Gauge, Some(last)) => *last = value,
            _ => self.values.push(value),
        }
    }
}

/// Lets another thread deliver the rest after a panic.
struct Delivery<'a> {
    deferred: &'a Deferred,
    rest: IntoIter<f64>,
}

impl Drop for Delivery<'_> {
    fn drop(&mut self) {
        let mut waiting = self.deferred.waiting.lock();
        if waiting.phase == Phase::Delivering {
            waiting.phase = Phase::Waiting;
            let newer = take(&mut waiting.values);
            for value in self.rest.by_ref().chain(newer) {
                waiting.add(self.deferred.kind, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;

    fn delivered(deferred: &Deferred) -> Vec<f64> {
        let all = Mutex::new(Vec::new());
        deferred.deliver_to(|| (), |(), value| all.lock().push(value), |()| ());
        all.lock().clone()
    }

    #[test]
    fn sums_are_one_number_a_gauge_is_its_last_and_samples_are_all() {
        for (kind, expected) in [
            (Kind::Counter, vec![6.0]),
            (Kind::UpDownCounter, vec![6.0]),
            (Kind::Gauge, vec![3.0]),
            (Kind::Histogram, vec![1.0, 2.0, 3.0]),
        ] {
            let deferred = Deferred::new(kind, 8);
            let _ = [1.0, 2.0, 3.0].map(|value| deferred.keep(value));
            assert_eq!(delivered(&deferred), expected);
            assert_eq!(deferred.keep(1.0), Kept::Over);
        }
    }

    #[test]
    fn samples_over_the_bound_are_rejected_and_said_to_be() {
        let deferred = Deferred::new(Kind::Histogram, 2);
        let kept = [1.0, 2.0, 3.0].map(|value| deferred.keep(value));
        assert_eq!(kept, [Kept::First, Kept::More, Kept::Rejected]);
        assert_eq!(delivered(&deferred), [1.0, 2.0]);
    }

    #[test]
    fn of_a_histogram_many_are_said_to_be_so_once() {
        for (kind, times) in [(Kind::Histogram, 1), (Kind::Counter, 0), (Kind::Gauge, 0)] {
            let deferred = Deferred::new(kind, 1000);
            let kept = (0..1000).map(|_| deferred.keep(1.0));
            assert_eq!(kept.filter(|kept| *kept == Kept::Many).count(), times);
        }
    }

    #[test]
    fn what_comes_while_others_are_delivered_follows_them() {
        let deferred = Deferred::new(Kind::Histogram, 1);
        let all = Mutex::new(Vec::new());
        deferred.keep(1.0);
        let record = |(): &(), value| {
            all.lock().push(value);
            if value < 3.0 {
                assert_eq!(deferred.keep(value + 1.0), Kept::More);
            }
        };
        deferred.deliver_to(|| (), record, |()| ());
        assert_eq!(*all.lock(), [1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_panic_loses_the_measurement_that_it_is_about_and_no_other() {
        let deferred = Deferred::new(Kind::Histogram, 8);
        let _ = [1.0, 2.0, 3.0].map(|value| deferred.keep(value));
        let record = |(): &(), value: f64| assert!(value < 2.0, "a bad recorder");
        let panicking = || deferred.deliver_to(|| (), record, |()| ());
        assert!(catch_unwind(AssertUnwindSafe(panicking)).is_err());
        deferred.keep(4.0);
        assert_eq!(delivered(&deferred), [3.0, 4.0]);
    }
}
