//! Values that are mapped before a binding is looked for.
//!
//! There may be no bound to the values that a map makes a few of. Of those that it makes one
//! of, some are bound as they are; what is recorded beyond that is mapped each time, and then
//! found among the few.

use super::Plan;
use super::binding::{Binding, BindingPosition};
use super::view::{View, ViewedSource};
use crate::convention::ValueMap;
use crate::labels::{LabelBuf, LabelValue};

/// The slots whose values are read through one map alone.
pub(super) struct MappedSlots(Box<[(u8, ValueMap)]>);

impl MappedSlots {
    pub(super) fn of(views: &[View], carried: &[(u8, u8)]) -> Self {
        let labels = views.iter().flat_map(|view| &view.labels);
        let sources: Vec<&ViewedSource> = labels
            .flat_map(|label| label.sources.iter().chain(&label.late_sources))
            .collect();
        let is_alone = |slot: u8, map: &ValueMap| {
            let mut sources = sources.iter();
            let is_other = |source: &&ViewedSource| match source {
                ViewedSource::Slot(other) => *other == slot,
                ViewedSource::Map(other, it) => *other == slot && it != map,
                ViewedSource::Constant(_) | ViewedSource::Outcome(_) => false,
            };
            !sources.any(is_other) && carried.iter().all(|(own, _)| *own != slot)
        };
        let mut mapped: Vec<(u8, ValueMap)> = Vec::new();
        for source in &sources {
            if let ViewedSource::Map(slot, map) = source
                && is_alone(*slot, map)
                && mapped.iter().all(|(known, _)| known != slot)
            {
                mapped.push((*slot, map.clone()));
            }
        }
        Self(mapped.into())
    }

    fn map_of(&self, slot: u8) -> Option<&ValueMap> {
        let mut maps = self.0.iter();
        maps.find(|(known, _)| *known == slot).map(|(_, map)| map)
    }
}

impl Plan {
    /// The binding of what was recorded, which may be mapped if there is none.
    #[inline(always)]
    pub(crate) fn locate(&self, labels: &mut LabelBuf) -> Option<(BindingPosition, &Binding)> {
        let found = self.bindings.find(labels.key());
        if found.is_some() || self.mapped.0.is_empty() {
            return found;
        }
        self.locate_mapped(labels)
    }

    #[cold]
    fn locate_mapped(&self, labels: &mut LabelBuf) -> Option<(BindingPosition, &Binding)> {
        let map_of = |slot| {
            let map = self.mapped.map_of(slot)?;
            Some(|value: &LabelValue| map.apply(value))
        };
        let mapped = labels.mapped(map_of, self.fields.label_limit);
        if mapped.as_words() == labels.as_words() {
            return None;
        }
        let found = self.bindings.find(mapped.key());
        if found.is_some_and(|(_, binding)| binding.takes_unmapped() && self.has_room_unmapped()) {
            // This one is bound as it is, and is not mapped again.
            return None;
        }
        *labels = mapped;
        found
    }

    /// Other bindings need room, too.
    fn has_room_unmapped(&self) -> bool {
        self.bindings.len() < self.most_bindings / 2
    }
}
