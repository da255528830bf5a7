//! The convention of field names, one sentence at a time.

mod support;

use support::{measure, measure_with};
use tracing::field::Empty;
use tracing::{Level, Span, debug, error, event, info, info_span, instrument, span, trace};
use tracing_meter::Kind;

#[test]
fn each_prefix_on_an_event_feeds_its_instrument() {
    let measured = measure(|| {
        for (amount, level) in [(2, 5.5), (3, 7.5)] {
            info!(
                monotonic_counter.uploads = amount,
                counter.queued = -amount,
                gauge.temperature = level,
                histogram.size = amount,
                "uploaded"
            );
        }
    });
    assert_eq!(measured.value("uploads", &[]), Some(5.0));
    assert_eq!(measured.value("queued", &[]), Some(-5.0));
    assert_eq!(measured.value("temperature", &[]), Some(7.5));
    assert_eq!(measured.snapshot.samples("size", &[]), [2.0, 3.0]);
}

#[test]
fn the_other_fields_of_an_event_are_labels_but_message_and_log_are_not() {
    let measured = measure(|| {
        info!(
            monotonic_counter.uploads = 1,
            region = "eu",
            attempt = 2,
            cached = true,
            ratio = 0.5,
            kind = %"png",
            owner = ?Some("me"),
            log.target = "elsewhere",
            label.tenant = "acme",
            "the message"
        );
    });
    let labels = [
        ("region", "eu"),
        ("attempt", "2"),
        ("cached", "true"),
        ("ratio", "0.5"),
        ("kind", "png"),
        ("owner", "Some(\"me\")"),
        ("tenant", "acme"),
    ];
    assert_eq!(measured.value("uploads", &labels), Some(1.0));
}

#[test]
fn the_level_of_an_event_does_not_matter() {
    let measured = measure(|| {
        error!(monotonic_counter.n = 1);
        debug!(monotonic_counter.n = 1);
        trace!(monotonic_counter.n = 1);
        event!(Level::WARN, monotonic_counter.n = 1);
    });
    assert_eq!(measured.value("n", &[]), Some(4.0));
}

#[test]
fn an_integer_and_a_float_of_one_name_are_one_instrument() {
    let measured = measure(|| {
        info!(monotonic_counter.n = 1);
        info!(monotonic_counter.n = 0.5);
        info!(monotonic_counter.n = 2_u64);
        info!(monotonic_counter.n = 4_i128);
        info!(monotonic_counter.n = 8_u8);
    });
    assert_eq!(measured.value("n", &[]), Some(15.5));
    assert_eq!(measured.problems(), [""; 0]);
}

#[test]
fn an_empty_or_missing_value_measures_nothing() {
    let measured = measure(|| {
        info!(monotonic_counter.n = Option::<u64>::None, label = "a");
        info!(
            monotonic_counter.n = Some(3_u64),
            label = Option::<&str>::None
        );
        info_span!("work", monotonic_counter.m = Empty).in_scope(|| {});
    });
    assert_eq!(measured.value("n", &[]), Some(3.0));
    assert_eq!(measured.snapshot.label_sets("n").count(), 1);
    assert_eq!(measured.snapshot.label_sets("m").count(), 0);
}

#[test]
fn quoted_and_constant_names_work() {
    const NAME: &str = "gauge.from-constant";
    let measured = measure(|| {
        info!("monotonic_counter.http/requests" = 1, "a key" = "v");
        info!({ NAME } = 4);
    });
    assert_eq!(
        measured.value("http/requests", &[("a key", "v")]),
        Some(1.0)
    );
    assert_eq!(measured.value("from-constant", &[]), Some(4.0));
}

#[test]
fn a_rising_level_counts_its_rises_and_a_falling_one_its_falls() {
    let measured = measure(|| {
        for (remaining, bytes) in [(5, 100), (3, 130), (7, 130), (6, 131)] {
            info!(
                decrease.burned = remaining,
                increase.read = bytes,
                job = "a"
            );
        }
        info!(decrease.burned = 100, job = "b");
    });
    assert_eq!(
        measured.snapshot.samples("burned", &[("job", "a")]),
        [0.0, 2.0, 0.0, 1.0]
    );
    assert_eq!(
        measured.snapshot.samples("read", &[("job", "a")]),
        [0.0, 30.0, 0.0, 1.0]
    );
    assert_eq!(measured.value("burned", &[("job", "b")]), Some(0.0));
}

