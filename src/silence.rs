//! Measured callsites that never get here, because a filter disables them for all layers.

use std::sync::{Arc, Weak};
use std::thread::{Builder, scope};

use tracing_core::callsite::{Callsite, Identifier};
use tracing_core::dispatcher::with_default;
use tracing_core::field::FieldSet;
use tracing_core::metadata::Kind;
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Dispatch, Event, Interest, Level, LevelFilter, Metadata, Subscriber};

use crate::callsites::Callsites;
use crate::problem::{Location, Problem, Reason};
use crate::reentrancy::is_inside_a_sink;
use crate::sync::Mutex;

/// What a layer would measure if it saw it.
#[derive(Clone)]
pub(crate) struct Silence {
    callsites: Weak<Callsites>,
}

impl Silence {
    pub(crate) fn new(callsites: &Arc<Callsites>) -> Self {
        let callsites = Arc::downgrade(callsites);
        Self { callsites }
    }

    /// The callsites that are silenced now.
    ///
    /// On another thread: filters leave what they say of a callsite on the thread that
    /// asks, where it would be taken for what they say of the next event.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let Some(callsites) = self.callsites.upgrade() else {
            return Vec::new();
        };
        let Some(subscriber) = callsites.own_subscriber.get() else {
            return Vec::new();
        };
        if is_inside_a_sink() {
            return Vec::new();
        }
        let ask = || with_default(&Dispatch::none(), || silenced(&callsites, &subscriber));
        scope(|scope| {
            let thread = Builder::new().name("tracing-meter-problems".to_owned());
            let asked = thread.spawn_scoped(scope, ask).ok();
            asked.and_then(|thread| thread.join().ok())
        })
        .unwrap_or_default()
    }
}

fn silenced(callsites: &Callsites, subscriber: &Dispatch) -> Vec<Problem> {
    // Per-layer filters say of themselves only: what they refuse is enabled here.
    if subscriber.enabled(&ANY_EVENT) && subscriber.enabled(&ANY_SPAN) {
        return Vec::new();
    }
    let mut problems = Vec::new();
    let (wanted, of_that_level) = match callsites.most_verbose() {
        LevelFilter::DEBUG => (LevelFilter::DEBUG, &AT_DEBUG),
        // What it is without directives asks for no details.
        of_directives => (of_directives.min(LevelFilter::INFO), &AT_INFO),
    };
    if LevelFilter::current() < wanted && !subscriber.enabled(of_that_level) {
        // `tracing` does not tell of callsites below its level: there is none to name.
        let lets_through = LevelFilter::current();
        let detail =
            format!("of all events and spans only `{lets_through}` is let through: {CURE}");
        problems.push(Problem::new(Reason::Silenced, "*", Location::OWN, detail));
    }
    let refused = refused(subscriber).into_iter();
    problems.extend(refused.filter_map(|callsite| {
        let metric = callsites.first_metric(callsite)?;
        let detail = format!("a filter disables it for all layers: {CURE}");
        let location = Location::of(callsite);
        (!subscriber.enabled(callsite))
            .then(|| Problem::new(Reason::Silenced, &metric, location, detail))
    }));
    problems
}

const CURE: &str =
    "set the filter on the layer that it is meant for, by `with_filter`, not on the subscriber";

/// All callsites of the process in which a subscriber has no interest.
fn refused(subscriber: &Dispatch) -> Vec<&'static Metadata<'static>> {
    let refused = Arc::default();
    // A new subscriber is asked about all callsites.
    drop(Dispatch::new(Census {
        subscriber: subscriber.clone(),
        refused: Arc::clone(&refused),
    }));
    std::mem::take(&mut *refused.lock())
}

/// Answers like the subscriber, so that being asked changes no callsite.
struct Census {
    subscriber: Dispatch,
    refused: Arc<Mutex<Vec<&'static Metadata<'static>>>>,
}

impl Subscriber for Census {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        let interest = self.subscriber.register_callsite(metadata);
        if interest.is_never() {
            self.refused.lock().push(metadata);
        }
        interest
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::OFF)
    }

    fn enabled(&self, _: &Metadata<'_>) -> bool {
        false
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What a subscriber enables that has no filter for all layers.
static ANY_EVENT: Metadata<'static> = at(Level::TRACE, Kind::EVENT);
static ANY_SPAN: Metadata<'static> = at(Level::TRACE, Kind::SPAN);
static AT_DEBUG: Metadata<'static> = at(Level::DEBUG, Kind::EVENT);
static AT_INFO: Metadata<'static> = at(Level::INFO, Kind::EVENT);

const fn at(level: Level, kind: Kind) -> Metadata<'static> {
    let fields = FieldSet::new(&[], Identifier(&NoCallsite));
    Metadata::new(
        "tracing_meter",
        "tracing_meter",
        level,
        None,
        None,
        None,
        fields,
        kind,
    )
}

/// Nothing is ever emitted here.
struct NoCallsite;

impl Callsite for NoCallsite {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        &ANY_EVENT
    }
}
