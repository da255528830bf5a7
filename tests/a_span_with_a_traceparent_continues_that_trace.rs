//! By naming convention, with `tracing` alone.

#![cfg(feature = "propagation")]

#[path = "support/traces.rs"]
mod traces;

use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::{SpanId, TraceContextExt as _};
use opentelemetry_sdk::trace::Sampler;
use tracing::{Dispatch, Span, info_span, instrument};
use tracing_meter::propagation::{self, SpanPropagation as _};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::prelude::*;

use traces::{
    Headers, PARENT_ID, TRACE_ID, TRACEPARENT, Traces, child_of, headers, origin, remote,
};

fn dispatch(traces: &Traces) -> Dispatch {
    let otel = tracing_opentelemetry::layer().with_tracer(traces.tracer());
    tracing_subscriber::registry()
        .with(propagation::layer(otel))
        .into()
}

fn run(traces: &Traces, program: impl FnOnce()) {
    tracing::dispatcher::with_default(&dispatch(traces), program);
}

struct Message(Headers);

impl Message {
    fn new() -> Self {
        Self(headers([
            ("traceparent", TRACEPARENT),
            ("tracestate", "rojo=1"),
            ("baggage", "tenant=a%20b"),
        ]))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

#[instrument(skip_all, fields(
    traceparent = message.get("traceparent"),
    tracestate = message.get("tracestate"),
    baggage = message.get("baggage"),
))]
fn consume(message: &Message) -> Headers {
    let mut sent = Headers::new();
    info_span!("produce").in_scope(|| Span::current().inject_into(&mut sent));
    sent
}

#[test]
fn an_instrumented_function_is_a_child_of_the_remote_span() {
    let traces = Traces::new();

    let mut sent = Headers::new();
    run(&traces, || sent = consume(&Message::new()));

    let consumed = traces.span("consume");
    assert_eq!(origin(&consumed), remote());
    assert!(consumed.parent_span_is_remote);
    assert_eq!(consumed.span_context.trace_state().header(), "rojo=1");
    assert_eq!(consumed.links.len(), 0);
    let produced = traces.span("produce");
    assert_eq!(origin(&produced), child_of(&consumed));
    let (trace_id, span_id) = child_of(&produced);
    let traceparent = format!("00-{trace_id}-{span_id}-03");
    assert_eq!(
        sent,
        headers([
            ("traceparent", &traceparent),
            ("tracestate", "rojo=1"),
            ("baggage", "tenant=a%20b")
        ])
    );
}

#[test]
fn a_value_may_be_borrowed_owned_optional_or_displayed() {
    let traces = Traces::new();

    run(&traces, || {
        let text = TRACEPARENT.to_owned();
        drop(info_span!("borrowed", traceparent = TRACEPARENT));
        drop(info_span!("owned", traceparent = text));
        drop(info_span!("optional", traceparent = Some(text.as_str())));
        drop(info_span!(
            "optional_owned",
            traceparent = Some(text.clone())
        ));
        drop(info_span!("displayed", traceparent = %text));
        drop(info_span!(
            "optional_displayed",
            traceparent = Some(tracing::field::display(&text))
        ));
        drop(info_span!(
            "boxed",
            traceparent = text.clone().into_boxed_str().as_ref()
        ));
    });

    let spans = traces.spans();
    assert_eq!(spans.len(), 7);
    for span in spans {
        assert_eq!(origin(&span), remote(), "{}", span.name);
    }
}

#[test]
fn an_invalid_or_missing_value_leaves_a_span_what_it_would_have_been() {
    let traces = Traces::new();

    run(&traces, || {
        let too_long = "0".repeat(1 << 20);
        let values = [Some("00-0af7"), Some(""), Some(too_long.as_str()), None];
        for value in values {
            drop(info_span!(
                "root",
                traceparent = value,
                tracestate = "rojo=1"
            ));
        }
        drop(info_span!("root", traceparent = tracing::field::Empty));
        drop(info_span!("root", traceparent = 5));
        let parent = info_span!("parent").entered();
        for value in values {
            drop(info_span!("child", traceparent = value));
            drop(info_span!(parent: parent.id(), "child", traceparent = value));
            drop(info_span!(parent: None, "root", traceparent = value));
        }
    });

    let spans = traces.spans();
    let parent = traces.span("parent");
    assert_eq!(spans.len(), 4 + 2 + 12 + 1);
    for span in spans {
        if span.name == "child" {
            assert_eq!(origin(&span), child_of(&parent));
        } else {
            assert_eq!(span.parent_span_id, SpanId::INVALID, "{}", span.name);
            assert_eq!(span.span_context.trace_state().header(), "");
            assert_ne!(span.span_context.trace_id().to_string(), TRACE_ID);
        }
        assert_eq!(span.links.len(), 0);
    }
}

#[test]
fn inside_a_local_span_the_remote_one_is_the_parent_and_the_local_one_is_linked() {
    let traces = Traces::new();

    run(&traces, || {
        let waiting = info_span!("poll");
        let poll = waiting.enter();
        drop(info_span!("contextual", traceparent = TRACEPARENT));
        drop(info_span!(parent: &waiting, "explicit", traceparent = TRACEPARENT));
        drop(info_span!(parent: None, "root", traceparent = TRACEPARENT));
        drop(poll);
        drop(info_span!(parent: &waiting, "outside", traceparent = TRACEPARENT));
    });

    let poll = child_of(&traces.span("poll"));
    for name in ["contextual", "explicit", "outside"] {
        let span = traces.span(name);
        assert_eq!(origin(&span), remote(), "{name}");
        let link = &span.links.links[0].span_context;
        assert_eq!(
            (link.trace_id().to_string(), link.span_id().to_string()),
            poll,
            "{name}"
        );
    }
    assert_eq!(origin(&traces.span("root")), remote());
    assert_eq!(traces.span("root").links.len(), 0);
}

