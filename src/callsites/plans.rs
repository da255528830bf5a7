//! Plans of callsites that were planned before, by another configuration.

use std::sync::OnceLock;

use crate::plan::Plan;
use crate::sync::Mutex;
use crate::sync::once_map::Position;
use crate::sync::segmented::Segmented;

/// Plans that are not the first of their callsite. They stay where they are: a span that is
/// open keeps the plan that it opened with.
#[derive(Default)]
pub(super) struct LaterPlans {
    plans: Segmented<OnceLock<Box<Plan>>, 8>,
    len: Mutex<u32>,
}

/// Where a plan is, for spans to keep: at the position of its callsite, or among the later
/// ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlanPosition(u32);

/// Where the positions of later plans begin. There is no memory for so many callsites.
const LATER: u32 = 1 << 31;

impl LaterPlans {
    /// Not part of its callers, which nearly always need a first plan.
    #[inline(never)]
    pub(super) fn at(&self, position: PlanPosition) -> Option<&Plan> {
        let at = position.0.checked_sub(LATER)?;
        self.plans.get(at)?.get().map(Box::as_ref)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        *self.len.lock() as usize
    }

    /// Where the plan stands from now on.
    pub(super) fn push(&self, plan: Box<Plan>) -> PlanPosition {
        let mut len = self.len.lock();
        let at = *len;
        self.plans.get_or_grow(at).get_or_init(|| plan);
        *len += 1;
        PlanPosition(LATER + at)
    }
}

impl PlanPosition {
    #[inline(always)]
    pub(super) const fn first_of(callsite: Position) -> Self {
        Self(callsite.to_bits())
    }

    /// The callsite whose first plan it is. Of a later plan there is none there.
    #[inline(always)]
    pub(super) const fn callsite(self) -> Position {
        Position::from_bits(self.0)
    }

    /// For an atomic to keep.
    pub(crate) const fn to_bits(self) -> u32 {
        self.0
    }

    /// Of bits that never were a position no plan is found, or another one.
    pub(crate) const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }
}
