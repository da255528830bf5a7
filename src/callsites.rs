//! What all callbacks of one layer share: conventions, plans and the catalog.

use std::collections::HashSet;
use std::sync::{Arc, Weak};

use tracing_core::{LevelFilter, Metadata};
use tracing_subscriber::filter::Targets;

use crate::catalog::Catalog;
use crate::convention::{Convention, FieldConvention, Recipe};
use crate::plan::{LabelRules, Plan, SourceLocation, compile};
use crate::problem::Reason;
use crate::sync::Mutex;
use crate::sync::callsite_map::CallsiteMap;
use crate::sync::once_map::Position;

mod callsite;
mod configuration;
mod disabled;
mod interest_cache;
mod level_hint;
mod own_subscriber;
mod plans;
mod recognition;
mod reconfigure;
mod span_locations;

use callsite::{Callsite, State};
use configuration::Configuration;
pub(crate) use configuration::Conventions;
pub(crate) use disabled::Disabled;
use interest_cache::InterestCache;
use level_hint::LevelHint;
pub(crate) use own_subscriber::{Anybody, OwnSubscriber};
use plans::LaterPlans;
pub(crate) use plans::PlanPosition;
pub(crate) use reconfigure::Directives;

/// Turns callsites into plans, and what is recorded there into measurements.
pub(crate) struct Callsites {
    /// Held for moments, and never while a convention is asked.
    configuration: Mutex<Arc<Configuration>>,
    field_names: Arc<dyn Convention>,
    /// What the layer was built with.
    first_directives: Targets,
    /// The conventions that have plans, or are asked now.
    known: Mutex<Vec<Weak<dyn Convention>>>,
    /// What directives disable of what conventions were asked for.
    pub(crate) disabled: Arc<Disabled>,
    pub(crate) rules: LabelRules,
    pub(crate) catalog: Arc<Catalog>,
    is_inert: bool,
    pub(crate) level_hint: LevelHint,
    interest_cache: InterestCache,
    pub(crate) own_subscriber: OwnSubscriber,
    by_metadata: CallsiteMap<Callsite>,
    later_plans: LaterPlans,
    /// Where spans may be open that have an outcome, by whatever configuration.
    with_outcome: Mutex<HashSet<SourceLocation>>,
}

impl Callsites {
    pub(crate) fn new(
        added: Conventions,
        directives: Targets,
        rules: LabelRules,
        catalog: Arc<Catalog>,
        is_inert: bool,
    ) -> Self {
        let known = added.iter().map(Arc::downgrade).collect();
        let first_directives = directives.clone();
        let configuration = Arc::new(Configuration::new(added, directives));
        let disabled = Disabled::default();
        if !is_inert {
            disabled.set(configuration.disabled());
        }
        Self {
            disabled: Arc::new(disabled),
            configuration: Mutex::new(configuration),
            field_names: Arc::new(FieldConvention),
            first_directives,
            known: Mutex::new(known),
            rules,
            catalog,
            is_inert,
            level_hint: LevelHint::default(),
            interest_cache: InterestCache::default(),
            own_subscriber: OwnSubscriber::default(),
            by_metadata: CallsiteMap::new(),
            later_plans: LaterPlans::default(),
            with_outcome: Mutex::default(),
        }
    }

    /// The plan of a callsite that was reached; `None` if it is not measured.
    #[inline(always)]
    pub(crate) fn plan(
        &self,
        metadata: &'static Metadata<'static>,
    ) -> Option<(PlanPosition, &Plan)> {
        let (position, callsite) = self.callsite(metadata);
        let state = callsite.state();
        if state == State::FIRST_PLAN {
            return Some((PlanPosition::first_of(position), callsite.first_plan()?));
        }
        if state == State::NOT_OF_INTEREST {
            return None;
        }
        self.find_plan(metadata, position, callsite)
    }

