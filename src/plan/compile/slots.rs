//! Slots for values, and for what is asked of them.

use std::collections::{BTreeSet, HashMap};

use super::{Compiler, index};
use crate::convention::{Condition, Feed, Recipe, Test};
use crate::problem::Reason;

/// Together with those of inherited labels they leave one for the outcome.
const MAX_SLOTS: usize = 150;

/// Which slots the fields of a callsite have, in their order: so they are mostly recorded.
#[derive(Default)]
pub(super) struct Slots {
    values: HashMap<&'static str, u8>,
    tests: Vec<(Condition, u8)>,
}

impl Slots {
    pub(super) fn of(&self, field: &str) -> Option<u8> {
        self.values.get(field).copied()
    }

    /// The slot that says whether a condition's field has passed its test.
    pub(super) fn of_test(&self, condition: &Condition) -> Option<u8> {
        let mut tests = self.tests.iter();
        let (_, slot) = tests.find(|(known, _)| known == condition)?;
        Some(*slot)
    }

    pub(super) fn len(&self) -> usize {
        self.values.len() + self.tests.len()
    }
}

impl Compiler<'_> {
    /// Gives slots to the fields that are read, and to all conditions.
    ///
    /// A condition has another slot than the value: there may be no bound to what it
    /// is asked of, and each set of values makes a binding.
    pub(super) fn add_slots(&mut self, read: &BTreeSet<&str>, feeds: &[(&Recipe, &Feed)]) -> Slots {
        let mut slots = Slots::default();
        let mut seen = BTreeSet::new();
        for field in self.metadata.fields() {
            let name = field.name();
            if !seen.insert(name) {
                continue;
            }
            if read.contains(name)
                && let Some(slot) = self.next_slot(&slots)
            {
                slots.values.insert(name, slot);
                self.roles_of(name)
                    .for_each(|roles| roles.label = Some(slot));
            }
            for (_, feed) in feeds {
                self.add_tests(name, feed, &mut slots);
            }
        }
        slots
    }

    fn add_tests(&mut self, field: &str, feed: &Feed, slots: &mut Slots) {
        for condition in feed.conditions.iter().filter(|it| it.field == field) {
            if slots.of_test(condition).is_none()
                && let Some(slot) = self.next_slot(slots)
            {
                slots.tests.push((condition.clone(), slot));
                let test = |test: &Test| (slot, test.clone());
                let roles = self.roles_of(field);
                roles.for_each(|roles| roles.tests.push(test(&condition.test)));
            }
        }
    }

    fn next_slot(&self, slots: &Slots) -> Option<u8> {
        if slots.len() == MAX_SLOTS {
            let detail = format!("the callsite has more than {MAX_SLOTS} labels and conditions");
            self.list(Reason::TooMany, detail);
            return None;
        }
        Some(index(slots.len()))
    }
}
