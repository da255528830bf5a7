//! Where a trace is read from, and where it is written to.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;

use opentelemetry::propagation::{Extractor, Injector};

use super::{BAGGAGE, TRACEPARENT, TRACESTATE};

#[cfg(feature = "http")]
mod http;
#[cfg(feature = "tonic")]
mod tonic;

/// A message whose headers can be read.
///
/// Implemented for `http::HeaderMap` (feature `http`), `tonic::metadata::MetadataMap`
/// (feature `tonic`), maps of `String`, and lists of name and bytes, as the clients
/// of Kafka, AMQP and NATS have them.
///
/// ```
/// use tracing_meter::propagation::{Carrier, CarrierMut};
///
/// let mut kafka: Vec<(String, Vec<u8>)> = Vec::new();
/// kafka.set_header("tracestate", "rojo=1".to_owned());
/// let mut values = Vec::new();
/// kafka.each_header("TraceState", &mut |value| values.push(value));
/// assert_eq!(values, [b"rojo=1"]);
/// ```
pub trait Carrier {
    /// Gives each value of the header to `each`, in the order in which they came.
    /// Names are the same in lowercase and in uppercase.
    fn each_header<'c>(&'c self, name: &str, each: &mut dyn FnMut(&'c [u8]));
}

/// A message whose headers can be written.
pub trait CarrierMut {
    /// Sets the header to one value, which is printable ASCII, or a tab where baggage
    /// has properties. `name` is made of lowercase letters and dashes.
    fn set_header(&mut self, name: &'static str, value: String);

    /// Takes away all values of the header.
    fn remove_header(&mut self, name: &'static str);
}

/// Lets an OpenTelemetry propagator of W3C headers write into a carrier. Headers of
/// others, B3 or Jaeger, are not written.
///
/// What the carrier holds of the W3C headers goes first, because it could not be
/// taken away later: an [`Injector`] can only set.
///
/// ```
/// use opentelemetry::propagation::TextMapPropagator;
/// use tracing_meter::propagation::{CarrierInjector, W3cPropagator};
///
/// let mut forwarded = vec![("traceparent".to_owned(), b"stale".to_vec())];
/// W3cPropagator::new().inject(&mut CarrierInjector::new(&mut forwarded));
/// assert!(forwarded.is_empty());
/// ```
#[derive(Debug)]
pub struct CarrierInjector<'c, C: ?Sized>(&'c mut C);

impl<'c, C: CarrierMut + ?Sized> CarrierInjector<'c, C> {
    /// An injector into a carrier, of which it removes the W3C headers.
    pub fn new(carrier: &'c mut C) -> Self {
        for name in [TRACEPARENT, TRACESTATE, BAGGAGE] {
            carrier.remove_header(name);
        }
        Self(carrier)
    }
}

impl<C: CarrierMut + ?Sized> Injector for CarrierInjector<'_, C> {
    fn set(&mut self, key: &str, value: String) {
        let ours = [TRACEPARENT, TRACESTATE, BAGGAGE];
        if let Some(name) = ours.into_iter().find(|name| name.eq_ignore_ascii_case(key)) {
            self.0.set_header(name, value);
        }
    }
}

/// What an OpenTelemetry propagator reads from.
pub(super) struct Extracted<'e>(pub(super) &'e dyn Extractor);

impl Carrier for Extracted<'_> {
    fn each_header<'c>(&'c self, name: &str, each: &mut dyn FnMut(&'c [u8])) {
        for value in self.0.get_all(name).into_iter().flatten() {
            each(value.as_bytes());
        }
    }
}

impl<V: AsRef<[u8]>, S: BuildHasher> Carrier for HashMap<String, V, S> {
    fn each_header<'c>(&'c self, name: &str, each: &mut dyn FnMut(&'c [u8])) {
        let all = self
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        all.for_each(|(_, value)| each(value.as_ref()));
    }
}

impl<V: From<String>, S: BuildHasher> CarrierMut for HashMap<String, V, S> {
    fn set_header(&mut self, name: &'static str, value: String) {
        self.remove_header(name);
        self.insert(name.to_owned(), value.into());
    }

    fn remove_header(&mut self, name: &'static str) {
        self.retain(|key, _| !key.eq_ignore_ascii_case(name));
    }
}

impl<V: AsRef<[u8]>> Carrier for BTreeMap<String, V> {
    fn each_header<'c>(&'c self, name: &str, each: &mut dyn FnMut(&'c [u8])) {
        let all = self
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        all.for_each(|(_, value)| each(value.as_ref()));
    }
}

impl<V: From<String>> CarrierMut for BTreeMap<String, V> {
    fn set_header(&mut self, name: &'static str, value: String) {
        self.remove_header(name);
        self.insert(name.to_owned(), value.into());
    }

    fn remove_header(&mut self, name: &'static str) {
        self.retain(|key, _| !key.eq_ignore_ascii_case(name));
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Carrier for [(N, V)] {
    fn each_header<'c>(&'c self, name: &str, each: &mut dyn FnMut(&'c [u8])) {
        let all = self
            .iter()
            .filter(|(key, _)| key.as_ref().eq_ignore_ascii_case(name));
        all.for_each(|(_, value)| each(value.as_ref()));
    }
}

impl<N: AsRef<str>, V: AsRef<[u8]>> Carrier for Vec<(N, V)> {
    fn each_header<'c>(&'c self, name: &str, each: &mut dyn FnMut(&'c [u8])) {
        self.as_slice().each_header(name, each);
    }
}

impl<N: AsRef<str> + From<&'static str>, V: From<String>> CarrierMut for Vec<(N, V)> {
    fn set_header(&mut self, name: &'static str, value: String) {
        self.remove_header(name);
        self.push((name.into(), value.into()));
    }

    fn remove_header(&mut self, name: &'static str) {
        self.retain(|(key, _)| !key.as_ref().eq_ignore_ascii_case(name));
    }
}
