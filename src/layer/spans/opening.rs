//! What is measured when a span opens, and what it carries from then on.

use tracing_core::Subscriber;
use tracing_core::span::{Attributes, Id};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::Spans;
use super::marks::Marks;
use super::open_span::OpenSpan;
use super::outer::Outer;
use crate::callsites::PlanPosition;
use crate::labels::LabelBuf;
use crate::plan::{BindingPosition, InFlight, Plan, Recorded};
use crate::reentrancy::is_inside_a_sink;

impl Spans {
    /// Not part of its caller, which has nothing to do for other spans.
    #[inline(never)]
    pub(in crate::layer) fn open<S>(
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
        let inherits = Marks::INHERITS.when(inherited.is_some());
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
        let end_hidden = |there| self.end_hidden(there, ctx);
        // Each case by itself: a copy of what is in flight would wait for its parts.
        match in_flight {
            InFlight::On(binding) => {
                opening.binding = binding;
                opening.marks = opening.marks | Marks::BOUND;
                if inherited.is_none() {
                    opening.labels = None;
                }
                if let Some(near) = self.table.vacant(id) {
                    near.occupy(|open| opening.fill(open));
                } else {
                    self.table.insert(id, |open| opening.fill(open), end_hidden);
                }
            }
            InFlight::Kept(series) => {
                let fill = |open: &OpenSpan| {
                    opening.fill(open);
                    open.keep_in_flight(series);
                };
                self.table.insert(id, fill, end_hidden);
            }
        }
        recorded.end();
    }
}

/// What a span has when it opens.
struct Opening<'a> {
    position: PlanPosition,
    binding: BindingPosition,
    outer: Outer,
    opened: u64,
    marks: Marks,
    /// Its labels, if they are not those of the binding.
    labels: Option<&'a LabelBuf>,
    held: &'a [(u8, f64)],
}

impl Opening<'_> {
    #[inline]
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

#[inline]
fn opening_marks(plan: &Plan, recorded: &Recorded<'_>) -> Marks {
    Marks::FAILED.when(recorded.failed)
        | Marks::TIMED.when(plan.moments.are_timed())
        | Marks::OPENED_IN_PANIC.when(std::thread::panicking())
}
