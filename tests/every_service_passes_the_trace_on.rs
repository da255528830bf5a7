//! W3C Trace Context, Level 2, section 4: what services do with what they receive,
//! with a tracer of the SDK and without one.
#![cfg(feature = "propagation")]

#[path = "support/traced.rs"]
mod traced;
#[path = "support/w3c.rs"]
mod w3c;

use std::collections::HashSet;

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision};
use traced::{Deciding, Service, samplers};
use tracing_meter::propagation::W3cPropagator;
use w3c::{
    Headers, TRACE_ID, TRACEPARENT, headers, passed_on, passed_on_by, sent, traceparent, value,
    with_trace,
};

/// Section 4: a service that takes no part in the trace forwards it as it is.
#[test]
fn a_service_without_a_tracer_forwards_what_it_received() {
    for flags in ["00", "01", "02", "03"] {
        let received = headers(&[
            ("traceparent", &with_flags(flags)),
            ("tracestate", &unfit("rojo= 1,congo=2")),
            ("baggage", &"a=1;p".to_owned()),
        ]);
        for random_ids in [true, false] {
            let propagator = W3cPropagator::new().random_ids(random_ids);
            assert_eq!(passed_on_by(&propagator, &received), received);
        }
    }
}

/// Section "Mutating the traceparent field": each outgoing request has a parent id of
/// its own, and all have the trace's id.
#[test]
fn a_traced_service_sends_a_new_id_with_each_call() {
    let received = with_trace(&[("tracestate", "rojo=1")]);
    for sampler in samplers() {
        let service = Service::new(sampler.clone());
        let context = service.receives(&received);
        let mut parents = HashSet::from([0xb7ad_6b71_6920_3331, span_id(&context)]);
        for _ in 0..10 {
            let call = service.calls(&context);
            let parent = traceparent(&call).unwrap();
            assert!(parents.insert(parent.parent_id().get()), "{sampler:?}");
            assert_eq!(&value(&call, "traceparent").unwrap()[3..35], TRACE_ID);
            assert_eq!(value(&call, "tracestate"), Some("rojo=1"));
        }
    }
}

/// Section 3.2.2.4: the parent id is the id of the sender's span.
#[test]
fn a_traced_service_sends_the_id_of_its_own_span() {
    for sampler in samplers() {
        let service = Service::new(sampler);
        let call = service.starts(&service.receives(&with_trace::<&str>(&[])));
        let parent = traceparent(&sent(&W3cPropagator::new(), &call)).unwrap();
        assert_eq!(parent.parent_id().get(), span_id(&call));
    }
}

/// Section 4, steps 1 and 2: nothing of an invalid trace is continued.
#[test]
fn without_a_valid_traceparent_a_new_trace_starts() {
    let uppercase = TRACEPARENT.to_uppercase();
    let service = Service::new(Sampler::AlwaysOn);
    for bad in ["", "00-0-0-0", &uppercase] {
        let received = headers(&[("traceparent", bad), ("tracestate", "rojo=1")]);
        let sent = service.passes_on(&received);
        let trace_id = traceparent(&sent).unwrap().trace_id().get();
        assert_ne!(format!("{trace_id:032x}"), TRACE_ID);
        assert_eq!(value(&sent, "tracestate"), None);
    }
}

/// Section 3.2.2.5, sampled: what this service decided.
#[test]
fn the_sampled_flag_is_what_the_service_decided() {
    let always = [
        (Sampler::AlwaysOn, [true, true]),
        (Sampler::AlwaysOff, [false, false]),
        (
            Sampler::ParentBased(Box::new(Sampler::AlwaysOn)),
            [false, true],
        ),
    ];
    for (sampler, expected) in always {
        let service = Service::new(sampler);
        let is_sampled = |flags| {
            let sent = service.passes_on(&headers(&[("traceparent", with_flags(flags))]));
            traceparent(&sent).unwrap().is_sampled()
        };
        assert_eq!(["00", "01"].map(is_sampled), expected);
        assert_eq!(["02", "03"].map(is_sampled), expected);
    }
}

/// Section 3.2.2.5, random: a statement about the trace's id, which does not change.
#[test]
fn the_random_flag_is_passed_on_as_it_came() {
    let unfit = unfit("rojo=1");
    for random_ids in [true, false] {
        for sampler in samplers().into_iter().chain(changing_samplers()) {
            let service = Service::with(W3cPropagator::new().random_ids(random_ids), sampler);
            for flags in ["00", "01", "02", "03"] {
                for list in ["", "rojo=1", "foo@@bar=1", &unfit] {
                    assert_random_flag_is_passed_on(&service, flags, list);
                }
            }
        }
    }
}

fn assert_random_flag_is_passed_on(service: &Service, flags: &str, list: &str) {
    let received = headers(&[("traceparent", &*with_flags(flags)), ("tracestate", list)]);
    let expected = traceparent(&received).unwrap().is_random();
    let mut hop = service.sends(&service.receives(&received));
    for _ in 0..3 {
        assert_eq!(
            traceparent(&hop).unwrap().is_random(),
            expected,
            "{flags} {list}"
        );
        hop = service.passes_on(&hop);
    }
}

