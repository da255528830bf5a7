//! The life of a measured span: open, record, exit, close.

use std::time::Instant;

use smallvec::SmallVec;
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::span_table::{FAILED, OPENED_IN_PANIC, PANICKED, Slot, SpanTable, TIMED};
use crate::labels::{LabelBuf, OUTCOME};
use crate::meter::Meter;
use crate::plan::{Plan, Recorded};
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
        let opened = self.now(plan);
        let mut recorded = Recorded::default();
        plan.read(&mut recorded, |visitor| attrs.record(visitor));
        let slot = self
            .table
            .insert(id.into_u64(), opening_marks(plan, &recorded));
        let inherited = self.with_inherited(meter, plan, &recorded.labels, id, ctx);
        let labels = inherited.as_ref().unwrap_or(&recorded.labels);
        let early = labels.before_outcome();
        plan.measure(&recorded, early, &meter.catalog);
        plan.measure_each(&plan.moments.opened, 1.0, early, &meter.catalog);
        // The series are kept, and get back what they were given, whatever
        // becomes of the span's labels or the instrument.
        let in_flight = plan.moments.in_flight.iter();
        let in_flight: SmallVec<_> = in_flight
            .filter_map(|measure| plan.series(*measure, early, &meter.catalog))
            .collect();
        let mut state = slot.state();
        state.callsite = Some(attrs.metadata());
        state.opened = opened;
        state.set_labels(&recorded.labels);
        state.in_flight.clone_from(&in_flight);
        drop(state);
        for series in &in_flight {
            series.record(1.0);
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
        let mut recorded = Recorded::default();
        plan.read(&mut recorded, |visitor| values.record(visitor));
        if recorded.failed {
            slot.mark(FAILED);
        }
        let mut state = slot.state();
        let mut own = LabelBuf::from_bytes(&state.labels);
        own.merge(&recorded.labels);
        state.set_labels(&own);
        drop(state);
        let inherited = self.with_inherited(meter, plan, &own, id, ctx);
        let labels = inherited.as_ref().unwrap_or(&own);
        plan.measure(&recorded, labels.before_outcome(), &meter.catalog);
    }

    pub(super) fn exit(&self, id: &Id) {
        let Some(slot) = self.table.get(id.into_u64()) else {
            return;
        };
        if slot.marks() & TIMED != 0 {
            slot.set_last_exit(self.nanos());
        }
        mark_panic(slot);
    }

    pub(super) fn close<S>(&self, meter: &Meter, id: &Id, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let Some(slot) = self.table.get(id.into_u64()) else {
            return;
        };
        mark_panic(slot);
        let (marks, last_exit) = (slot.marks(), slot.last_exit());
        let closed = self.table.remove(id.into_u64());
        if let Some(plan) = closed.callsite.and_then(|callsite| meter.plan(callsite))
            && plan.moments.have_outcome()
        {
            let mut labels = LabelBuf::from_bytes(&closed.labels);
            if let Some(inherited) = self.with_inherited(meter, plan, &labels, id, ctx) {
                labels = inherited;
            }
            if !labels.has(OUTCOME) {
                labels.set(OUTCOME, &Value::Str(outcome(marks)), plan.label_limit());
            }
            let end = last_exit.unwrap_or_else(|| self.now(plan));
            let seconds = nanos_to_seconds(end.saturating_sub(closed.opened));
            let labels = labels.as_bytes();
            plan.measure_each(&plan.moments.closed, 1.0, labels, &meter.catalog);
            plan.measure_each(&plan.moments.duration, seconds, labels, &meter.catalog);
        }
        for series in &closed.in_flight {
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
    #[inline]
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

    /// A span's own labels with those of the spans around it, if any are inherited.
    fn with_inherited<S>(
        &self,
        meter: &Meter,
        plan: &Plan,
        own: &LabelBuf,
        id: &Id,
        ctx: &Context<'_, S>,
    ) -> Option<LabelBuf>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        if meter.rules.inherited.is_empty() {
            return None;
        }
        let mut labels = own.clone();
        let parent = ctx.span(id).and_then(|span| span.parent());
        self.inherit(meter, plan, parent, &mut labels);
        Some(labels)
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

fn opening_marks(plan: &Plan, recorded: &Recorded) -> u8 {
    let mark = |condition, mark| if condition { mark } else { 0 };
    mark(recorded.failed, FAILED)
        | mark(!plan.moments.duration.is_empty(), TIMED)
        | mark(std::thread::panicking(), OPENED_IN_PANIC)
}

/// A span that was opened by a destructor, during a panic, did not panic itself.
fn mark_panic(slot: &Slot) {
    if std::thread::panicking() && slot.marks() & OPENED_IN_PANIC == 0 {
        slot.mark(PANICKED);
    }
}

fn outcome(marks: u8) -> &'static str {
    if marks & PANICKED != 0 {
        "panic"
    } else if marks & FAILED != 0 {
        "error"
    } else {
        "ok"
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "nanoseconds of 104 days are exact"
)]
fn nanos_to_seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}
