//! Continuing and injecting by hand, whatever layers there are.

#![cfg(feature = "propagation")]

#[path = "support/traces.rs"]
mod traces;

use opentelemetry::trace::TraceContextExt as _;
use opentelemetry_sdk::trace::{Sampler, SdkTracer};
use tracing::{Dispatch, Instrument as _, Level, Span, debug_span, info_span, instrument};
use tracing_meter::propagation::{self, SpanPropagation as _, W3cPropagator};
use tracing_opentelemetry::OpenTelemetryLayer;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::{Identity, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

use traces::{Headers, TRACE_ID, TRACEPARENT, Traces, child_of, headers, origin, remote};

type Otel<S> = OpenTelemetryLayer<S, SdkTracer>;

fn otel<S>(traces: &Traces) -> Otel<S>
where
    S: tracing::Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_opentelemetry::layer().with_tracer(traces.tracer())
}

fn meter<S>() -> tracing_meter::MeterLayer<S> {
    tracing_meter::builder().build().unwrap()
}

/// Every place that our layers and the OpenTelemetry layer can have in a stack.
fn stacks(traces: &Traces) -> Vec<(&'static str, Dispatch)> {
    let registry = tracing_subscriber::registry;
    let fmt = || Identity::new();
    vec![
        ("alone", registry().with(otel(traces)).into()),
        ("before", registry().with(otel(traces)).with(meter()).into()),
        ("after", registry().with(meter()).with(otel(traces)).into()),
        (
            "wrapped",
            registry().with(propagation::layer(otel(traces))).into(),
        ),
        (
            "wrapped, before",
            registry()
                .with(propagation::layer(otel(traces)))
                .with(meter())
                .with(fmt())
                .into(),
        ),
        (
            "wrapped, after",
            registry()
                .with(fmt())
                .with(meter())
                .with(propagation::layer(otel(traces)))
                .into(),
        ),
        (
            "boxed",
            registry()
                .with(propagation::layer(otel(traces)).boxed())
                .into(),
        ),
        (
            "optional",
            registry()
                .with(Some(propagation::layer(otel(traces))))
                .into(),
        ),
        (
            "filtered",
            registry()
                .with(propagation::layer(otel(traces)).with_filter(LevelFilter::INFO))
                .with(meter())
                .into(),
        ),
        (
            "filtered inside",
            registry()
                .with(propagation::layer(
                    otel(traces).with_filter(LevelFilter::INFO),
                ))
                .with(fmt())
                .into(),
        ),
        (
            "beside passing through",
            registry()
                .with(propagation::pass_through())
                .with(otel(traces))
                .into(),
        ),
        (
            "before passing through",
            registry()
                .with(otel(traces))
                .with(propagation::pass_through())
                .into(),
        ),
        (
            "not activating",
            registry()
                .with(propagation::layer(
                    otel(traces).with_context_activation(false),
                ))
                .into(),
        ),
    ]
}

/// A trace comes in, and goes out from inside the span.
fn serve() -> (Headers, Headers) {
    let received = headers([
        ("traceparent", TRACEPARENT),
        ("tracestate", "foo@@bar=1"),
        ("baggage", "tenant=a"),
    ]);
    let span = info_span!("serve");
    assert_eq!(span.continue_from(&received), Ok(true));
    let mut sent = Headers::new();
    span.in_scope(|| info_span!("call").inject_into(&mut sent));
    (received, sent)
}

#[test]
fn with_a_tracer_in_any_place_a_span_is_a_child_of_the_remote_one() {
    for number in 0..stacks(&Traces::new()).len() {
        let traces = Traces::new();
        let (stack, dispatch) = stacks(&traces).remove(number);

        let (received, sent) = tracing::dispatcher::with_default(&dispatch, serve);

        let served = traces.span("serve");
        assert_eq!(origin(&served), remote(), "{stack}");
        let called = traces.span("call");
        assert_eq!(origin(&called), child_of(&served), "{stack}");
        let (trace_id, span_id) = child_of(&called);
        assert_eq!(
            sent["traceparent"],
            format!("00-{trace_id}-{span_id}-03"),
            "{stack}"
        );
        assert_eq!(sent["tracestate"], received["tracestate"], "{stack}");
        assert_eq!(sent["baggage"], received["baggage"], "{stack}");
    }
}

