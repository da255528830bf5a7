//! Spans that directives choose give the metrics of service-performance views.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};

use support::{Measured, measure_with};
use tracing::field::Empty;
use tracing::{Level, debug_span, info_span, instrument, span};
use tracing_meter::{MemorySink, Reason, SpanMetrics};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

const CALLS: &str = "traces.span.metrics.calls";
const DURATION: &str = "traces.span.metrics.duration";
const IN_FLIGHT: &str = "traces.span.metrics.in_flight";

fn measured(spans: SpanMetrics, code: impl FnOnce()) -> Measured {
    measure_with(|builder| builder.convention(spans), code)
}

fn by(directives: &str, code: impl FnOnce()) -> Measured {
    measured(SpanMetrics::new(directives).unwrap(), code)
}

fn labels(
    name: &'static str,
    kind: &'static str,
    status: &'static str,
) -> [(&'static str, &'static str); 3] {
    [
        ("span.name", name),
        ("span.kind", kind),
        ("status.code", status),
    ]
}

fn internal(name: &'static str) -> [(&'static str, &'static str); 3] {
    labels(name, "SPAN_KIND_INTERNAL", "STATUS_CODE_UNSET")
}

/// How often a span was counted.
fn calls(measured: &Measured, name: &'static str) -> Option<f64> {
    measured.value(CALLS, &internal(name))
}

#[test]
fn a_span_gives_calls_its_duration_and_what_is_in_flight() {
    let measured = by("info", || {
        info_span!("job").in_scope(|| {});
        drop(info_span!("job"));
    });

    assert_eq!(calls(&measured, "job"), Some(2.0));
    assert_eq!(
        measured.snapshot.samples(DURATION, &internal("job")).len(),
        2
    );
    assert_eq!(measured.value(IN_FLIGHT, &internal("job")[..2]), Some(0.0));
    assert!(measured.problems().is_empty(), "{:?}", measured.problems());
}

#[test]
fn spans_in_flight_are_seen_while_they_are_open() {
    let memory = MemorySink::new();
    let spans = SpanMetrics::new("info").unwrap();
    let builder = tracing_meter::builder().sink(memory.clone());
    let layer = builder.convention(spans).build().unwrap();
    let in_flight = || memory.snapshot().value(IN_FLIGHT, &internal("job")[..2]);
    tracing::subscriber::with_default(Registry::default().with(layer), || {
        let jobs = [info_span!("job"), info_span!("job")];
        assert_eq!(in_flight(), Some(2.0));
        drop(jobs);
        assert_eq!(in_flight(), Some(0.0));
    });
}

#[test]
fn the_most_specific_directive_decides() {
    let spans = || {
        drop(span!(target: "my_app", Level::INFO, "a"));
        drop(span!(target: "my_app", Level::DEBUG, "b"));
        drop(span!(target: "my_app::db", Level::DEBUG, "query"));
        drop(span!(target: "my_app::db::pool", Level::DEBUG, "query"));
        drop(span!(target: "my_app::db", Level::DEBUG, "connect"));
        drop(span!(target: "my_app::db", Level::TRACE, "query"));
        drop(span!(target: "hyper::client", Level::ERROR, "d"));
        drop(span!(target: "other", Level::WARN, "e"));
        tracing::info!(target: "my_app", "an event");
    };
    let (none, one, two, three) = (None, Some(1.0), Some(2.0), Some(3.0));
    let counted = |directives: &str| {
        let measured = by(directives, spans);
        ["a", "b", "query", "connect", "d", "e"].map(|name| calls(&measured, name))
    };

    assert_eq!(
        counted("my_app=info,my_app::db[query]=debug,hyper=off"),
        [one, none, two, none, none, none]
    );
    assert_eq!(
        counted("warn,hyper=off"),
        [none, none, none, none, none, one]
    );
    assert_eq!(counted("[query]"), [none, none, three, none, none, none]);
    assert_eq!(
        counted("trace,my_app::db=off"),
        [one, one, none, none, one, one]
    );
    assert_eq!(
        counted("my_app,my_app[query]=off"),
        [one, one, none, one, none, none]
    );
    assert_eq!(
        counted("my_app[query]=off,my_app"),
        [one, one, none, one, none, none]
    );
    assert_eq!(
        counted("my_app=off,my_app=debug"),
        [one, one, two, one, none, none]
    );
}

