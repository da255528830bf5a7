//! Which instruments a callsite feeds, and when.

use std::sync::{Arc, OnceLock};

use super::super::PlannedMeasure;
use super::super::roles::PlannedValue;
use super::{Compiler, index};
use crate::catalog::Metric;
use crate::convention::{Measure, Reading, Recipe, Source, ValueField};
use crate::kind::Kind;
use crate::problem::{Location, Reason, Tally};

const MAX_MEASURES: usize = 250;

impl<'a> Compiler<'a> {
    pub(super) fn add_measure(&mut self, measure: &Measure, recipe: &'a Recipe, view: u8) {
        if self.measures.len() == MAX_MEASURES {
            let detail = format!("the callsite has more than {MAX_MEASURES} measures");
            return self.list(Reason::TooMany, detail);
        }
        if let Some(field) = measure.field_name()
            && !self.has_field(field)
        {
            return self.list_missing(recipe, &measure.metric, field, "measures the field");
        }
        if !self.schedule(measure, index(self.measures.len())) {
            return;
        }
        let hidden_by = self.hidden_by(measure, recipe);
        let planned = PlannedMeasure {
            target: self.target(measure),
            reading: measure.reading(),
            view,
            is_late: measure.is_late(),
            hidden_by,
            unit_conflict: OnceLock::new(),
        };
        self.measures.push((recipe, planned));
    }

    fn target(&self, measure: &Measure) -> Result<Arc<Metric>, Arc<Tally>> {
        let (name, location) = (&*measure.metric, Location::of(self.metadata));
        let metric = self.catalog.declare(name, measure.kind, location)?;
        if let Some(help) = &measure.help {
            self.catalog.declare_help(name, help, location);
        }
        if let Some(unit) = &measure.unit {
            self.catalog.declare_unit(name, unit, location)?;
        }
        Ok(metric)
    }

    /// The measures of other recipes that feed the same metric: what one convention counts
    /// is not counted again by another.
    fn hidden_by(&self, measure: &Measure, recipe: &Recipe) -> Box<[u8]> {
        let before = (0..).zip(&self.measures).filter(|(_, (other, planned))| {
            !std::ptr::eq(*other, recipe) && planned.is_named(&measure.metric)
        });
        let hidden_by: Vec<(u8, &str)> = before
            .map(|(at, (other, _))| (at, &*other.convention))
            .collect();
        if let Some((_, other)) = hidden_by.first() {
            let (metric, location) = (&measure.metric, Location::of(self.metadata));
            let detail = || format!("`{other}` measures it here before `{}`", recipe.convention);
            let problems = self.catalog.problems();
            problems.list(Reason::Hidden, metric, location, detail);
        }
        hidden_by.into_iter().map(|(at, _)| at).collect()
    }

    /// Notes when a measure is due. Whether it ever is at this callsite.
    fn schedule(&mut self, measure: &Measure, index: u8) -> bool {
        let is_span = self.metadata.is_span();
        match &measure.source {
            Source::Field(field, reading) => {
                let takes = match reading {
                    Reading::Amount => measure.kind,
                    // A level may be below zero, although its rises are counted.
                    Reading::Rise | Reading::Fall => Kind::Gauge,
                };
                self.read_into(field, index, takes, false);
            }
            Source::Happened if !is_span => self.moments.happened.push(index),
            Source::Happened => return false,
            _ if !is_span => return false,
            Source::FieldAtClose(field, default) => {
                self.read_into(field, index, measure.kind, true);
                self.moments.held.push((index, *default));
            }
            Source::Opened => self.moments.opened.push(index),
            Source::Closed => self.moments.closed.push(index),
            Source::InFlight => self.moments.in_flight.push(index),
            Source::Duration => self.moments.duration.push(index),
        }
        true
    }

    fn read_into(&mut self, field: &ValueField, measure: u8, takes: Kind, is_held: bool) {
        let form = field.form;
        for role in self.roles_of(&field.name) {
            role.measures.push(PlannedValue {
                measure,
                takes,
                form,
                is_held,
            });
        }
    }
}