#[test]
fn without_a_tracer_the_headers_are_passed_on_as_they_came() {
    let stacks: [Dispatch; 4] = [
        tracing_subscriber::registry().into(),
        tracing_subscriber::registry()
            .with(meter())
            .with(Identity::new())
            .into(),
        tracing_subscriber::registry()
            .with(propagation::layer(Identity::new()))
            .into(),
        tracing_subscriber::registry()
            .with(tracing_opentelemetry::layer())
            .into(),
    ];
    for dispatch in stacks {
        let (received, sent) = tracing::dispatcher::with_default(&dispatch, serve);
        assert_eq!(sent, received);
    }
}

#[test]
fn what_was_sampled_out_keeps_its_trace_and_its_flags() {
    for (flags, sampler) in [("02", None), ("00", None), ("03", Some(Sampler::AlwaysOff))] {
        let parent_based = || Sampler::ParentBased(Box::new(Sampler::AlwaysOn));
        let traces = Traces::sampled(sampler.unwrap_or_else(parent_based));
        let subscriber = tracing_subscriber::registry()
            .with(otel(&traces))
            .with(meter());
        let received = TRACEPARENT.replace("-03", &format!("-{flags}"));

        let mut sent = Headers::new();
        tracing::subscriber::with_default(subscriber, || {
            let span = info_span!("serve");
            span.continue_from(&headers([("traceparent", &received)]))
                .unwrap();
            span.in_scope(|| info_span!("call").inject_into(&mut sent));
        });

        assert_eq!(traces.spans().len(), 0);
        assert_eq!(sent["traceparent"][..36], received[..36]);
        assert_ne!(sent["traceparent"][36..52], received[36..52]);
        let expected = if flags == "00" { "00" } else { "02" };
        assert_eq!(&sent["traceparent"][53..], expected);
    }
}

#[test]
fn a_disabled_span_gives_the_nearest_live_trace() {
    for activation in [true, false] {
        let traces = Traces::new();
        let otel = otel(&traces).with_context_activation(activation);
        let subscriber = tracing_subscriber::registry()
            .with(otel)
            .with(LevelFilter::INFO);

        let mut sent = [const { Headers::new() }; 3];
        tracing::subscriber::with_default(subscriber, || {
            let _outer = info_span!("outer").entered();
            let disabled = debug_span!("disabled");
            assert!(disabled.is_disabled());
            disabled.inject_into(&mut sent[0]);
            Span::none().inject_into(&mut sent[1]);
            Span::current().inject_into(&mut sent[2]);
            assert!(
                disabled
                    .continue_from(&headers([("traceparent", TRACEPARENT)]))
                    .unwrap_err()
                    .is_disabled()
            );
        });

        let (trace_id, span_id) = child_of(&traces.span("outer"));
        for sent in sent {
            assert_eq!(sent["traceparent"], format!("00-{trace_id}-{span_id}-03"));
        }
    }
}

