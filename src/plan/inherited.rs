//! Labels that are inherited from the spans around.

use super::Plan;
use crate::labels::LabelBuf;

/// The slot of an inherited label, and those of own ones that hide it.
pub(super) struct Inherited {
    pub(super) slot: u8,
    pub(super) hidden_by: Box<[u8]>,
}

impl Plan {
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
}

impl Inherited {
    /// Whether it has no value yet, and nothing hides it.
    fn is_wanted(&self, labels: &LabelBuf) -> bool {
        !labels.has(self.slot) && !self.hidden_by.iter().any(|own| labels.has(*own))
    }
}
