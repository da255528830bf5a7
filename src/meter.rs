//! What all callbacks of one layer share: conventions, plans and the catalog.

use std::sync::{Arc, OnceLock};

use tracing_core::{Event, LevelFilter, Metadata};
use tracing_subscriber::filter::Targets;

use crate::callsite_map::CallsiteMap;
use crate::catalog::Catalog;
use crate::convention::{Convention, Recipe};
use crate::labels::LabelBuf;
use crate::once_map::Position;
use crate::plan::{LabelRules, Plan, compile, is_of_interest};
use crate::problem::Reason;

/// Turns callsites into plans, and what is recorded there into measurements.
pub(crate) struct Meter {
    conventions: Vec<Box<dyn Convention>>,
    directives: Targets,
    pub(crate) rules: LabelRules,
    pub(crate) catalog: Arc<Catalog>,
    is_inert: bool,
    callsites: CallsiteMap<Option<Box<Callsite>>>,
}

/// Where a plan is, for spans to keep.
pub(crate) type PlanPosition = Position;

/// A callsite of interest.
struct Callsite {
    recipe: Recipe,
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
        Self {
            conventions,
            directives,
            rules,
            catalog,
            is_inert,
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

    #[cold]
    fn compile<'a>(
        &self,
        metadata: &'static Metadata<'static>,
        callsite: &'a Callsite,
    ) -> &'a Plan {
        let Self { rules, catalog, .. } = self;
        let compile = || compile(metadata, &callsite.recipe, rules, catalog);
        callsite.plan.get_or_init(compile)
    }

    /// The plan that was found before.
    #[inline(always)]
    pub(crate) fn plan_at(&self, position: PlanPosition) -> Option<&Plan> {
        self.callsites.at(position)?.as_ref()?.plan.get()
    }

    /// Whether a callsite is to be measured.
    pub(crate) fn is_of_interest(&self, metadata: &'static Metadata<'static>) -> bool {
        self.callsite(metadata).is_some()
    }

    /// The first metric that a callsite would feed, whether it was reached or not.
    pub(crate) fn first_metric(
        &self,
        metadata: &'static Metadata<'static>,
    ) -> Option<&'static str> {
        let (_, callsite) = self.callsite(metadata)?;
        callsite
            .recipe
            .measures
            .first()
            .map(|measure| measure.metric)
    }

    /// The most verbose level that may be measured.
    pub(crate) fn max_level(&self) -> LevelFilter {
        if self.is_inert {
            return LevelFilter::OFF;
        }
        let levels = self.directives.iter().map(|(_, level)| level);
        let default = self.directives.default_level().into_iter();
        levels.chain(default).max().unwrap_or(LevelFilter::OFF)
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
        Some((position, callsite.as_deref()?))
    }

    fn recognise(&self, metadata: &'static Metadata<'static>) -> Option<Box<Callsite>> {
        if !self.may_measure(metadata) {
            return None;
        }
        let mut recipe = Recipe::new();
        for convention in &self.conventions {
            if let Some(found) = convention.recognise(metadata) {
                recipe.merge(found);
            }
        }
        is_of_interest(metadata, &recipe, &self.rules).then(|| {
            let plan = OnceLock::new();
            Box::new(Callsite { recipe, plan })
        })
    }

    fn may_measure(&self, metadata: &Metadata<'_>) -> bool {
        // The SDK logs while it holds its locks.
        let of_the_sdk = metadata.target().starts_with("opentelemetry");
        let enabled = self
            .directives
            .would_enable(metadata.target(), metadata.level());
        !self.is_inert && !of_the_sdk && enabled
    }
}