#[test]
fn a_level_may_be_below_zero() {
    let measured = measure(|| {
        for balance in [-5, 3, -2] {
            info!(increase.earned = balance, decrease.spent = balance);
        }
    });
    assert_eq!(measured.snapshot.samples("earned", &[]), [0.0, 8.0, 0.0]);
    assert_eq!(measured.snapshot.samples("spent", &[]), [0.0, 0.0, 5.0]);
    assert_eq!(measured.problems(), [""; 0]);
}

#[test]
fn a_span_counts_its_start_its_end_its_time_and_that_it_is_in_flight() {
    let measured = measure(|| {
        let span = info_span!(
            "job",
            started.begun = Empty,
            calls.done = Empty,
            in_flight.jobs = Empty,
            duration.job = Empty,
            label.queue = "low",
            uuid = 17,
        );
        drop(span.entered());
    });
    let labels = [("queue", "low")];
    let closed = [("queue", "low"), ("outcome", "ok")];
    assert_eq!(measured.value("begun", &labels), Some(1.0));
    assert_eq!(measured.value("done", &closed), Some(1.0));
    assert_eq!(measured.snapshot.samples("jobs", &labels), [1.0, -1.0]);
    assert_eq!(measured.problems(), [""; 0]);
    assert_eq!(measured.snapshot.samples("job", &closed).len(), 1);
    let duration = measured.snapshot.instrument("job").unwrap();
    assert_eq!(duration.unit(), Some("s"));
    assert_eq!(duration.prometheus_name(), "job_seconds");
}

#[instrument(err, skip_all, fields(observe.mail, label.queue = queue))]
fn send_mail(queue: &str, fails: bool) -> Result<(), String> {
    if fails { Err("no".into()) } else { Ok(()) }
}

#[test]
fn one_field_observes_the_whole_of_a_span() {
    let measured = measure(|| {
        send_mail("low", false).unwrap();
        send_mail("low", true).unwrap_err();
    });
    for outcome in ["ok", "error"] {
        let labels = [("queue", "low"), ("outcome", outcome)];
        assert_eq!(measured.value("mail.calls", &labels), Some(1.0));
        assert_eq!(measured.snapshot.samples("mail.duration", &labels).len(), 1);
    }
    let in_flight = measured
        .snapshot
        .samples("mail.in_flight", &[("queue", "low")]);
    assert_eq!(in_flight, [1.0, -1.0, 1.0, -1.0]);
    let kind = |metric| measured.snapshot.instrument(metric).unwrap().kind();
    assert_eq!(kind("mail.calls"), Kind::Counter);
    assert_eq!(kind("mail.duration"), Kind::Histogram);
    assert_eq!(kind("mail.in_flight"), Kind::UpDownCounter);
    let duration = measured.snapshot.instrument("mail.duration").unwrap();
    assert_eq!(duration.unit(), Some("s"));
    assert_eq!(measured.problems(), [""; 0]);
}

#[test]
fn observe_is_an_ordinary_field_of_an_event() {
    let measured = measure(|| info!(monotonic_counter.n = 1, observe.mail = "x"));
    assert_eq!(measured.value("n", &[("observe.mail", "x")]), Some(1.0));
    assert!(measured.snapshot.instrument("mail.calls").is_none());
}

#[test]
fn the_six_prefixes_measure_on_a_span_too_also_when_recorded_late() {
    let measured = measure(|| {
        let span = span!(
            Level::INFO,
            "load",
            monotonic_counter.rows = 2,
            gauge.level = Empty,
            histogram.size = Empty,
            label.table = Empty,
        );
        span.record("gauge.level", 4.5);
        span.record("label.table", "users");
        span.record("monotonic_counter.rows", 3);
        span.record("histogram.size", 9_u64);
    });
    assert_eq!(measured.value("rows", &[]), Some(2.0));
    assert_eq!(measured.value("level", &[]), Some(4.5));
    assert_eq!(measured.value("rows", &[("table", "users")]), Some(3.0));
    assert_eq!(measured.value("size", &[("table", "users")]), Some(9.0));
}

