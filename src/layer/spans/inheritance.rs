//! The labels that spans give to what is measured inside them.

use tracing_core::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use super::Spans;
use super::open_span::OpenSpan;
use super::outer::Outer;
use crate::labels::LabelBuf;
use crate::plan::Plan;

impl Spans {
    /// Adds the labels that an event has from its enclosing spans.
    #[inline]
    pub(in crate::layer) fn inherit_into_event<S>(
        &self,
        plan: &Plan,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
        labels: &mut LabelBuf,
    ) where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        if self.inherits() {
            let innermost = self.innermost(event.parent(), event.is_contextual(), ctx);
            self.inherit(plan, innermost, ctx, labels);
        }
    }

    /// A span's own labels with those of the spans around it, if any span there gives some.
    #[inline]
    pub(super) fn with_inherited<S>(
        &self,
        plan: &Plan,
        own: &LabelBuf,
        outer: Outer,
        ctx: &Context<'_, S>,
    ) -> Option<LabelBuf>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        match outer {
            Outer::Some(outer) => self.with_labels_from(outer, plan, own, ctx),
            Outer::Unknown | Outer::None => None,
        }
    }

    #[inline(never)]
    fn with_labels_from<S>(
        &self,
        outer: u64,
        plan: &Plan,
        own: &LabelBuf,
        ctx: &Context<'_, S>,
    ) -> Option<LabelBuf>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let mut labels = None;
        self.each_outwards(Some(outer), ctx, |open, around| {
            if around.carried.is_empty() {
                return true;
            }
            let labels = labels.get_or_insert_with(|| own.clone());
            give(open, around, plan, labels);
            plan.may_inherit_more(labels)
        });
        labels
    }

    /// Walks outwards: what an inner span gives hides what an outer one would.
    fn inherit<S>(
        &self,
        plan: &Plan,
        innermost: Option<u64>,
        ctx: &Context<'_, S>,
        labels: &mut LabelBuf,
    ) where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        self.each_outwards(innermost, ctx, |open, around| {
            if around.carried.is_empty() {
                return true;
            }
            give(open, around, plan, labels);
            plan.may_inherit_more(labels)
        });
    }
}

/// What a span gives to what is measured inside it.
fn give(open: &OpenSpan, around: &Plan, plan: &Plan, labels: &mut LabelBuf) {
    open.with_labels(around, |stored| {
        for (from, position) in &around.carried {
            plan.inherit(*position, stored, *from, labels);
        }
    });
}
