//! Log emissions: which events are counted, and by what.

use tracing::{Level, debug, error, event, info, instrument, trace, warn};
use tracing_meter::{Kind, LabelValue, LogEmissions, MemorySink, MeterLayerBuilder, Rule, Rules};
use tracing_subscriber::prelude::*;

mod support;

use support::{Measured, measure_with, under};

const EVENTS: &str = "tracing.events";

fn counted(emissions: LogEmissions, code: impl FnOnce()) -> Measured {
    measure_with(|builder| builder.convention(emissions), code)
}

fn by<'a>(level: &'a str, target: &'a str) -> [(&'a str, &'a str); 2] {
    [("level", level), ("target", target)]
}

fn on_each_level() {
    error!(target: "shop", code = 7, "an error");
    for _ in 0..2 {
        warn!(target: "shop", "a warning");
    }
    info!(target: "shop::cart", user = 7);
    debug!(target: "shop", "a detail");
    trace!(target: "shop", "a trifle");
}

#[test]
fn events_are_counted_up_to_info_or_the_level_that_was_chosen() {
    for (emissions, expected) in [
        (
            LogEmissions::new(),
            [Some(1.0), Some(2.0), Some(1.0), None, None],
        ),
        (
            LogEmissions::new().up_to(Level::WARN),
            [Some(1.0), Some(2.0), None, None, None],
        ),
        (
            LogEmissions::new().up_to(Level::TRACE),
            [Some(1.0), Some(2.0), Some(1.0), Some(1.0), Some(1.0)],
        ),
    ] {
        let measured = counted(emissions, on_each_level);
        let levels = ["error", "warn", "info", "debug", "trace"];
        for (level, expected) in levels.into_iter().zip(expected) {
            let target = if level == "info" {
                "shop::cart"
            } else {
                "shop"
            };
            let value = measured.value(EVENTS, &by(level, target));
            assert_eq!(value, expected, "{level}");
        }
        let instrument = measured.snapshot.instrument(EVENTS).unwrap();
        assert_eq!(instrument.kind(), Kind::Counter);
        assert_eq!(instrument.unit(), Some("{event}"));
        assert_eq!(instrument.prometheus_name(), "tracing_events_total");
        assert!(instrument.description().is_some());
        let sets = measured.snapshot.label_sets(EVENTS);
        for value in sets.flat_map(|labels| {
            labels
                .iter()
                .map(|it| it.value().clone())
                .collect::<Vec<_>>()
        }) {
            assert!(matches!(value, LabelValue::Str(_)));
        }
    }
}

#[test]
fn what_is_less_than_the_level_stays_disabled() {
    counted(LogEmissions::new(), || {
        assert!(!tracing::enabled!(Level::DEBUG));
        let refused = || -> u64 { panic!("it is evaluated") };
        debug!(field = refused(), "not counted");
        // Code that asks whether anybody listens gets the answer of the others.
        assert!(!tracing::event_enabled!(Level::ERROR));
        assert!(!tracing::enabled!(Level::ERROR));
    });
}

#[test]
fn the_filter_of_another_layer_changes_no_count() {
    let memory = MemorySink::new();
    let builder = tracing_meter::builder().sink(memory.clone());
    let layer = builder.convention(LogEmissions::new()).build().unwrap();
    let off =
        tracing_subscriber::fmt::layer().with_filter(tracing_subscriber::filter::LevelFilter::OFF);
    under(
        tracing_subscriber::registry().with(off).with(layer),
        on_each_level,
    );
    assert_eq!(
        memory.snapshot().value(EVENTS, &by("warn", "shop")),
        Some(2.0)
    );
}

#[test]
fn a_measurement_is_no_line_of_the_log() {
    let measured = counted(LogEmissions::new(), || {
        info!(monotonic_counter.uploads = 1, region = "eu");
        info!(monotonic_counter.uploads = 1, "uploaded");
        info!(region = "eu");
    });
    assert_eq!(measured.value("uploads", &[("region", "eu")]), Some(1.0));
    assert_eq!(measured.value("uploads", &[]), Some(1.0));
    assert_eq!(
        measured.value(EVENTS, &by("info", module_path!())),
        Some(2.0)
    );
}

