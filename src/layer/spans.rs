//! The spans that are open and measured, and what their visits tell.

use std::sync::Arc;

use tracing_core::Dispatch;
use tracing_core::span::Id;

use crate::callsites::Callsites;
use crate::clock::Clock;
use crate::plan::Plan;

mod bindings;
mod closing;
mod inheritance;
mod marks;
mod open_span;
mod opening;
mod outer;
mod outwards;
mod pending_closes;
mod recording;
mod span_table;

use marks::Marks;
use open_span::OpenSpan;
use pending_closes::PendingCloses;
use span_table::SpanTable;

/// The last exit of a span whose time is of no interest.
const UNTIMED: u64 = 1;

/// The spans that are open and measured.
pub(super) struct Spans {
    callsites: Arc<Callsites>,
    pub(super) table: SpanTable,
    clock: Clock,
    pub(super) pending_closes: PendingCloses,
}

impl Drop for Spans {
    /// Spans that are still open will close without this layer.
    fn drop(&mut self) {
        // The layer may be dropped under a lock of `reload`. A sink that logs
        // would ask for it again.
        tracing_core::dispatcher::with_default(&Dispatch::none(), || {
            self.pending_closes.settle();
            self.table.each(|open| {
                if let Some(plan) = self.callsites.plan_at(open.plan()) {
                    open.take_all_in_flight(plan)
                        .iter()
                        .for_each(|s| s.record(-1.0));
                }
            });
        });
    }
}

impl Spans {
    pub(super) fn new(callsites: Arc<Callsites>) -> Self {
        Self {
            callsites,
            table: SpanTable::default(),
            clock: Clock::new(),
            pending_closes: PendingCloses::default(),
        }
    }

    /// Entering matters only during a panic: a destructor's visit to a span is
    /// not what panicked.
    #[inline]
    pub(super) fn enter(&self, id: &Id) {
        if std::thread::panicking() {
            self.table.with(id.into_u64(), OpenSpan::visit_in_panic);
        }
    }

    #[inline]
    pub(super) fn exit(&self, id: &Id) {
        self.table.with(id.into_u64(), |open| self.exit_one(open));
    }

    /// Not part of its callers, nor is what closes a span: they have nothing to do for
    /// ordinary spans.
    #[inline(never)]
    fn exit_one(&self, open: &OpenSpan) {
        let is_timed = open.is_marked(Marks::TIMED);
        open.set_last_exit(if is_timed { self.clock.now() } else { UNTIMED });
        if std::thread::panicking() && !open.ends_visit_in_panic() {
            open.mark_panic();
        }
    }

    /// Calls with a span and its plan, if it is open and measured.
    #[inline]
    fn with_span<R>(&self, id: u64, call: impl FnOnce(&OpenSpan, &Plan) -> R) -> Option<R> {
        let with_plan = |open: &OpenSpan| Some(call(open, self.callsites.plan_at(open.plan())?));
        self.table.with(id, with_plan).flatten()
    }

    /// The clock is only read for spans that are timed.
    #[inline]
    fn now(&self, plan: &Plan) -> u64 {
        if plan.moments.are_timed() {
            self.clock.now()
        } else {
            0
        }
    }
}
