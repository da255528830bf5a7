//! What may be changed while a layer measures: conventions and directives.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tracing_core::{LevelFilter, Metadata};
use tracing_subscriber::filter::Targets;

use super::span_locations::SpanLocations;
use crate::convention::{Convention, Recipe};
use crate::plan::{LabelRules, is_of_interest};
use crate::problem::{Location, Problems, Reason};

/// The conventions of a layer, in their order.
pub(crate) type Conventions = Vec<Arc<dyn Convention>>;

/// What decides which callsites are measured, and how. It never changes: another one takes
/// over.
pub(super) struct Configuration {
    /// Those that were added to the convention of field names.
    pub(super) added: Conventions,
    pub(super) directives: Targets,
    /// The span callsites that were recognised by this configuration.
    pub(super) span_locations: SpanLocations,
}

/// What the conventions make of a callsite.
#[derive(Default)]
pub(super) struct Recognised {
    pub(super) recipes: Vec<Recipe>,
    /// What has a part in the recipes, in this order.
    by: Conventions,
}

impl Configuration {
    pub(super) fn new(added: Conventions, directives: Targets) -> Self {
        Self {
            added,
            directives,
            span_locations: SpanLocations::default(),
        }
    }

    /// The most verbose level that may be measured.
    pub(super) fn most_verbose(&self) -> LevelFilter {
        let levels = self.directives.iter().map(|(_, level)| level);
        let default = self.directives.default_level().into_iter();
        levels.chain(default).max().unwrap_or(LevelFilter::OFF)
    }

    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        self.directives == other.directives && are_same(&self.added, &other.added)
    }

    /// What is measured at a callsite, said, or given to what is inside.
    pub(super) fn recognise(
        &self,
        field_names: &Arc<dyn Convention>,
        metadata: &'static Metadata<'static>,
        rules: &LabelRules,
        problems: &Problems,
    ) -> Option<Recognised> {
        if !self
            .directives
            .would_enable(metadata.target(), metadata.level())
        {
            return None;
        }
        let all: Vec<_> = std::iter::once(field_names).chain(&self.added).collect();
        let mut found = Recognised::default();
        for (at, convention) in all.iter().enumerate() {
            if let Some(recipe) = guarded(convention, metadata, problems, || {
                convention.recognise(metadata)
            }) {
                found.by.push(Arc::clone(convention));
                let others = all[..at].iter().chain(&all[at + 1..]);
                let mut recipe = others.fold(recipe, |it, other| {
                    found.amend(other, metadata, it, problems)
                });
                convention.name().clone_into(&mut recipe.convention);
                found.recipes.push(recipe);
            }
        }
        is_of_interest(metadata, &found.recipes, rules).then_some(found)
    }
}

impl Recognised {
    /// Whether the same plan comes of both.
    ///
    /// Closures can only be compared where they are the same one, so that it counts, too,
    /// that the same conventions have made both.
    pub(super) fn is_same_as(&self, other: &Self) -> bool {
        are_same(&self.by, &other.by) || self.recipes == other.recipes
    }

    pub(super) fn has_outcome(&self) -> bool {
        self.recipes.iter().any(Recipe::has_outcome)
    }

    fn amend(
        &mut self,
        by: &Arc<dyn Convention>,
        metadata: &'static Metadata<'static>,
        recipe: Recipe,
        problems: &Problems,
    ) -> Recipe {
        let before = recipe.clone();
        let amended = guarded(by, metadata, problems, || Some(by.amend(metadata, recipe)));
        let amended = amended.unwrap_or_else(|| before.clone());
        if amended != before {
            self.by.push(Arc::clone(by));
        }
        amended
    }
}

/// What a convention says of a callsite. If it panics it says nothing, and is listed.
pub(super) fn guarded(
    convention: &Arc<dyn Convention>,
    metadata: &'static Metadata<'static>,
    problems: &Problems,
    ask: impl FnOnce() -> Option<Recipe>,
) -> Option<Recipe> {
    catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(|_| {
        let (name, location) = (convention.name(), Location::of(metadata));
        let detail = || format!("the convention panicked at `{}`", metadata.name());
        problems.list(Reason::ConventionPanicked, name, location, detail);
        None
    })
}

fn are_same(some: &Conventions, others: &Conventions) -> bool {
    let mut pairs = some.iter().zip(others);
    some.len() == others.len() && pairs.all(|(one, other)| Arc::ptr_eq(one, other))
}
