//! What is measured when a span closes, and what is taken back.

use tracing_core::Subscriber;
use tracing_core::span::Id;
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::Spans;
use super::marks::Marks;
use super::open_span::OpenSpan;
use crate::plan::{Outcome, Plan};
use crate::reentrancy::is_inside_a_sink;
use crate::sync::id_table::{Location, NearSlot};

impl Spans {
    #[inline]
    pub(in crate::layer) fn close<S>(&self, id: &Id, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let id = id.into_u64();
        match self.table.locate(id) {
            Location::Nowhere => {}
            Location::Near(near) => self.close_near(near, id, ctx),
            Location::Unknown => self.close_farther(id, ctx),
        }
    }

    #[inline(never)]
    fn close_near<S>(&self, near: NearSlot<'_, OpenSpan>, id: u64, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        self.close_one(near.slot(), id, ctx);
        near.release();
        self.pending_closes.settle_outside_a_sink();
    }

    #[inline(never)]
    fn close_farther<S>(&self, id: u64, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let closed = self.table.remove(id, |open| self.close_one(open, id, ctx));
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
            return self.pending_closes.add(open.take_all_in_flight(plan));
        }
        // If it was entered, its exit has seen whether it was a panic that left it.
        if std::thread::panicking() && open.last_exit().is_none() {
            open.mark_panic();
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

    /// Takes back what is in flight of a span whose close was hidden from the layer.
    #[cold]
    pub(super) fn end_hidden<S>(&self, id: u64, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        // With ids that are not the registry's both may be open.
        if ctx.exists(&Id::from_u64(id)) {
            return;
        }
        self.table.remove(id, |open| {
            if let Some(plan) = self.callsites.plan_at(open.plan()) {
                self.pending_closes.add(open.take_all_in_flight(plan));
            }
        });
    }
}

const fn outcome(marks: Marks) -> Outcome {
    if marks.contain(Marks::PANICKED) {
        Outcome::Panic
    } else if marks.contain(Marks::FAILED) {
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
