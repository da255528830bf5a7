//! A remote trace in an OpenTelemetry context, and out of it again.

use std::num::{NonZeroU64, NonZeroU128};

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};

use super::traceparent::has_random_flag;
use super::{Traceparent, Tracestate};

/// What a message says of its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TraceContext {
    pub(super) traceparent: Traceparent,
    pub(super) tracestate: Tracestate,
}

/// What the SDK's types do not hold of a remote trace.
///
/// It stands in the `Context`, where all spans inherit it, those of other traces
/// too: hence the trace id.
struct Beside {
    trace_id: TraceId,
    random: bool,
    /// The list that was received, if the SDK refuses some of its members.
    tracestate: Option<Tracestate>,
}

impl TraceContext {
    /// The trace that `context` is part of. `random_ids` says whether traces that
    /// start here have random ids.
    pub(super) fn of(context: &Context, random_ids: bool) -> Option<Self> {
        let span = context.span();
        let span = span.span_context();
        let trace_id = NonZeroU128::new(u128::from_be_bytes(span.trace_id().to_bytes()))?;
        let parent_id = NonZeroU64::new(u64::from_be_bytes(span.span_id().to_bytes()))?;
        let beside = Beside::of(span.trace_id(), context);
        let random = match beside {
            Some(beside) => beside.random,
            None if has_random_flag(span.trace_flags().to_u8()) => true,
            // Of a span that was started here nothing else is known.
            None => !span.is_remote() && random_ids,
        };
        let listed = beside.and_then(|beside| beside.tracestate.as_ref());
        Some(Self {
            traceparent: Traceparent::new(trace_id, parent_id)
                .sampled(span.is_sampled())
                .random(random),
            tracestate: match listed {
                Some(received) => with_changes(received, span.trace_state()),
                // The SDK's type is less strict: what nobody may send stays here.
                None => Tracestate::from_members(span.trace_state()),
            },
        })
    }

    /// `context`, but as part of this trace.
    pub(super) fn put_into(self, context: &Context, random_ids: bool) -> Context {
        let traceparent = self.traceparent;
        let trace_id = TraceId::from(traceparent.trace_id().get());
        let (listed, refused) = to_sdk(self.tracestate);
        // A span that is not recorded loses its parent's flags, and a sampler may set
        // any list: neither tells it from the span of a trace that started here.
        let is_known = traceparent.is_random() == random_ids;
        let span = SpanContext::new(
            trace_id,
            SpanId::from(traceparent.parent_id().get()),
            TraceFlags::new(traceparent.flags()),
            true,
            listed,
        );
        let context = context.with_remote_span_context(span);
        if is_known && refused.is_none() && Beside::of(trace_id, &context).is_none() {
            return context;
        }
        context.with_value(Beside {
            trace_id,
            random: traceparent.is_random(),
            tracestate: refused,
        })
    }
}

impl Beside {
    fn of(trace_id: TraceId, context: &Context) -> Option<&Self> {
        let beside = context.get::<Self>()?;
        (beside.trace_id == trace_id).then_some(beside)
    }
}

/// As the SDK's type, with the whole list if the SDK refuses some of it.
fn to_sdk(list: Tracestate) -> (TraceState, Option<Tracestate>) {
    if list.is_empty() {
        return (TraceState::NONE, None);
    }
    match TraceState::from_key_value(list.iter()) {
        Ok(all) => (all, None),
        Err(_) => (accepted_by_the_sdk(&list), Some(list)),
    }
}

fn accepted_by_the_sdk(list: &Tracestate) -> TraceState {
    let is_accepted = |member: &(&str, &str)| TraceState::from_key_value([*member]).is_ok();
    TraceState::from_key_value(list.iter().filter(is_accepted)).unwrap_or_default()
}

/// The list that was received, with what a sampler has changed since in the part
/// that the SDK holds.
fn with_changes(received: &Tracestate, now: &TraceState) -> Tracestate {
    let before = accepted_by_the_sdk(received);
    if before == *now {
        return received.clone();
    }
    let kept = received.retain(|key, _| before.get(key).is_none() || now.get(key).is_some());
    let changed = now
        .into_iter()
        .filter(|(key, value)| before.get(key) != Some(value));
    let changed: Vec<_> = changed.collect();
    changed.into_iter().rev().fold(kept, |list, (key, value)| {
        list.insert(key, value).unwrap_or(list)
    })
}
