//! What went wrong while measuring: rejected, counted and listed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::sync::Mutex;

mod location;
mod reason;

pub use location::Location;
pub use reason::Reason;

/// One thing that is wrong, at one callsite, and how often it happened.
#[derive(Clone, Debug)]
pub struct Problem {
    reason: Reason,
    metric: Arc<str>,
    location: Location,
    detail: Arc<str>,
    count: u64,
}

impl Problem {
    /// One without a count.
    pub(crate) fn new(reason: Reason, metric: &str, location: Location, detail: String) -> Self {
        Self {
            reason,
            metric: metric.into(),
            location,
            detail: detail.into(),
            count: 0,
        }
    }

    /// What is wrong.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The metric as the callsite names it.
    #[must_use]
    pub fn metric(&self) -> &str {
        &self.metric
    }

    /// The callsite.
    #[must_use]
    pub const fn location(&self) -> Location {
        self.location
    }

    /// What exactly, in words: the first case of it.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What it is listed under, in the order of the source.
    pub(crate) fn key(&self) -> (Location, &str, Reason) {
        (self.location, &self.metric, self.reason)
    }

    /// How many measurements were rejected, or went to the overflow series. 0 if
    /// nothing was, or the callsite has not measured yet.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (location, metric, reason) = (self.location, &self.metric, self.reason);
        write!(f, "{location}: {metric}: {reason}: {}", self.detail)?;
        match self.count {
            0 => Ok(()),
            1 => f.write_str(" (once)"),
            count => write!(f, " ({count} times)"),
        }
    }
}

/// All problems, each once. Their number is bounded by the callsites.
#[derive(Debug, Default)]
pub(crate) struct Problems(Mutex<BTreeMap<Key, Arc<Tally>>>);

type Key = (Location, Arc<str>, Reason);

/// The count of one problem.
pub(crate) struct Tally {
    pub(crate) reason: Reason,
    detail: Arc<str>,
    count: AtomicU64,
    /// What else counts it, once that is known: nothing, or our own metric.
    also: OnceLock<Option<CountAlso>>,
}

type CountAlso = Box<dyn Fn() + Send + Sync>;

impl Tally {
    pub(crate) fn add_one(&self) {
        self.count.fetch_add(1, Ordering::Relaxed);
        if let Some(Some(count)) = self.also.get() {
            count();
        }
    }

    /// Calls this, too, for each that is added from now on. The first one stays.
    pub(crate) fn count_also(&self, make: impl FnOnce() -> Option<CountAlso>) {
        self.also.get_or_init(make);
    }
}

impl fmt::Debug for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tally")
            .field("reason", &self.reason)
            .field("detail", &self.detail)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

impl Problems {
    /// Lists a problem, with its first detail, and gives its tally.
    pub(crate) fn list(
        &self,
        reason: Reason,
        metric: &str,
        location: Location,
        detail: impl FnOnce() -> String,
    ) -> Arc<Tally> {
        let mut listed = self.0.lock();
        let tally = listed
            .entry((location, metric.into(), reason))
            .or_insert_with(|| {
                Arc::new(Tally {
                    reason,
                    detail: detail().into(),
                    count: AtomicU64::new(0),
                    also: OnceLock::new(),
                })
            });
        Arc::clone(tally)
    }

    pub(crate) fn snapshot(&self) -> Vec<Problem> {
        let listed = self.0.lock();
        listed
            .iter()
            .map(|((location, metric, reason), tally)| Problem {
                reason: *reason,
                metric: Arc::clone(metric),
                location: *location,
                detail: Arc::clone(&tally.detail),
                count: tally.count.load(Ordering::Relaxed),
            })
            .collect()
    }
}
