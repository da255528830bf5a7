//! W3C Trace Context, Level 2, section 7, security: whoever sends a message may send
//! anything in it. A process of its own, and one test in it: all events and the
//! allocations of a thread are counted.
#![cfg(feature = "propagation")]

#[path = "support/w3c.rs"]
mod w3c;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use opentelemetry::Context;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::{Event, Subscriber, info_span};
use tracing_meter::propagation::{self, SpanPropagation as _, W3cPropagator};
use tracing_subscriber::layer::{self, Layer};
use tracing_subscriber::prelude::*;
use w3c::{Headers, TRACEPARENT};

#[test]
fn hostile_headers_cost_nothing_but_their_reading() {
    let tracer = SdkTracerProvider::default().tracer("hostile");
    let otel = tracing_opentelemetry::layer().with_tracer(tracer);
    let subscriber = tracing_subscriber::registry()
        .with(propagation::layer(otel))
        .with(CountsEvents);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let mut random = Random(1);
    for round in 0..10_000 {
        let received = hostile(round, &mut random);
        assert_is_harmless(&received);
        assert_is_harmless_to_spans(&received);
    }
    assert_eq!(EVENTS.load(Ordering::Relaxed), 0);

    // Those who count would have seen one.
    tracing::trace!(target: "opentelemetry", "an event");
    assert_eq!(EVENTS.load(Ordering::Relaxed), 1);
}

/// The bytes that came in, for each header a place in a list that grows, and what the
/// largest baggage and the largest list cost, decoded and written again.
fn assert_is_harmless(received: &Headers) {
    let propagator = W3cPropagator::new();
    let before = allocated();
    let context = propagator.extract_with(&Context::new(), received);
    let mut sent = Headers::new();
    propagator.inject_into(&context, &mut sent);
    let cost = allocated() - before;

    let bytes: usize = received.iter().map(|(_, value)| value.len()).sum();
    let bound = bytes + 64 * received.len() + 64 * 1024;
    assert!(cost <= bound, "{cost} bytes of {bytes}");
    w3c::assert_may_be_sent(&sent);
}

/// By hand, and in the fields of a span.
fn assert_is_harmless_to_spans(received: &Headers) {
    let mut sent = Headers::new();
    let span = info_span!("serve");
    assert!(span.continue_from(received).is_ok());
    span.in_scope(|| span.inject_into(&mut sent));
    w3c::assert_may_be_sent(&sent);

    let first = |name| {
        let (_, value) = received.iter().find(|(key, _)| key == name)?;
        Some(String::from_utf8_lossy(value).into_owned())
    };
    let span = info_span!(
        "consume",
        traceparent = first("traceparent"),
        tracestate = first("tracestate"),
        baggage = first("baggage"),
    );
    span.in_scope(|| span.inject_into(&mut sent));
    w3c::assert_may_be_sent(&sent);
}

/// Every thousandth is of up to a megabyte.
fn hostile(round: usize, random: &mut Random) -> Headers {
    let size = if round % 1_000 < 20 { 1 << 20 } else { 1 << 11 };
    let name = ["traceparent", "tracestate", "baggage"][random.below(3)];
    let one = |value: Vec<u8>| vec![(name.to_owned(), value)];
    let mut received = match round % 20 {
        0 => one(random.bytes(size)),
        1 => one(repeat(b",", size)),
        2 => one(repeat(b" ,\t;", size)),
        3 => one(repeat(b"%25%2525%", size)),
        4 => one(repeat(b"\0", size)),
        5 => one(repeat("a=é,".as_bytes(), size)),
        6 => one([b"a=", &*repeat(b"%FF", size)].concat()),
        7 => one(numbered(size, "=%C3%A9;p=1")),
        8 => one(repeat(b"a=1,", size)),
        9 => one([b"k=", &*repeat(b"v", 8_000), &*repeat(b",k=;@", size)].concat()),
        10 => one([&*repeat(b"k", 257), b"=1"].concat()),
        11 => one([&*repeat(b"a=1;", 8_190), b"p,b=2"].concat()),
        12 => one(repeat(b"=", size)),
        13 => one([TRACEPARENT.as_bytes(), &*repeat(b"-", size)].concat()),
        14 => one([b"cc", &TRACEPARENT.as_bytes()[2..], &*repeat(b"-", size)].concat()),
        15 => one([&*repeat(b" \t", size), TRACEPARENT.as_bytes()].concat()),
        16 => vec![(name.to_owned(), random.bytes(8)); size / 100],
        17 => vec![(name.to_owned(), b"a=1".to_vec()); size / 100],
        18 => one(numbered(40 * 7, "=1")),
        _ => one(random.almost(b"foo@@bar=1, k=%41;p=q ,rojo= 2")),
    };
    // Without a trace nothing else would be read.
    if name != "traceparent" || random.below(2) == 0 {
        let traceparent = random.almost(TRACEPARENT.as_bytes());
        let traceparent = [TRACEPARENT.as_bytes().to_vec(), traceparent][random.below(2)].clone();
        received.insert(0, ("traceparent".to_owned(), traceparent));
    }
    received
}

fn repeat(unit: &[u8], size: usize) -> Vec<u8> {
    unit.repeat(size / unit.len())
}

/// Members with keys of their own.
fn numbered(size: usize, rest: &str) -> Vec<u8> {
    let members = (0..size / (rest.len() + 5)).map(|n| format!("k{n}{rest},"));
    members.collect::<String>().into_bytes()
}

/// Xorshift: the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 33).unwrap_or_default() % end
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[3]).collect()
    }

    /// With one byte that is another one.
    fn almost(&mut self, value: &[u8]) -> Vec<u8> {
        let mut value = value.to_vec();
        let at = self.below(value.len());
        value[at] = self.bytes(1)[0];
        value
    }
}

static EVENTS: AtomicU64 = AtomicU64::new(0);

/// Every event of the process.
struct CountsEvents;

impl<S: Subscriber> Layer<S> for CountsEvents {
    fn on_event(&self, _: &Event<'_>, _: layer::Context<'_, S>) {
        EVENTS.fetch_add(1, Ordering::Relaxed);
    }
}

thread_local! {
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

/// All bytes that this thread has allocated, those that it freed included.
fn allocated() -> usize {
    ALLOCATED.get()
}

fn account(bytes: usize) {
    let _ = ALLOCATED.try_with(|all| all.set(all.get() + bytes));
}

#[global_allocator]
static ALLOCATOR: CountsBytes = CountsBytes;

struct CountsBytes;

#[allow(unsafe_code, reason = "the trait's contract; all calls are passed on")]
// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for CountsBytes {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        account(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        account(size);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}
