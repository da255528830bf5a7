//! Baggage alone, spans that are entered again, other subscribers, closed parents.

#![cfg(all(feature = "propagation", feature = "json"))]

#[path = "support/lines.rs"]
mod lines;
#[path = "support/traces.rs"]
mod traces;

use opentelemetry::Context;
use opentelemetry::baggage::BaggageExt as _;
use opentelemetry::trace::TraceContextExt as _;
use tracing::{Dispatch, Subscriber, info, info_span};
use tracing_meter::propagation::{
    self, Carrier, SpanPropagation as _, W3cPropagator, with_trace_ids,
};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::{self, format::FmtSpan};
use tracing_subscriber::layer::Identity;
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

use lines::Lines;
use traces::{
    Headers, PARENT_ID, TRACE_ID, TRACEPARENT, Traces, child_of, headers, origin, remote,
};

fn otel<S>(traces: &Traces) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    propagation::layer(tracing_opentelemetry::layer().with_tracer(traces.tracer()))
}

fn run(traces: &Traces, program: impl FnOnce()) {
    let subscriber = tracing_subscriber::registry().with(otel(traces));
    tracing::subscriber::with_default(subscriber, program);
}

fn run_without_a_tracer(program: impl FnOnce()) {
    let subscriber = tracing_subscriber::registry().with(propagation::pass_through());
    tracing::subscriber::with_default(subscriber, program);
}

#[test]
fn baggage_alone_does_not_cut_the_trace() {
    let traces = Traces::new();
    run(&traces, || {
        let by_field = info_span!("by field", traceparent = "bad", baggage = "tenant=a");
        by_field.in_scope(|| drop(info_span!("child of field")));
        let by_hand = info_span!("by hand");
        let message = headers([("baggage", "tenant=a")]);
        assert_eq!(by_hand.continue_from(&message), Ok(false));
        by_hand.in_scope(|| drop(info_span!("child of hand")));
    });
    for (parent, child) in [("by field", "child of field"), ("by hand", "child of hand")] {
        assert_eq!(origin(&traces.span(child)), child_of(&traces.span(parent)));
        assert_eq!(traces.span(parent).links.len(), 0);
    }
}

#[test]
fn baggage_alone_is_current_without_a_tracer() {
    run_without_a_tracer(|| {
        let _span = info_span!("consume", traceparent = "", baggage = "tenant=a").entered();
        let current = Context::current();
        assert_eq!(current.baggage().get("tenant").unwrap().as_str(), "a");
    });
}

#[test]
fn baggage_alone_on_a_span_that_has_started_is_no_error() {
    let traces = Traces::new();
    run(&traces, || {
        let span = info_span!("serve").entered();
        assert_eq!(
            span.continue_from(&headers([("baggage", "tenant=a")])),
            Ok(false)
        );
    });
    assert_eq!(traces.span("serve").links.len(), 0);
}

#[test]
fn a_parent_that_is_set_later_stays_the_parent_inside() {
    let traces = Traces::new();
    let other = TRACEPARENT.replace(PARENT_ID, "00000000000000aa");
    run(&traces, || {
        let span = info_span!("serve", traceparent = TRACEPARENT);
        let context = W3cPropagator::new().extract_from(&headers([("traceparent", &other)]));
        span.set_parent(context).unwrap();
        span.in_scope(|| drop(info_span!("child")));
    });
    let served = traces.span("serve");
    assert_eq!(served.parent_span_id.to_string(), "00000000000000aa");
    assert_eq!(origin(&traces.span("child")), child_of(&served));
}

#[test]
fn of_two_messages_of_one_trace_the_inner_one_is_current() {
    let second = TRACEPARENT.replace(PARENT_ID, "00000000000000aa");
    run_without_a_tracer(|| {
        let _outer = info_span!("outer", traceparent = TRACEPARENT, baggage = "a=1").entered();
        let _inner = info_span!("inner", traceparent = second, baggage = "a=2").entered();
        let current = Context::current();
        assert_eq!(
            current.span().span_context().span_id().to_string(),
            "00000000000000aa"
        );
        assert_eq!(current.baggage().get("a").unwrap().as_str(), "2");
    });
}

#[test]
fn a_parent_that_is_not_known_is_not_lost_for_baggage() {
    let traces = Traces::new();
    // Whoever is put in place later does not learn its subscriber.
    let none = propagation::layer(tracing_opentelemetry::layer().with_tracer(traces.tracer()));
    let (layer, handle) = tracing_subscriber::reload::Layer::new(none);
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, || {
        let otel = tracing_opentelemetry::layer().with_tracer(traces.tracer());
        handle.reload(propagation::layer(otel)).unwrap();
        let parent = info_span!("parent");
        drop(info_span!(parent: &parent, "child", traceparent = "", baggage = "a=1"));
        drop(info_span!(parent: &parent, "consume", traceparent = TRACEPARENT));
    });
    assert_eq!(
        origin(&traces.span("child")),
        child_of(&traces.span("parent"))
    );
    assert_eq!(origin(&traces.span("consume")), remote());
}

