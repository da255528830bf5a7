//! `trace_id` and `span_id` on the lines of a `fmt` layer.

#![cfg(all(feature = "propagation", feature = "json"))]

#[path = "support/lines.rs"]
mod lines;
#[path = "support/traces.rs"]
mod traces;

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::{Link, SpanKind, TraceId, TraceState};
use opentelemetry_sdk::trace::{SamplingDecision, SamplingResult, ShouldSample, SpanData};
use tracing::{Dispatch, Instrument as _, Subscriber, debug_span, info, info_span};
use tracing_meter::propagation::{self, SpanPropagation as _, with_trace_ids};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt;
use tracing_subscriber::fmt::format::{DefaultFields, FmtSpan, Format};
use tracing_subscriber::prelude::*;
use tracing_subscriber::registry::LookupSpan;

use lines::Lines;
use traces::{TRACEPARENT, Traces, child_of, headers};

fn ids(span: &SpanData) -> String {
    let (trace_id, span_id) = child_of(span);
    format!(" trace_id={trace_id} span_id={span_id}")
}

/// Lines of text without colours and time.
fn text<S>(lines: &Lines) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let fmt = fmt::layer().with_writer(lines.clone());
    with_trace_ids(fmt.with_ansi(false).without_time())
}

/// Lines with colours.
fn coloured<S>(lines: &Lines) -> fmt::Layer<S, DefaultFields, Format, Lines>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    fmt::layer().with_writer(lines.clone()).with_ansi(true)
}

fn otel<S>(traces: &Traces, activation: bool) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let otel = tracing_opentelemetry::layer().with_tracer(traces.tracer());
    propagation::layer(otel.with_context_activation(activation))
}

/// In either order.
fn stack(traces: &Traces, lines: &Lines, fmt_first: bool, activation: bool) -> Dispatch {
    let registry = tracing_subscriber::registry();
    if fmt_first {
        let first = registry.with(text(lines));
        first
            .with(otel(traces, activation))
            .with(LevelFilter::INFO)
            .into()
    } else {
        let first = registry.with(otel(traces, activation));
        first.with(text(lines)).with(LevelFilter::INFO).into()
    }
}

fn program() {
    info!("before");
    let outer = info_span!("outer").entered();
    info!("in_outer");
    info_span!("inner").in_scope(|| info!(number = 5, "in_inner"));
    debug_span!("disabled").in_scope(|| info!("in_disabled"));
    info!(parent: None, "in_nothing");
    let apart = info_span!(parent: None, "apart");
    info!(parent: &apart, "in_apart");
    drop(outer);
    info!("after");
}

#[test]
fn a_line_of_text_ends_with_the_ids_of_its_span() {
    // The order of the layers does not matter, nor does the layer's context activation.
    for (fmt_first, activation) in [(true, true), (false, true), (true, false), (false, false)] {
        let (traces, lines) = (Traces::new(), Lines::default());
        let dispatch = stack(&traces, &lines, fmt_first, activation);

        tracing::dispatcher::with_default(&dispatch, program);

        let [outer, inner, apart] = ["outer", "inner", "apart"].map(|name| ids(&traces.span(name)));
        assert!(
            lines
                .with("in_outer")
                .ends_with(&format!("in_outer{outer}"))
        );
        assert!(
            lines
                .with("in_inner")
                .ends_with(&format!("in_inner number=5{inner}"))
        );
        assert!(
            lines
                .with("in_disabled")
                .ends_with(&format!("in_disabled{outer}"))
        );
        assert!(
            lines
                .with("in_apart")
                .ends_with(&format!("in_apart{apart}"))
        );
        for without in ["before", "in_nothing", "after"] {
            assert!(
                lines.with(without).ends_with(without),
                "{}",
                lines.with(without)
            );
        }
    }
}

#[test]
fn a_line_of_json_has_them_at_its_top() {
    let (traces, lines) = (Traces::new(), Lines::default());
    let fmt = fmt::layer().json().with_writer(lines.clone());
    let otel = tracing_opentelemetry::layer().with_tracer(traces.tracer());
    let subscriber = tracing_subscriber::registry()
        .with(propagation::layer(otel))
        .with(with_trace_ids(fmt))
        .with(LevelFilter::INFO);

    tracing::subscriber::with_default(subscriber, program);

    let parsed = |part| serde_json::from_str::<serde_json::Value>(&lines.with(part)).unwrap();
    let (trace_id, span_id) = child_of(&traces.span("inner"));
    let inner = parsed("in_inner");
    assert_eq!(inner["trace_id"], trace_id);
    assert_eq!(inner["span_id"], span_id);
    assert_eq!(inner["fields"]["number"], 5);
    assert_eq!(parsed("before").get("trace_id"), None);
}

