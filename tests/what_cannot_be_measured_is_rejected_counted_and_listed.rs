//! Bad values, bad names, conflicts, and bad configuration.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use support::{measure, measure_with};
use tracing::field::Empty;
use tracing::{Level, event, info, info_span};
use tracing_meter::{
    Boundaries, BuildError, Convention, Feed, Handle, Instrument, Kind, Labels, Measure,
    MemorySink, MeterLayerBuilder, Recipe, Sink,
};
use tracing_subscriber::Registry;

#[test]
fn bad_values_leave_the_number_alone_and_are_listed_with_file_and_line() {
    let line = line!() + 4;
    let measured = measure(|| {
        info!(monotonic_counter.n = 1);
        for _ in 0..2 {
            info!(monotonic_counter.n = -1);
        }
        info!(monotonic_counter.n = f64::NAN);
        info!(monotonic_counter.n = f64::INFINITY);
        info!(monotonic_counter.n = true);
        info!(monotonic_counter.n = "1");
        info!(monotonic_counter.n = %1);
    });
    assert_eq!(measured.snapshot.samples("n", &[]), [1.0]);
    assert_eq!(
        measured.problems(),
        [
            "negative n 2",
            "not_finite n 1",
            "not_finite n 1",
            "not_a_number n 1",
            "not_a_number n 1",
            "not_a_number n 1",
        ]
    );
    let problem = &measured.handle.problems()[0];
    assert_eq!(problem.location().line(), Some(line));
    assert_eq!(problem.location().file(), Some(file!()));
    let shown = format!("{}:{line}: n: negative: `-1` (2 times)", file!());
    assert_eq!(problem.to_string(), shown);
    let rejected = |reason| measured.value("tracing_meter.rejected", &[("reason", reason)]);
    assert_eq!(rejected("negative"), Some(2.0));
    assert_eq!(rejected("not_a_number"), Some(3.0));
}

#[test]
fn a_rejected_value_does_not_take_the_good_ones_of_its_event_along() {
    let measured = measure(|| {
        info!(
            monotonic_counter.good = 1,
            monotonic_counter.bad = -1,
            gauge.fine = 2
        );
    });
    assert_eq!(measured.value("good", &[]), Some(1.0));
    assert_eq!(measured.value("fine", &[]), Some(2.0));
    assert_eq!(measured.value("bad", &[]), None);
}

#[test]
fn a_name_keeps_its_first_kind() {
    let measured = measure(|| {
        info!(monotonic_counter.n = 1);
        info!(gauge.n = 5);
        drop(info_span!("s", in_flight.N = Empty));
        info!(increase.n = 7);
    });
    assert_eq!(measured.value("n", &[]), Some(1.0));
    assert_eq!(
        measured.problems(),
        ["kind_conflict n 1", "kind_conflict N 1"]
    );
    let detail = measured.handle.problems()[0].detail().to_owned();
    assert!(
        detail.starts_with("it is a counter since tests/"),
        "{detail}"
    );
}

#[test]
fn a_name_keeps_its_first_unit() {
    let measured = measure(|| {
        info!(histogram.size = 1, unit.size = "By");
        info!(histogram.size = 2, unit.size = "s");
        info!(histogram.size = 3);
        info!(gauge.plain = 1);
        info!(
            gauge.plain = 2,
            unit.plain = "s",
            describe.plain = "Comes late."
        );
        info!(histogram.Wait = 1, unit.Wait = "s");
        info!(histogram.wait = 9, unit.wait = "ms");
    });
    assert_eq!(measured.snapshot.samples("size", &[]), [1.0, 3.0]);
    assert_eq!(measured.snapshot.samples("Wait", &[]), [1.0]);
    // The exporters have it without a unit by then, but the number is right.
    assert_eq!(measured.snapshot.samples("plain", &[]), [1.0, 2.0]);
    assert_eq!(
        measured.problems(),
        [
            "unit_conflict size 1",
            "too_late plain 0",
            "unit_conflict wait 1",
            "name_collision wait 0",
        ]
    );
}

#[test]
fn a_unit_that_turns_out_wrong_stops_a_callsite_that_has_measured() {
    fn measure_wait(unit: Option<&str>) {
        info!(histogram.wait = 1, unit.wait = unit);
    }
    let measured = measure_with(
        |builder| builder.unit("wait", "s"),
        || {
            measure_wait(None);
            measure_wait(Some("By"));
            measure_wait(None);
        },
    );
    assert_eq!(measured.snapshot.samples("wait", &[]), [1.0]);
    assert_eq!(measured.problems(), ["unit_conflict wait 2"]);
}

