//! What a message brings.

use opentelemetry::Context;
use opentelemetry::baggage::{BaggageExt as _, KeyValueMetadata};
use smallvec::SmallVec;

use super::baggage::Baggage;
use super::carrier::Carrier;
use super::remote::ReceivedTrace;
use super::traceparent::Traceparent;
use super::tracestate::parse_members;
use super::{BAGGAGE, TRACEPARENT, TRACESTATE};

/// What a message brings that is valid.
pub(super) struct Received<'m> {
    pub(super) trace: Option<ReceivedTrace<'m>>,
    pub(super) baggage: Option<Baggage>,
    pub(super) random_ids: bool,
}

impl Received<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.trace.is_none() && self.baggage.is_none()
    }

    /// `context`, with what was received instead of what it holds.
    pub(super) fn put_into(self, context: &Context) -> Context {
        let context = match self.trace {
            Some(trace) => trace.put_into(context, self.random_ids),
            None => context.clone(),
        };
        match self.baggage {
            Some(baggage) => context.with_baggage(to_sdk(baggage)),
            None => context,
        }
    }
}

/// The trace of a message that has exactly one `traceparent`, and a valid one. Without
/// it the list is not read; a list that is not valid leaves the trace alone.
pub(super) fn trace(carrier: &(impl Carrier + ?Sized)) -> Option<ReceivedTrace<'_>> {
    let mut found = None;
    let mut received = 0;
    carrier.each_header(TRACEPARENT, &mut |value| {
        received += 1;
        found = if received == 1 {
            Traceparent::parse(value).ok()
        } else {
            None
        };
    });
    let traceparent = found?;
    let mut headers = SmallVec::<[&[u8]; 4]>::new();
    carrier.each_header(TRACESTATE, &mut |value| headers.push(value));
    Some(ReceivedTrace {
        traceparent,
        members: parse_members(headers).unwrap_or_default(),
    })
}

/// `None` without a valid member.
pub(super) fn baggage(carrier: &(impl Carrier + ?Sized)) -> Option<Baggage> {
    let mut headers = SmallVec::<[&[u8]; 4]>::new();
    carrier.each_header(BAGGAGE, &mut |value| headers.push(value));
    let baggage = Baggage::parse(headers);
    (!baggage.is_empty()).then_some(baggage)
}

fn to_sdk(baggage: Baggage) -> opentelemetry::baggage::Baggage {
    let members = baggage.into_members();
    members
        .map(|(key, value, properties)| KeyValueMetadata::new(key, value, properties))
        .collect()
}
