//! A callsite's recipes, compiled once against the indices of its fields.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use crate::catalog::{Catalog, Metric};
use crate::convention::Reading;
use crate::labels::LabelBuf;
use crate::pending::Pending;
use crate::problem::{Location, Tally};

mod admission;
mod binding;
mod compile;
mod fields;
mod inherited;
mod mapped;
mod measure;
mod moments;
mod outcome;
mod rare;
mod recorded;
mod roles;
mod samples;
mod source_location;
mod spans;
mod view;

use binding::Bindings;
pub(crate) use binding::{Binding, BindingPosition};
pub(crate) use compile::{LabelRules, compile, is_of_interest};
pub(crate) use fields::FieldPlan;
use inherited::Inherited;
use mapped::MappedSlots;
pub(crate) use moments::Moments;
pub(crate) use outcome::Outcome;
pub(crate) use recorded::{Held, Recorded};
pub(crate) use source_location::SourceLocation;
pub(crate) use spans::{InFlight, KeptSeries};
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
    pub(crate) source: Option<SourceLocation>,
    /// The source of the span that failed if this event happens.
    pub(crate) fails: Option<SourceLocation>,
    bindings: Bindings,
    /// How many bindings there may be to series that another binding leads to, too.
    most_bindings: usize,
    /// Whether any measure has a unit conflict.
    has_conflict: AtomicBool,
    catalog: Arc<Catalog>,
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

impl Plan {
    #[inline(always)]
    pub(crate) fn nothing_recorded(&self) -> Recorded<'_> {
        Recorded::new(&self.fields, self.bindings.seed)
    }

    #[inline]
    pub(crate) fn no_labels(&self) -> LabelBuf {
        LabelBuf::new(self.bindings.seed)
    }

    /// The first measure's name, to name a callsite in a problem.
    pub(crate) fn first_metric(&self) -> Option<&str> {
        let metric = self.measures.first()?.target.as_ref();
        Some(metric.map_or("", |metric| metric.name()))
    }

    pub(crate) const fn location(&self) -> Location {
        self.location
    }
}

impl PlannedMeasure {
    /// OpenTelemetry's names ignore case.
    fn is_named(&self, metric: &str) -> bool {
        let target = self.target.as_ref();
        target.is_ok_and(|target| target.name().eq_ignore_ascii_case(metric))
    }
}
