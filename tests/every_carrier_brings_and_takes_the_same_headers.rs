//! Carriers, and the company that the propagator may be in: W3C Trace Context, Level 2,
//! sections 3.2.1 and 3.3.1, header names; OpenTelemetry's specification of propagators.
#![cfg(feature = "tonic")]

#[path = "support/traced.rs"]
mod traced;
#[path = "support/w3c.rs"]
mod w3c;

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::propagation::text_map_propagator::FieldIter;
use opentelemetry::propagation::{
    Extractor, Injector, TextMapCompositePropagator, TextMapPropagator,
};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry::{Context, global};
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::Sampler;
use tonic::metadata::MetadataMap;
use traced::Service;
use tracing_meter::propagation::{Carrier, CarrierInjector, CarrierMut, W3cPropagator};
use w3c::{Headers, TRACEPARENT, headers, meaning, with_trace};

/// Something that a message can be.
trait Message: Carrier + CarrierMut + Debug {
    /// All headers, in any order.
    fn all(&self) -> Headers;
}

#[test]
fn a_trace_goes_through_every_carrier() {
    let received = with_trace(&[("tracestate", "foo@@bar=1"), ("baggage", "a=%C3%A9;p")]);
    for mut carrier in carriers(&received) {
        let context = extract(&*carrier);
        assert_eq!(sent(&context), received, "{carrier:?}");
        carrier.set_header("tracestate", "congo=2".to_owned());
        assert_eq!(get(&*carrier, "tracestate"), [b"congo=2"]);
        W3cPropagator::new().inject_into(&context, &mut *carrier);
        assert_eq!(sorted(carrier.all()), sorted(received.clone()));
    }
}

#[test]
fn names_are_read_in_any_case_and_written_in_lowercase() {
    let received = headers(&[("TRACEPARENT", TRACEPARENT), ("TraceState", "rojo=1")]);
    for mut carrier in carriers(&received) {
        let context = extract(&*carrier);
        W3cPropagator::new().inject_into(&context, &mut *carrier);
        let expected = with_trace(&[("tracestate", "rojo=1")]);
        assert_eq!(sorted(carrier.all()), expected);
        for name in ["traceparent", "TraceParent", "TRACEPARENT"] {
            assert_eq!(get(&*carrier, name), [TRACEPARENT.as_bytes()]);
        }
    }
}

#[test]
fn repeated_lists_are_joined_in_their_order() {
    let received = with_trace(&[
        ("tracestate", "a=1"),
        ("baggage", "c=3"),
        ("TraceState", "b=2"),
        ("Baggage", "d=4"),
    ]);
    let expected = with_trace(&[("tracestate", "a=1,b=2"), ("baggage", "c=3,d=4")]);
    for carrier in lists(&received) {
        assert_eq!(meaning(&sent(&extract(&*carrier))), meaning(&expected));
    }
}

/// A map's keys differ in their case.
#[test]
fn of_two_traceparents_none_is_used() {
    let received = headers(&[("traceparent", TRACEPARENT), ("TraceParent", TRACEPARENT)]);
    for carrier in carriers(&received) {
        assert_eq!(sent(&extract(&*carrier)), [], "{carrier:?}");
    }
}

#[test]
fn stale_values_go_whatever_the_case_of_their_names() {
    let stale = headers(&[
        ("traceparent", "stale"),
        ("TRACEPARENT", "stale"),
        ("TraceState", "stale=1"),
        ("Baggage", "stale=1"),
        ("baggage", "stale=2"),
        ("host", "h"),
    ]);
    for mut carrier in carriers(&stale) {
        let context = extract(&with_trace::<&str>(&[]));
        W3cPropagator::new().inject_into(&context, &mut *carrier);
        let expected = headers(&[("host", "h"), ("traceparent", TRACEPARENT)]);
        assert_eq!(sorted(carrier.all()), expected);
        W3cPropagator::new().inject_into(&Context::new(), &mut *carrier);
        assert_eq!(carrier.all(), headers(&[("host", "h")]));
    }
    for mut carrier in carriers(&stale) {
        let _ = CarrierInjector::new(&mut *carrier);
        assert_eq!(carrier.all(), headers(&[("host", "h")]));
    }
}

/// Section 4: what cannot be parsed is as if it were not there.
#[test]
fn values_that_are_no_text_are_invalid_and_hurt_nobody() {
    let mut received = with_trace(&[("baggage", "a=1,b=\u{e9},c=3")]);
    received.push(("tracestate".to_owned(), vec![b'a', b'=', 0xff]));
    for carrier in binary(&received) {
        let expected = with_trace(&[("baggage", "a=1,c=3")]);
        assert_eq!(meaning(&sent(&extract(&*carrier))), meaning(&expected));
    }
    let mut bytes = TRACEPARENT.as_bytes().to_vec();
    bytes[10] = 0xff;
    for carrier in binary(&headers(&[("traceparent", bytes)])) {
        assert_eq!(sent(&extract(&*carrier)), []);
    }
}