#[test]
fn a_label_that_is_recorded_late_counts_from_then_on_but_not_for_what_is_in_flight() {
    let measured = measure(|| {
        let span = info_span!(
            "find",
            in_flight.finds = Empty,
            calls.find = Empty,
            label.result = Empty
        );
        span.record("label.result", "found");
        span.record("label.result", "not_found");
    });
    assert_eq!(measured.snapshot.samples("finds", &[]), [1.0, -1.0]);
    let labels = [("result", "not_found"), ("outcome", "ok")];
    assert_eq!(measured.value("find", &labels), Some(1.0));
    assert_eq!(measured.snapshot.label_sets("find").count(), 1);
}

#[test]
fn a_label_that_is_recorded_late_takes_no_inherited_one_away() {
    let measured = measure_with(
        |builder| builder.inherited_labels(["tenant"]),
        || {
            let find = || {
                let span = info_span!("find", calls.find = Empty, label.result = Empty);
                span.record("label.result", "found");
            };
            (0..3).for_each(|_| find());
            let _request = info_span!("request", tenant = "acme").entered();
            (0..3).for_each(|_| find());
        },
    );
    let outside = [("result", "found"), ("outcome", "ok")];
    let inside = [("result", "found"), ("outcome", "ok"), ("tenant", "acme")];
    assert_eq!(measured.value("find", &outside), Some(3.0));
    assert_eq!(measured.value("find", &inside), Some(3.0));
}

#[test]
fn two_threads_may_record_a_label_each_on_one_span() {
    const SPANS: u32 = 5_000;
    let measured = measure(|| {
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let both_are_there = std::sync::Barrier::new(2);
        let span = || info_span!("job", calls.jobs = Empty, label.a = Empty, label.b = Empty);
        let spans: Vec<_> = (0..SPANS).map(|_| span()).collect();
        let record = |label: &str| {
            tracing::dispatcher::with_default(&dispatch, || {
                for span in &spans {
                    both_are_there.wait();
                    span.record(label, true);
                }
            });
        };
        std::thread::scope(|scope| {
            scope.spawn(|| record("label.a"));
            record("label.b");
        });
    });
    let both = [("a", "true"), ("b", "true"), ("outcome", "ok")];
    assert_eq!(measured.value("jobs", &both), Some(f64::from(SPANS)));
}

#[instrument(skip_all, fields(in_flight.jobs, duration.job, calls.job_calls, label.queue = %queue))]
fn run_job(queue: &str, fail: bool) -> Result<(), String> {
    if fail { Err("no".into()) } else { Ok(()) }
}

#[instrument(err, skip_all, fields(calls.erring))]
fn erring(fail: bool) -> Result<(), String> {
    if fail { Err("no".into()) } else { Ok(()) }
}

#[test]
fn instrument_attributes_measure_functions() {
    let measured = measure(|| {
        run_job("a", false).unwrap();
        run_job("a", true).unwrap_err();
    });
    let labels = [("queue", "a"), ("outcome", "ok")];
    assert_eq!(measured.value("job_calls", &labels), Some(2.0));
    assert_eq!(measured.snapshot.samples("job", &labels).len(), 2);
    assert_eq!(measured.value("jobs", &[("queue", "a")]), Some(0.0));
}

#[test]
fn the_outcome_is_an_error_when_instrument_err_says_so() {
    let measured = measure(|| {
        erring(false).unwrap();
        erring(true).unwrap_err();
    });
    assert_eq!(measured.value("erring", &[("outcome", "ok")]), Some(1.0));
    assert_eq!(measured.value("erring", &[("outcome", "error")]), Some(1.0));
}

#[test]
fn the_outcome_is_an_error_when_the_span_records_one() {
    let measured = measure(|| {
        let open = || {
            info_span!(
                "s",
                calls.s = Empty,
                error = Empty,
                "error.type" = Empty,
                exception.message = Empty,
                otel.status_code = Empty,
            )
        };
        open().record("error", "boom");
        open().record("error.type", "timeout");
        open().record("exception.message", "boom");
        open().record("otel.status_code", "ERROR");
        open().record("otel.status_code", "OK");
        open().record("error", false);
    });
    assert_eq!(measured.value("s", &[("outcome", "error")]), Some(4.0));
    assert_eq!(measured.value("s", &[("outcome", "ok")]), Some(2.0));
}

