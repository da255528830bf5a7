//! From a recipe to a plan.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use tracing_core::Metadata;

use super::fields::{FieldPlan, FieldRole, Mark, PlannedDoc, Roles};
use super::route::Routes;
use super::{CodePlace, Moments, Plan, PlannedMeasure};
use crate::catalog::Catalog;
use crate::convention::{Measure, Reading, Recipe, Source};
use crate::kind::Kind;
use crate::labels::LabelNames;
use crate::problem::{Location, Reason};

mod labels;

const MAX_MEASURES: usize = 250;
const MAX_DOCS: usize = 250;

/// Which fields of spans are labels, beside `label.KEY`.
#[derive(Debug, Default)]
pub(crate) struct LabelRules {
    /// Fields that label their span's own metrics.
    pub(crate) span_labels: Vec<Arc<str>>,
    /// Fields that label everything that is measured inside their span, too.
    pub(crate) inherited: Vec<Arc<str>>,
    /// The longest text of a label, in bytes.
    pub(crate) limit: usize,
}

/// Whether a callsite has anything to measure, to say, or to give to others.
pub(crate) fn is_of_interest(
    metadata: &Metadata<'static>,
    recipes: &[Recipe],
    rules: &LabelRules,
) -> bool {
    let feeds = |recipe: &Recipe| recipe.measures().next().is_some() || !recipe.docs.is_empty();
    recipes.iter().any(feeds) || carries_labels(metadata, recipes, rules)
}

/// The plan of a callsite of interest.
pub(crate) fn compile(
    metadata: &'static Metadata<'static>,
    recipes: &[Recipe],
    rules: &LabelRules,
    catalog: &Catalog,
) -> Plan {
    let measures = || recipes.iter().flat_map(Recipe::measures);
    let mut compiler = Compiler {
        metadata,
        catalog,
        fields: vec![Roles::default(); metadata.fields().len()],
        measures: Vec::new(),
        moments: Moments::default(),
        problem_metric: measures().next().map_or("", |m| &m.metric),
    };
    for measure in measures() {
        compiler.add_measure(measure);
    }
    let keys = compiler.add_labels(recipes, rules);
    let docs = compiler.add_docs(recipes);
    let carried = labels::carried(metadata, &keys, rules);
    if compiler.moments.have_outcome() {
        compiler.add_marks();
    }
    let inherited = labels::inherited(&keys, rules);
    let label_keys: Box<[_]> = keys.iter().chain(&rules.inherited).cloned().collect();
    compiler.add_label_keys(&label_keys);
    let routes = Routes::new(compiler.measures.len());
    Plan {
        location: Location::of(metadata),
        fields: FieldPlan {
            roles: compiler.fields.into_iter().map(FieldRole::from).collect(),
            docs,
            label_limit: rules.limit,
            rejects: compiler
                .measures
                .iter()
                .map(|_| Default::default())
                .collect(),
        },
        label_names: LabelNames::new(label_keys),
        inherited,
        carried,
        measures: compiler.measures.into(),
        moments: compiler.moments,
        place: CodePlace::of(metadata),
        fails: CodePlace::of_failed_span(metadata),
        routes,
        gatherer: Arc::clone(catalog.gatherer()),
    }
}

fn carries_labels(metadata: &Metadata<'static>, recipes: &[Recipe], rules: &LabelRules) -> bool {
    let is_inherited = |key: &str| rules.inherited.iter().any(|known| **known == *key);
    let mut fields = metadata.fields().iter();
    metadata.is_span()
        && (recipes
            .iter()
            .flat_map(|recipe| &recipe.feeds)
            .flat_map(|feed| &feed.labels)
            .any(|label| is_inherited(&label.key))
            || fields.any(|field| is_inherited(field.name())))
}

struct Compiler<'a> {
    metadata: &'static Metadata<'static>,
    catalog: &'a Catalog,
    fields: Vec<Roles>,
    measures: Vec<PlannedMeasure>,
    moments: Moments,
    /// Names the callsite where a problem is not one metric's.
    problem_metric: &'a str,
}