#[test]
fn a_list_that_is_borrowed_can_be_read() {
    let slice = [
        ("TraceParent", TRACEPARENT.as_bytes()),
        ("tracestate", b"a=1"),
    ];
    let expected = with_trace(&[("tracestate", "a=1")]);
    assert_eq!(sent(&extract(slice.as_slice())), expected);
}

/// Through OpenTelemetry's traits, from carriers of others.
#[test]
fn repeated_headers_of_a_foreign_extractor_are_all_read() {
    let mut received = HeaderMap::new();
    received.insert("traceparent", TRACEPARENT.parse().unwrap());
    received.append("tracestate", "a=1".parse().unwrap());
    received.append("tracestate", "foo@@bar=2".parse().unwrap());
    let extract = |received: &HeaderMap| {
        W3cPropagator::new().extract_with_context(&Context::new(), &HeaderExtractor(received))
    };
    let mut injected = HeaderMap::new();
    let context = extract(&received);
    W3cPropagator::new().inject_context(&context, &mut HeaderInjector(&mut injected));
    assert_eq!(injected["traceparent"], TRACEPARENT);
    assert_eq!(injected["tracestate"], "a=1,foo@@bar=2");

    received.append("traceparent", TRACEPARENT.parse().unwrap());
    assert_eq!(sent(&extract(&received)), []);
}

/// Through OpenTelemetry's traits, an injector of ours removes what it cannot set.
#[test]
fn an_injector_into_a_carrier_writes_what_the_propagator_would() {
    let received = with_trace(&[("tracestate", "foo@@bar=1"), ("baggage", "a=1")]);
    let context = extract(&received);
    for mut carrier in carriers(&headers(&[("Baggage", "stale=1"), ("host", "h")])) {
        let mut injector = CarrierInjector::new(&mut *carrier);
        W3cPropagator::new().inject_context(&context, &mut injector);
        injector.set("x-other", "not ours".to_owned());
        let mut expected = received.clone();
        expected.extend(headers(&[("host", "h")]));
        assert_eq!(sorted(carrier.all()), sorted(expected));
    }
}

/// OpenTelemetry's specification, fields: what a caller has to clear.
#[test]
fn the_fields_are_the_headers_that_are_written() {
    let fields = |propagator: W3cPropagator| propagator.fields().collect::<Vec<_>>().join(" ");
    assert_eq!(
        fields(W3cPropagator::new()),
        "traceparent tracestate baggage"
    );
    assert_eq!(
        fields(W3cPropagator::trace_context()),
        "traceparent tracestate"
    );
    assert_eq!(fields(W3cPropagator::baggage()), "baggage");
}

/// OpenTelemetry's specification, composite propagators: each does its part, in order.
#[test]
fn others_may_stand_beside_it_in_a_composite() {
    let received: HashMap<String, String> = [
        ("traceparent", TRACEPARENT),
        ("tracestate", "foo@@bar=1"),
        ("baggage", "a=1"),
        ("x-request-id", "7"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    let ours = || Box::new(W3cPropagator::new());
    let composites = [
        TextMapCompositePropagator::new(vec![ours(), Box::new(RequestId::new())]),
        TextMapCompositePropagator::new(vec![Box::new(RequestId::new()), ours()]),
        TextMapCompositePropagator::new(vec![
            Box::new(BaggagePropagator::new()),
            Box::new(RequestId::new()),
            Box::new(W3cPropagator::trace_context()),
        ]),
        // The last one to write is right, although the first one forgets members.
        TextMapCompositePropagator::new(vec![
            Box::new(TraceContextPropagator::new()),
            Box::new(RequestId::new()),
            ours(),
        ]),
    ];
    for composite in composites {
        let context = composite.extract_with_context(&Context::new(), &received);
        let mut injected = HashMap::new();
        composite.inject_context(&context, &mut injected);
        assert_eq!(injected, received);
    }
}

/// OpenTelemetry's specification, global propagators.
#[test]
fn it_works_as_the_global_propagator() {
    global::set_text_map_propagator(W3cPropagator::new());
    let received = HashMap::from([
        ("traceparent".to_owned(), TRACEPARENT.to_owned()),
        ("tracestate".to_owned(), "foo@@bar=1".to_owned()),
    ]);
    let context = global::get_text_map_propagator(|global| global.extract(&received));
    let service = Service::new(Sampler::AlwaysOff);
    let call = service.starts(&context);
    let _within = call.clone().attach();
    let mut injected = HashMap::new();
    global::get_text_map_propagator(|global| global.inject(&mut injected));
    assert_eq!(injected["tracestate"], "foo@@bar=1");
    let span_id = call.span().span_context().span_id();
    let expected = format!("00-{}-{span_id}-00", w3c::TRACE_ID);
    assert_eq!(injected["traceparent"], expected);
}

/// OpenTelemetry's specification, extract: without a valid value the context stays.
#[test]
fn what_brings_nothing_valid_leaves_the_current_context() {
    let outer = extract(&with_trace(&[("tracestate", "foo@@bar=1")]));
    let _within = outer.attach();
    let nothing = [Headers::new(), headers(&[("traceparent", "00-0-0-0")])];
    for received in nothing {
        let context = W3cPropagator::new().extract_from(&received);
        assert_eq!(sent(&context), with_trace(&[("tracestate", "foo@@bar=1")]));
    }
}

fn extract(carrier: &(impl Carrier + ?Sized)) -> Context {
    W3cPropagator::new().extract_with(&Context::new(), carrier)
}

fn sent(context: &Context) -> Headers {
    w3c::sent(&W3cPropagator::new(), context)
}

fn get<'c>(carrier: &'c dyn Message, name: &str) -> Vec<&'c [u8]> {
    let mut values = Vec::new();
    carrier.each_header(name, &mut |value| values.push(value));
    values
}

