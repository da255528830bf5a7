//! What is rarely recorded: values that are rejected, units and help texts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Held, Plan};
use crate::convention::Says;
use crate::problem::{Reason, Tally};
use crate::value::Amount;

/// What an event or span has recorded that most do not.
#[derive(Default)]
pub(super) struct Rare {
    /// Those beyond the first few.
    pub(super) samples: Vec<(u8, Amount)>,
    /// What is measured when the span closes.
    pub(super) held: Held,
    pub(super) rejected: Vec<Rejected>,
    pub(super) docs: Vec<(u8, String)>,
}

pub(super) struct Rejected {
    pub(super) measure: u8,
    pub(super) reason: Reason,
    pub(super) shown: String,
}

impl Rare {
    /// Whether there is nothing to measure now, nor to say.
    pub(super) fn is_silent(&self) -> bool {
        self.samples.is_empty() && self.rejected.is_empty() && self.docs.is_empty()
    }
}

impl Plan {
    #[cold]
    pub(super) fn take_rare(&self, rare: &Rare) {
        for (doc, text) in &rare.docs {
            self.document(*doc, text);
        }
        for rejected in &rare.rejected {
            let shown = || rejected.shown.clone();
            self.reject(rejected.measure, rejected.reason, shown);
        }
    }

    #[cold]
    pub(super) fn reject(&self, measure: u8, reason: Reason, shown: impl FnOnce() -> String) {
        if let Some(tally) = self.fields.rejects(measure, reason) {
            return tally.add_one();
        }
        let tally = match &self.measures[usize::from(measure)].target {
            Ok(metric) => {
                let (name, problems) = (metric.name(), self.catalog.problems());
                problems.list(reason, name, self.location, shown)
            }
            Err(tally) => Arc::clone(tally),
        };
        self.catalog.reject(&tally);
        self.fields.set_rejects(measure, reason, tally);
    }

    fn document(&self, doc: u8, text: &str) {
        let doc = &self.fields.docs[usize::from(doc)];
        let (metric, catalog) = (&doc.metric, &self.catalog);
        match doc.says {
            Says::Help => catalog.declare_help(metric, text, self.location),
            Says::Unit => {
                if let Err(tally) = catalog.declare_unit(metric, text, self.location) {
                    self.refuse_unit(metric, &tally);
                }
            }
        }
        // Not before it was said: another thread may be about to measure.
        let _ = doc.said.set(());
    }

    fn refuse_unit(&self, metric: &str, tally: &Arc<Tally>) {
        for planned in &self.measures {
            if planned.is_named(metric) {
                let _ = planned.unit_conflict.set(Arc::clone(tally));
                self.has_conflict.store(true, Ordering::Relaxed);
            }
        }
    }
}
