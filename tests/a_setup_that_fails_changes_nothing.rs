//! What `setup` cannot do is known before anything of the process is changed. What is changed
//! can be changed once, so each case is a process of its own.
#![cfg(feature = "setup")]
#![allow(clippy::print_stdout, reason = "a process says what has become of it")]

#[path = "support/addresses.rs"]
mod addresses;
#[path = "support/reader.rs"]
mod reader;

use std::env;
use std::fs;
use std::net::TcpListener;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use addresses::{own_address, own_port};
use opentelemetry::global;
use opentelemetry::trace::Tracer as _;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider};
use reader::CustomReader;
use tracing::subscriber::NoSubscriber;
use tracing_meter::propagation::W3cPropagator;
use tracing_meter::setup::{self, Guard, SetupError};

/// Set where this process is a case.
const CASE: &str = "CASE";
const ADDRESS: &str = "OTEL_EXPORTER_PROMETHEUS_HOST";
const PORT: &str = "OTEL_EXPORTER_PROMETHEUS_PORT";

#[test]
fn a_case() {
    match env::var(CASE).as_deref() {
        Ok("subscriber") => blocked_by(set_subscriber),
        Ok("logger") => blocked_by(set_logger),
        Ok("propagator") => blocked_by(set_propagator),
        Ok("listener") => {
            let taken = TcpListener::bind(address()).unwrap();
            fails(SetupError::is_listen);
            drop(taken);
            assert!(set_subscriber() && set_logger() && set_propagator());
        }
        Ok("meter") => {
            fails_with(bad_meter(), |it| it.build_error().is_some());
            assert!(set_subscriber() && set_logger() && set_propagator());
        }
        Ok("again") => {
            let taken = TcpListener::bind(address()).unwrap();
            fails(SetupError::is_listen);
            drop(taken);
            setup::init().unwrap().shutdown().unwrap_err();
            assert!(!set_subscriber() && !set_logger() && !set_propagator());
        }
        Ok("scoped") => {
            tracing::subscriber::with_default(tracing_subscriber::registry(), || ());
            setup::init().unwrap().shutdown().unwrap_err();
        }
        Ok("at once") => at_once(),
        Ok(unknown) => panic!("{unknown}"),
        Err(_) => return,
    }
    println!("as expected");
}

/// What the process has already stays, and what it has not can be set.
fn blocked_by(set: fn() -> bool) {
    assert!(set());
    fails(SetupError::is_already_set);
    let all = [set_subscriber, set_logger, set_propagator];
    let succeeded = all.map(|it| it());
    let others = all.map(|it| !std::ptr::fn_addr_eq(it, set));
    assert_eq!(succeeded, others);
}

fn fails(expected: fn(&SetupError) -> bool) {
    fails_with(setup::builder(), expected);
}

fn fails_with(setup: setup::Setup, expected: impl Fn(&SetupError) -> bool) {
    let marks = Marks::set();
    let threads = threads();

    let error = setup.init().unwrap_err();

    assert!(expected(&error), "{error}");
    marks.assert_are_set();
    if !error.is_listen() {
        TcpListener::bind(address()).unwrap();
    }
    let deadline = Instant::now() + Duration::from_secs(60);
    while self::threads() > threads {
        assert!(Instant::now() < deadline, "a thread is left");
        thread::yield_now();
    }
}

fn bad_meter() -> setup::Setup {
    setup::builder().meter(tracing_meter::builder().series_limit(0))
}

/// One of them sets the process up, and the others fail as those that come late.
fn at_once() {
    let all = thread::scope(|scope| {
        let threads = [(); 4].map(|()| scope.spawn(setup::init));
        threads.map(|it| it.join().unwrap())
    });
    let (set_up, failed): (Vec<_>, Vec<_>) = all.into_iter().partition(Result::is_ok);
    let set_up: Vec<_> = set_up.into_iter().map(Result::unwrap).collect();
    let [guard] = <[Guard; 1]>::try_from(set_up).unwrap();
    assert_eq!(failed.len(), 3);
    for error in failed.into_iter().map(Result::unwrap_err) {
        assert!(error.is_already_set(), "{error}");
    }
    guard.shutdown().unwrap_err();
}

