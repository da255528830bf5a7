//! What the current configuration makes of a callsite.

use std::sync::Arc;

use tracing_core::Metadata;

use super::Callsites;
use super::callsite::{Callsite, State};
use super::configuration::{Configuration, Recognised};
use crate::plan::SourceLocation;

impl Callsites {
    /// What a callsite is in the current configuration, which is asked if it was not yet.
    pub(super) fn recognise(
        &self,
        metadata: &'static Metadata<'static>,
        callsite: &Callsite,
    ) -> State {
        loop {
            let state = callsite.state();
            if state != State::UNKNOWN {
                return state;
            }
            let configuration = self.configuration();
            let found = self.find(&configuration, metadata);
            self.note_disabled(&configuration, metadata);
            self.note(&configuration, callsite, State::UNKNOWN, found);
        }
    }

    fn note_disabled(&self, by: &Arc<Configuration>, metadata: &'static Metadata<'static>) {
        let problems = by.disabled_callsite(metadata, self.catalog.problems());
        let current = self.configuration.lock();
        if !self.is_inert && Arc::ptr_eq(&current, by) {
            self.disabled.add(problems);
        }
    }

    fn find(
        &self,
        configuration: &Arc<Configuration>,
        metadata: &'static Metadata<'static>,
    ) -> Option<Recognised> {
        // The SDK logs while it holds its locks.
        if self.is_inert || metadata.target().starts_with("opentelemetry") {
            return None;
        }
        let problems = self.catalog.problems();
        let found = configuration.recognise(&self.field_names, metadata, &self.rules, problems);
        let is_for_outcomes = match &found {
            _ if metadata.is_event() => SourceLocation::of_failed_span(metadata).is_some(),
            Some(found) if found.has_outcome() => {
                self.distinguish(configuration, metadata);
                true
            }
            _ => self.must_be_distinguished(configuration, metadata),
        };
        found.or_else(|| is_for_outcomes.then(Recognised::default))
    }

    /// Notes what a configuration makes of a callsite, unless another one has taken over, or
    /// the callsite is something else than before.
    fn note(
        &self,
        by: &Arc<Configuration>,
        callsite: &Callsite,
        before: State,
        found: Option<Recognised>,
    ) {
        let current = self.configuration.lock();
        if Arc::ptr_eq(&current, by) && callsite.state() == before {
            let outdated = callsite.set_recognised(found);
            drop(current);
            drop(outdated);
        }
    }

    /// Follows the spans that could be taken for this one, too.
    fn distinguish(
        &self,
        configuration: &Arc<Configuration>,
        metadata: &'static Metadata<'static>,
    ) {
        for other in configuration.span_locations.add_with_outcome(metadata) {
            let (_, callsite) = self.callsite(other);
            self.recognise(other, callsite);
            let followed = Some(Recognised::default());
            self.note(configuration, callsite, State::NOT_OF_INTEREST, followed);
        }
    }

    /// Whether a span without an outcome could be taken for one that has one, now or by an
    /// earlier configuration: that one may still be open.
    fn must_be_distinguished(
        &self,
        configuration: &Configuration,
        metadata: &'static Metadata<'static>,
    ) -> bool {
        let had_outcome = SourceLocation::of(metadata)
            .is_some_and(|location| self.with_outcome.lock().contains(&location));
        configuration.span_locations.add_unmeasured(metadata) || had_outcome
    }
}
