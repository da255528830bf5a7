//! What all callbacks of one layer share: conventions, plans and the catalog.

use std::sync::{Arc, OnceLock};

use tracing_core::{Event, LevelFilter, Metadata};
use tracing_subscriber::filter::Targets;

use crate::callsite_map::CallsiteMap;
use crate::catalog::Catalog;
use crate::convention::{Convention, Recipe};
use crate::labels::LabelBuf;
use crate::once_map::Position;
use crate::plan::{CodePlace, LabelRules, Plan, compile, is_of_interest};
use crate::problem::Reason;

mod disabled;
mod home;
mod level_hint;
mod span_places;

use disabled::Disabled;
pub(crate) use home::{Anybody, Home};
use level_hint::LevelHint;
use span_places::SpanPlaces;

/// Turns callsites into plans, and what is recorded there into measurements.
pub(crate) struct Meter {
    conventions: Vec<Box<dyn Convention>>,
    directives: Targets,
    disabled: Disabled,
    pub(crate) rules: LabelRules,
    pub(crate) catalog: Arc<Catalog>,
    is_inert: bool,
    pub(crate) level_hint: LevelHint,
    pub(crate) home: Home,
    span_places: SpanPlaces,
    callsites: CallsiteMap<MaybeOfInterest>,
}

/// Set if a callsite is of interest, which it may become when another one is seen.
type MaybeOfInterest = OnceLock<Box<Callsite>>;

/// Where a plan is, for spans to keep.
pub(crate) type PlanPosition = Position;

/// A callsite of interest.
struct Callsite {
    recipes: Vec<Recipe>,
    /// Compiled when it is reached. A callsite is registered with every
    /// subscriber of the process: one that is only reached under another must
    /// not take a name away here.
    plan: OnceLock<Plan>,
}

impl Meter {
    pub(crate) fn new(
        conventions: Vec<Box<dyn Convention>>,
        directives: Targets,
        rules: LabelRules,
        catalog: Arc<Catalog>,
        is_inert: bool,
    ) -> Self {
        let most_verbose = if is_inert {
            LevelFilter::OFF
        } else {
            most_verbose(&directives)
        };
        let disabled = Disabled::new(&conventions, &directives, catalog.problems());
        Self {
            conventions,
            directives,
            disabled,
            rules,
            catalog,
            is_inert,
            level_hint: LevelHint::new(most_verbose),
            home: Home::default(),
            span_places: SpanPlaces::default(),
            callsites: CallsiteMap::new(),
        }
    }

    /// The plan of a callsite that was reached; `None` if it is not measured.
    #[inline(always)]
    pub(crate) fn plan(
        &self,
        metadata: &'static Metadata<'static>,
    ) -> Option<(PlanPosition, &Plan)> {
        let (position, callsite) = self.callsite(metadata)?;
        let compiled = callsite.plan.get();
        let compiled = compiled.unwrap_or_else(|| self.compile(metadata, callsite));
        Some((position, compiled))
    }

