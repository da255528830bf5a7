//! A remote trace in an OpenTelemetry context, and out of it again.

use std::num::{NonZeroU64, NonZeroU128};

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};

use super::traceparent::{Traceparent, has_random_flag};
use super::tracestate::{Member, Members, Tracestate, check_member, push_unless_known};

/// What a message says of its trace.
pub(super) struct ReceivedTrace<'m> {
    pub(super) traceparent: Traceparent,
    pub(super) members: Members<'m>,
}

/// What is sent of a trace.
pub(super) struct SentTrace {
    pub(super) traceparent: Traceparent,
    pub(super) tracestate: Tracestate,
}

/// What the SDK's types do not hold of a remote trace.
///
/// It stands in the `Context`, where all spans inherit it, those of other traces
/// too: hence the trace id.
struct RemoteDetails {
    trace_id: TraceId,
    random: bool,
    /// The list that was received, if the SDK refuses some of its members.
    tracestate: Option<Tracestate>,
}

impl SentTrace {
    /// The trace that `context` is part of. `random_ids` says whether traces that
    /// start here have random ids.
    pub(super) fn of(context: &Context, random_ids: bool) -> Option<Self> {
        let span = context.span();
        let span = span.span_context();
        let trace_id = NonZeroU128::new(u128::from_be_bytes(span.trace_id().to_bytes()))?;
        let parent_id = NonZeroU64::new(u64::from_be_bytes(span.span_id().to_bytes()))?;
        let details = RemoteDetails::of(span.trace_id(), context);
        let random = match details {
            Some(details) => details.random,
            None if has_random_flag(span.trace_flags().to_u8()) => true,
            // Of a span that was started here nothing else is known.
            None => !span.is_remote() && random_ids,
        };
        let listed = details.and_then(|it| it.tracestate.as_ref());
        Some(Self {
            traceparent: Traceparent::new(trace_id, parent_id)
                .sampled(span.is_sampled())
                .random(random),
            tracestate: match listed {
                Some(received) => with_changes(received, span.trace_state()),
                None => from_sdk(span.trace_state()),
            },
        })
    }
}

impl ReceivedTrace<'_> {
    /// `context`, but as part of this trace.
    pub(super) fn put_into(self, context: &Context, random_ids: bool) -> Context {
        let traceparent = self.traceparent;
        let trace_id = TraceId::from(traceparent.trace_id().get());
        let (listed, refused) = to_sdk(&self.members);
        // A span that is not recorded loses its parent's flags, and a sampler may set
        // any list: neither tells it from the span of a trace that started here.
        let is_known = traceparent.is_random() && random_ids;
        let span = SpanContext::new(
            trace_id,
            SpanId::from(traceparent.parent_id().get()),
            TraceFlags::new(traceparent.flags()),
            true,
            listed,
        );
        let context = context.with_remote_span_context(span);
        if is_known && refused.is_none() && RemoteDetails::of(trace_id, &context).is_none() {
            return context;
        }
        context.with_value(RemoteDetails {
            trace_id,
            random: traceparent.is_random(),
            tracestate: refused,
        })
    }
}

impl RemoteDetails {
    fn of(trace_id: TraceId, context: &Context) -> Option<&Self> {
        let details = context.get::<Self>()?;
        (details.trace_id == trace_id).then_some(details)
    }
}

/// As the SDK's type, with the whole list if the SDK refuses some of it.
fn to_sdk(members: &[Member<'_>]) -> (TraceState, Option<Tracestate>) {
    if members.is_empty() {
        return (TraceState::NONE, None);
    }
    if let Ok(all) = TraceState::from_key_value(members.iter().copied()) {
        return (all, None);
    }
    let accepted = accepted_by_the_sdk(members.iter().copied());
    (accepted, Some(Tracestate::of_members(members)))
}

fn accepted_by_the_sdk<'a>(members: impl Iterator<Item = Member<'a>>) -> TraceState {
    let is_accepted = |member: &Member<'_>| TraceState::from_key_value([*member]).is_ok();
    TraceState::from_key_value(members.filter(is_accepted)).unwrap_or_default()
}

/// What no header may hold, the SDK's type being less strict, stays here.
fn from_sdk(state: &TraceState) -> Tracestate {
    let mut members = Members::new();
    for member in state
        .into_iter()
        .filter_map(|member| check_member(member).ok())
    {
        push_unless_known(&mut members, member);
    }
    Tracestate::of_members(&members)
}

/// The list that was received, with what a sampler has changed since in the part
/// that the SDK holds.
fn with_changes(received: &Tracestate, now: &TraceState) -> Tracestate {
    let before = accepted_by_the_sdk(received.iter());
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