#[test]
fn a_field_that_is_named_twice_counts_twice() {
    let measured = measure(|| {
        info!(monotonic_counter.a = 1, monotonic_counter.a = 2);
        info!(histogram.h = 1, monotonic_counter.b = 5, histogram.h = 2);
        info!(monotonic_counter.c = 1, monotonic_counter.c = -1);
        let span = info_span!(
            "s",
            started.s = Empty,
            started.s = Empty,
            histogram.late = 1,
            histogram.late = 3
        );
        drop(span);
    });
    assert_eq!(measured.value("a", &[]), Some(3.0));
    assert_eq!(measured.snapshot.samples("h", &[]), [1.0, 2.0]);
    assert_eq!(measured.value("b", &[]), Some(5.0));
    assert_eq!(measured.value("c", &[]), Some(1.0));
    assert_eq!(measured.value("s", &[]), Some(2.0));
    assert_eq!(measured.snapshot.samples("late", &[]), [1.0, 3.0]);
    assert_eq!(measured.problems(), ["negative c 1"]);
}

#[test]
fn many_measurements_of_one_event_count_in_their_order() {
    let measured = measure(|| {
        info!(
            gauge.level = 1,
            monotonic_counter.a = 1,
            monotonic_counter.b = 2,
            monotonic_counter.c = 3,
            monotonic_counter.d = 4,
            gauge.level = 2,
            monotonic_counter.e = 5,
        );
    });
    let values = ["level", "a", "b", "c", "d", "e"].map(|name| measured.value(name, &[]));
    assert_eq!(values, [2.0, 1.0, 2.0, 3.0, 4.0, 5.0].map(Some));
}

#[test]
fn a_negative_zero_stays_one() {
    let measured = measure(|| info!(gauge.x = -0.0));
    assert!(measured.value("x", &[]).unwrap().is_sign_negative());
}

#[test]
fn of_a_label_that_is_named_twice_the_last_value_counts() {
    let measured = measure(|| {
        info!(monotonic_counter.n = 1, k = 1, k = 2);
        let _span = info_span!("s", calls.s = Empty, label.k = "a", label.k = "b");
    });
    assert_eq!(measured.value("n", &[("k", "2")]), Some(1.0));
    assert_eq!(
        measured.value("s", &[("k", "b"), ("outcome", "ok")]),
        Some(1.0)
    );
    assert_eq!(
        measured.problems(),
        ["label_collision n 0", "label_collision s 0"]
    );
}

#[test]
fn a_panic_is_an_outcome_and_a_span_of_a_destructor_is_not_its_victim() {
    struct Cleanup;
    impl Drop for Cleanup {
        fn drop(&mut self) {
            info_span!("cleanup", calls.cleanup = Empty).in_scope(|| {});
        }
    }
    let measured = measure(|| {
        let _ = std::panic::catch_unwind(|| {
            let _span = info_span!("job", calls.job = Empty).entered();
            let _cleanup = Cleanup;
            panic!("on purpose");
        });
    });
    assert_eq!(measured.value("job", &[("outcome", "panic")]), Some(1.0));
    assert_eq!(measured.value("cleanup", &[("outcome", "ok")]), Some(1.0));
}

#[test]
fn a_future_that_is_dropped_while_another_panics_did_not_panic() {
    use tracing::Instrument as _;
    let measured = measure(|| {
        let waiting = std::future::pending::<()>().instrument(info_span!("a", calls.a = Empty));
        let panics = async { panic!("on purpose") }.instrument(info_span!("b", calls.b = Empty));
        let both = async { tokio::join!(waiting, panics) };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| runtime.block_on(both)));
    });
    assert_eq!(measured.value("a", &[("outcome", "ok")]), Some(1.0));
    assert_eq!(measured.value("b", &[("outcome", "panic")]), Some(1.0));
}

#[test]
fn a_destructors_visit_to_a_span_is_not_its_panic() {
    struct Connection(Span);
    impl Drop for Connection {
        fn drop(&mut self) {
            self.0.in_scope(|| self.0.in_scope(|| {}));
        }
    }
    let measured = measure(|| {
        let session = info_span!("session", calls.session = Empty);
        let connection = Connection(session.clone());
        let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _connection = connection;
            panic!("on purpose");
        }));
        session.in_scope(|| {});
    });
    assert_eq!(measured.value("session", &[("outcome", "ok")]), Some(1.0));
}