#[instrument(err)]
fn fails() -> Result<(), String> {
    Err("on purpose".to_owned())
}

#[test]
fn kind_and_status_are_written_as_views_read_them() {
    let measured = by("info", || {
        for kind in [
            "server", "CLIENT", "Producer", "consumer", "internal", "nonsense",
        ] {
            drop(info_span!("of_kind", otel.kind = kind));
        }
        let good = info_span!("good", otel.status_code = Empty);
        good.record("otel.status_code", "Ok");
        drop(good);
        drop(info_span!("bad", otel.status_code = "ERROR"));
        let panics = || info_span!("panics").in_scope(|| panic!("on purpose"));
        catch_unwind(AssertUnwindSafe(panics)).unwrap_err();
        fails().unwrap_err();
    });

    let value = |labels: &[(&str, &str)]| measured.value(CALLS, labels);
    for (kind, count) in [
        ("SERVER", 1.0),
        ("CLIENT", 1.0),
        ("PRODUCER", 1.0),
        ("CONSUMER", 1.0),
        ("INTERNAL", 2.0),
    ] {
        let kind = format!("SPAN_KIND_{kind}");
        let labels = [
            ("span.name", "of_kind"),
            ("span.kind", &*kind),
            ("status.code", "STATUS_CODE_UNSET"),
        ];
        assert_eq!(value(&labels), Some(count), "{kind}");
    }
    let internal = "SPAN_KIND_INTERNAL";
    assert_eq!(
        value(&labels("good", internal, "STATUS_CODE_OK")),
        Some(1.0)
    );
    for name in ["bad", "panics", "fails"] {
        assert_eq!(
            value(&labels(name, internal, "STATUS_CODE_ERROR")),
            Some(1.0),
            "{name}"
        );
    }
    assert_eq!(measured.snapshot.label_sets(CALLS).count(), 9);
}

#[instrument]
fn countdown(from: u32) {
    if from > 0 {
        countdown(from - 1);
    }
}

#[test]
fn each_span_counts_once_however_often_it_is_entered() {
    let measured = by("info", || {
        countdown(9);
        let span = info_span!("entered");
        for _ in 0..5 {
            span.in_scope(|| span.in_scope(|| {}));
        }
    });

    assert_eq!(calls(&measured, "countdown"), Some(10.0));
    assert_eq!(calls(&measured, "entered"), Some(1.0));
    let durations = measured.snapshot.samples(DURATION, &internal("countdown"));
    assert_eq!(durations.len(), 10);
    // The outermost took as long as all that is inside, at least.
    let (shortest, longest) = (min(durations), max(durations));
    assert!(0.0 <= shortest && shortest <= longest, "{durations:?}");
    assert_eq!(
        measured.value(IN_FLIGHT, &internal("countdown")[..2]),
        Some(0.0)
    );
}

fn min(samples: &[f64]) -> f64 {
    samples.iter().copied().fold(f64::INFINITY, f64::min)
}

fn max(samples: &[f64]) -> f64 {
    samples.iter().copied().fold(0.0, f64::max)
}

#[test]
fn a_name_is_that_of_the_trace_or_that_of_the_callsite() {
    let requests = || {
        for n in 0..3 {
            drop(info_span!("request", otel.name = %format!("GET /{n}")));
        }
        drop(info_span!("request", otel.name = Empty));
    };

    let as_in_the_trace = by("info", requests);
    assert_eq!(calls(&as_in_the_trace, "GET /1"), Some(1.0));
    assert_eq!(calls(&as_in_the_trace, "request"), Some(1.0));
    let spans = SpanMetrics::new("info").unwrap().callsite_names();
    assert_eq!(calls(&measured(spans, requests), "request"), Some(4.0));
}

