//! What is known of one callsite: its plans, and which of them counts now.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, MutexGuard, OnceLock};

use super::configuration::Recognised;
use super::plans::PlanPosition;
use crate::plan::Plan;
use crate::sync::Mutex;

/// A callsite that was seen.
///
/// Its first plan stands here, where it is found at once. Most callsites never have
/// another one.
#[derive(Default)]
pub(super) struct Callsite {
    /// A `State`. It changes under the lock of the configuration only, so that what
    /// an earlier configuration says never comes later.
    state: AtomicU32,
    first_plan: OnceLock<Box<Plan>>,
    history: OnceLock<Box<History>>,
}

/// With its key and its hash it fills one line of the processor's cache.
const _: () = assert!(size_of::<Callsite>() <= 40);

/// What a callsite is in the current configuration, as one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State(u32);

/// What configurations have made of a callsite of interest.
#[derive(Default)]
struct History {
    in_turn: Mutex<()>,
    now: Mutex<Arc<Recognised>>,
    made: Mutex<Vec<Made>>,
}

/// A plan, and what it was made of.
struct Made {
    of: Arc<Recognised>,
    state: State,
}

impl State {
    /// The current configuration was not asked yet.
    pub(super) const UNKNOWN: Self = Self(0);
    pub(super) const NOT_OF_INTEREST: Self = Self(1);
    /// Of interest, and not reached yet. A callsite is registered with every subscriber of
    /// the process: one that is only reached under another must not take a name away here.
    pub(super) const NOT_COMPILED: Self = Self(2);
    pub(super) const FIRST_PLAN: Self = Self(3);

    /// The position of a later plan is higher than all of these.
    pub(super) const fn of_later_plan(position: PlanPosition) -> Self {
        Self(position.to_bits())
    }

    pub(super) fn later_plan(self) -> Option<PlanPosition> {
        (self.0 > Self::FIRST_PLAN.0).then(|| PlanPosition::from_bits(self.0))
    }
}

impl Callsite {
    #[inline(always)]
    pub(super) fn state(&self) -> State {
        State(self.state.load(Ordering::Acquire))
    }

    #[inline(always)]
    pub(super) fn first_plan(&self) -> Option<&Plan> {
        self.first_plan.get().map(Box::as_ref)
    }

    /// Gives the plan back if there is a first one already.
    pub(super) fn set_first_plan(&self, plan: Box<Plan>) -> Result<(), Box<Plan>> {
        self.first_plan.set(plan)
    }

    /// Forgets what the configuration made of it, not its plans.
    pub(super) fn set_unknown(&self) {
        self.set(State::UNKNOWN);
    }

    /// Notes what the current configuration makes of it. What was noted before is given
    /// back, to be dropped without a lock: it holds what conventions have made.
    #[must_use]
    pub(super) fn set_recognised(&self, found: Option<Recognised>) -> Option<Arc<Recognised>> {
        let Some(found) = found else {
            self.set(State::NOT_OF_INTEREST);
            return None;
        };
        let history = self.history();
        let made = history.made.lock();
        let known = made.iter().find(|it| it.of.is_same_as(&found));
        self.set(known.map_or(State::NOT_COMPILED, |it| it.state));
        Some(std::mem::replace(&mut history.now.lock(), found.into()))
    }

    /// What the last configuration that found it of interest makes of it.
    pub(super) fn recognised(&self) -> Arc<Recognised> {
        Arc::clone(&self.history().now.lock())
    }

    /// Held while a plan is compiled, and until the outcomes of its spans are heard: another
    /// thread waits for that, too.
    pub(super) fn in_turn(&self) -> MutexGuard<'_, ()> {
        self.history().in_turn.lock()
    }

    /// Notes a plan, which counts from now on if it is what the configuration asks for.
    pub(super) fn set_compiled(&self, of: Arc<Recognised>, state: State) {
        let history = self.history();
        if self.state() == State::NOT_COMPILED && of.is_same_as(&history.now.lock()) {
            self.set(state);
        }
        history.made.lock().push(Made { of, state });
    }

    fn set(&self, state: State) {
        self.state.store(state.0, Ordering::Release);
    }

    fn history(&self) -> &History {
        self.history.get_or_init(Box::default)
    }
}
