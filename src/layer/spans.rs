//! The life of a measured span: open, record, exit, close.

use std::sync::Arc;

use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Dispatch, Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::open_span::{
    BOUND, FAILED, INHERITS, OPENED_IN_PANIC, OpenSpan, Outer, PANICKED, TIMED,
};
use super::pending_closes::PendingCloses;
use super::span_table::{Closing, Near, SpanTable};
use crate::callsites::{Callsites, PlanPosition};
use crate::clock::Clock;
use crate::labels::LabelBuf;
use crate::plan::{BindingPosition, InFlight, KeptSeries, Outcome, Plan, Recorded, SourceLocation};
use crate::reentrancy::is_inside_a_sink;

/// The last exit of a span whose time is of no interest.
const UNTIMED: u64 = 1;

/// The spans that are open and measured.
pub(super) struct Spans {
    pub(super) callsites: Arc<Callsites>,
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
            self.pending_closes.pay();
            self.table.each(|open| {
                if let Some(plan) = self.callsites.plan_at(open.plan()) {
                    in_flight(plan, open).iter().for_each(|s| s.record(-1.0));
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

    /// Not part of its caller, which has nothing to do for other spans.
    #[inline(never)]
    pub(super) fn open<S>(
        &self,
        (position, plan): (PlanPosition, &Plan),
        attrs: &Attributes<'_>,
        id: &Id,
        ctx: &Context<'_, S>,
    ) where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        if is_inside_a_sink() {
            return self.callsites.reject_reentrant(plan);
        }
        self.pending_closes.settle_outside_a_sink();
        let opened = self.now(plan);
        let mut recorded = plan.nothing_recorded();
        attrs.record(&mut recorded);
        let outer = self.outer_of_new(attrs, ctx);
        let mut inherited = self.with_inherited(plan, &recorded.labels, outer, ctx);
        let binding = plan.locate(inherited.as_mut().unwrap_or(&mut recorded.labels));
        let early = inherited.as_ref().unwrap_or(&recorded.labels).key();
        plan.measure(&recorded, binding.map(|(_, binding)| binding), early);
        let in_flight = plan.measure_opened(binding, early);
        let id = id.into_u64();
        let inherits = if inherited.is_some() { INHERITS } else { 0 };
        let marks = opening_marks(plan, &recorded) | inherits;
        let mut opening = Opening {
            position,
            binding: BindingPosition::NONE,
            outer,
            opened,
            marks,
            labels: Some(&recorded.labels),
            held: recorded.held(),
        };
        let end_unseen = |there| self.end_unseen(there, ctx);
        // Each case on its way: a copy of what is in flight would wait for its parts.
        match in_flight {
            InFlight::On(binding) => {
                opening.binding = binding;
                opening.marks |= BOUND;
                if inherited.is_none() {
                    opening.labels = None;
                }
                if let Some(near) = self.table.free(id) {
                    opening.fill(near.open);
                    near.occupy();
                } else {
                    self.table.insert(id, |open| opening.fill(open), end_unseen);
                }
            }
            InFlight::Kept(series) => {
                let fill = |open: &OpenSpan| {
                    opening.fill(open);
                    open.keep_in_flight(series);
                };
                self.table.insert(id, fill, end_unseen);
            }
        }
    }

    #[inline]
    pub(super) fn record<S>(&self, id: &Id, values: &Record<'_>, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let id = id.into_u64();
        self.with_span(id, |open, plan| {
            self.record_in((open, plan), id, values, ctx);
        });
    }

    #[inline(never)]
    fn record_in<S>(
        &self,
        (open, plan): (&OpenSpan, &Plan),
        id: u64,
        values: &Record<'_>,
        ctx: &Context<'_, S>,
    ) where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        if is_inside_a_sink() {
            return self.callsites.reject_reentrant(plan);
        }
        let mut recorded = plan.nothing_recorded();
        values.record(&mut recorded);
        if recorded.failed {
            open.mark(FAILED);
        }
        if !recorded.held().is_empty() {
            open.hold(recorded.held());
        }
        if recorded.is_silent() {
            if !recorded.labels.is_empty() {
                open.merge_labels(plan, &recorded.labels);
            }
            return;
        }
        let mut own = if recorded.labels.is_empty() {
            let mut own = plan.no_labels();
            open.with_labels(plan, |stored| own.set_all(stored));
            own
        } else {
            open.merge_labels(plan, &recorded.labels)
        };
        let outer = self.outer_of(open, id, ctx);
        let mut inherited = self.with_inherited(plan, &own, outer, ctx);
        let labels = inherited.as_mut().unwrap_or(&mut own);
        let binding = plan.locate(labels).map(|(_, binding)| binding);
        plan.measure(&recorded, binding, labels.key());
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

    /// Not part of its callers, nor is what closes one: they have nothing to do for
    /// ordinary spans.
    #[inline(never)]
    fn exit_one(&self, open: &OpenSpan) {
        let is_timed = open.is_marked(TIMED);
        open.set_last_exit(if is_timed { self.clock.now() } else { UNTIMED });
        if std::thread::panicking() && !open.ends_visit_in_panic() {
            mark_panic(open);
        }
    }

    #[inline]
    pub(super) fn close<S>(&self, id: &Id, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let id = id.into_u64();
        match self.table.closing(id) {
            Closing::Ordinary => {}
            Closing::Near(near) => self.close_near(near, id, ctx),
            Closing::Apart => self.close_apart(id, ctx),
        }
    }

    #[inline(never)]
    fn close_near<S>(&self, near: Near<'_>, id: u64, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        self.close_one(near.open, id, ctx);
        near.release();
        self.pending_closes.settle_outside_a_sink();
    }

    #[inline(never)]
    fn close_apart<S>(&self, id: u64, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let closed = self.table.close(id, |open| self.close_one(open, id, ctx));
        if closed.is_some() {
            self.pending_closes.settle_outside_a_sink();
        }
    }

    #[inline(always)]
    fn close_one<S>(&self, open: &OpenSpan, id: u64, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let Some(plan) = self.callsites.plan_at(open.plan()) else {
            return;
        };
        if is_inside_a_sink() {
            self.callsites.reject_reentrant(plan);
            return self.pending_closes.add(in_flight(plan, open));
        }
        // If it was entered, its exit has seen whether it was a panic that left it.
        if std::thread::panicking() && open.last_exit().is_none() {
            mark_panic(open);
        }
        let binding = open.binding(plan);
        if plan.moments.have_outcome() {
            self.measure_closed((open, plan), id, ctx);
        }
        match binding {
            Some(binding) => plan.take_back(binding),
            None => open.take_in_flight().iter().for_each(|s| s.record(-1.0)),
        }
    }

    #[inline(always)]
    fn measure_closed<S>(&self, (open, plan): (&OpenSpan, &Plan), id: u64, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let end = open.last_exit().unwrap_or_else(|| self.now(plan));
        let seconds = nanos_to_seconds(self.clock.nanos_between(open.opened(), end));
        let outcome = outcome(open.marks());
        let held = || open.take_held();
        if let Some(binding) = open.labels_binding(plan)
            && plan.measure_closed_on(binding, outcome, seconds, held)
        {
            return;
        }
        self.measure_closed_with((open, plan), outcome, seconds, id, ctx);
    }

    #[inline(never)]
    fn measure_closed_with<S>(
        &self,
        (open, plan): (&OpenSpan, &Plan),
        outcome: Outcome,
        seconds: f64,
        id: u64,
        ctx: &Context<'_, S>,
    ) where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let mut labels = plan.no_labels();
        open.with_labels(plan, |stored| labels.set_all(stored));
        let outer = self.outer_of(open, id, ctx);
        if let Some(inherited) = self.with_inherited(plan, &labels, outer, ctx) {
            labels = inherited;
        }
        let held = open.take_held();
        plan.measure_closed(&mut labels, outcome, seconds, &held);
    }

    /// An event says that a function returned an error: its span failed.
    ///
    /// That is the innermost span of the same place in the source.
    pub(super) fn fail_span_of<S>(
        &self,
        event: &Event<'_>,
        place: SourceLocation,
        ctx: &Context<'_, S>,
    ) where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        self.each_around(event, ctx, |open, plan| {
            let is_it = plan.source == Some(place);
            if is_it {
                open.mark(FAILED);
            }
            !is_it
        });
    }

