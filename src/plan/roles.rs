//! What a field is to its callsite.

use crate::convention::Test;
use crate::kind::Kind;
use crate::value::ValueForm;

/// What a field is: nearly always one thing at most.
#[derive(Clone, Copy)]
#[repr(align(4))]
pub(super) enum FieldRole {
    Nothing,
    Label(u8),
    /// A measure, and the kind whose values it takes.
    Measure(u8, Kind),
    /// Which of the plan's `Roles`.
    Several(u16),
}

/// One load each: a field is asked for its role whenever it is recorded.
const _: () = assert!(size_of::<FieldRole>() == 4);

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
    /// Whether it is held until its span closes.
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

impl FieldRole {
    /// What a field is. Where it is more than one thing, all of them go to `several`.
    ///
    /// A callsite may have any number of fields; of more than 65 536 such ones the others are
    /// nothing.
    pub(super) fn of(roles: Roles, several: &mut Vec<Roles>) -> Self {
        if let Some(one) = roles.as_one() {
            return one;
        }
        let Ok(at) = u16::try_from(several.len()) else {
            return Self::Nothing;
        };
        several.push(roles);
        Self::Several(at)
    }
}

impl Roles {
    fn as_one(&self) -> Option<FieldRole> {
        let Self {
            label,
            tests,
            doc,
            measures,
            mark,
        } = self;
        if !tests.is_empty() || doc.is_some() || mark.is_some() {
            return None;
        }
        match (label, &measures[..]) {
            (None, []) => Some(FieldRole::Nothing),
            (Some(slot), []) => Some(FieldRole::Label(*slot)),
            (None, [planned]) if planned.is_plain() => {
                Some(FieldRole::Measure(planned.measure, planned.takes))
            }
            _ => None,
        }
    }
}

impl PlannedValue {
    fn is_plain(self) -> bool {
        self.form == ValueForm::PLAIN && !self.is_held
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_callsite_may_have_any_number_of_fields() {
        let failure = || Roles {
            mark: Some(Mark::Failure),
            ..Roles::default()
        };
        let mut several = Vec::new();
        let roles: Vec<FieldRole> = (0..70_000)
            .map(|_| FieldRole::of(failure(), &mut several))
            .collect();
        assert!(matches!(roles[300], FieldRole::Several(300)));
        assert!(matches!(roles[65_535], FieldRole::Several(65_535)));
        assert!(matches!(roles[65_536], FieldRole::Nothing));
        assert_eq!(several.len(), 65_536);
    }
}
