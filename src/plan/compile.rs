//! From a recipe to a plan.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use tracing_core::Metadata;

use super::binding::Bindings;
use super::fields::{FieldPlan, PlannedDoc};
use super::mapped::MappedSlots;
use super::roles::{Mark, Roles};
use super::view::View;
use super::{Moments, Plan, PlannedMeasure, SourceLocation};
use crate::catalog::Catalog;
use crate::convention::{Condition, Feed, Recipe, Test};
use crate::problem::{Location, Reason};

mod labels;
mod measures;
mod slots;
mod views;

use labels::Labels;

const MAX_DOCS: usize = 250;
const MAX_FEEDS: usize = 250;
/// Several bindings lead to one series, where what was recorded is not all in its labels.
const BINDINGS_PER_SERIES: usize = 2;

/// Which fields of spans are labels without `label.KEY`.
#[derive(Debug, Default)]
pub(crate) struct LabelRules {
    /// Fields that label their span's own metrics.
    pub(crate) span_labels: Vec<Arc<str>>,
    /// Fields that label everything that is measured inside their span, too.
    pub(crate) inherited: Vec<Arc<str>>,
    /// The longest text of a label, in bytes.
    pub(crate) limit: usize,
}

/// Whether a callsite has anything to measure, to say, or to give to what is inside.
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
    catalog: &Arc<Catalog>,
) -> Plan {
    let first = recipes.iter().flat_map(Recipe::measures).next();
    let mut compiler = Compiler {
        metadata,
        catalog,
        fields: vec![Roles::default(); metadata.fields().len()],
        measures: Vec::new(),
        moments: Moments::default(),
        problem_metric: first.map_or("", |measure| &measure.metric),
    };
    let feeds = compiler.feeds(recipes);
    for (view, (recipe, feed)) in feeds.iter().enumerate() {
        for measure in &feed.measures {
            compiler.add_measure(measure, recipe, index(view));
        }
    }
    let Labels {
        views,
        inherited,
        carried,
    } = compiler.add_labels(&feeds, rules);
    let docs = compiler.add_docs(recipes);
    if compiler.moments.have_outcome() {
        compiler.add_marks();
    }
    compiler.add_label_keys(&views);
    Plan {
        location: Location::of(metadata),
        fields: FieldPlan::new(compiler.fields, docs, rules.limit, compiler.measures.len()),
        mapped: MappedSlots::of(&views, &carried),
        views,
        inherited,
        carried,
        bindings: Bindings::new(compiler.measures.len()),
        measures: compiler
            .measures
            .into_iter()
            .map(|(_, measure)| measure)
            .collect(),
        moments: compiler.moments,
        source: SourceLocation::of(metadata),
        fails: SourceLocation::of_failed_span(metadata),
        most_bindings: catalog.series_cap().saturating_mul(BINDINGS_PER_SERIES),
        has_conflict: AtomicBool::new(false),
        catalog: Arc::clone(catalog),
        pending: Arc::clone(catalog.pending()),
    }
}

fn carries_labels(metadata: &Metadata<'static>, recipes: &[Recipe], rules: &LabelRules) -> bool {
    let is_inherited = |key: &str| rules.inherited.iter().any(|known| **known == *key);
    let feeds = recipes.iter().flat_map(|recipe| &recipe.feeds);
    let mut labels = feeds.flat_map(|feed| &feed.labels);
    let mut fields = metadata.fields().iter();
    metadata.is_span()
        && (labels.any(|label| is_inherited(&label.key))
            || fields.any(|field| is_inherited(field.name())))
}

struct Compiler<'a> {
    metadata: &'static Metadata<'static>,
    catalog: &'a Catalog,
    fields: Vec<Roles>,
    /// With the recipe that each is of.
    measures: Vec<(&'a Recipe, PlannedMeasure)>,
    moments: Moments,
    /// Names the callsite where a problem is not one metric's.
    problem_metric: &'a str,
}

impl<'a> Compiler<'a> {
    /// The feeds that may apply to the callsite, with their recipes.
    fn feeds(&self, recipes: &'a [Recipe]) -> Vec<(&'a Recipe, &'a Feed)> {
        let feeds = recipes
            .iter()
            .flat_map(|recipe| recipe.feeds.iter().map(move |feed| (recipe, feed)));
        let applicable = |(recipe, feed): &(&Recipe, &Feed)| {
            let mut wanted = feed.conditions.iter().filter(|it| it.test != Test::Absent);
            let missing = wanted.find(|condition| !self.has_field(&condition.field));
            if let Some(Condition { field, .. }) = missing {
                let metric = first_metric(feed);
                self.list_missing(recipe, metric, field, "asks for the field");
            }
            missing.is_none()
        };
        feeds.filter(applicable).take(MAX_FEEDS).collect()
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
                _ => continue,
            };
            self.fields[field.index()].mark = Some(mark);
        }
    }

    fn add_label_keys(&self, views: &[View]) {
        for (_, measure) in &self.measures {
            if let Ok(metric) = &measure.target {
                let view = &views[usize::from(measure.view)];
                metric.add_label_keys(view.keys(measure.is_late));
            }
        }
    }

    fn has_field(&self, field: &str) -> bool {
        self.metadata.fields().field(field).is_some()
    }

    fn list_missing(&self, recipe: &Recipe, metric: &str, field: &str, what: &str) {
        let location = Location::of(self.metadata);
        let detail = || {
            format!(
                "`{}` {what} `{field}`, which is not here",
                recipe.convention
            )
        };
        let problems = self.catalog.problems();
        problems.list(Reason::MissingField, metric, location, detail);
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

fn first_metric(feed: &Feed) -> &str {
    let first = feed.measures.first();
    first.map_or("", |measure| &measure.metric)
}

/// Everything that is counted here is bounded, so that an index always fits.
fn index(at: usize) -> u8 {
    u8::try_from(at).expect("the bounds above are below 255")
}
