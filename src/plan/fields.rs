//! What each field of a callsite is, and what an event or span recorded there.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use smallvec::SmallVec;
use tracing_core::field::{Field, Visit};

use super::rare::{Rare, Rejected};
use crate::convention::{Says, Test};
use crate::cut::format_cut;
use crate::kind::Kind;
use crate::labels::{LabelBuf, Seed};
use crate::problem::{Reason, Tally};
use crate::value::{ReadField, Value, ValueForm, Visitor, measurement};

/// The roles of a callsite's fields, by their index.
pub(crate) struct FieldPlan {
    pub(super) roles: Box<[FieldRole]>,
    pub(super) docs: Box<[PlannedDoc]>,
    /// The longest text of a label, in bytes.
    pub(crate) label_limit: usize,
    /// Where rejected values are counted, by measure and reason, once one was listed: the
    /// next one is neither shown nor looked for.
    pub(super) rejects: Box<[[OnceLock<Arc<Tally>>; VALUE_REASONS.len()]]>,
}

/// Why a value is rejected.
pub(super) const VALUE_REASONS: [Reason; 4] = [
    Reason::NotANumber,
    Reason::NotFinite,
    Reason::Negative,
    Reason::LevelOverflow,
];

/// What one event or span recorded.
pub(crate) struct Recorded {
    pub(crate) labels: LabelBuf,
    pub(crate) failed: bool,
    pub(super) samples: SmallVec<[(u8, f64); 4]>,
    /// What is measured when the span closes.
    pub(crate) held: Held,
    pub(super) rare: Option<Box<Rare>>,
}

/// Samples that wait for the end of their span, by measure.
pub(crate) type Held = SmallVec<[(u8, f64); 2]>;

/// How much of a help text or a unit is read, in bytes.
const MAX_DOC: usize = 1024;
/// How much of a rejected value is shown in the list of problems.
const MAX_SHOWN: usize = 80;

/// What a field is to its callsite: nearly always one thing at most.
#[repr(u8)]
pub(super) enum FieldRole {
    Nothing,
    Label(u8),
    /// A measure, and the kind whose values it takes.
    Measure(u8, Kind),
    Several(Box<Roles>),
}

/// All that a field may be.
#[derive(Clone, Default)]
pub(super) struct Roles {
    pub(super) label: Option<u8>,
    /// The slots of what is asked of the value.
    pub(super) tests: Vec<(u8, Test)>,
    pub(super) doc: Option<u8>,
    pub(super) measures: Vec<PlannedValue>,
    pub(super) mark: Option<Mark>,
}

/// A value that is measured.
#[derive(Clone, Copy)]
pub(super) struct PlannedValue {
    pub(super) measure: u8,
    /// The kind whose values it takes.
    pub(super) takes: Kind,
    pub(super) form: ValueForm,
    /// Whether it waits for the end of its span.
    pub(super) is_held: bool,
}

/// What a span's field says about how the span ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// Any value means that it failed.
    Failure,
    /// It failed if the value is `ERROR`.
    Status,
}

/// A field that says what a metric means.
pub(super) struct PlannedDoc {
    pub(super) metric: Cow<'static, str>,
    pub(super) says: Says,
    /// Set once it was read: what a metric means is said once.
    pub(super) said: OnceLock<()>,
}

impl FieldPlan {
    /// Reads the fields that `record` offers.
    #[inline]
    pub(crate) fn read(&self, recorded: &mut Recorded, record: impl FnOnce(&mut dyn Visit)) {
        let plan = self;
        record(&mut Visitor(Reader { plan, recorded }));
    }

    pub(super) fn rejects(&self, measure: u8, reason: Reason) -> Option<&Arc<Tally>> {
        self.rejects_place(measure, reason)?.get()
    }

    pub(super) fn set_rejects(&self, measure: u8, reason: Reason, tally: Arc<Tally>) {
        if let Some(place) = self.rejects_place(measure, reason) {
            let _ = place.set(tally);
        }
    }

    fn rejects_place(&self, measure: u8, reason: Reason) -> Option<&OnceLock<Arc<Tally>>> {
        let at = VALUE_REASONS.iter().position(|known| *known == reason)?;
        self.rejects.get(usize::from(measure))?.get(at)
    }