impl Compiler<'_> {
    fn add_measure(&mut self, measure: &Measure) {
        if self.measures.len() == MAX_MEASURES {
            let detail = format!("the callsite has more than {MAX_MEASURES} measures");
            return self.list(Reason::TooMany, detail);
        }
        let Some(reading) = self.schedule(measure, index(self.measures.len())) else {
            return;
        };
        let location = Location::of(self.metadata);
        let target = self
            .catalog
            .declare(&measure.metric, measure.kind, location)
            .and_then(|metric| match &measure.unit {
                None => Ok(metric),
                Some(unit) => {
                    let declared = self.catalog.declare_unit(&measure.metric, unit, location);
                    declared.map(|()| metric)
                }
            });
        self.measures.push(PlannedMeasure {
            target,
            reading,
            unit_conflict: OnceLock::new(),
        });
    }

    /// Notes when a measure is due. `None` if it never is at this callsite.
    fn schedule(&mut self, measure: &Measure, index: u8) -> Option<Reading> {
        match &measure.source {
            Source::Field(field, reading) => {
                let (field, reading) = (&*field.name, *reading);
                let takes = match reading {
                    Reading::Amount => measure.kind,
                    // A level may be below zero, although its rises are counted.
                    Reading::Rise | Reading::Fall => Kind::Gauge,
                };
                let roles = self.roles_of(field);
                let mut is_there = false;
                for role in roles {
                    role.measures.push((index, takes));
                    is_there = true;
                }
                return is_there.then_some(reading);
            }
            Source::Happened | Source::FieldAtClose(..) => return None,
            _ if !self.metadata.is_span() => return None,
            Source::Opened => self.moments.opened.push(index),
            Source::Closed => self.moments.closed.push(index),
            Source::InFlight => self.moments.in_flight.push(index),
            Source::Duration => self.moments.duration.push(index),
        }
        Some(Reading::Amount)
    }

    fn add_docs(&mut self, recipes: &[Recipe]) -> Box<[PlannedDoc]> {
        let mut docs = Vec::new();
        for doc in recipes
            .iter()
            .flat_map(|recipe| &recipe.docs)
            .take(MAX_DOCS)
        {
            for role in self.roles_of(&doc.field) {
                role.doc = Some(index(docs.len()));
            }
            docs.push(PlannedDoc {
                metric: doc.metric.clone(),
                says: doc.says,
                said: OnceLock::new(),
            });
        }
        docs.into()
    }

    fn add_marks(&mut self) {
        for field in self.metadata.fields() {
            let mark = match field.name() {
                "error" | "error.type" => Mark::Failure,
                name if name.starts_with("exception.") => Mark::Failure,
                "otel.status_code" => Mark::Status,
                "outcome" => Mark::Outcome,
                _ => continue,
            };
            self.fields[field.index()].mark = Some(mark);
        }
    }

    fn add_label_keys(&self, keys: &[Arc<str>]) {
        let outcome: Arc<str> = "outcome".into();
        let late = self.moments.closed.iter().chain(&self.moments.duration);
        let late: HashSet<u8> = late.copied().collect();
        for (at, measure) in self.measures.iter().enumerate() {
            if let Ok(metric) = &measure.target {
                metric.add_label_keys(keys);
                metric.add_label_keys(late.contains(&index(at)).then_some(&outcome));
            }
        }
    }

    fn list(&self, reason: Reason, detail: String) {
        let location = Location::of(self.metadata);
        let problems = self.catalog.problems();
        problems.list(reason, self.problem_metric, location, || detail);
    }

    /// Those of each field of this name: a callsite may have several.
    fn roles_of(&mut self, field: &str) -> impl Iterator<Item = &mut Roles> {
        let names = self.metadata.fields().iter().map(|field| field.name());
        let roles = names.zip(&mut self.fields);
        roles.filter_map(move |(name, roles)| (name == field).then_some(roles))
    }
}

/// Everything that is counted here is bounded, so that an index always fits.
fn index(at: usize) -> u8 {
    u8::try_from(at).expect("the bounds above are below 255")
}