#[test]
fn colours_and_other_formats_stay() {
    let (traces, lines) = (Traces::new(), [(); 3].map(|()| Lines::default()));
    let subscriber = tracing_subscriber::registry()
        .with(tracing_opentelemetry::layer().with_tracer(traces.tracer()))
        .with(with_trace_ids(coloured(&lines[0])))
        .with(with_trace_ids(coloured(&lines[1]).compact()).with_filter(LevelFilter::INFO))
        .with(with_trace_ids(coloured(&lines[2]).pretty()));

    tracing::subscriber::with_default(subscriber, || {
        info_span!("outer").in_scope(|| info!("coloured"));
    });

    for lines in lines {
        let written = lines.all().join("\n");
        assert!(written.contains('\u{1b}'), "{written}");
        assert!(written.contains(&ids(&traces.span("outer"))), "{written}");
    }
}

#[test]
fn a_trace_that_is_only_passed_on_is_named_too() {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::registry().with(text(&lines));

    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("serve");
        span.continue_from(&headers([("traceparent", TRACEPARENT)]))
            .unwrap();
        span.in_scope(|| info!("passed"));
    });

    let ids = " trace_id=0af7651916cd43dd8448eb211c80319c span_id=b7ad6b7169203331";
    assert!(lines.with("passed").ends_with(ids));
}

#[test]
fn lines_about_spans_do_not_start_them_too_early() {
    let (traces, lines) = (Traces::new(), Lines::default());
    let fmt = fmt::layer().with_span_events(FmtSpan::FULL);
    let otel = tracing_opentelemetry::layer().with_tracer(traces.tracer());
    let subscriber = tracing_subscriber::registry()
        .with(propagation::layer(otel))
        .with(with_trace_ids(
            fmt.with_ansi(false).with_writer(lines.clone()),
        ));

    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("serve");
        assert_eq!(
            span.continue_from(&headers([("traceparent", TRACEPARENT)])),
            Ok(true)
        );
        span.in_scope(|| info!("inside"));
    });

    let ids = ids(&traces.span("serve"));
    assert!(ids.contains("0af7651916cd43dd8448eb211c80319c"));
    assert!(lines.with(" enter").ends_with(&ids), "{:#?}", lines.all());
    assert!(lines.with("inside").ends_with(&ids));
    assert_eq!(lines.all().len(), 5);
}

#[test]
fn a_sampler_that_logs_does_not_wait_for_itself() {
    let (sender, done) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for activation in [true, false] {
            for fmt_first in [true, false] {
                let (traces, lines) = (Traces::sampled(LoggingSampler), Lines::default());
                let dispatch = stack(&traces, &lines, fmt_first, activation);
                tracing::dispatcher::with_default(&dispatch, program);
                sender.send(lines).unwrap();
            }
        }
    });
    for _ in 0..4 {
        let lines = done
            .recv_timeout(Duration::from_secs(60))
            .expect("it hangs");
        assert!(!lines.with("sampling name=\"outer\"").contains("trace_id="));
        assert!(lines.with("in_inner").contains("trace_id="));
    }
}

/// Says which span it samples.
#[derive(Clone, Debug)]
struct LoggingSampler;

impl ShouldSample for LoggingSampler {
    fn should_sample(
        &self,
        _: Option<&opentelemetry::Context>,
        _: TraceId,
        name: &str,
        _: &SpanKind,
        _: &[KeyValue],
        _: &[Link],
    ) -> SamplingResult {
        info!(name, "sampling");
        SamplingResult {
            decision: SamplingDecision::RecordAndSample,
            attributes: Vec::new(),
            trace_state: TraceState::NONE,
        }
    }
}

#[tokio::test]
async fn the_ids_are_right_across_await_points() {
    let (traces, lines) = (Traces::new(), Lines::default());
    let subscriber = tracing_subscriber::registry()
        .with(propagation::layer(
            tracing_opentelemetry::layer().with_tracer(traces.tracer()),
        ))
        .with(text(&lines));
    let _default = tracing::subscriber::set_default(subscriber);
    let task = |number: u64| {
        let work = async move {
            for _ in 0..10 {
                tokio::task::yield_now().await;
                info!("step{number}");
            }
        };
        work.instrument(info_span!(
            "task",
            traceparent = format!("00-{number:032x}-{number:016x}-01")
        ))
    };

    tokio::join!(task(1), task(2), task(3));

    let all = lines.all();
    assert_eq!(all.len(), 30);
    for number in 1..=3 {
        let of_task: Vec<_> = all
            .iter()
            .filter(|line| line.contains(&format!("step{number}")))
            .collect();
        assert_eq!(of_task.len(), 10);
        let trace_id = format!(" trace_id={number:032x} ");
        assert!(
            of_task.iter().all(|line| line.contains(&trace_id)),
            "{of_task:#?}"
        );
    }
}