#[test]
fn the_sdks_own_targets_are_not_measured() {
    let measured = measure(|| {
        event!(target: "opentelemetry_sdk", Level::INFO, monotonic_counter.n = 1);
        event!(target: "elsewhere", Level::INFO, monotonic_counter.n = 1);
    });
    assert_eq!(measured.value("n", &[]), Some(1.0));
}

#[test]
fn two_names_that_are_one_on_a_scrape_are_a_problem_not_one_series() {
    let measured = measure(|| {
        info!(gauge.a.b = 1);
        info!(gauge.a_b = 2);
        info!(histogram.size = 1);
        info!(gauge.size_count = 9);
    });
    assert_eq!(measured.value("a.b", &[]), Some(1.0));
    assert_eq!(measured.value("a_b", &[]), None);
    assert_eq!(measured.value("size_count", &[]), None);
    assert_eq!(
        measured.problems(),
        ["name_collision a_b 1", "name_collision size_count 1"]
    );
}

#[test]
fn names_units_and_labels_that_are_none_are_listed() {
    let measured = measure(|| {
        info!("monotonic_counter." = 1);
        info!("gauge.two words" = 1);
        info!(counter.tracing_meter.rejected = 1);
        info!(gauge.warm = 1, unit.warm = "two words");
        info!(histogram.size = 1, le = 5, quantile = 2, kept = "k");
        info!(gauge.r = 1, __name__ = "other");
        info!(gauge.g = 1, x.y = 1, x_y = 2);
        info!(gauge.twice = 1, k = "plain", label.k = "label");
    });
    assert_eq!(measured.value("warm", &[]), Some(1.0));
    assert_eq!(measured.value("r", &[]), Some(1.0));
    assert_eq!(
        measured.problems(),
        [
            "invalid_name  1",
            "invalid_name two words 1",
            "invalid_name tracing_meter.rejected 1",
            "invalid_unit warm 0",
            "invalid_label size 0",
            "invalid_label r 0",
            "label_collision g 0",
            "label_collision twice 0",
        ]
    );
    assert_eq!(measured.value("size", &[("kept", "k")]), Some(1.0));
    assert_eq!(
        measured.value("g", &[("x.y", "1"), ("x_y", "2")]),
        Some(1.0)
    );
}

#[test]
fn a_label_that_prometheus_could_not_name_is_left_out_and_listed() {
    let measured = measure(|| {
        info!(
            gauge.g = 1,
            "字符" = 1,
            _private = 2,
            "größe" = 3,
            kept = "k"
        );
    });
    let labels = [("_private", "2"), ("größe", "3"), ("kept", "k")];
    assert_eq!(measured.value("g", &labels), Some(1.0));
    assert_eq!(measured.problems(), ["invalid_label g 0"]);
    let problems = measured.handle.problems();
    assert!(problems[0].detail().contains("`字符`"), "{}", problems[0]);
}

#[test]
fn labels_that_are_one_after_runs_became_one_underscore_are_listed() {
    let measured = measure(|| info!(gauge.g = 1, a.b = 1, a__b = 2));
    assert_eq!(measured.problems(), ["label_collision g 0"]);
}

#[test]
fn over_the_cap_new_label_sets_share_one_series() {
    let measured = measure_with(
        |builder| builder.series_limit(2),
        || {
            for round in 0..2 {
                for user in 0..5 {
                    info!(monotonic_counter.logins = 1, user);
                }
                info!(
                    monotonic_counter.logins = 1,
                    user = 0,
                    "of another callsite"
                );
                info!(monotonic_counter.other = 1, round);
            }
        },
    );
    assert_eq!(measured.value("logins", &[("user", "0")]), Some(4.0));
    assert_eq!(measured.value("logins", &[("user", "1")]), Some(2.0));
    let overflow = [("otel.metric.overflow", "true")];
    assert_eq!(measured.value("logins", &overflow), Some(6.0));
    assert_eq!(measured.snapshot.label_sets("logins").count(), 3);
    assert_eq!(measured.problems(), ["overflow logins 6"]);
    let own = |metric, of| measured.value(metric, &[("metric", of)]);
    assert_eq!(own("tracing_meter.overflowed", "logins"), Some(6.0));
    assert_eq!(own("tracing_meter.series", "logins"), Some(2.0));
    assert_eq!(own("tracing_meter.series", "other"), Some(2.0));
}

#[test]
fn what_is_in_flight_stays_balanced_through_the_overflow() {
    let measured = measure_with(
        |builder| builder.series_limit(1),
        || {
            let spans: Vec<_> = (0..4)
                .map(|id| info_span!("job", in_flight.jobs = Empty, label.id = id))
                .collect();
            drop(spans);
        },
    );
    let overflow = [("otel.metric.overflow", "true")];
    assert_eq!(
        measured.snapshot.samples("jobs", &[("id", "0")]),
        [1.0, -1.0]
    );
    assert_eq!(measured.value("jobs", &overflow), Some(0.0));
    assert_eq!(measured.snapshot.samples("jobs", &overflow).len(), 6);
}