fn sorted(mut headers: Headers) -> Headers {
    headers.sort();
    headers
}

/// All carriers.
fn carriers(headers: &Headers) -> Vec<Box<dyn Message>> {
    let mut all = lists(headers);
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    let texts = || {
        headers
            .iter()
            .map(|(name, value)| (name.clone(), text(value)))
    };
    all.push(Box::new(texts().collect::<Vec<(String, String)>>()));
    all.push(Box::new(texts().collect::<HashMap<String, String>>()));
    all.push(Box::new(texts().collect::<BTreeMap<String, String>>()));
    all.extend(maps_of_bytes(headers));
    all
}

/// Those that can hold a name more than once, and bytes.
fn lists(headers: &Headers) -> Vec<Box<dyn Message>> {
    let map: HeaderMap = headers
        .iter()
        .map(|(name, value)| {
            let name = name.parse::<HeaderName>().unwrap();
            (name, HeaderValue::from_bytes(value).unwrap())
        })
        .collect();
    vec![
        Box::new(headers.clone()),
        Box::new(MetadataMap::from_headers(map.clone())),
        Box::new(map),
    ]
}

/// Those that can hold bytes.
fn binary(headers: &Headers) -> Vec<Box<dyn Message>> {
    let mut all = lists(headers);
    all.extend(maps_of_bytes(headers));
    all
}

fn maps_of_bytes(headers: &Headers) -> [Box<dyn Message>; 2] {
    let all = || headers.iter().cloned();
    [
        Box::new(all().collect::<HashMap<String, Vec<u8>>>()),
        Box::new(all().collect::<BTreeMap<String, Vec<u8>>>()),
    ]
}

impl Message for HeaderMap {
    fn all(&self) -> Headers {
        let all = self.iter();
        all.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()))
            .collect()
    }
}

impl Message for MetadataMap {
    fn all(&self) -> Headers {
        self.clone().into_headers().all()
    }
}

/// Whatever is made of names and values.
macro_rules! message {
    ($carrier:ty) => {
        impl Message for $carrier {
            fn all(&self) -> Headers {
                let all = self.clone().into_iter();
                all.map(|(name, value)| (name, value.into())).collect()
            }
        }
    };
}

message!(Headers);
message!(Vec<(String, String)>);
message!(HashMap<String, String>);
message!(BTreeMap<String, String>);
message!(HashMap<String, Vec<u8>>);
message!(BTreeMap<String, Vec<u8>>);

/// A propagator of somebody else.
#[derive(Debug)]
struct RequestId {
    fields: [String; 1],
}

struct Id(String);

impl RequestId {
    fn new() -> Self {
        let fields = ["x-request-id".to_owned()];
        Self { fields }
    }
}

impl TextMapPropagator for RequestId {
    fn inject_context(&self, context: &Context, injector: &mut dyn Injector) {
        if let Some(Id(id)) = context.get() {
            injector.set(&self.fields[0], id.clone());
        }
    }

    fn extract_with_context(&self, context: &Context, extractor: &dyn Extractor) -> Context {
        match extractor.get(&self.fields[0]) {
            Some(id) => context.with_value(Id(id.to_owned())),
            None => context.clone(),
        }
    }

    fn fields(&self) -> FieldIter<'_> {
        FieldIter::new(&self.fields)
    }
}
