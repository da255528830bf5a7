//! What one event or span recorded.

use std::error::Error;
use std::fmt;

use smallvec::SmallVec;
use tracing_core::field::{Field, Visit};

use super::FieldPlan;
use super::rare::{Rare, Rejected};
use super::roles::{FieldRole, Mark, PlannedValue, Roles};
use super::samples::Samples;
use crate::cut::format_cut;
use crate::kind::Kind;
use crate::labels::{LabelBuf, Seed};
use crate::problem::Reason;
use crate::value::{Amount, Value, measurement};

/// What one event or span recorded, as it visits its fields.
pub(crate) struct Recorded<'p> {
    plan: &'p FieldPlan,
    pub(crate) labels: LabelBuf,
    pub(crate) failed: bool,
    pub(super) samples: Samples,
    pub(super) rare: Option<Box<Rare>>,
}

/// Samples that wait for the end of their span, by measure.
pub(crate) type Held = SmallVec<[(u8, f64); 2]>;

/// How much of a help text or a unit is read, in bytes.
const MAX_DOC: usize = 1024;
/// How much of a rejected value is shown in the list of problems.
const MAX_SHOWN: usize = 80;

impl<'p> Recorded<'p> {
    #[inline(always)]
    pub(super) fn new(plan: &'p FieldPlan, seed: Seed) -> Self {
        Self {
            plan,
            labels: LabelBuf::new(seed),
            failed: false,
            samples: Samples::new(),
            rare: None,
        }
    }

    /// Drops it, without a look for what is rarely there.
    #[inline(always)]
    pub(crate) fn end(self) {
        let Self { labels, rare, .. } = self;
        labels.end();
        if let Some(rare) = rare {
            drop_rare(rare);
        }
    }

    /// Whether there is nothing to measure now, nor to say.
    pub(crate) fn is_silent(&self) -> bool {
        self.samples.is_empty() && self.rare.as_ref().is_none_or(|rare| rare.is_silent())
    }

    /// What is measured when the span closes.
    #[inline]
    pub(crate) fn held(&self) -> &[(u8, f64)] {
        self.rare.as_ref().map_or(&[], |rare| &rare.held)
    }

    #[inline(always)]
    fn visit(&mut self, field: &Field, value: Value<'_>) {
        if !self.visit_ordinary(field, &value) {
            self.visit_rare(field, value);
        }
    }

    /// Reads a value of a frequent type into a frequent role, or says that it is not.
    #[inline(always)]
    fn visit_ordinary(&mut self, field: &Field, value: &Value<'_>) -> bool {
        let Some(role) = self.plan.roles.get(field.index()) else {
            return true;
        };
        // Not a `match`, which would become a jump through a table.
        if let FieldRole::Label(slot) = *role {
            self.labels.append(slot, value, self.plan.word_limit)
        } else if let FieldRole::Measure(measure, _) = *role {
            match Amount::of_any_kind(value) {
                Some(amount) => self.samples.push(measure, amount),
                None => false,
            }
        } else {
            matches!(role, FieldRole::Nothing)
        }
    }

    /// Reads any value into any role.
    #[inline(never)]
    fn visit_rare(&mut self, field: &Field, value: Value<'_>) {
        let plan = self.plan;
        match plan.roles.get(field.index()) {
            Some(FieldRole::Label(slot)) => self.labels.set(*slot, &value, plan.label_limit),
            Some(FieldRole::Measure(measure, takes)) => self.sample(*measure, *takes, &value),
            Some(FieldRole::Several(at)) => {
                self.visit_several(&plan.several[usize::from(*at)], &value);
            }
            Some(FieldRole::Nothing) | None => {}
        }
    }

    fn visit_several(&mut self, roles: &Roles, value: &Value<'_>) {
        let limit = self.plan.label_limit;
        if let Some(slot) = roles.label {
            self.labels.set(slot, value, limit);
        }
        for (slot, test) in &roles.tests {
            let holds = Value::Bool(test.holds(value));
            self.labels.set(*slot, &holds, limit);
        }
        for planned in &roles.measures {
            self.sample_planned(*planned, value);
        }
        if let Some(doc) = roles.doc
            && self.plan.docs[usize::from(doc)].said.get().is_none()
        {
            let said = format_cut(value, MAX_DOC);
            self.rare().docs.push((doc, said));
        }
        self.failed |= roles.mark.is_some_and(|mark| mark.says_failed(value));
    }

    fn sample_planned(&mut self, planned: PlannedValue, value: &Value<'_>) {
        let PlannedValue { measure, takes, .. } = planned;
        match planned.form.measurement(takes, value) {
            Ok(sample) if planned.is_held => self.rare().held.push((measure, sample)),
            Ok(sample) => self.push(measure, sample.into()),
            Err(reason) => self.reject(measure, reason, value),
        }
    }

    fn sample(&mut self, measure: u8, takes: Kind, value: &Value<'_>) {
        match measurement(takes, value) {
            Ok(sample) => self.push(measure, sample.into()),
            Err(reason) => self.reject(measure, reason, value),
        }
    }

    fn push(&mut self, measure: u8, amount: Amount) {
        if !self.samples.push(measure, amount) {
            self.rare().samples.push((measure, amount));
        }
    }

    #[cold]
    fn reject(&mut self, measure: u8, reason: Reason, value: &Value<'_>) {
        if let Some(tally) = self.plan.rejects(measure, reason) {
            return tally.add_one();
        }
        let shown = format!("`{}`{}", format_cut(value, MAX_SHOWN), value.how_recorded());
        self.rare().rejected.push(Rejected {
            measure,
            reason,
            shown,
        });
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }
}

#[cold]
#[inline(never)]
fn drop_rare(rare: Box<Rare>) {
    drop(rare);
}

impl Mark {
    fn says_failed(self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Failure, value) => !matches!(value, Value::Bool(false)),
            (Self::Status, Value::Str(status)) => status.eq_ignore_ascii_case("error"),
            (Self::Status, value) => format_cut(value, 8).eq_ignore_ascii_case("error"),
        }
    }
}

impl Visit for Recorded<'_> {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.visit(field, Value::I64(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.visit(field, Value::U64(value));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.visit_rare(field, Value::I128(value));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.visit_rare(field, Value::U128(value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.visit(field, Value::F64(value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.visit(field, Value::Bool(value));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.visit(field, Value::Str(value));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.visit_rare(field, Value::Error(value));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.visit_rare(field, Value::Text(value));
    }
}