#[test]
fn a_span_that_the_tracer_does_not_see_gives_the_nearest_that_it_sees() {
    let traces = Traces::new();
    let visible = filter_fn(|metadata| metadata.name() != "unseen");
    let subscriber = tracing_subscriber::registry()
        .with(propagation::layer(otel(&traces).with_filter(visible)))
        .with(Identity::new());

    let mut sent = [const { Headers::new() }; 3];
    tracing::subscriber::with_default(subscriber, || {
        let outer = info_span!("outer");
        let unseen = info_span!(parent: &outer, "unseen");
        unseen.inject_into(&mut sent[0]);
        unseen.in_scope(|| Span::current().inject_into(&mut sent[1]));
        let other = info_span!("other").entered();
        unseen.inject_into(&mut sent[2]);
        drop(other);

        // It continues a trace nevertheless, for the spans inside.
        let unseen = info_span!("unseen");
        assert_eq!(
            unseen.continue_from(&headers([("traceparent", TRACEPARENT)])),
            Ok(true)
        );
        unseen.in_scope(|| drop(info_span!("inside")));
    });

    let (trace_id, span_id) = child_of(&traces.span("outer"));
    for sent in sent {
        assert_eq!(sent["traceparent"], format!("00-{trace_id}-{span_id}-03"));
    }
    assert_eq!(origin(&traces.span("inside")), remote());
}

#[test]
fn what_a_filter_hides_is_no_hole_in_the_trace() {
    for activation in [true, false] {
        let traces = Traces::new();
        let visible = filter_fn(|metadata| metadata.name() != "unseen");
        let otel = otel(&traces).with_context_activation(activation);
        let subscriber = tracing_subscriber::registry()
            .with(propagation::layer(otel).with_filter(visible))
            .with(Identity::new());

        tracing::subscriber::with_default(subscriber, || {
            let unseen = info_span!("unseen");
            let message = headers([("traceparent", TRACEPARENT)]);
            assert_eq!(unseen.continue_from(&message), Ok(true));
            drop(info_span!(parent: &unseen, "explicit"));
            let inside = unseen.in_scope(|| info_span!(parent: None, "root"));
            drop(inside);
            let inside = unseen.in_scope(|| info_span!("inside"));
            drop(info_span!(parent: &inside, "explicit child"));
            let _unseen = unseen.entered();
            let _inside = inside.entered();
            drop(info_span!("child"));
        });

        assert_eq!(origin(&traces.span("explicit")), remote());
        let inside = traces.span("inside");
        assert_eq!(origin(&inside), remote());
        assert_eq!(origin(&traces.span("explicit child")), child_of(&inside));
        assert_eq!(origin(&traces.span("child")), child_of(&inside));
        assert_ne!(origin(&traces.span("root")), remote());
    }
}

#[test]
fn a_span_that_has_started_says_so_and_is_linked() {
    #[instrument(skip_all)]
    fn handle(message: &Headers) {
        let error = Span::current().continue_from(message).unwrap_err();
        assert!(error.is_started());
        assert!(error.to_string().contains("traceparent"), "{error}");
    }
    let traces = Traces::new();
    let subscriber = tracing_subscriber::registry().with(otel(&traces));

    tracing::subscriber::with_default(subscriber, || {
        handle(&headers([("traceparent", TRACEPARENT)]));
    });

    let span = traces.span("handle");
    assert_ne!(span.span_context.trace_id().to_string(), TRACE_ID);
    assert_eq!(span.links.len(), 1);
    assert_eq!(
        span.links.links[0].span_context.trace_id().to_string(),
        TRACE_ID
    );
}

#[test]
fn a_message_without_a_valid_trace_changes_nothing() {
    let traces = Traces::new();
    let subscriber = tracing_subscriber::registry().with(otel(&traces));

    tracing::subscriber::with_default(subscriber, || {
        let _parent = info_span!("parent").entered();
        for message in [
            headers([]),
            headers([("traceparent", "00-0af7")]),
            headers([("tracestate", "rojo=1")]),
            headers([("baggage", "tenant=a")]),
        ] {
            let span = info_span!("child");
            assert_eq!(span.continue_from(&message), Ok(false));
            assert!(!span.link_to(&message));
        }
        let baggage = info_span!("with_baggage");
        baggage
            .continue_from(&headers([("baggage", "tenant=a")]))
            .unwrap();
        let mut sent = Headers::new();
        baggage.inject_into(&mut sent);
        assert_eq!(sent["baggage"], "tenant=a");
    });

    let parent = child_of(&traces.span("parent"));
    let children: Vec<_> = traces
        .spans()
        .into_iter()
        .filter(|span| span.name != "parent")
        .collect();
    assert_eq!(children.len(), 5);
    for span in children {
        assert_eq!(origin(&span), parent);
        assert_eq!(span.links.len(), 0);
    }
}

