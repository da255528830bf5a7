//! The life of a measured span: open, record, exit, close.

use std::time::Instant;

use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::span_table::{FAILED, OPENED_IN_PANIC, PANICKED, Slot, SpanTable, TIMED};
use crate::labels::{LabelBuf, OUTCOME};
use crate::meter::Meter;
use crate::plan::Plan;
use crate::value::Value;

/// The spans that are open and measured.
pub(super) struct Spans {
    table: SpanTable,
    epoch: Instant,
}

impl Default for Spans {
    fn default() -> Self {
        Self {
            table: SpanTable::default(),
            epoch: Instant::now(),
        }
    }
}

impl Spans {
    pub(super) fn open<S>(
        &self,
        meter: &Meter,
        plan: &Plan,
        attrs: &Attributes<'_>,
        id: &Id,
        ctx: &Context<'_, S>,
    ) where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let recorded = plan.read(|visitor| attrs.record(visitor));
        let slot = self.table.insert(id.into_u64());
        mark_opening(slot, plan, recorded.failed);
        let mut state = slot.state();
        state.opened = self.now(plan);
        state.callsite = Some(attrs.metadata());
        state.labels.extend_from_slice(recorded.labels.as_bytes());
        drop(state);

        let labels = self.visible_labels(meter, plan, &recorded.labels, id, ctx);
        let early = without_outcome(&labels);
        plan.measure(&recorded, &early, &meter.catalog);
        plan.measure_each(&plan.moments.opened, 1.0, &early, &meter.catalog);
        for measure in &plan.moments.in_flight {
            // The series is kept, and gets back what it was given, whatever
            // becomes of its labels or its instrument.
            if let Some(series) = plan.series(*measure, &early, &meter.catalog) {
                series.record(1.0);
                slot.state().in_flight.push(series);
            }
        }
    }

    pub(super) fn record<S>(
        &self,
        meter: &Meter,
        id: &Id,
        values: &Record<'_>,
        ctx: &Context<'_, S>,
    ) where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let Some((slot, plan)) = self.find(meter, id) else {
            return;
        };
        let recorded = plan.read(|visitor| values.record(visitor));
        if recorded.failed {
            slot.mark(FAILED);
        }
        let mut state = slot.state();
        let mut own = LabelBuf::from_bytes(&state.labels);
        own.merge(&recorded.labels);
        state.labels.clear();
        state.labels.extend_from_slice(own.as_bytes());
        drop(state);
        let labels = self.visible_labels(meter, plan, &own, id, ctx);
        plan.measure(&recorded, &without_outcome(&labels), &meter.catalog);
    }

    pub(super) fn exit(&self, id: &Id) {
        let Some(slot) = self.table.get(id.into_u64()) else {
            return;
        };
        if slot.is_marked(TIMED) {
            slot.set_last_exit(self.nanos());
        }
        mark_panic(slot);
    }

    pub(super) fn close<S>(&self, meter: &Meter, id: &Id, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let Some((slot, plan)) = self.find(meter, id) else {
            return;
        };
        mark_panic(slot);
        let end = slot.last_exit().unwrap_or_else(|| self.now(plan));
        let state = slot.state();
        let seconds = nanos_to_seconds(end.saturating_sub(state.opened));
        let own = LabelBuf::from_bytes(&state.labels);
        let in_flight = state.in_flight.clone();
        drop(state);
        if plan.moments.have_outcome() {
            let mut labels = self.visible_labels(meter, plan, &own, id, ctx);
            if !labels.has(OUTCOME) {
                labels.set(OUTCOME, &Value::Str(outcome(slot)), plan.label_limit());
            }
            plan.measure_each(&plan.moments.closed, 1.0, &labels, &meter.catalog);
            plan.measure_each(&plan.moments.duration, seconds, &labels, &meter.catalog);
        }
        self.table.remove(id.into_u64());
        for series in in_flight {
            series.record(-1.0);
        }
    }

    /// An error happened: the span that it happened in, if any, failed.
    pub(super) fn fail_span_of<S>(&self, event: &Event<'_>, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let span = ctx.event_span(event);
        if let Some(slot) = span.and_then(|span| self.table.get(span.id().into_u64())) {
            slot.mark(FAILED);
        }
    }

    /// Adds the labels that an event has from its enclosing spans.
    pub(super) fn inherit_into_event<S>(
        &self,
        meter: &Meter,
        plan: &Plan,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
        labels: &mut LabelBuf,
    ) where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        if !meter.rules.inherited.is_empty() {
            self.inherit(meter, plan, ctx.event_span(event), labels);
        }
    }

    /// A span's own labels, and those of the spans around it.
    fn visible_labels<S>(
        &self,
        meter: &Meter,
        plan: &Plan,
        own: &LabelBuf,
        id: &Id,
        ctx: &Context<'_, S>,
    ) -> LabelBuf
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let mut labels = own.clone();
        if !meter.rules.inherited.is_empty() {
            let parent = ctx.span(id).and_then(|span| span.parent());
            self.inherit(meter, plan, parent, &mut labels);
        }
        labels
    }

    /// Walks outwards: what an inner span gives hides what an outer one would.
    fn inherit<'a, S>(
        &self,
        meter: &Meter,
        plan: &Plan,
        innermost: Option<SpanRef<'a, S>>,
        labels: &mut LabelBuf,
    ) where
        S: LookupSpan<'a>,
    {
        let mut span = innermost;
        while let Some(here) = span {
            if let Some((slot, outer)) = self.find(meter, &here.id()) {
                let state = slot.state();
                for (from, position) in &outer.carried {
                    let to = plan.own_labels + position;
                    if !labels.has(to) {
                        labels.set_from(to, &state.labels, *from);
                    }
                }
            }
            span = here.parent();
        }
    }

    fn find<'a>(&'a self, meter: &'a Meter, id: &Id) -> Option<(&'a Slot, &'a Plan)> {
        let slot = self.table.get(id.into_u64())?;
        let callsite = slot.state().callsite?;
        Some((slot, meter.plan(callsite)?))
    }

    /// The clock is only read for spans that are timed.
    fn now(&self, plan: &Plan) -> u64 {
        if plan.moments.duration.is_empty() {
            return 0;
        }
        self.nanos()
    }

    #[allow(clippy::cast_possible_truncation, reason = "584 years")]
    fn nanos(&self) -> u64 {
        self.epoch.elapsed().as_nanos() as u64
    }
}

fn mark_opening(slot: &Slot, plan: &Plan, failed: bool) {
    if failed {
        slot.mark(FAILED);
    }
    if !plan.moments.duration.is_empty() {
        slot.mark(TIMED);
    }
    if std::thread::panicking() {
        slot.mark(OPENED_IN_PANIC);
    }
}

/// A span that was opened by a destructor, during a panic, did not panic itself.
fn mark_panic(slot: &Slot) {
    if std::thread::panicking() && !slot.is_marked(OPENED_IN_PANIC) {
        slot.mark(PANICKED);
    }
}

fn outcome(slot: &Slot) -> &'static str {
    if slot.is_marked(PANICKED) {
        "panic"
    } else if slot.is_marked(FAILED) {
        "error"
    } else {
        "ok"
    }
}

/// `outcome` labels what is measured when the span closes, and nothing before.
fn without_outcome(labels: &LabelBuf) -> LabelBuf {
    let mut labels = labels.clone();
    labels.remove(OUTCOME);
    labels
}

#[allow(
    clippy::cast_precision_loss,
    reason = "nanoseconds of 104 days are exact"
)]
fn nanos_to_seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
