//! Units and help texts, from wherever they come first.

use std::collections::HashMap;
use std::sync::Arc;

use crate::instrument::Unit;
use crate::sync::Mutex;

/// What a program says about its metrics: in fields, or in the builder.
#[derive(Default)]
pub(crate) struct Docs(Mutex<HashMap<String, Doc>>);

#[derive(Default)]
struct Doc {
    unit: Option<Unit>,
    help: Option<Arc<str>>,
    /// The metric is being measured: its unit cannot change any more.
    closed: bool,
}

/// The metric was measured already.
pub(crate) struct TooLate;

/// Why a unit is not taken.
pub(crate) enum UnitConflict {
    /// The metric has this one.
    Is(Unit),
    /// The metric was measured without one.
    TooLate,
}

impl Docs {
    /// The first help text wins. An error says that the exporters have the metric
    /// without one already.
    pub(crate) fn set_help(&self, name: &str, help: &str) -> Result<(), TooLate> {
        let mut docs = self.0.lock();
        let doc = docs.entry(name.to_ascii_lowercase()).or_default();
        if doc.help.is_none() && doc.closed {
            return Err(TooLate);
        }
        doc.help.get_or_insert_with(|| help.into());
        Ok(())
    }

    pub(crate) fn set_unit(&self, name: &str, unit: Unit) -> Result<(), UnitConflict> {
        let mut docs = self.0.lock();
        let doc = docs.entry(name.to_ascii_lowercase()).or_default();
        match &doc.unit {
            Some(before) if *before == unit => Ok(()),
            None if !doc.closed => {
                doc.unit = Some(unit);
                Ok(())
            }
            None => Err(UnitConflict::TooLate),
            Some(before) => Err(UnitConflict::Is(before.clone())),
        }
    }

    pub(super) fn of(&self, name: &str) -> (Option<Unit>, Option<Arc<str>>) {
        let docs = self.0.lock();
        match docs.get(&name.to_ascii_lowercase()) {
            Some(doc) => (doc.unit.clone(), doc.help.clone()),
            None => (None, None),
        }
    }

    pub(super) fn close(&self, name: &str) {
        let mut docs = self.0.lock();
        docs.entry(name.to_ascii_lowercase()).or_default().closed = true;
    }
}