#[test]
fn levels_of_different_series_are_not_compared_in_the_overflow() {
    let measured = measure_with(
        |builder| builder.series_limit(1),
        || {
            for (job, level) in [("a", 1), ("b", 10), ("c", 1000), ("a", 3)] {
                info!(increase.read = level, job);
            }
        },
    );
    assert_eq!(
        measured.snapshot.samples("read", &[("job", "a")]),
        [0.0, 2.0]
    );
    assert_eq!(measured.snapshot.label_sets("read").count(), 1);
    let problems = measured.problems();
    assert!(
        problems.contains(&"level_overflow read 2".to_owned()),
        "{problems:?}"
    );
}

struct Failing;

impl std::fmt::Display for Failing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("begun")?;
        Err(std::fmt::Error)
    }
}

#[test]
fn a_display_that_fails_does_no_harm() {
    let measured = measure(|| {
        info!(gauge.x = %Failing, describe.x = %Failing);
        info!(monotonic_counter.n = 1, label = %Failing);
        drop(info_span!("s", calls.s = Empty, otel.status_code = %Failing));
    });
    assert_eq!(measured.problems(), ["not_a_number x 1"]);
    let detail = measured.handle.problems()[0].detail().to_owned();
    assert_eq!(detail, "`begun`, recorded as text with `?` or `%`");
    assert_eq!(measured.value("n", &[("label", "begun")]), Some(1.0));
    assert_eq!(measured.value("s", &[("outcome", "ok")]), Some(1.0));
}

/// Gives one field more labels and measures than there is room for.
struct Greedy;

impl Convention for Greedy {
    fn recognise(&self, callsite: &tracing::Metadata<'static>) -> Option<Recipe> {
        let field = callsite.fields().field("greedy")?;
        let name = |kind, number| -> &'static str { format!("{kind}{number}").leak() };
        let feed = (0..400).fold(Feed::new(), |feed, number| {
            let measure = Measure::field(Kind::Gauge, name("m", number), field.name());
            feed.measure(measure).label(field.name(), name("k", number))
        });
        Some(feed.into())
    }
}

#[test]
fn a_callsite_with_too_much_of_everything_keeps_what_fits() {
    let measured = measure_with(
        |builder| builder.convention(Greedy).inherited_labels(["tenant"]),
        || {
            let _span = info_span!("span", tenant = "t").entered();
            info!(greedy = 1);
        },
    );
    let keys: Vec<String> = (0..150).map(|number| format!("k{number}")).collect();
    let mut labels: Vec<(&str, &str)> = keys.iter().map(|key| (&**key, "1")).collect();
    labels.push(("tenant", "t"));
    assert_eq!(measured.value("m0", &labels), Some(1.0));
    assert_eq!(measured.value("m249", &labels), Some(1.0));
    assert_eq!(measured.value("m250", &labels), None);
    assert_eq!(measured.problems(), ["too_many m0 0"]);
}

#[test]
fn long_label_text_is_cut() {
    let measured = measure_with(
        |builder| builder.label_limit(5),
        || {
            info!(monotonic_counter.n = 1, text = "abcdefgh");
            info!(monotonic_counter.n = 1, text = "abcdeXYZ");
        },
    );
    assert_eq!(measured.value("n", &[("text", "abcde")]), Some(2.0));
}

#[test]
fn the_layer_can_be_told_not_to_measure_itself() {
    let measured = measure_with(
        |builder| builder.own_metrics(false),
        || info!(monotonic_counter.n = -1),
    );
    assert_eq!(
        measured
            .snapshot
            .label_sets("tracing_meter.rejected")
            .count(),
        0
    );
    assert_eq!(measured.problems(), ["negative n 1"]);
    assert!(
        measured
            .handle
            .catalog()
            .iter()
            .all(|entry| entry.name() == "n")
    );
}

#[test]
fn the_catalog_lists_every_instrument_that_was_reached() {
    let line = line!() + 2;
    let measured = measure(|| {
        info!(
            histogram.wait = 1,
            unit.wait = "s",
            describe.wait = "Waits.",
            queue = "a"
        );
        drop(info_span!("s", calls.s = Empty, label.kind = "k"));
    });
    let catalog = measured.handle.catalog();
    let find = |name| catalog.iter().find(|entry| entry.name() == name).unwrap();
    let wait = find("wait");
    assert_eq!(wait.location().line(), Some(line));
    assert_eq!(
        (wait.unit(), wait.description()),
        (Some("s"), Some("Waits."))
    );
    assert_eq!(wait.prometheus_name(), "wait_seconds");
    assert_eq!(wait.boundaries().first(), Some(&0.005));
    assert_eq!(wait.label_keys().collect::<Vec<_>>(), ["queue"]);
    assert_eq!(wait.series(), 1);
    let s = find("s");
    assert_eq!(s.label_keys().collect::<Vec<_>>(), ["kind", "outcome"]);
}

