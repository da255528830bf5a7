//! A callsite's recipe, compiled once against the indices of its fields.

use std::sync::{Arc, OnceLock};

use crate::catalog::{Catalog, Metric};
use crate::convention::{Reading, Says};
use crate::labels::{LabelBuf, LabelKey};
use crate::pending::Pending;
use crate::problem::{Location, Reason, Tally};
use crate::series::Series;

mod admission;
mod binding;
mod compile;
mod fields;
mod mapped;
mod moments;
mod source_location;
mod view;

use binding::Bindings;
pub(crate) use binding::{Binding, BindingPosition};
pub(crate) use compile::{LabelRules, compile, is_of_interest};
pub(crate) use fields::{FieldPlan, Held, Recorded};
use fields::{Rare, Rejected};
use mapped::MappedSlots;
pub(crate) use moments::{InFlight, KeptSeries, Moments, Outcome};
pub(crate) use source_location::SourceLocation;
use view::View;

/// Everything there is to know about a callsite, so that measuring it compares
/// no names: what each field is, by its index, and where measurements go.
pub(crate) struct Plan {
    location: Location,
    /// What each field is.
    pub(crate) fields: FieldPlan,
    /// What was recorded, as each feed sees it.
    views: Box<[View]>,
    mapped: MappedSlots,
    /// The inherited labels, in the layer's order.
    inherited: Box<[Inherited]>,
    /// Which own labels are given to everything inside, as (slot, position in
    /// the layer's list of inherited labels).
    pub(crate) carried: Box<[(u8, u8)]>,
    measures: Box<[PlannedMeasure]>,
    pub(crate) moments: Moments,
    /// Where it stands in the source.
    pub(crate) place: Option<SourceLocation>,
    /// The place of the span that failed if this event happens.
    pub(crate) fails: Option<SourceLocation>,
    bindings: Bindings,
    /// How many ways may be remembered to series that another way leads to, too.
    most_ways: usize,
    pending: Arc<Pending>,
}

struct PlannedMeasure {
    target: Result<Arc<Metric>, Arc<Tally>>,
    reading: Reading,
    view: u8,
    /// Due when a span closes.
    is_late: bool,
    /// Measures of conventions before, which feed the same metric: where one of them does,
    /// this one does not.
    hidden_by: Box<[u8]>,
    /// Set if the unit that this callsite gives is not the metric's.
    unit_conflict: OnceLock<Arc<Tally>>,
}

/// Where an inherited label stands, and which own ones hide it.
struct Inherited {
    slot: u8,
    hidden_by: Box<[u8]>,
}

impl Plan {
    #[inline(always)]
    pub(crate) fn nothing_recorded(&self) -> Recorded {
        Recorded::new(self.bindings.seed)
    }

    #[inline]
    pub(crate) fn no_labels(&self) -> LabelBuf {
        LabelBuf::new(self.bindings.seed)
    }

    /// Records all samples, under labels that may be more than were recorded.
    #[inline(always)]
    pub(crate) fn measure(
        &self,
        recorded: &Recorded,
        binding: Option<&Binding>,
        key: LabelKey<'_>,
        catalog: &Catalog,
    ) {
        if let Some(rare) = &recorded.rare {
            self.document(rare, catalog);
            for rejected in &rare.rejected {
                let Rejected {
                    measure,
                    reason,
                    shown,
                } = rejected;
                self.reject(*measure, *reason, catalog, || shown.clone());
            }
        }
        for (measure, value) in &recorded.samples {
            self.add(*measure, *value, binding, key, catalog);
        }
        self.add_each(&self.moments.happened, 1.0, binding, key, catalog);
    }

    /// Takes over an inherited label, unless a nearer one is there: what is hidden
    /// must not make another binding.
    pub(crate) fn inherit(&self, position: u8, stored: &[u64], from: u8, labels: &mut LabelBuf) {
        let inherited = &self.inherited[usize::from(position)];
        if inherited.is_wanted(labels) {
            labels.set_from(inherited.slot, stored, from);
        }
    }