/// Section 3.2.2.5, random: set by who makes the id, if it is so.
#[test]
fn the_random_flag_of_traces_that_start_here_says_what_their_ids_are() {
    for random_ids in [true, false] {
        for sampler in samplers().into_iter().chain(changing_samplers()) {
            let service = Service::with(W3cPropagator::new().random_ids(random_ids), sampler);
            let root = service.starts(&Context::new());
            for sent in [service.calls(&root), service.calls(&service.starts(&root))] {
                assert_eq!(traceparent(&sent).unwrap().is_random(), random_ids);
            }
        }
    }
}

/// Section 3.3.1.3.1: keys that the SDK's type refuses.
#[test]
fn what_the_sdk_refuses_goes_through_every_span() {
    let list = unfit("rojo= 1,congo=2");
    for sampler in samplers() {
        let service = Service::new(sampler);
        let mut hop = with_trace(&[("tracestate", &list)]);
        for _ in 0..5 {
            hop = service.passes_on(&hop);
            assert_eq!(value(&hop, "tracestate"), Some(list.as_str()));
        }
    }
}

/// Section "Mutating the tracestate field", beside what the SDK refuses.
#[test]
fn what_a_sampler_changes_is_changed_beside_what_the_sdk_refuses() {
    type Case = (fn(TraceState) -> TraceState, &'static str);
    let cases: [Case; 6] = [
        (
            |list| list.insert("new", "9").unwrap(),
            "new=9,foo@@bar=0,rojo=1,congo=2,long",
        ),
        (
            |list| list.insert("rojo", "9").unwrap(),
            "rojo=9,foo@@bar=0,congo=2,long",
        ),
        (
            |list| list.insert("congo", "9").unwrap(),
            "congo=9,foo@@bar=0,rojo=1,long",
        ),
        (
            |list| list.delete("rojo").unwrap(),
            "foo@@bar=0,congo=2,long",
        ),
        (|_| TraceState::default(), "foo@@bar=0,long"),
        (
            |list| list.insert("b", "2").unwrap().insert("a", "1").unwrap(),
            "a=1,b=2,foo@@bar=0,rojo=1,congo=2,long",
        ),
    ];
    let long = format!("t@{}=3", "v".repeat(254));
    let received = format!("foo@@bar=0,rojo=1,congo=2,{long}");
    for (change, expected) in cases {
        let sampler = Deciding::new(SamplingDecision::Drop).and_changing(change);
        let sent = Service::new(sampler).passes_on(&with_trace(&[("tracestate", &received)]));
        let expected = expected.replace("long", &long);
        assert_eq!(value(&sent, "tracestate"), Some(expected.as_str()));
    }
}

/// Section 3.3.1.1: 32 members, those that the SDK does not see included.
#[test]
fn of_a_full_list_the_right_most_goes_when_a_sampler_adds_one() {
    let members: Vec<_> = (0..31).map(|n| format!("k{n}=1")).collect();
    let received = format!("foo@@bar=1,{}", members.join(","));
    let add = |list: TraceState| list.insert("new", "1").unwrap();
    let sampler = Deciding::new(SamplingDecision::RecordAndSample).and_changing(add);
    let sent = Service::new(sampler).passes_on(&with_trace(&[("tracestate", received)]));
    let expected = format!("new=1,foo@@bar=1,{}", members[..30].join(","));
    assert_eq!(value(&sent, "tracestate"), Some(expected.as_str()));
}

/// Section 3.3.1.3: the SDK's type takes values that no list can hold, and keys twice.
#[test]
fn what_a_sampler_may_not_add_costs_the_others_nothing() {
    let spoil = |_| {
        let members = [
            ("a", "1"),
            ("b", ""),
            ("c", "\u{e9}"),
            ("d", "2 "),
            ("a", "3"),
        ];
        TraceState::from_key_value(members.into_iter().chain([("rojo", "1")])).unwrap()
    };
    let sampler = Deciding::new(SamplingDecision::RecordAndSample).and_changing(spoil);
    let service = Service::new(sampler);
    for (list, expected) in [
        ("rojo=1", "a=1,rojo=1"),
        ("foo@@bar=1,rojo=1", "a=1,foo@@bar=1,rojo=1"),
    ] {
        let sent = service.passes_on(&with_trace(&[("tracestate", list)]));
        assert_eq!(value(&sent, "tracestate"), Some(expected));
    }
}

/// Section 3.3: a list belongs to its trace.
#[test]
fn what_travels_beside_a_trace_is_not_sent_with_another_one() {
    let propagator = W3cPropagator::new();
    let received = headers(&[
        ("traceparent", with_flags("00")),
        ("tracestate", unfit("rojo=1")),
    ]);
    let context = propagator.extract_with(&Context::new(), &received);
    let other = SpanContext::new(
        TraceId::from(1),
        SpanId::from(2),
        TraceFlags::new(3),
        true,
        TraceState::from_key_value([("congo", "2")]).unwrap(),
    );
    let sent_remote = sent(&propagator, &context.with_remote_span_context(other));
    let parent = format!("00-{:032x}-{:016x}-03", 1, 2);
    let expected = headers(&[("traceparent", &*parent), ("tracestate", "congo=2")]);
    assert_eq!(sent_remote, expected);

    // A root span, in a context that still holds what was received.
    let service = Service::new(Sampler::AlwaysOn);
    let root = service.starts(&Context::new());
    let root = context.with_remote_span_context(root.span().span_context().clone());
    let sent_here = sent(&propagator, &root);
    assert_ne!(
        traceparent(&sent_here).unwrap().trace_id(),
        traceparent(&received).unwrap().trace_id()
    );
    assert_eq!(value(&sent_here, "tracestate"), None);
}

/// Section 4: what was received last is what is continued, in the same trace as well.
#[test]
fn of_one_trace_the_list_and_the_flags_that_came_last_are_used() {
    let propagator = W3cPropagator::new();
    let unfit = unfit("rojo=1");
    let lists = ["", "congo=2", "foo@@bar=3", &unfit];
    for sampler in samplers() {
        let service = Service::new(sampler);
        for (first, second) in lists.iter().flat_map(|a| lists.iter().map(move |b| (a, b))) {
            for flags in ["00", "02"] {
                let outer = headers(&[("traceparent", &*with_flags("02")), ("tracestate", first)]);
                let inner =
                    headers(&[("traceparent", &*with_flags(flags)), ("tracestate", second)]);
                let context = propagator.extract_with(&service.receives(&outer), &inner);
                assert_eq!(sent(&propagator, &context), passed_on(&inner));
                let sent = service.calls(&context);
                let expected = Some(*second).filter(|list| !list.is_empty());
                assert_eq!(value(&sent, "tracestate"), expected);
                assert_eq!(traceparent(&sent).unwrap().is_random(), flags == "02");
            }
        }
    }
}

/// Section 3.2.1: a request has one `traceparent`, that of its sender.
#[test]
fn stale_headers_are_overwritten_and_removed_where_there_is_nothing_to_send() {
    let stale = || {
        let mut stale = with_trace(&[("tracestate", "stale=1"), ("baggage", "stale=1")]);
        stale.extend(headers(&[
            ("TraceParent", "stale"),
            ("BAGGAGE", "x=1"),
            ("host", "h"),
        ]));
        stale
    };
    let propagator = W3cPropagator::new();
    let mut request = stale();
    let service = Service::new(Sampler::AlwaysOn);
    let call = service.starts(&Context::new());
    propagator.inject_into(&call, &mut request);
    let mut expected = headers(&[("host", "h")]);
    expected.extend(sent(&propagator, &call));
    assert_eq!(request, expected);
    assert_eq!(value(&request, "tracestate"), None);

    let mut request = stale();
    propagator.inject_into(&Context::new(), &mut request);
    assert_eq!(request, headers(&[("host", "h")]));
}

/// Each half writes its own headers, and leaves the other's alone.
#[test]
fn half_a_propagator_leaves_the_other_headers_alone() {
    let all = with_trace(&[("tracestate", "rojo=1"), ("baggage", "a=1")]);
    let trace = passed_on_by(&W3cPropagator::trace_context(), &all);
    assert_eq!(trace, with_trace(&[("tracestate", "rojo=1")]));
    let baggage = passed_on_by(&W3cPropagator::baggage(), &all);
    assert_eq!(baggage, headers(&[("baggage", "a=1")]));
    let mut request: Headers = all.clone();
    W3cPropagator::trace_context().inject_into(&Context::new(), &mut request);
    assert_eq!(request, baggage);
    let mut request = all;
    W3cPropagator::baggage().inject_into(&Context::new(), &mut request);
    assert_eq!(request, trace);
}

/// Samplers that leave no trace of what the list was before.
fn changing_samplers() -> Vec<Box<dyn opentelemetry_sdk::trace::ShouldSample>> {
    let changes: [fn(TraceState) -> TraceState; 3] = [
        |list| list.insert("ot", "th:8").unwrap(),
        |list| list.delete("rojo").unwrap(),
        |_| TraceState::default(),
    ];
    let decisions = [
        SamplingDecision::Drop,
        SamplingDecision::RecordOnly,
        SamplingDecision::RecordAndSample,
    ];
    let all = decisions
        .iter()
        .flat_map(|decision| changes.map(|change| (decision.clone(), change)));
    all.map(|(decision, change)| Deciding::new(decision).and_changing(change).into())
        .collect()
}

fn with_flags(flags: &str) -> String {
    format!("{}{flags}", &TRACEPARENT[..53])
}

/// A list with members that the SDK's type refuses, and these between.
fn unfit(members: &str) -> String {
    format!("foo@@bar=0,{members},t@{}= 3", "v".repeat(254))
}

fn span_id(context: &Context) -> u64 {
    u64::from_be_bytes(context.span().span_context().span_id().to_bytes())
}