/// A sink that panics as long as it is told to.
#[derive(Clone, Default)]
struct Panicking(Arc<AtomicU64>);

impl Panicking {
    fn panic_if_due(&self) {
        let due = self
            .0
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
        assert!(due.is_err(), "a sink panics on purpose");
    }
}

impl Sink for Panicking {
    fn series(&self, _: &Instrument, _: &Labels) -> Arc<dyn Handle> {
        self.panic_if_due();
        Arc::new(self.clone())
    }
}

impl Handle for Panicking {
    fn record(&self, _: f64) {
        self.panic_if_due();
    }
}

#[test]
fn a_sink_that_panics_takes_neither_the_program_nor_the_other_sinks_along() {
    let panicking = Panicking::default();
    let told = panicking.clone();
    let after = MemorySink::new();
    let measured = measure_with(
        |builder| {
            builder
                .own_metrics(false)
                .sink(panicking)
                .sink(after.clone())
        },
        || {
            for panics in [1, 0, 1, 0] {
                told.0.store(panics, Ordering::Relaxed);
                info!(monotonic_counter.n = 1);
            }
        },
    );
    assert_eq!(measured.value("n", &[]), Some(4.0));
    assert_eq!(after.snapshot().value("n", &[]), Some(4.0));
    assert_eq!(measured.problems(), ["sink_panicked n 2"]);
}

fn refused(configure: impl FnOnce(MeterLayerBuilder) -> MeterLayerBuilder) -> BuildError {
    let builder = configure(tracing_meter::builder().sink(MemorySink::new()));
    builder
        .build::<Registry>()
        .expect_err("the configuration is bad")
}

#[test]
fn bad_configuration_is_an_error_that_names_what_is_wrong() {
    let error = refused(|builder| builder.describe("two words", "help"));
    assert!(
        error.is_name() && error.to_string().contains("`two words`"),
        "{error}"
    );
    let error = refused(|builder| builder.unit("9lives", "s"));
    assert!(
        error.is_name() && error.to_string().contains("`9lives`"),
        "{error}"
    );
    let error = refused(|builder| builder.unit("n", "bad unit"));
    assert!(
        error.is_unit() && error.to_string().contains("`bad unit` of `n`"),
        "{error}"
    );
    let error = refused(|builder| builder.unit("n", "s").unit("n", "By"));
    assert!(
        error.is_unit() && error.to_string().contains("`By` of `n`"),
        "{error}"
    );
    let error = refused(|builder| builder.span_labels(["fine", "not fine"]));
    assert!(
        error.is_label() && error.to_string().contains("`not fine`"),
        "{error}"
    );
    let error = refused(|builder| builder.inherited_labels([""]));
    assert!(
        error.is_label() && error.to_string().contains("``"),
        "{error}"
    );
    assert_eq!(format!("{error:?}"), error.to_string());
    let descending = Boundaries::new().prefix("job.", &[2.0, 1.0]);
    let error = refused(|builder| builder.boundaries(descending));
    assert!(
        error.is_boundaries() && error.to_string().contains("`job.`"),
        "{error}"
    );
    let error = refused(|builder| builder.series_limit(0));
    assert!(
        error.is_limit() && error.to_string().contains("`series_limit`"),
        "{error}"
    );
    let error = refused(|builder| builder.label_limit(1 << 20));
    assert!(
        error.is_limit() && error.to_string().contains("`label_limit`"),
        "{error}"
    );
    for (label, other) in [
        ("outcome", "x"),
        ("le", "x"),
        ("__name__", "x"),
        ("x.y", "x_y"),
        ("x..y", "x_y"),
        ("字符", "x"),
    ] {
        let error = refused(|builder| builder.inherited_labels([other, label]));
        assert!(
            error.is_label() && error.to_string().contains(label),
            "{error}"
        );
    }
    for bad in [
        "my_app=loud",
        "a=b=c",
        "[span{field=x}]=info",
        "a=1=2",
        "a=",
    ] {
        let error = refused(|builder| builder.directives(format!("info,{bad}")));
        assert!(
            error.is_directives() && error.to_string().contains(bad),
            "{error}"
        );
    }
}