#[test]
fn names_without_a_bound_end_in_the_overflow() {
    let measured = measure_with(
        |builder| {
            builder
                .series_limit(10)
                .convention(SpanMetrics::new("info").unwrap())
        },
        || {
            for n in 0..1000 {
                drop(info_span!("request", otel.name = n));
            }
        },
    );

    let sets = measured.snapshot.label_sets(CALLS).count();
    assert!(sets <= 11, "{sets}");
    let overflow = [("otel.metric.overflow", "true")];
    assert_eq!(measured.value(CALLS, &overflow), Some(990.0));
    let in_flight = measured.value(IN_FLIGHT, &overflow);
    assert_eq!(in_flight, Some(0.0));
}

#[test]
fn the_older_names_and_a_service_may_be_asked_for() {
    let spans = || SpanMetrics::new("info").unwrap().service("shop");
    let job = || drop(info_span!("job"));

    let current = measured(spans(), job);
    let with_service = [&internal("job")[..], &[("service.name", "shop")]].concat();
    assert_eq!(current.value(CALLS, &with_service), Some(1.0));

    let older = measured(spans().legacy_names(), job);
    let labels = [
        ("span_name", "job"),
        ("span_kind", "SPAN_KIND_INTERNAL"),
        ("status_code", "STATUS_CODE_UNSET"),
        ("service", "shop"),
    ];
    assert_eq!(older.value("traces_spanmetrics_calls", &labels), Some(1.0));
    assert_eq!(
        older
            .snapshot
            .samples("traces_spanmetrics_latency", &labels)
            .len(),
        1
    );
    let names: Vec<_> = older
        .handle
        .catalog()
        .iter()
        .map(|entry| entry.prometheus_name().to_owned())
        .filter(|name| name.starts_with("traces"))
        .collect();
    assert_eq!(
        names,
        [
            "traces_spanmetrics_calls_total",
            "traces_spanmetrics_latency",
            "traces_spanmetrics_in_flight"
        ]
    );
}

/// The problems of this reason, by metric and detail.
fn disabled(measured: &Measured) -> Vec<String> {
    let problems = measured.handle.problems();
    let disabled = problems.iter().filter(|it| it.reason() == Reason::Disabled);
    disabled
        .map(|it| format!("{}: {}", it.metric(), it.detail()))
        .collect()
}

#[test]
fn what_the_layers_directives_hide_is_listed() {
    let under = |of_the_layer: &str, of_spans: &str| {
        let spans = SpanMetrics::new(of_spans).unwrap();
        let measured = measure_with(
            |builder| builder.directives(of_the_layer).convention(spans),
            || {
                drop(span!(target: "hidden::db", Level::INFO, "query"));
                drop(debug_span!("never asked for"));
            },
        );
        assert_eq!(calls(&measured, "query"), None, "{of_the_layer}");
        disabled(&measured)
    };

    let callsite = format!("{CALLS}: the layer's directives disable hidden::db=INFO");
    assert_eq!(
        under("info,hidden::db=off", "info"),
        std::slice::from_ref(&callsite)
    );
    let target = "SpanMetrics: the layer's directives disable `hidden=info`".to_owned();
    assert_eq!(
        under("off,other=info", "hidden=info,other=info"),
        [callsite, target]
    );
    // Too verbose to be seen at all.
    let target = "SpanMetrics: the layer's directives disable `hidden::db=debug`".to_owned();
    assert_eq!(
        under("hidden::db=warn", "hidden::db[other]=debug"),
        [target]
    );
    assert_eq!(
        under("info,hidden::db=off", "other=info"),
        Vec::<String>::new()
    );
}