    /// The plan that was found before.
    #[inline(always)]
    pub(crate) fn plan_at(&self, position: PlanPosition) -> Option<&Plan> {
        let callsite = self.by_metadata.at(position.callsite());
        match callsite.and_then(Callsite::first_plan) {
            Some(plan) => Some(plan),
            None => self.later_plans.at(position),
        }
    }

    /// Whether a callsite is to be measured.
    pub(crate) fn is_of_interest(&self, metadata: &'static Metadata<'static>) -> bool {
        let (_, callsite) = self.callsite(metadata);
        self.recognise(metadata, callsite) != State::NOT_OF_INTEREST
    }

    /// The first metric that a callsite would feed, whether it was reached or not.
    pub(crate) fn first_metric(&self, metadata: &'static Metadata<'static>) -> Option<String> {
        let (_, callsite) = self.callsite(metadata);
        if self.recognise(metadata, callsite) == State::NOT_OF_INTEREST {
            return None;
        }
        let recognised = callsite.recognised();
        let mut measures = recognised.recipes.iter().flat_map(Recipe::measures);
        Some(measures.next()?.metric.to_string())
    }

    /// The most verbose level that may be measured.
    pub(crate) fn most_verbose(&self) -> LevelFilter {
        if self.is_inert {
            return LevelFilter::OFF;
        }
        self.configuration().most_verbose()
    }

    pub(crate) fn max_level_hint(&self) -> Option<LevelFilter> {
        self.level_hint.get(self.most_verbose())
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

    #[inline(always)]
    fn callsite(&self, metadata: &'static Metadata<'static>) -> (Position, &Callsite) {
        self.by_metadata
            .get_or_insert_with(metadata, Callsite::default)
    }

    fn configuration(&self) -> Arc<Configuration> {
        Arc::clone(&self.configuration.lock())
    }

    /// Asks the conventions where they were not: an event may come before its callsite's
    /// registration has ended.
    #[inline(never)]
    fn find_plan<'a>(
        &'a self,
        metadata: &'static Metadata<'static>,
        position: Position,
        callsite: &'a Callsite,
    ) -> Option<(PlanPosition, &'a Plan)> {
        loop {
            let state = callsite.state();
            if let Some(position) = state.later_plan() {
                return Some((position, self.later_plans.at(position)?));
            }
            match state {
                State::FIRST_PLAN => {
                    return Some((PlanPosition::first_of(position), callsite.first_plan()?));
                }
                State::NOT_OF_INTEREST => return None,
                State::NOT_COMPILED => self.compile(metadata, callsite),
                _ => {
                    self.recognise(metadata, callsite);
                }
            }
        }
    }

    /// The plan is there when the outcomes of its spans are heard, and not before: another
    /// thread would not wait for that.
    #[cold]
    fn compile(&self, metadata: &'static Metadata<'static>, callsite: &Callsite) {
        let _in_turn = callsite.in_turn();
        let configuration = self.configuration();
        let recognised = callsite.recognised();
        // Another thread may have been here before.
        if callsite.state() != State::NOT_COMPILED {
            return;
        }
        let plan = compile(metadata, &recognised.recipes, &self.rules, &self.catalog);
        if plan.moments.have_outcome() {
            self.with_outcome.lock().extend(plan.source);
            self.want_outcomes(&configuration);
        }
        let state = match callsite.set_first_plan(plan.into()) {
            Ok(()) => State::FIRST_PLAN,
            Err(plan) => State::of_later_plan(self.later_plans.push(plan)),
        };
        let _unchanged = self.configuration.lock();
        callsite.set_compiled(recognised, state);
    }

    fn want_outcomes(&self, configuration: &Configuration) {
        let is_outdated = || {
            let of_directives = configuration.most_verbose();
            let raises_hint = self.level_hint.want_outcomes(of_directives);
            let has_changed = configuration.span_locations.has_changed();
            (raises_hint || has_changed) && self.level_hint.is_heard()
        };
        let subscriber = || self.own_subscriber.get();
        self.interest_cache.rebuild_if(is_outdated, subscriber);
    }
}
