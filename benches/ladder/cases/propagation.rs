//! Reading and writing the headers of a trace, by the SDK's propagators and by ours.

use std::hint::black_box;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_http::{HeaderExtractor, HeaderInjector};
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use tracing_meter::propagation::W3cPropagator;

use crate::run::harness::{Case, Stopwatch};

const WARM_UP: u64 = 2_000;

/// Headers of a message, by what is in them.
type Message = (&'static str, &'static [(&'static str, &'static str)]);

const TRACEPARENT: (&str, &str) = (
    "traceparent",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03",
);
/// As peers send it that know Level 1 only, and nothing of the random flag.
const LEVEL_1: (&str, &str) = (
    "traceparent",
    "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
);
const ONE: (&str, &str) = ("tracestate", "rojo=00f067aa0ba902b7");
const TWO: (&str, &str) = ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
const BAGGAGE: (&str, &str) = ("baggage", "tenant=acme,connector=okta");

const TRACES: [Message; 7] = [
    ("nothing", &[]),
    ("traceparent", &[TRACEPARENT]),
    ("level_1", &[LEVEL_1]),
    ("one_member", &[TRACEPARENT, ONE]),
    ("one_member_level_1", &[LEVEL_1, ONE]),
    ("two_members", &[TRACEPARENT, TWO]),
    ("two_members_level_1", &[LEVEL_1, TWO]),
];
const WITH_BAGGAGE: [Message; 2] = [
    ("baggage", &[BAGGAGE]),
    ("all", &[TRACEPARENT, TWO, BAGGAGE]),
];

pub(super) fn all() -> Vec<Case> {
    let traces = TRACES.into_iter().flat_map(|message| {
        let ours = || W3cPropagator::trace_context();
        compare(message, ours, || Box::new(TraceContextPropagator::new()))
    });
    let with_baggage = WITH_BAGGAGE.into_iter().flat_map(|message| {
        let composite = || {
            let propagators: Vec<Box<dyn TextMapPropagator + Send + Sync>> = vec![
                Box::new(TraceContextPropagator::new()),
                Box::new(BaggagePropagator::new()),
            ];
            Box::new(TextMapCompositePropagator::new(propagators)) as Box<dyn TextMapPropagator>
        };
        compare(message, W3cPropagator::new, composite)
    });
    traces.chain(with_baggage).collect()
}

/// As an OpenTelemetry propagator, over a carrier, and the SDK's.
fn compare(
    (name, message): Message,
    ours: fn() -> W3cPropagator,
    sdk: fn() -> Box<dyn TextMapPropagator>,
) -> Vec<Case> {
    let case = |what: &str, who: &str, run: fn(&mut Stopwatch, &Setup)| {
        let setup = Setup { message, ours, sdk };
        Case::new(format!("{what}/{name}/{who}"), move |watch| {
            run(watch, &setup);
        })
    };
    vec![
        case("extract", "ours", |watch, it| {
            extract(watch, it, &(it.ours)());
        }),
        case("extract", "sdk", |watch, it| {
            extract(watch, it, &*(it.sdk)());
        }),
        case("extract", "ours_carrier", |watch, it| {
            let (propagator, headers) = ((it.ours)(), it.headers());
            watch.repeat(WARM_UP, |_| {
                black_box(propagator.extract_from(black_box(&headers)));
            });
            it.check_context(&propagator.extract_from(&headers));
        }),
        case("hop", "ours", |watch, it| hop(watch, it, &(it.ours)())),
        case("hop", "sdk", |watch, it| hop(watch, it, &*(it.sdk)())),
        case("inject", "ours", |watch, it| {
            inject(watch, it, &(it.ours)());
        }),
        case("inject", "sdk", |watch, it| inject(watch, it, &*(it.sdk)())),
        case("inject", "ours_carrier", |watch, it| {
            let (propagator, context) = ((it.ours)(), it.context());
            let mut headers = HeaderMap::new();
            watch.repeat(WARM_UP, |_| {
                propagator.inject_into(black_box(&context), black_box(&mut headers));
            });
            it.check(&headers);
        }),
    ]
}

fn extract(watch: &mut Stopwatch, setup: &Setup, propagator: &dyn TextMapPropagator) {
    let headers = setup.headers();
    let mut context = Context::new();
    watch.repeat(WARM_UP, |_| {
        let extractor = HeaderExtractor(black_box(&headers));
        context = propagator.extract(&extractor);
    });
    setup.check_context(&context);
}

fn inject(watch: &mut Stopwatch, setup: &Setup, propagator: &dyn TextMapPropagator) {
    let context = setup.context();
    let mut headers = HeaderMap::new();
    watch.repeat(WARM_UP, |_| {
        let mut injector = HeaderInjector(black_box(&mut headers));
        propagator.inject_context(black_box(&context), &mut injector);
    });
    setup.check(&headers);
}

/// A message comes in, and its trace goes out.
fn hop(watch: &mut Stopwatch, setup: &Setup, propagator: &dyn TextMapPropagator) {
    let received = setup.headers();
    let mut sent = HeaderMap::new();
    watch.repeat(WARM_UP, |_| {
        let context = propagator.extract(&HeaderExtractor(black_box(&received)));
        let mut injector = HeaderInjector(black_box(&mut sent));
        propagator.inject_context(&context, &mut injector);
    });
    setup.check(&sent);
}

/// A message, and who reads it.
struct Setup {
    message: &'static [(&'static str, &'static str)],
    ours: fn() -> W3cPropagator,
    sdk: fn() -> Box<dyn TextMapPropagator>,
}

impl Setup {
    fn headers(&self) -> HeaderMap {
        let header = |(name, value): &(&'static str, &'static str)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        };
        self.message.iter().map(header).collect()
    }

    fn context(&self) -> Context {
        W3cPropagator::new().extract_from(&self.headers())
    }

    fn check_context(&self, context: &Context) {
        let received = self.headers();
        let span = context.span().span_context().clone();
        assert_eq!(span.is_valid(), received.contains_key("traceparent"));
        let listed = received.get("tracestate").map(HeaderValue::as_bytes);
        let state = span.trace_state().header();
        assert_eq!(state.as_bytes(), listed.unwrap_or_default());
        let has_baggage = !context.baggage().is_empty();
        assert_eq!(has_baggage, received.contains_key("baggage"));
    }

    /// What was sent is what came. The SDK forgets the random flag, and baggage has no
    /// order.
    fn check(&self, sent: &HeaderMap) {
        for (name, value) in self.message {
            let (sent, value) = (sent[*name].as_bytes(), value.as_bytes());
            let known = if *name == "baggage" {
                0
            } else {
                value.len() - 1
            };
            assert_eq!(sent.len(), value.len(), "{name}");
            assert_eq!(sent[..known], value[..known], "{name}");
        }
    }
}