#[test]
fn one_consumer_is_linked_to_many_messages() {
    let traces = Traces::new();
    let subscriber = tracing_subscriber::registry().with(propagation::layer(otel(&traces)));
    let message = |number: u64| {
        let traceparent = format!("00-{TRACE_ID}-{number:016x}-01");
        vec![("Traceparent".to_owned(), traceparent.into_bytes())]
    };

    tracing::subscriber::with_default(subscriber, || {
        let batch = info_span!("batch");
        assert!((1..=50).all(|number| batch.link_to(&message(number))));
        let entered = batch.enter();
        assert!((51..=100).all(|number| batch.link_to(&message(number))));
        drop(entered);
    });

    let links = traces.span("batch").links.links;
    let ids: Vec<_> = links
        .iter()
        .map(|link| u64::from_be_bytes(link.span_context.span_id().to_bytes()))
        .collect();
    assert_eq!(ids, (1..=100).collect::<Vec<_>>());
}

#[test]
fn what_is_injected_overwrites_what_was_there_or_removes_it() {
    let traces = Traces::new();
    let subscriber = tracing_subscriber::registry().with(otel(&traces));
    let stale = || {
        headers([
            ("Traceparent", "stale"),
            ("TRACESTATE", "stale=1"),
            ("baggage", "stale=1"),
            ("kept", "yes"),
        ])
    };

    let mut carrier = stale();
    tracing::subscriber::with_default(subscriber, || info_span!("call").inject_into(&mut carrier));
    let (trace_id, span_id) = child_of(&traces.span("call"));
    let traceparent = format!("00-{trace_id}-{span_id}-03");
    assert_eq!(
        carrier,
        headers([("traceparent", &traceparent), ("kept", "yes")])
    );

    let mut carrier = stale();
    Span::none().inject_into(&mut carrier);
    assert_eq!(carrier, headers([("kept", "yes")]));
}

#[test]
fn a_context_of_opentelemetry_alone_is_live_too() {
    let subscriber = tracing_subscriber::registry().with(meter());
    let message = headers([("traceparent", TRACEPARENT)]);

    let mut sent = Headers::new();
    tracing::subscriber::with_default(subscriber, || {
        let _context = W3cPropagator::new().extract_from(&message).attach();
        info_span!("call").inject_into(&mut sent);
    });

    assert_eq!(sent, message);
}

#[test]
fn a_subscriber_that_keeps_nothing_says_so() {
    let message = headers([("traceparent", TRACEPARENT)]);
    tracing::subscriber::with_default(KeepsNothing, || {
        let error = info_span!("serve").continue_from(&message).unwrap_err();
        assert!(error.is_unkept());
    });
}

#[tokio::test]
async fn the_trace_is_the_right_one_across_await_points() {
    let traces = Traces::new();
    let subscriber = tracing_subscriber::registry().with(propagation::layer(otel(&traces)));
    let _default = tracing::subscriber::set_default(subscriber);
    let task = |number: u64| async move {
        let traceparent = format!("00-{number:032x}-{number:016x}-01");
        let serve = async {
            for _ in 0..10 {
                tokio::task::yield_now().await;
                let current = opentelemetry::Context::current();
                let trace_id = current.span().span_context().trace_id();
                assert_eq!(u128::from_be_bytes(trace_id.to_bytes()), u128::from(number));
            }
        };
        serve.instrument(info_span!("serve", traceparent)).await;
    };

    tokio::join!(task(1), task(2), task(3));

    assert_eq!(traces.spans().len(), 3);
}

/// Gives each span an id, and that is all.
struct KeepsNothing;

impl tracing::Subscriber for KeepsNothing {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, _: &tracing::Event<'_>) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}
