//! Messages with W3C headers, and the services that they pass through.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part of this")]

use std::collections::BTreeSet;

use opentelemetry::Context;
use tracing_meter::propagation::{Baggage, Traceparent, Tracestate, W3cPropagator};

/// Names and values, as the clients of Kafka have them.
pub type Headers = Vec<(String, Vec<u8>)>;

pub const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
pub const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

pub fn headers<V: AsRef<[u8]>>(list: &[(&str, V)]) -> Headers {
    let owned = |(name, value): &(&str, V)| ((*name).to_owned(), value.as_ref().to_vec());
    list.iter().map(owned).collect()
}

/// A valid trace with these headers beside.
pub fn with_trace<V: AsRef<[u8]>>(list: &[(&str, V)]) -> Headers {
    let mut all = headers(&[("traceparent", TRACEPARENT)]);
    all.extend(headers(list));
    all
}

/// The value of the header of exactly this name, which comes once at most.
pub fn value<'h>(headers: &'h Headers, name: &str) -> Option<&'h str> {
    let mut values = headers.iter().filter(|(key, _)| key == name);
    let value = values.next();
    assert!(values.next().is_none(), "two {name}: {headers:?}");
    value.map(|(_, value)| std::str::from_utf8(value).unwrap())
}

pub fn traceparent(headers: &Headers) -> Option<Traceparent> {
    value(headers, "traceparent").map(|header| header.parse().unwrap())
}

/// What a service without a tracer sends on.
pub fn passed_on(received: &Headers) -> Headers {
    passed_on_by(&W3cPropagator::new(), received)
}

pub fn passed_on_by(propagator: &W3cPropagator, received: &Headers) -> Headers {
    sent(
        propagator,
        &propagator.extract_with(&Context::new(), received),
    )
}

pub fn sent(propagator: &W3cPropagator, context: &Context) -> Headers {
    let mut sent = Headers::new();
    propagator.inject_into(context, &mut sent);
    sent
}

/// Trace, list, and baggage, of which the SDK does not keep the order.
pub type Meaning = (Option<String>, Option<String>, BTreeSet<String>);

pub fn meaning(headers: &Headers) -> Meaning {
    let owned = |name| value(headers, name).map(ToOwned::to_owned);
    let baggage = owned("baggage").unwrap_or_default();
    let members = baggage.split(',').map(ToOwned::to_owned);
    (owned("traceparent"), owned("tracestate"), members.collect())
}

/// Whatever came in, this holds for all that is sent.
pub fn assert_may_be_sent(sent: &Headers) {
    for (name, value) in sent {
        assert!(["traceparent", "tracestate", "baggage"].contains(&name.as_str()));
        assert!(!value.is_empty(), "an empty {name}");
        // Tabs stand around the properties of baggage, as they were received.
        let is_carried = |byte: &u8| (0x20..0x7f).contains(byte) || *byte == b'\t';
        assert!(value.iter().all(is_carried), "{name}: {value:?}");
    }
    if let Some(header) = value(sent, "traceparent") {
        let parsed: Traceparent = header.parse().unwrap();
        assert_eq!(parsed.to_string(), header);
    }
    if let Some(header) = value(sent, "tracestate") {
        assert!(value(sent, "traceparent").is_some(), "a list alone");
        let parsed: Tracestate = header.parse().unwrap();
        assert_eq!(parsed.as_str(), header);
        assert!(!header.contains('\t') && parsed.len() <= 32);
    }
    if let Some(header) = value(sent, "baggage") {
        let parsed = Baggage::parse([header.as_bytes()]);
        assert_eq!(parsed.to_string(), header);
        assert!(header.len() <= 8192 && parsed.len() <= 64);
    }
}

/// What came in goes out valid, and means the same to the next service.
pub fn assert_is_passed_on(received: &Headers) {
    let first = passed_on(received);
    assert_may_be_sent(&first);
    let second = passed_on(&first);
    assert_may_be_sent(&second);
    assert_eq!(meaning(&first), meaning(&second));
}