#[test]
fn an_outcome_that_the_span_records_itself_wins() {
    let measured = measure(|| {
        let span = info_span!(
            "s",
            calls.s = Empty,
            in_flight.f = Empty,
            outcome = "cached"
        );
        span.record("outcome", "hit");
        drop(span);
        drop(info_span!("t", calls.t = Empty, label.outcome = "mine"));
        let late = info_span!("late", calls.late = Empty, outcome = Empty, gauge.g = Empty);
        late.record("outcome", "known");
        late.record("gauge.g", 1);
    });
    assert_eq!(measured.value("g", &[]), Some(1.0));
    assert_eq!(measured.value("s", &[("outcome", "hit")]), Some(1.0));
    assert_eq!(measured.snapshot.samples("f", &[]), [1.0, -1.0]);
    assert_eq!(measured.value("t", &[("outcome", "mine")]), Some(1.0));
}

#[test]
fn a_child_that_outlives_the_work_does_not_stretch_its_duration() {
    use std::time::{Duration, Instant};
    let mut work = Duration::ZERO;
    let measured = measure(|| {
        let begin = Instant::now();
        let span = info_span!("work", duration.work = Empty);
        let child = span.in_scope(|| info_span!("child"));
        drop(span);
        work = begin.elapsed();
        // The clock must move on by something that the duration would show.
        while begin.elapsed() < work + Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        drop(child);
    });
    let seconds = measured.value("work", &[("outcome", "ok")]).unwrap();
    assert!(seconds <= work.as_secs_f64(), "{seconds} s of {work:?}");
}

#[test]
fn a_span_that_is_never_entered_lasts_until_it_closes() {
    let measured = measure(|| drop(info_span!("idle", duration.idle = Empty)));
    let seconds = measured.value("idle", &[("outcome", "ok")]).unwrap();
    assert!(seconds > 0.0);
}

#[test]
fn only_allowed_fields_of_a_span_are_labels() {
    let measured = measure_with(
        |builder| builder.span_labels(["chain.name"]),
        || {
            let span = info_span!("s", calls.s = Empty, chain.name = "c", uuid = "u");
            drop(span);
        },
    );
    let labels = [("chain.name", "c"), ("outcome", "ok")];
    assert_eq!(measured.value("s", &labels), Some(1.0));
}

#[test]
fn inherited_labels_reach_everything_inside_and_the_nearest_wins() {
    let measured = measure_with(
        |builder| builder.inherited_labels(["tenant", "connector"]),
        || {
            let outer = info_span!("outer", tenant = "t1", label.connector = Empty);
            let _outer = outer.clone().entered();
            info!(monotonic_counter.n = 1);
            outer.record("label.connector", "c1");
            let _between = info_span!("between").entered();
            info!(monotonic_counter.n = 1);
            let _inner = info_span!("inner", tenant = "t2", calls.inner = Empty).entered();
            info!(monotonic_counter.n = 1);
            info!(monotonic_counter.n = 1, tenant = "own");
            info!(parent: &outer, monotonic_counter.n = 1);
            info!(parent: None, monotonic_counter.n = 1);
        },
    );
    assert_eq!(measured.value("n", &[("tenant", "t1")]), Some(1.0));
    let both = |tenant| [("tenant", tenant), ("connector", "c1")];
    assert_eq!(measured.value("n", &both("t1")), Some(2.0));
    assert_eq!(measured.value("n", &both("t2")), Some(1.0));
    assert_eq!(measured.value("n", &both("own")), Some(1.0));
    assert_eq!(measured.value("n", &[]), Some(1.0));
    let inner = [("tenant", "t2"), ("connector", "c1"), ("outcome", "ok")];
    assert_eq!(measured.value("inner", &inner), Some(1.0));
}

#[test]
fn a_program_says_what_its_metrics_mean_on_the_callsite_or_once_at_start_up() {
    let measured = measure_with(
        |builder| builder.describe("c", "from the builder").unit("c", "By"),
        || {
            info!(describe.a = "help of a", unit.a = "By");
            info!(monotonic_counter.a = 1);
            info!(
                gauge.b = 1,
                describe.b = "help of b",
                unit.b = "Cel",
                site = "x"
            );
            info!(gauge.c = 1, describe.c = "from the field");
        },
    );
    let instrument = |name| measured.snapshot.instrument(name).unwrap();
    assert_eq!(instrument("a").description(), Some("help of a"));
    assert_eq!(instrument("a").prometheus_name(), "a_bytes_total");
    assert_eq!(instrument("b").description(), Some("help of b"));
    assert_eq!(instrument("b").unit(), Some("Cel"));
    assert_eq!(instrument("c").description(), Some("from the builder"));
    assert_eq!(measured.value("b", &[("site", "x")]), Some(1.0));
    assert_eq!(measured.problems(), [""; 0]);
}
