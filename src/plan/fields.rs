//! What the fields of a callsite are, by their index.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};

use super::roles::{FieldRole, Roles};
use crate::convention::Says;
use crate::labels::WORD;
use crate::problem::{Reason, Tally};

/// The roles of a callsite's fields, by their index.
pub(crate) struct FieldPlan {
    pub(super) roles: Box<[FieldRole]>,
    /// Of the fields that are more than one thing.
    pub(super) several: Box<[Roles]>,
    pub(super) docs: Box<[PlannedDoc]>,
    /// The longest text of a label, in bytes.
    pub(crate) label_limit: usize,
    /// The longest that is neither cut nor takes more than one word.
    pub(super) word_limit: usize,
    /// Where rejected values are counted, by measure and reason, once one was listed: the
    /// next one is neither shown nor looked for.
    rejects: Box<[[OnceLock<Arc<Tally>>; VALUE_REASONS.len()]]>,
}

/// Why a value is rejected.
const VALUE_REASONS: [Reason; 4] = [
    Reason::NotANumber,
    Reason::NotFinite,
    Reason::Negative,
    Reason::LevelOverflow,
];

/// A field that says what a metric means.
pub(super) struct PlannedDoc {
    pub(super) metric: Cow<'static, str>,
    pub(super) says: Says,
    /// Set once it was read: what a metric means is said once.
    pub(super) said: OnceLock<()>,
}

impl FieldPlan {
    pub(super) fn new(
        fields: Vec<Roles>,
        docs: Box<[PlannedDoc]>,
        label_limit: usize,
        measures: usize,
    ) -> Self {
        let mut several = Vec::new();
        let roles = fields.into_iter().map(|it| FieldRole::of(it, &mut several));
        Self {
            roles: roles.collect(),
            several: several.into(),
            docs,
            label_limit,
            word_limit: label_limit.min(WORD),
            rejects: (0..measures).map(|_| Default::default()).collect(),
        }
    }

    pub(super) fn rejects(&self, measure: u8, reason: Reason) -> Option<&Arc<Tally>> {
        self.rejects_of(measure, reason)?.get()
    }

    pub(super) fn set_rejects(&self, measure: u8, reason: Reason, tally: Arc<Tally>) {
        if let Some(of) = self.rejects_of(measure, reason) {
            let _ = of.set(tally);
        }
    }

    fn rejects_of(&self, measure: u8, reason: Reason) -> Option<&OnceLock<Arc<Tally>>> {
        let at = VALUE_REASONS.iter().position(|known| *known == reason)?;
        self.rejects.get(usize::from(measure))?.get(at)
    }
}
