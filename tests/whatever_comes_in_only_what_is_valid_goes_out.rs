//! The propagator among arbitrary messages: W3C Trace Context, Level 2, and W3C Baggage.
#![cfg(feature = "propagation")]

#[path = "support/traced.rs"]
mod traced;
#[path = "support/w3c.rs"]
mod w3c;

use opentelemetry_sdk::trace::{Sampler, SamplingDecision};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use traced::{Deciding, Service};
use tracing_meter::propagation::{Baggage, W3cPropagator};
use w3c::{Headers, headers, meaning, passed_on, passed_on_by, traceparent, value};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_do_no_harm(received in vec((name(), vec(any::<u8>(), 0..300)), 0..8)) {
        w3c::assert_is_passed_on(&received);
    }

    /// Almost valid, so that every check is reached.
    #[test]
    fn mutated_messages_do_no_harm(
        mut received in message(),
        changes in vec((any::<Index>(), any::<Index>(), change()), 1..4),
        again in prop::option::of((name(), any::<Index>())),
    ) {
        for (header, at, change) in changes {
            let header = header.index(received.len());
            change.apply(&mut received[header].1, at);
        }
        if let Some((name, header)) = again {
            let value = received[header.index(received.len())].1.clone();
            received.push((name, value));
        }
        w3c::assert_is_passed_on(&received);
        w3c::assert_may_be_sent(&Service::new(Sampler::AlwaysOff).passes_on(&received));
    }

    #[test]
    fn what_is_valid_survives_services_without_a_tracer(received in message(), hops in 1..=5) {
        let mut hop = received.clone();
        for _ in 0..hops {
            hop = passed_on(&hop);
            w3c::assert_may_be_sent(&hop);
            prop_assert_eq!(meaning(&hop), meaning(&received));
        }
    }

    #[test]
    fn what_is_valid_survives_services_with_a_tracer(
        received in message(),
        services in vec(select(vec![0_u8, 1, 2]), 1..=5),
        random_ids: bool,
    ) {
        let mut hop = received.clone();
        let mut sampled = traceparent(&received).unwrap().is_sampled();
        for kind in services {
            sampled = [true, sampled, false][usize::from(kind)];
            hop = service(kind, random_ids).passes_on(&hop);
            w3c::assert_may_be_sent(&hop);
            let (before, after) = (traceparent(&received).unwrap(), traceparent(&hop).unwrap());
            prop_assert_eq!(after.trace_id(), before.trace_id());
            prop_assert_ne!(after.parent_id(), before.parent_id());
            prop_assert_eq!(after.is_random(), before.is_random());
            prop_assert_eq!(after.is_sampled(), sampled);
            let (_, list, baggage) = meaning(&hop);
            let (_, expected_list, expected_baggage) = meaning(&received);
            prop_assert_eq!((list, baggage), (expected_list, expected_baggage));
        }
    }

    #[test]
    fn a_limit_is_kept(received in message(), limit in 0_usize..4_000) {
        let propagator = W3cPropagator::new().tracestate_limit(limit);
        let sent = passed_on_by(&propagator, &received);
        w3c::assert_may_be_sent(&sent);
        let length = |headers| value(headers, "tracestate").map_or(0, str::len);
        prop_assert!(length(&sent) <= limit.max(512));
        if length(&received) <= limit.max(512) {
            prop_assert_eq!(value(&sent, "tracestate"), value(&received, "tracestate"));
        }
    }
}

/// Sampled always, as its parent is, and never.
fn service(kind: u8, random_ids: bool) -> Service {
    let propagator = W3cPropagator::new().random_ids(random_ids);
    match kind {
        0 => Service::with(propagator, Sampler::AlwaysOn),
        1 => Service::with(
            propagator,
            Sampler::ParentBased(Box::new(Sampler::AlwaysOn)),
        ),
        _ => Service::with(propagator, Deciding::new(SamplingDecision::RecordOnly)),
    }
}

fn name() -> impl Strategy<Value = String> {
    let names = [
        "traceparent",
        "tracestate",
        "baggage",
        "TraceState",
        "Baggage",
    ];
    select(names.map(str::to_owned).to_vec())
}

/// A valid message, written as we write it.
fn message() -> impl Strategy<Value = Headers> {
    let traceparent = (1_u128.., 1_u64.., 0_u8..4)
        .prop_map(|(trace, parent, flags)| format!("00-{trace:032x}-{parent:016x}-{flags:02x}"));
    (traceparent, list(), baggage()).prop_map(|(traceparent, list, baggage)| {
        let all = [
            ("traceparent", traceparent),
            ("tracestate", list),
            ("baggage", baggage.to_string()),
        ];
        let filled: Vec<_> = all.into_iter().filter(|(_, v)| !v.is_empty()).collect();
        headers(&filled)
    })
}

/// With many of the keys that the SDK refuses.
fn list() -> impl Strategy<Value = String> {
    let key = prop_oneof![
        "[a-z0-9][a-z0-9_*/@-]{0,15}",
        "[a-z0-9][a-z_@]".prop_map(|key| key.repeat(128)),
        "[a-z]@@[a-z]",
    ];
    let value = prop_oneof![
        "[ -+\\--<>-~]{0,15}[!-+\\--<>-~]",
        "[ -+\\--<>-~][!-+\\--<>-~]".prop_map(|value| value.repeat(128)),
    ];
    vec((key, value), 0..=32).prop_map(|members| {
        let mut seen = std::collections::HashSet::new();
        let members = members.iter().filter(|(key, _)| seen.insert(key.as_str()));
        let written: Vec<_> = members
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        written.join(",")
    })
}

fn baggage() -> impl Strategy<Value = Baggage> {
    let member = (
        "[!#$%&'*+.^_`|~a-zA-Z0-9-]{1,20}",
        prop_oneof![".{0,20}", any::<String>()],
        select(vec!["", "p", "p=1;q", "p = %41\t; q"]),
    );
    vec(member, 0..70).prop_map(|members| {
        let mut baggage = Baggage::default();
        for (key, value, properties) in members {
            let _ = baggage.insert(&key, &value, properties);
        }
        baggage
    })
}

#[derive(Clone, Debug)]
enum Change {
    Set(u8),
    Insert(u8),
    Remove,
    Cut,
    Repeat,
}

fn change() -> impl Strategy<Value = Change> {
    let byte = prop_oneof![
        any::<u8>(),
        select(b",=;%@ \t-_0fFgk\"\\\x00\x7f\xff".to_vec()),
    ];
    prop_oneof![
        byte.clone().prop_map(Change::Set),
        byte.prop_map(Change::Insert),
        Just(Change::Remove),
        Just(Change::Cut),
        Just(Change::Repeat),
    ]
}

impl Change {
    fn apply(self, value: &mut Vec<u8>, at: Index) {
        if value.is_empty() {
            return;
        }
        let at = at.index(value.len());
        match self {
            Self::Set(byte) => value[at] = byte,
            Self::Insert(byte) => value.insert(at, byte),
            Self::Remove => drop(value.remove(at)),
            Self::Cut => value.truncate(at),
            Self::Repeat => value.extend_from_within(at..),
        }
    }
}
