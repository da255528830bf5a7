//! The measured spans around an event or a span.
//!
//! Each span remembers the nearest measured span around it, once that was asked: the
//! registry takes some fifty nanoseconds for each step outwards.

use smallvec::SmallVec;
use tracing_core::span::{Attributes, Id};
use tracing_core::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::{LookupSpan, SpanRef};

use super::Spans;
use super::open_span::OpenSpan;
use super::outer::Outer;
use crate::plan::Plan;

impl Spans {
    /// The measured span around one that opens, if labels are inherited.
    #[inline]
    pub(super) fn outer_of_new<S>(&self, attrs: &Attributes<'_>, ctx: &Context<'_, S>) -> Outer
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        if !self.inherits() {
            return Outer::Unknown;
        }
        let innermost = self.innermost(attrs.parent(), attrs.is_contextual(), ctx);
        innermost.into()
    }

    /// The measured span around one that is open, if labels are inherited.
    #[inline]
    pub(super) fn outer_of<S>(&self, open: &OpenSpan, id: u64, ctx: &Context<'_, S>) -> Outer
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        match open.outer() {
            Outer::Unknown if self.inherits() => self.look_outwards(id, ctx).into(),
            known => known,
        }
    }

    /// Calls with each measured span around an event, and its plan, from the innermost
    /// outwards, as long as the call says so.
    pub(super) fn each_around<S>(
        &self,
        event: &Event<'_>,
        ctx: &Context<'_, S>,
        call: impl FnMut(&OpenSpan, &Plan) -> bool,
    ) where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let innermost = self.innermost(event.parent(), event.is_contextual(), ctx);
        self.each_outwards(innermost, ctx, call);
    }

    pub(super) fn inherits(&self) -> bool {
        !self.callsites.rules.inherited.is_empty()
    }

    pub(super) fn each_outwards<S>(
        &self,
        innermost: Option<u64>,
        ctx: &Context<'_, S>,
        mut call: impl FnMut(&OpenSpan, &Plan) -> bool,
    ) where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let mut next = innermost;
        while let Some(id) = next {
            let outer = self.with_span(id, |open, plan| {
                if call(open, plan) {
                    open.outer()
                } else {
                    Outer::None
                }
            });
            next = match outer {
                Some(Outer::Some(outer)) => Some(outer),
                Some(Outer::Unknown) => self.look_outwards(id, ctx),
                Some(Outer::None) | None => None,
            };
        }
    }

    /// The innermost measured span around what happens in this parent, or else in the
    /// current span.
    #[inline]
    pub(super) fn innermost<S>(
        &self,
        parent: Option<&Id>,
        is_contextual: bool,
        ctx: &Context<'_, S>,
    ) -> Option<u64>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let id = match parent {
            None if is_contextual => ctx.current_span().id()?.into_u64(),
            parent => parent?.into_u64(),
        };
        if self.table.contains(id) {
            return Some(id);
        }
        match self.table.outer(id) {
            Outer::Some(outer) => Some(outer),
            Outer::None => None,
            // A filter around the layer may hide the current span, and not those around it.
            Outer::Unknown => self.nearest(match parent {
                None => ctx.lookup_current(),
                Some(parent) => ctx.span(parent),
            }),
        }
    }

    /// The nearest measured span around this one.
    #[cold]
    fn look_outwards<S>(&self, id: u64, ctx: &Context<'_, S>) -> Option<u64>
    where
        S: Subscriber + for<'span> LookupSpan<'span>,
    {
        let found = self.nearest(ctx.span(&Id::from_u64(id))?.parent());
        self.table.set_outer(id, found.into());
        found
    }

    /// Asks the registry, and remembers the answer for every span that was passed.
    #[cold]
    fn nearest<'a, S>(&self, from: Option<SpanRef<'a, S>>) -> Option<u64>
    where
        S: Subscriber + LookupSpan<'a>,
    {
        // Held until the answers are remembered: no other span takes their slots before.
        let mut passed: SmallVec<[SpanRef<'a, S>; 16]> = SmallVec::new();
        let mut found = None;
        let mut next = from;
        while let Some(span) = next {
            let id = span.id().into_u64();
            if self.table.contains(id) {
                found = Some(id);
                break;
            }
            match self.table.outer(id) {
                Outer::Unknown => {}
                Outer::None => break,
                Outer::Some(outer) => {
                    found = Some(outer);
                    break;
                }
            }
            next = span.parent();
            passed.push(span);
        }
        for span in &passed {
            self.table.set_outer(span.id().into_u64(), found.into());
        }
        found
    }
}
