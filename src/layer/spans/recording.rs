//! What comes after a span has opened: late fields, and the error of its function.

use tracing_core::span::{Id, Record};
use tracing_core::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::Spans;
use super::marks::Marks;
use super::open_span::OpenSpan;
use crate::plan::{Plan, SourceLocation};
use crate::reentrancy::is_inside_a_sink;

impl Spans {
    #[inline]
    pub(in crate::layer) fn record<S>(&self, id: &Id, values: &Record<'_>, ctx: &Context<'_, S>)
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
            open.mark(Marks::FAILED);
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

    /// An event says that a function returned an error: its span failed.
    ///
    /// That is the innermost span of the same location in the source.
    pub(in crate::layer) fn fail_span_of<S>(
        &self,
        event: &Event<'_>,
        location: SourceLocation,
        ctx: &Context<'_, S>,
    ) where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        self.each_around(event, ctx, |open, plan| {
            let is_it = plan.source == Some(location);
            if is_it {
                open.mark(Marks::FAILED);
            }
            !is_it
        });
    }
}