#[test]
fn spans_are_not_counted_but_the_events_of_failed_functions() {
    #[instrument(err)]
    fn fails() -> Result<(), &'static str> {
        Err("no")
    }
    let measured = counted(LogEmissions::new(), || _ = fails());
    assert_eq!(
        measured.value(EVENTS, &by("error", module_path!())),
        Some(1.0)
    );
    assert_eq!(measured.snapshot.label_sets(EVENTS).count(), 1);
}

#[test]
fn allow_lists_add_no_labels() {
    let with_tenant = |builder: MeterLayerBuilder| {
        builder
            .convention(LogEmissions::new())
            .inherited_labels(["tenant"])
    };
    let measured = measure_with(with_tenant, || {
        let _request = tracing::info_span!("request", tenant = "acme").entered();
        info!(target: "shop", "sold");
    });
    assert_eq!(measured.value(EVENTS, &by("info", "shop")), Some(1.0));
}

#[test]
fn what_carries_measurements_is_not_counted() {
    let measured = counted(LogEmissions::new(), || {
        event!(target: "tracing_meter::setup", Level::ERROR, "ours");
        event!(target: "opentelemetry_sdk", Level::ERROR, "the SDK's");
        event!(target: "opentelemetry-otlp", Level::ERROR, "the exporter's");
        event!(target: "tracing_opentelemetry", Level::ERROR, "the bridge's");
        event!(target: "metrics_exporter_prometheus::exporter", Level::ERROR, "theirs");
        event!(target: "metrics_of_mine", Level::ERROR, "mine");
    });
    assert_eq!(
        measured.value(EVENTS, &by("error", "metrics_of_mine")),
        Some(1.0)
    );
    assert_eq!(measured.snapshot.label_sets(EVENTS).count(), 1);
}

#[test]
fn a_rule_leaves_a_target_out() {
    let quiet = Rule::events("quiet").target("shop::cart").drop(EVENTS);
    let quiet = Rules::new().rule(quiet).unwrap();
    let with_both =
        |builder: MeterLayerBuilder| builder.convention(LogEmissions::new()).convention(quiet);
    let measured = measure_with(with_both, on_each_level);
    assert_eq!(measured.value(EVENTS, &by("info", "shop::cart")), None);
    assert_eq!(measured.value(EVENTS, &by("error", "shop")), Some(1.0));
}

#[test]
fn records_of_log_are_counted_by_their_own_targets_and_these_are_bounded() {
    let with_limit =
        |builder: MeterLayerBuilder| builder.convention(LogEmissions::new()).series_limit(20);
    let measured = measure_with(with_limit, || {
        let logger = tracing_log::LogTracer::new();
        log::set_max_level(log::LevelFilter::Trace);
        let log = |level, target: &str| {
            let mut record = log::Record::builder();
            log::Log::log(
                &logger,
                &record
                    .level(level)
                    .target(target)
                    .args(format_args!("said"))
                    .build(),
            );
        };
        log(log::Level::Warn, "an_old_crate");
        log(log::Level::Warn, "an_old_crate");
        log(log::Level::Error, "an_old_crate");
        log(log::Level::Debug, "an_old_crate");
        for made_up in 0..10_000 {
            log(log::Level::Info, &format!("target_{made_up}"));
        }
    });
    assert_eq!(
        measured.value(EVENTS, &by("warn", "an_old_crate")),
        Some(2.0)
    );
    assert_eq!(
        measured.value(EVENTS, &by("error", "an_old_crate")),
        Some(1.0)
    );
    assert_eq!(measured.value(EVENTS, &by("debug", "an_old_crate")), None);
    let over = measured.value(EVENTS, &[("otel.metric.overflow", "true")]);
    assert_eq!(over, Some(10_000.0 - 18.0));
}
