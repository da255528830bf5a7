//! The labels that enclosing spans give to what is measured inside them.

use tracing_core::span::Id;
use tracing_core::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::spans::Spans;
use crate::labels::LabelBuf;
use crate::plan::Plan;

impl Spans {
    /// Adds the labels that an event has from its enclosing spans.
    #[inline]
    pub(super) fn inherit_into_event<S>(
        &self,
        plan: &Plan,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
        labels: &mut LabelBuf,
    ) where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        if self.inherits() {
            self.inherit(plan, ctx.event_span(event), labels);
        }
    }

    /// A span's own labels with those of the spans around it, if any are inherited.
    pub(super) fn with_inherited<S>(
        &self,
        plan: &Plan,
        own: &LabelBuf,
        id: &Id,
        ctx: &Context<'_, S>,
    ) -> Option<LabelBuf>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        if !self.inherits() {
            return None;
        }
        let mut labels = own.clone();
        let parent = ctx.span(id).and_then(|span| span.parent());
        self.inherit(plan, parent, &mut labels);
        Some(labels)
    }

    /// Walks outwards: what an inner span gives hides what an outer one would.
    fn inherit<'a, S>(&self, plan: &Plan, innermost: Option<SpanRef<'a, S>>, labels: &mut LabelBuf)
    where
        S: LookupSpan<'a>,
    {
        let mut span = innermost;
        while let Some(here) = span {
            if let Some((open, outer)) = self.find(&here.id())
                && !outer.carried.is_empty()
            {
                open.with_labels(outer, |stored| {
                    for (from, position) in &outer.carried {
                        plan.inherit(*position, stored, *from, labels);
                    }
                });
            }
            span = here.parent();
        }
    }

    fn inherits(&self) -> bool {
        !self.meter.rules.inherited.is_empty()
    }
}