    /// The plan is there when the outcomes of its spans are heard, and not before: another
    /// thread would not wait for that.
    #[cold]
    fn compile<'a>(
        &self,
        metadata: &'static Metadata<'static>,
        callsite: &'a Callsite,
    ) -> &'a Plan {
        let Self { rules, catalog, .. } = self;
        callsite.plan.get_or_init(|| {
            let plan = compile(metadata, &callsite.recipes, rules, catalog);
            if plan.moments.have_outcome() {
                let has_changed = || self.span_places.has_changed();
                let subscriber = || self.home.get();
                self.level_hint.want_outcomes(has_changed, subscriber);
            }
            plan
        })
    }

    /// The plan that was found before.
    #[inline(always)]
    pub(crate) fn plan_at(&self, position: PlanPosition) -> Option<&Plan> {
        self.callsites.at(position)?.get()?.plan.get()
    }

    /// Whether a callsite is to be measured.
    pub(crate) fn is_of_interest(&self, metadata: &'static Metadata<'static>) -> bool {
        self.callsite(metadata).is_some()
    }

    /// The first metric that a callsite would feed, whether it was reached or not.
    pub(crate) fn first_metric(&self, metadata: &'static Metadata<'static>) -> Option<&str> {
        let (_, callsite) = self.callsite(metadata)?;
        let measure = callsite.recipes.iter().flat_map(Recipe::measures).next()?;
        Some(&measure.metric)
    }

    /// Counts, without calling a sink, that something was emitted inside one.
    #[cold]
    pub(crate) fn reject_reentrant(&self, plan: &Plan) {
        if let Some(metric) = plan.first_metric() {
            let detail = || "it was emitted inside a sink".to_owned();
            let (reason, location) = (Reason::Reentrant, plan.location());
            let problems = self.catalog.problems();
            problems.list(reason, metric, location, detail).add_one();
        }
    }

    /// Measures an event. `inherit` adds the labels of the enclosing spans.
    #[inline]
    pub(crate) fn event(
        &self,
        plan: &Plan,
        event: &Event<'_>,
        inherit: impl FnOnce(&mut LabelBuf),
    ) {
        let mut recorded = plan.nothing_recorded();
        plan.fields
            .read(&mut recorded, |visitor| event.record(visitor));
        inherit(&mut recorded.labels);
        plan.measure(&recorded, recorded.labels.key(), &self.catalog);
    }

    /// Asks the conventions on a miss: an event may come before its callsite's
    /// registration has ended.
    #[inline(always)]
    fn callsite(&self, metadata: &'static Metadata<'static>) -> Option<(PlanPosition, &Callsite)> {
        let (position, callsite) = self
            .callsites
            .get_or_insert_with(metadata, || self.recognise(metadata));
        Some((position, callsite.get()?))
    }

    fn recognise(&self, metadata: &'static Metadata<'static>) -> MaybeOfInterest {
        // The SDK logs while it holds its locks.
        if self.is_inert || metadata.target().starts_with("opentelemetry") {
            return MaybeOfInterest::new();
        }
        let (target, level) = (metadata.target(), metadata.level());
        let recipes = if self.directives.would_enable(target, level) {
            self.recipes(metadata)
        } else {
            self.disabled
                .note(&self.conventions, metadata, self.catalog.problems());
            None
        };
        let is_for_outcomes = match &recipes {
            _ if metadata.is_event() => CodePlace::of_failed_span(metadata).is_some(),
            Some(recipes) if recipes.iter().any(Recipe::has_outcome) => {
                self.tell_apart(metadata);
                true
            }
            _ => self.span_places.add_unmeasured(metadata),
        };
        if recipes.is_none() && !is_for_outcomes {
            return MaybeOfInterest::new();
        }
        MaybeOfInterest::from(Callsite::new(recipes.unwrap_or_default()))
    }

    /// What is measured at a callsite, said or given to others.
    fn recipes(&self, metadata: &'static Metadata<'static>) -> Option<Vec<Recipe>> {
        let recipes: Vec<Recipe> = self
            .conventions
            .iter()
            .enumerate()
            .filter_map(|(at, it)| {
                let mut recipe = self.amended(at, metadata, it.recognise(metadata)?);
                it.name().clone_into(&mut recipe.convention);
                Some(recipe)
            })
            .collect();
        is_of_interest(metadata, &recipes, &self.rules).then_some(recipes)
    }

    /// A convention's recipe, as the others leave it.
    fn amended(&self, of: usize, metadata: &'static Metadata<'static>, recipe: Recipe) -> Recipe {
        let conventions = self.conventions.iter().enumerate();
        let others = conventions.filter(|(at, _)| *at != of);
        others.fold(recipe, |recipe, (_, it)| it.amend(metadata, recipe))
    }

    /// Follows the spans that could be taken for this one, too.
    fn tell_apart(&self, metadata: &'static Metadata<'static>) {
        for other in self.span_places.add_with_outcome(metadata) {
            let recognise = || self.recognise(other);
            let (_, callsite) = self.callsites.get_or_insert_with(other, recognise);
            callsite.get_or_init(|| Callsite::new(Vec::new()));
        }
    }
}

impl Callsite {
    fn new(recipes: Vec<Recipe>) -> Box<Self> {
        let plan = OnceLock::new();
        Box::new(Self { recipes, plan })
    }
}

fn most_verbose(directives: &Targets) -> LevelFilter {
    let levels = directives.iter().map(|(_, level)| level);
    let default = directives.default_level().into_iter();
    levels.chain(default).max().unwrap_or(LevelFilter::OFF)
}
