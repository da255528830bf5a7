//! The life of a measured span: open, record, exit, close.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use smallvec::SmallVec;
use tracing_core::span::{Attributes, Id, Record};
use tracing_core::{Dispatch, Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::span_table::{FAILED, OPENED_IN_PANIC, PANICKED, Slot, SpanTable, TIMED};
use crate::labels::{LabelBuf, OUTCOME};
use crate::meter::Meter;
use crate::no_poison::NoPoison;
use crate::plan::{Plan, Recorded};
use crate::reentrancy::is_inside_a_sink;
use crate::series::Series;
use crate::value::Value;

/// The last exit of a span whose time is of no interest.
const UNTIMED: u64 = 1;

/// The spans that are open and measured.
pub(super) struct Spans {
    table: SpanTable,
    epoch: Instant,
    /// What was in flight until its span closed inside a sink, which must not be
    /// called there.
    owed: NoPoison<Vec<Arc<Series>>>,
    owes: AtomicBool,
}

impl Default for Spans {
    fn default() -> Self {
        Self {
            table: SpanTable::default(),
            epoch: Instant::now(),
            owed: NoPoison::default(),
            owes: AtomicBool::new(false),
        }
    }
}

impl Drop for Spans {
    fn drop(&mut self) {
        // As in the table, whose spans are given back after this.
        tracing_core::dispatcher::with_default(&Dispatch::none(), || self.pay_what_is_owed());
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
        self.pay_back();
        let opened = self.now(plan);
        let mut recorded = plan.nothing_recorded();
        plan.fields
            .read(&mut recorded, |visitor| attrs.record(visitor));
        let slot = self
            .table
            .insert(id.into_u64(), opening_marks(plan, &recorded));
        let inherited = self.with_inherited(meter, plan, &recorded.labels, id, ctx);
        let labels = inherited.as_ref().unwrap_or(&recorded.labels);
        let early = labels.key_before_outcome();
        plan.measure(&recorded, early, &meter.catalog);
        plan.measure_opened(early, &meter.catalog);
        let mut in_flight = SmallVec::new();
        for measure in &plan.moments.in_flight {
            // The series is kept, and gets back what it was given, whatever
            // becomes of the span's labels or the instrument.
            if let Some(series) = plan.series(*measure, early, &meter.catalog) {
                series.record(1.0);
                in_flight.push(series);
            }
        }
        let mut state = slot.state();
        state.callsite = Some(attrs.metadata());
        state.opened = opened;
        state.set_labels(&recorded.labels);
        state.in_flight = in_flight;
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
        let mut recorded = plan.nothing_recorded();
        plan.fields
            .read(&mut recorded, |visitor| values.record(visitor));
        if recorded.failed {
            slot.mark(FAILED);
        }
        let mut state = slot.state();
        let mut own = plan.no_labels();
        own.set_all(&state.labels);
        own.set_all(recorded.labels.as_words());
        state.set_labels(&own);
        drop(state);
        let inherited = self.with_inherited(meter, plan, &own, id, ctx);
        let labels = inherited.as_ref().unwrap_or(&own);
        plan.measure(&recorded, labels.key_before_outcome(), &meter.catalog);
    }

    #[cold]
    pub(super) fn reject_record(&self, meter: &Meter, id: &Id) {
        if let Some((_, plan)) = self.find(meter, id) {
            meter.reject_reentrant(plan);
        }
    }

    /// Entering matters only during a panic: a destructor's visit to a span is
    /// not what panicked.
    pub(super) fn enter(&self, id: &Id) {
        if std::thread::panicking()
            && let Some(slot) = self.table.get(id.into_u64())
        {
            slot.visit_in_panic();
        }
    }

    pub(super) fn exit(&self, id: &Id) {
        let Some(slot) = self.table.get(id.into_u64()) else {
            return;
        };
        let is_timed = slot.marks() & TIMED != 0;
        slot.set_last_exit(if is_timed { self.nanos() } else { UNTIMED });
        if std::thread::panicking() && !slot.ends_visit_in_panic() {
            mark_panic(slot);
        }
    }

    pub(super) fn close<S>(&self, meter: &Meter, id: &Id, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let Some(slot) = self.table.get(id.into_u64()) else {
            return;
        };
        let last_exit = slot.last_exit();
        // If it was entered, its exit has seen whether it was a panic that left it.
        if std::thread::panicking() && last_exit.is_none() {
            mark_panic(slot);
        }
        let marks = slot.marks();
        let closed = self.table.remove(id.into_u64());
        if let Some(plan) = closed.callsite.and_then(|callsite| meter.plan(callsite))
            && plan.moments.have_outcome()
        {
            let mut labels = plan.no_labels();
            labels.set_all(&closed.labels);
            if let Some(inherited) = self.with_inherited(meter, plan, &labels, id, ctx) {
                labels = inherited;
            }
            if !labels.has(OUTCOME) {
                let outcome = Value::Str(outcome(marks));
                labels.set(OUTCOME, &outcome, plan.fields.label_limit);
            }
            let end = last_exit.unwrap_or_else(|| self.now(plan));
            let seconds = nanos_to_seconds(end.saturating_sub(closed.opened));
            plan.measure_closed(seconds, labels.key(), &meter.catalog);
        }
        for series in &closed.in_flight {
            series.record(-1.0);
        }
        self.pay_back();
    }

    /// Forgets a span that closes inside a sink. What it has in flight is given
    /// back with the next event or span outside, or when the layer goes.
    #[cold]
    pub(super) fn close_inside_a_sink(&self, meter: &Meter, id: &Id) {
        let Some((_, plan)) = self.find(meter, id) else {
            return;
        };
        meter.reject_reentrant(plan);
        let closed = self.table.remove(id.into_u64());
        self.owed.lock().extend(closed.in_flight);
        self.owes.store(true, Ordering::Release);
    }

    #[inline]
    pub(super) fn pay_back(&self) {
        if self.owes.load(Ordering::Acquire) && !is_inside_a_sink() {
            self.pay_what_is_owed();
        }
    }

    #[cold]
    fn pay_what_is_owed(&self) {
        self.owes.store(false, Ordering::Relaxed);
        let owed = std::mem::take(&mut *self.owed.lock());
        for series in owed {
            series.record(-1.0);
        }
    }

    /// An error happened: the innermost span with an outcome that it happened in failed.
    ///
    /// Whether there is an unmeasured span in between is up to other layers'
    /// filters, which shall not change an outcome.
    pub(super) fn fail_span_of<S>(&self, meter: &Meter, event: &Event<'_>, ctx: &Context<'_, S>)
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let mut span = ctx.event_span(event);
        while let Some(here) = span {
            if let Some((slot, plan)) = self.find(meter, &here.id())
                && plan.moments.have_outcome()
            {
                return slot.mark(FAILED);
            }
            span = here.parent();
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
                    plan.inherit(*position, &state.labels, *from, labels);
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
    if slot.marks() & OPENED_IN_PANIC == 0 {
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