#[test]
fn baggage_without_a_trace_leaves_the_parent_alone() {
    let traces = Traces::new();
    let mut seen = Vec::new();

    run(&traces, || {
        let mut look = |span: Span| {
            let context = span.context();
            seen.push(context.baggage().get("tenant").map(ToString::to_string));
        };
        let parent = info_span!("parent").entered();
        look(info_span!(
            "contextual",
            traceparent = "bad",
            baggage = "tenant=a"
        ));
        look(
            info_span!(parent: parent.id(), "explicit", traceparent = "bad", baggage = "tenant=b"),
        );
        look(info_span!(parent: None, "root", traceparent = "bad", baggage = "tenant=c"));
    });

    assert_eq!(seen, ["a", "b", "c"].map(|tenant| Some(tenant.to_owned())));
    let parent = child_of(&traces.span("parent"));
    assert_eq!(traces.span("contextual").links.len(), 0);
    assert_eq!(origin(&traces.span("contextual")), parent);
    assert_eq!(origin(&traces.span("explicit")), parent);
    assert_eq!(traces.span("root").parent_span_id, SpanId::INVALID);
}

#[test]
fn a_span_that_is_used_before_it_is_entered_continues_the_trace_too() {
    let traces = Traces::new();
    let mut sent = Headers::new();

    run(&traces, || {
        let span = info_span!("consume", traceparent = TRACEPARENT);
        span.inject_into(&mut sent);
    });

    let (trace_id, span_id) = child_of(&traces.span("consume"));
    assert_eq!(trace_id, TRACE_ID);
    assert_eq!(sent["traceparent"], format!("00-{trace_id}-{span_id}-03"));
}

#[test]
fn a_trace_that_is_not_sampled_stays_so() {
    let traces = Traces::new();
    let not_sampled = TRACEPARENT.replace("-03", "-02");
    let message = Message(headers([
        ("traceparent", &not_sampled),
        ("tracestate", "foo@@bar=1"),
    ]));

    let mut sent = Headers::new();
    run(&traces, || sent = consume(&message));

    assert_eq!(traces.spans().len(), 0);
    assert!(
        sent["traceparent"].starts_with(&format!("00-{TRACE_ID}-")),
        "{sent:?}"
    );
    assert!(!sent["traceparent"].contains(PARENT_ID), "{sent:?}");
    assert!(sent["traceparent"].ends_with("-02"), "{sent:?}");
    assert_eq!(sent["tracestate"], "foo@@bar=1");
}

#[test]
fn without_a_tracer_the_message_is_passed_on_as_it_came() {
    let message = Message::new();
    let subscriber = tracing_subscriber::registry().with(propagation::pass_through());

    let sent = tracing::subscriber::with_default(subscriber, || {
        let mut current = Headers::new();
        let span = info_span!("enabled", traceparent = TRACEPARENT);
        span.in_scope(|| {
            propagation::W3cPropagator::new()
                .inject_into(&opentelemetry::Context::current(), &mut current);
        });
        assert_eq!(current["traceparent"], TRACEPARENT);
        consume(&message)
    });

    assert_eq!(sent, message.0);
}

#[test]
fn a_span_that_is_entered_twice_is_left_twice() {
    let subscriber = tracing_subscriber::registry().with(propagation::pass_through());
    let is_live = || opentelemetry::Context::current().has_active_span();

    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("consume", traceparent = TRACEPARENT);
        span.in_scope(|| {
            span.in_scope(|| assert!(is_live()));
            assert!(is_live());
        });
        assert!(!is_live());
    });
}

#[test]
fn where_the_tracer_does_not_see_the_span_its_children_continue_the_trace() {
    let traces = Traces::new();
    let otel = tracing_opentelemetry::layer()
        .with_tracer(traces.tracer())
        .with_filter(filter_fn(|metadata| metadata.name() != "consume"));
    let subscriber = tracing_subscriber::registry()
        .with(propagation::layer(otel))
        // The span is enabled, for another layer.
        .with(tracing_subscriber::layer::Identity::new());

    tracing::subscriber::with_default(subscriber, || consume(&Message::new()));

    assert_eq!(origin(&traces.span("produce")), remote());
}

#[test]
fn a_thread_may_end_inside_such_a_span() {
    let traces = Traces::new();
    let dispatch = dispatch(&traces);
    let thread = std::thread::spawn(move || {
        let _default = tracing::dispatcher::set_default(&dispatch);
        std::mem::forget(info_span!("left", traceparent = TRACEPARENT).entered());
    });
    thread.join().unwrap();
}

#[test]
fn an_event_inside_is_recorded_by_the_wrapped_layer() {
    let traces = Traces::sampled(Sampler::AlwaysOn);
    run(&traces, || {
        info_span!(
            "consume",
            traceparent = TRACEPARENT,
            late = tracing::field::Empty
        )
        .in_scope(|| {
            tracing::info!("happened");
            Span::current().record("late", 5);
        });
    });
    let span = traces.span("consume");
    assert_eq!(span.events[0].name, "happened");
    assert!(
        span.attributes
            .iter()
            .any(|attribute| attribute.key.as_str() == "late")
    );
}

#[test]
fn the_context_is_as_it_was_after_the_span() {
    let traces = Traces::new();
    run(&traces, || {
        consume(&Message::new());
        let span = info_span!("consume", traceparent = TRACEPARENT);
        let (first, second) = (span.enter(), span.enter());
        drop(first);
        drop(second);
        let current = opentelemetry::Context::current();
        assert!(!current.has_active_span());
        assert!(current.baggage().is_empty());
    });
}