    #[cold]
    fn read_several(&self, roles: &Roles, value: &Value<'_>, recorded: &mut Recorded) {
        if let Some(slot) = roles.label {
            recorded.labels.set(slot, value, self.label_limit);
        }
        for (slot, test) in &roles.tests {
            recorded
                .labels
                .set(*slot, &Value::Bool(test.holds(value)), self.label_limit);
        }
        for planned in &roles.measures {
            recorded.read_planned(self, *planned, value);
        }
        if let Some(doc) = roles.doc
            && self.docs[usize::from(doc)].said.get().is_none()
        {
            let said = format_cut(value, MAX_DOC);
            recorded.rare.get_or_insert_default().docs.push((doc, said));
        }
        match roles.mark {
            None => {}
            Some(Mark::Failure) => recorded.failed |= !matches!(value, Value::Bool(false)),
            Some(Mark::Status) => {
                recorded.failed |= match value {
                    Value::Str(status) => status.eq_ignore_ascii_case("error"),
                    _ => format_cut(value, 8).eq_ignore_ascii_case("error"),
                };
            }
        }
    }
}

impl Recorded {
    #[inline(always)]
    pub(super) fn new(seed: Seed) -> Self {
        Self {
            labels: LabelBuf::new(seed),
            failed: false,
            samples: SmallVec::new(),
            held: Held::new(),
            rare: None,
        }
    }

    /// Whether there is nothing to measure now, nor to say.
    pub(crate) fn is_silent(&self) -> bool {
        self.samples.is_empty() && self.rare.is_none()
    }

    fn read_planned(&mut self, plan: &FieldPlan, planned: PlannedValue, value: &Value<'_>) {
        let PlannedValue {
            measure,
            takes,
            form,
            is_held,
        } = planned;
        match form.measurement(takes, value) {
            Ok(sample) if is_held => self.held.push((measure, sample)),
            Ok(sample) => self.samples.push((measure, sample)),
            Err(reason) => self.reject(plan, measure, reason, value),
        }
    }

    #[inline(always)]
    fn sample(&mut self, plan: &FieldPlan, measure: u8, takes: Kind, value: &Value<'_>) {
        match measurement(takes, value) {
            Ok(sample) => self.samples.push((measure, sample)),
            Err(reason) => self.reject(plan, measure, reason, value),
        }
    }

    #[cold]
    fn reject(&mut self, plan: &FieldPlan, measure: u8, reason: Reason, value: &Value<'_>) {
        if let Some(tally) = plan.rejects(measure, reason) {
            return tally.add_one();
        }
        let shown = format!("`{}`{}", format_cut(value, MAX_SHOWN), value.how_recorded());
        let rejected = Rejected {
            measure,
            reason,
            shown,
        };
        self.rare.get_or_insert_default().rejected.push(rejected);
    }
}

/// Reads fields as their plan says.
struct Reader<'a> {
    plan: &'a FieldPlan,
    recorded: &'a mut Recorded,
}

impl ReadField for Reader<'_> {
    #[inline(always)]
    fn read(&mut self, field: &Field, value: &Value<'_>) {
        let Self { plan, recorded } = self;
        let Some(role) = plan.roles.get(field.index()) else {
            return;
        };
        // Not a `match`, which would become a jump through a table.
        if let FieldRole::Label(slot) = role {
            recorded.labels.set(*slot, value, plan.label_limit);
        } else if let FieldRole::Measure(measure, takes) = role {
            recorded.sample(plan, *measure, *takes, value);
        } else if let FieldRole::Several(roles) = role {
            plan.read_several(roles, value, recorded);
        }
    }
}

impl From<Roles> for FieldRole {
    fn from(roles: Roles) -> Self {
        let Roles {
            label,
            tests,
            doc,
            measures,
            mark,
        } = &roles;
        if !tests.is_empty() || doc.is_some() || mark.is_some() {
            return Self::Several(Box::new(roles));
        }
        match (label, &measures[..]) {
            (None, []) => Self::Nothing,
            (Some(slot), []) => Self::Label(*slot),
            (None, [planned]) if planned.is_plain() => {
                Self::Measure(planned.measure, planned.takes)
            }
            _ => Self::Several(Box::new(roles)),
        }
    }
}

impl PlannedValue {
    fn is_plain(self) -> bool {
        self.form == ValueForm::PLAIN && !self.is_held
    }
}
