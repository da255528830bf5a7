//! From a recipe to a plan.

use std::collections::HashSet;
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;
use tracing_core::{Level, Metadata};

use super::{FieldRole, Inherited, Mark, Moments, Plan, PlannedDoc, PlannedMeasure, Roles};
use crate::catalog::Catalog;
use crate::convention::{Measure, Reading, Recipe, Source};
use crate::instrument::Kind;
use crate::once_map::OnceMap;
use crate::problem::{Location, Reason};
use crate::prometheus_name;

/// Together with `MAX_INHERITED` they leave a slot for `outcome`.
const MAX_LABELS: usize = 150;
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
    recipe: &Recipe,
    rules: &LabelRules,
) -> bool {
    !recipe.measures.is_empty()
        || !recipe.docs.is_empty()
        || fails_its_span(metadata)
        || carries_labels(metadata, recipe, rules)
}

/// The plan of a callsite of interest.
pub(crate) fn compile(
    metadata: &'static Metadata<'static>,
    recipe: &Recipe,
    rules: &LabelRules,
    catalog: &Catalog,
) -> Plan {
    let mut compiler = Compiler {
        metadata,
        catalog,
        fields: vec![Roles::default(); metadata.fields().len()],
        measures: Vec::new(),
        moments: Moments::default(),
        problem_metric: recipe.measures.first().map_or("", |m| m.metric),
    };
    for measure in &recipe.measures {
        compiler.add_measure(measure);
    }
    let keys = compiler.add_labels(recipe, rules);
    let docs = compiler.add_docs(recipe);
    let carried = compiler.carried(&keys, rules);
    if compiler.moments.have_outcome() {
        compiler.add_marks();
    }
    let inherited = inherited(&keys, rules);
    let label_keys: Box<[_]> = keys.iter().chain(&rules.inherited).cloned().collect();
    compiler.add_label_keys(&label_keys);
    Plan {
        location: Location::of(metadata),
        fields: compiler.fields.into_iter().map(FieldRole::from).collect(),
        docs,
        label_limit: rules.limit,
        label_keys,
        inherited,
        carried,
        measures: compiler.measures.into(),
        moments: compiler.moments,
        fails_its_span: fails_its_span(metadata),
        hasher: RandomState::default(),
        routes: OnceMap::new(),
    }
}

fn inherited(keys: &[Arc<str>], rules: &LabelRules) -> Box<[Inherited]> {
    let inherited = rules.inherited.iter().enumerate();
    inherited
        .map(|(position, key)| Inherited {
            slot: index(keys.len() + position),
            hidden_by: keys.iter().position(|own| own == key).map(index),
        })
        .collect()
}

/// What `#[instrument(err)]` emits.
fn fails_its_span(metadata: &Metadata<'static>) -> bool {
    metadata.is_event()
        && *metadata.level() == Level::ERROR
        && metadata.fields().field("error").is_some()
}

fn carries_labels(metadata: &Metadata<'static>, recipe: &Recipe, rules: &LabelRules) -> bool {
    let is_inherited = |key: &str| rules.inherited.iter().any(|known| **known == *key);
    let mut fields = metadata.fields().iter();
    metadata.is_span()
        && (recipe.labels.iter().any(|label| is_inherited(label.key))
            || fields.any(|field| is_inherited(field.name())))
}

struct Compiler<'a> {
    metadata: &'static Metadata<'static>,
    catalog: &'a Catalog,
    fields: Vec<Roles>,
    measures: Vec<PlannedMeasure>,
    moments: Moments,
    /// Names the callsite where a problem is not one metric's.
    problem_metric: &'static str,
}