fn address() -> String {
    let of = |name| env::var(name).unwrap();
    format!("{}:{}", of(ADDRESS), of(PORT))
}

fn set_subscriber() -> bool {
    tracing::subscriber::set_global_default(NoSubscriber::new()).is_ok()
}

fn set_logger() -> bool {
    struct Logger;

    impl log::Log for Logger {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            false
        }

        fn log(&self, _: &log::Record<'_>) {}

        fn flush(&self) {}
    }
    log::set_logger(&Logger).is_ok()
}

fn set_propagator() -> bool {
    W3cPropagator::baggage().install().is_ok()
}

/// Global providers that know whether they are the global ones still.
struct Marks {
    reader: CustomReader,
    spans: InMemorySpanExporter,
    fields: Vec<String>,
}

impl Marks {
    fn set() -> Self {
        let (reader, spans) = (CustomReader::default(), InMemorySpanExporter::default());
        let metrics = SdkMeterProvider::builder().with_reader(reader.clone());
        let traces = SdkTracerProvider::builder().with_simple_exporter(spans.clone());
        global::set_meter_provider(metrics.build());
        global::set_tracer_provider(traces.build());
        Self {
            reader,
            spans,
            fields: fields(),
        }
    }

    fn assert_are_set(&self) {
        global::meter("mark")
            .u64_counter("mark")
            .build()
            .add(1, &[]);
        let metrics = self.reader.collect_now();
        assert_eq!(metrics.scope_metrics().count(), 1, "{metrics:?}");
        global::tracer("mark").start("mark");
        assert_eq!(self.spans.get_finished_spans().unwrap().len(), 1);
        assert_eq!(fields(), self.fields);
    }
}

/// The headers of the global propagator.
fn fields() -> Vec<String> {
    global::get_text_map_propagator(|it| it.fields().map(ToOwned::to_owned).collect())
}

#[cfg(target_os = "linux")]
fn threads() -> usize {
    fs::read_dir("/proc/self/task").unwrap().count()
}

#[cfg(not(target_os = "linux"))]
fn threads() -> usize {
    0
}

fn run(case: &str) -> Output {
    Command::new(env::current_exe().unwrap())
        .args(["a_case", "--exact", "--nocapture"])
        .env(CASE, case)
        .env("OTEL_METRICS_EXPORTER", "otlp,prometheus")
        .env("OTEL_TRACES_EXPORTER", "otlp")
        .env(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("http://{}:1", own_address()),
        )
        .env("OTEL_EXPORTER_OTLP_TIMEOUT", "1000")
        .env(ADDRESS, own_address())
        .env(PORT, own_port())
        .output()
        .unwrap()
}

#[track_caller]
fn is_as_expected(case: &str) {
    let output = run(case);
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("as expected"), "{case}: {said}\n{error}");
}

#[test]
fn a_process_that_has_a_subscriber_keeps_it_and_can_set_the_rest() {
    is_as_expected("subscriber");
}

#[test]
fn a_process_that_has_a_logger_keeps_it_and_can_set_the_rest() {
    is_as_expected("logger");
}

#[test]
fn a_process_that_has_a_propagator_keeps_it_and_can_set_the_rest() {
    is_as_expected("propagator");
}

#[test]
fn a_port_that_is_taken_leaves_everything_to_be_set() {
    is_as_expected("listener");
}

#[test]
fn a_measuring_layer_that_is_not_valid_leaves_everything_to_be_set() {
    is_as_expected("meter");
}

#[test]
fn what_has_failed_may_succeed_later() {
    is_as_expected("again");
}

#[test]
fn a_subscriber_that_was_not_the_global_one_is_no_hindrance() {
    is_as_expected("scoped");
}

#[test]
fn of_several_at_once_one_succeeds_and_the_others_change_nothing() {
    is_as_expected("at once");
}