#[test]
fn a_carrier_may_open_spans() {
    struct Traced(Headers);
    impl Carrier for Traced {
        fn each_header<'c>(&'c self, name: &str, each: &mut dyn FnMut(&'c [u8])) {
            info_span!("read").in_scope(|| self.0.each_header(name, each));
        }
    }
    let traces = Traces::new();
    run(&traces, || {
        let message = Traced(headers([("traceparent", TRACEPARENT)]));
        W3cPropagator::new().extract_from(&message);
    });
    assert_eq!(traces.spans().len(), 3);
}

#[test]
fn spans_of_two_subscribers_may_have_one_id() {
    let subscriber = || -> Dispatch {
        let layer = propagation::layer(Identity::new());
        tracing_subscriber::registry().with(layer).into()
    };
    let (one, other) = (subscriber(), subscriber());
    tracing::dispatcher::with_default(&one, || {
        let outer = info_span!("outer", traceparent = TRACEPARENT);
        let _outer = outer.enter();
        tracing::dispatcher::with_default(&other, || {
            let inner = info_span!("inner");
            assert_eq!(inner.id(), outer.id());
            inner.in_scope(|| ());
        });
        let current = Context::current();
        assert_eq!(
            current.span().span_context().trace_id().to_string(),
            TRACE_ID
        );
    });
}

#[test]
fn propagators_that_differ_agree_about_what_came_in() {
    let traces = Traces::new();
    let mut sent = Headers::new();
    run(&traces, || {
        let message = headers([("traceparent", &TRACEPARENT.replace("-03", "-01"))]);
        let other = W3cPropagator::new().random_ids(false);
        let _context = other.extract_from(&message).attach();
        info_span!("call").inject_into(&mut sent);
    });
    assert!(sent["traceparent"].ends_with("-01"), "{sent:?}");
}

#[test]
fn a_thread_may_end_inside_a_span_that_no_tracer_sees() {
    let layer = propagation::layer(Identity::new());
    let dispatch: Dispatch = tracing_subscriber::registry().with(layer).into();
    let thread = std::thread::spawn(move || {
        let _default = tracing::dispatcher::set_default(&dispatch);
        // What ends first is what began last: ours begins before the SDK's.
        info_span!("earlier").in_scope(|| ());
        std::mem::forget(info_span!("left", traceparent = TRACEPARENT).entered());
    });
    thread.join().unwrap();
}

#[test]
fn a_line_may_be_about_a_span_that_is_gone_or_of_somebody_else() {
    let (traces, lines) = (Traces::new(), Lines::default());
    let fmt = fmt::layer().with_writer(lines.clone());
    let subscriber = tracing_subscriber::registry()
        .with(otel(&traces))
        .with(with_trace_ids(fmt));
    let other = Dispatch::new(tracing_subscriber::registry().with(Identity::new()));
    let foreign = tracing::dispatcher::with_default(&other, || info_span!("foreign"));
    tracing::subscriber::with_default(subscriber, || {
        info!(parent: &foreign, "of another");
        let gone = info_span!("gone").id();
        info!(parent: gone, "of nobody");
    });
    assert_eq!(lines.all().len(), 2, "{:#?}", lines.all());
}

#[test]
fn the_lines_at_the_end_of_a_span_name_it() {
    let (traces, lines) = (Traces::new(), Lines::default());
    let fmt = fmt::layer()
        .with_ansi(false)
        .with_span_events(FmtSpan::FULL);
    let subscriber = tracing_subscriber::registry()
        .with(with_trace_ids(fmt.with_writer(lines.clone())))
        .with(otel(&traces));
    tracing::subscriber::with_default(subscriber, || {
        info_span!("serve").in_scope(|| info_span!("query").in_scope(|| ()));
    });
    let (trace_id, span_id) = child_of(&traces.span("query"));
    let ids = format!("trace_id={trace_id} span_id={span_id}");
    for about in ["enter", "exit", "close"] {
        let all = lines.all();
        let mut of_query = all.iter().filter(|line| line.contains("serve:query"));
        let line = of_query.find(|line| line.contains(about)).unwrap();
        assert!(line.ends_with(&ids), "{line}");
    }
}

#[test]
fn without_activation_a_line_names_its_span_and_not_the_remote_one() {
    let (traces, lines) = (Traces::new(), Lines::default());
    let otel = tracing_opentelemetry::layer().with_context_activation(false);
    let fmt = fmt::layer().with_ansi(false).with_writer(lines.clone());
    let subscriber = tracing_subscriber::registry()
        .with(propagation::layer(otel.with_tracer(traces.tracer())))
        .with(with_trace_ids(fmt));
    tracing::subscriber::with_default(subscriber, || {
        info_span!("serve", traceparent = TRACEPARENT).in_scope(|| info!("served"));
    });
    let (_, span_id) = child_of(&traces.span("serve"));
    assert!(lines.with("served").contains(&format!("span_id={span_id}")));
}