    /// Takes back what is in flight of a span whose close was kept from the layer.
    #[cold]
    fn end_unseen<S>(&self, id: u64, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        // With ids that are not the registry's both may be open.
        if ctx.exists(&Id::from_u64(id)) {
            return;
        }
        self.table.close(id, |open| {
            if let Some(plan) = self.callsites.plan_at(open.plan()) {
                self.pending_closes.add(in_flight(plan, open));
            }
        });
    }

    /// Calls with a span and its plan, if it is open and measured.
    #[inline(always)]
    pub(super) fn with_span<R>(
        &self,
        id: u64,
        call: impl FnOnce(&OpenSpan, &Plan) -> R,
    ) -> Option<R> {
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

/// What a span has when it opens.
struct Opening<'a> {
    position: PlanPosition,
    binding: BindingPosition,
    outer: Outer,
    opened: u64,
    marks: u8,
    /// Its labels, if they are not those of the binding.
    labels: Option<&'a LabelBuf>,
    held: &'a [(u8, f64)],
}

impl Opening<'_> {
    #[inline(always)]
    fn fill(&self, open: &OpenSpan) {
        open.set_outer(self.outer);
        open.fill(self.position, self.binding, self.opened, self.marks);
        if let Some(labels) = self.labels {
            open.keep_labels(labels);
        }
        if !self.held.is_empty() {
            open.hold(self.held);
        }
    }
}

/// Takes what a span has in flight, wherever it is.
fn in_flight(plan: &Plan, open: &OpenSpan) -> KeptSeries {
    match open.binding(plan) {
        Some(binding) => plan.in_flight(binding),
        None => open.take_in_flight(),
    }
}

#[inline(always)]
fn opening_marks(plan: &Plan, recorded: &Recorded<'_>) -> u8 {
    let mark = |condition, mark| if condition { mark } else { 0 };
    mark(recorded.failed, FAILED)
        | mark(plan.moments.are_timed(), TIMED)
        | mark(std::thread::panicking(), OPENED_IN_PANIC)
}

/// A span that was opened by a destructor, during a panic, did not panic itself.
fn mark_panic(open: &OpenSpan) {
    if !open.is_marked(OPENED_IN_PANIC) {
        open.mark(PANICKED);
    }
}

const fn outcome(marks: u8) -> Outcome {
    if marks & PANICKED != 0 {
        Outcome::Panic
    } else if marks & FAILED != 0 {
        Outcome::Error
    } else {
        Outcome::Ok
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "nanoseconds of 104 days are exact"
)]
fn nanos_to_seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