    /// Whether a span further out may have a label for what is measured here.
    pub(crate) fn may_inherit_more(&self, labels: &LabelBuf) -> bool {
        let mut inherited = self.inherited.iter();
        inherited.any(|inherited| inherited.is_wanted(labels))
    }

    /// The first measure's name, to name a callsite in a problem.
    pub(crate) fn first_metric(&self) -> Option<&str> {
        let metric = self.measures.first()?.target.as_ref();
        Some(metric.map_or("", |metric| metric.name()))
    }

    pub(crate) const fn location(&self) -> Location {
        self.location
    }

    #[inline(always)]
    fn add(
        &self,
        measure: u8,
        value: f64,
        binding: Option<&Binding>,
        key: LabelKey<'_>,
        catalog: &Catalog,
    ) {
        let planned = &self.measures[usize::from(measure)];
        let is_added = planned.unit_conflict.get().is_none()
            && binding.is_some_and(|binding| self.add_on(binding, measure, planned, value));
        if !is_added {
            self.add_to_admitted(measure, value, key, catalog);
        }
    }

    /// Whether the binding leads to a series of this measure.
    #[inline(always)]
    fn add_on(&self, binding: &Binding, measure: u8, planned: &PlannedMeasure, value: f64) -> bool {
        let Some(end) = binding.end(measure) else {
            return false;
        };
        if let Some(place) = end.place.get()
            && self.pending.add(*place, value)
        {
            return true;
        }
        let Some(fed) = end.series.get() else {
            return false;
        };
        let Some(series) = fed else {
            return true;
        };
        planned.reading.add(series, value);
        if planned.reading == Reading::Amount
            && let Some(place) = series.place()
        {
            let _ = end.place.set(place);
        }
        true
    }

    #[cold]
    fn reject(
        &self,
        measure: u8,
        reason: Reason,
        catalog: &Catalog,
        shown: impl FnOnce() -> String,
    ) {
        if let Some(tally) = self.fields.rejects(measure, reason) {
            return tally.add_one();
        }
        let tally = match &self.measures[usize::from(measure)].target {
            Ok(metric) => {
                let (name, problems) = (metric.name(), catalog.problems());
                problems.list(reason, name, self.location, shown)
            }
            Err(tally) => Arc::clone(tally),
        };
        catalog.reject(&tally);
        self.fields.set_rejects(measure, reason, tally);
    }

    #[cold]
    fn document(&self, rare: &Rare, catalog: &Catalog) {
        for (doc, text) in &rare.docs {
            let doc = &self.fields.docs[usize::from(*doc)];
            match doc.says {
                Says::Help => catalog.declare_help(&doc.metric, text, self.location),
                Says::Unit => {
                    let declared = catalog.declare_unit(&doc.metric, text, self.location);
                    if let Err(tally) = declared {
                        self.refuse_unit(&doc.metric, &tally);
                    }
                }
            }
            // Not before it was said: another thread may be about to measure.
            let _ = doc.said.set(());
        }
    }

    fn refuse_unit(&self, metric: &str, tally: &Arc<Tally>) {
        for planned in &self.measures {
            if is_named(planned, metric) {
                let _ = planned.unit_conflict.set(Arc::clone(tally));
            }
        }
    }
}

impl Inherited {
    /// Whether it has no value yet, and nothing hides it.
    fn is_wanted(&self, labels: &LabelBuf) -> bool {
        !labels.has(self.slot) && !self.hidden_by.iter().any(|own| labels.has(*own))
    }
}

/// OpenTelemetry's names ignore case.
fn is_named(planned: &PlannedMeasure, metric: &str) -> bool {
    let target = planned.target.as_ref();
    target.is_ok_and(|target| target.name().eq_ignore_ascii_case(metric))
}

impl Reading {
    #[inline(always)]
    fn add(self, series: &Series, value: f64) {
        match self {
            Self::Amount => series.record(value),
            Self::Rise => series.record_rise_to(value),
            Self::Fall => series.record_fall_to(value),
        }
    }
}