impl Compiler<'_> {
    fn add_measure(&mut self, measure: &Measure) {
        let on_span = self.metadata.is_span();
        if self.measures.len() == MAX_MEASURES {
            let detail = format!("the callsite has more than {MAX_MEASURES} measures");
            return self.list(Reason::TooMany, detail);
        }
        let index = index(self.measures.len());
        let moments = &mut self.moments;
        let reading = match measure.source {
            Source::Field(field, reading) => {
                let Some(role) = self.roles_of(field) else {
                    return;
                };
                role.measures.push(index);
                reading
            }
            _ if !on_span => return,
            Source::Opened => {
                moments.opened.push(index);
                Reading::Amount
            }
            Source::Closed => {
                moments.closed.push(index);
                Reading::Amount
            }
            Source::InFlight => {
                moments.in_flight.push(index);
                Reading::Amount
            }
            Source::Duration => {
                moments.duration.push(index);
                Reading::Amount
            }
        };
        let location = Location::of(self.metadata);
        let target = self
            .catalog
            .declare(measure.metric, measure.kind, location)
            .and_then(|metric| match measure.unit {
                None => Ok(metric),
                Some(unit) => {
                    let declared = self.catalog.declare_unit(measure.metric, unit, location);
                    declared.map(|()| metric)
                }
            });
        self.measures.push(PlannedMeasure {
            target,
            takes: match reading {
                Reading::Amount => measure.kind,
                Reading::Rise | Reading::Fall => Kind::Gauge,
            },
            reading,
            unit_conflict: OnceLock::new(),
        });
    }

    /// Gives each key a slot, and returns the keys by slot.
    fn add_labels(&mut self, recipe: &Recipe, rules: &LabelRules) -> Vec<Arc<str>> {
        let mut keys: Vec<Arc<str>> = Vec::new();
        let recipe_labels = recipe.labels.iter().map(|label| (label.field, label.key));
        for (field, key) in recipe_labels.chain(self.allowed_fields(rules)) {
            if let Some(slot) = self.slot_of(key, &mut keys, rules)
                && let Some(roles) = self.roles_of(field)
            {
                roles.label.get_or_insert(slot);
            }
        }
        keys
    }

    /// Two fields with one key share a slot.
    fn slot_of(&self, key: &str, keys: &mut Vec<Arc<str>>, rules: &LabelRules) -> Option<u8> {
        let known = keys.iter().position(|known| **known == *key);
        if known.is_some() {
            return known.map(index);
        }
        if keys.len() == MAX_LABELS {
            let detail = format!("the callsite has more than {MAX_LABELS} labels");
            self.list(Reason::TooMany, detail);
            return None;
        }
        if !self.is_usable(key) {
            return None;
        }
        self.note_collision(key, keys.iter().chain(&rules.inherited));
        keys.push(key.into());
        Some(index(keys.len() - 1))
    }

    /// The fields of a span that the layer's allow-lists name.
    fn allowed_fields(&self, rules: &LabelRules) -> Vec<(&'static str, &'static str)> {
        if !self.metadata.is_span() {
            return Vec::new();
        }
        let allowed: HashSet<&str> = rules
            .span_labels
            .iter()
            .chain(&rules.inherited)
            .map(AsRef::as_ref)
            .collect();
        let fields = self.metadata.fields().iter().map(|field| field.name());
        fields
            .filter(|name| allowed.contains(name))
            .map(|name| (name, name))
            .collect()
    }

    fn add_docs(&mut self, recipe: &Recipe) -> Box<[PlannedDoc]> {
        let mut docs = Vec::new();
        for doc in recipe.docs.iter().take(MAX_DOCS) {
            let Some(role) = self.roles_of(doc.field) else {
                continue;
            };
            role.doc = Some(index(docs.len()));
            docs.push(PlannedDoc {
                metric: doc.metric,
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

    fn carried(&self, keys: &[Arc<str>], rules: &LabelRules) -> Box<[(u8, u8)]> {
        if !self.metadata.is_span() {
            return Box::default();
        }
        let position = |key| {
            rules
                .inherited
                .iter()
                .position(|inherited| inherited == key)
        };
        let slots = keys.iter().enumerate();
        slots
            .filter_map(|(slot, key)| Some((index(slot), index(position(key)?))))
            .collect()
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

    /// Whether a label may have this key, which is listed as a problem if not.
    fn is_usable(&self, key: &str) -> bool {
        let scraped = prometheus_name::of_label(key);
        let detail = if key.is_empty() {
            "a label has no key".to_owned()
        } else if scraped.starts_with("__")
            || self.has_histogram() && matches!(&*scraped, "le" | "quantile")
        {
            format!("Prometheus reserves the label `{key}`; the label is left out")
        } else {
            return true;
        };
        self.list(Reason::InvalidLabel, detail);
        false
    }

    fn note_collision<'a>(&self, key: &str, before: impl Iterator<Item = &'a Arc<str>>) {
        let scraped = prometheus_name::of_label(key);
        let mut before = before;
        let same =
            before.find(|other| ***other != *key && prometheus_name::of_label(other) == scraped);
        if let Some(other) = same {
            let detail =
                format!("the labels `{other}` and `{key}` are both `{scraped}` on a scrape");
            self.list(Reason::LabelCollision, detail);
        }
    }

    fn list(&self, reason: Reason, detail: String) {
        let location = Location::of(self.metadata);
        let problems = self.catalog.problems();
        problems.list(reason, self.problem_metric, location, || detail);
    }

    fn has_histogram(&self) -> bool {
        let mut targets = self.measures.iter().map(|measure| &measure.target);
        targets.any(|target| target.as_ref().is_ok_and(|m| m.kind() == Kind::Histogram))
    }

    fn roles_of(&mut self, field: &str) -> Option<&mut Roles> {
        let field = self.metadata.fields().field(field)?;
        self.fields.get_mut(field.index())
    }
}

/// Everything that is counted here is bounded, so that an index always fits.
fn index(at: usize) -> u8 {
    u8::try_from(at).expect("the bounds above are below 255")
}
