//! The OpenTelemetry SDK holds its pipeline while it runs the callbacks of observable
//! instruments, and creating an instrument waits for that pipeline. A program may
//! measure something for the first time just then.
#![cfg(all(feature = "otel", feature = "prometheus"))]

#[path = "support/exporters.rs"]
mod exporters;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread::scope;
use std::time::{Duration, Instant};

use exporters::{CustomReader, points};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::data::{ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::{
    InMemoryMetricExporter, Instrument, InstrumentKind, PeriodicReader, SdkMeterProvider,
};
use tracing::field::Empty;
use tracing::{Dispatch, info, info_span};
use tracing_meter::{MeterHandle, OtelSink, Reason};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

/// Turns a hang into a failure, and nothing else.
const FOREVER: Duration = Duration::from_secs(60);

/// Runs it on another thread, which is left behind if it hangs.
fn returns<R: Send + 'static>(what: &str, call: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || done.send(call()));
    let returned = is_done.recv_timeout(FOREVER);
    returned.unwrap_or_else(|_| panic!("{what} does not return"))
}

/// A provider whose next collection runs code of the test, once.
struct Observed {
    provider: SdkMeterProvider,
    reader: CustomReader,
    is_due: Arc<AtomicBool>,
}

impl Observed {
    fn provider() -> (SdkMeterProvider, CustomReader) {
        let reader = CustomReader::default();
        let provider = SdkMeterProvider::builder().with_reader(reader.clone());
        (provider.build(), reader)
    }

    fn new(
        provider: SdkMeterProvider,
        reader: CustomReader,
        inside: impl Fn() + Send + Sync + 'static,
    ) -> Self {
        let is_due = Arc::new(AtomicBool::new(true));
        let due = Arc::clone(&is_due);
        let observe = move |_: &dyn opentelemetry::metrics::AsyncInstrument<f64>| {
            if due.swap(false, Ordering::SeqCst) {
                inside();
            }
        };
        let meter = provider.meter("the.program");
        let gauge = meter.f64_observable_gauge("the.program.gauge");
        gauge.with_callback(observe).build();
        Self {
            provider,
            reader,
            is_due,
        }
    }

    /// The collection that runs the code.
    fn collect(&self) -> BTreeMap<String, f64> {
        let reader = self.reader.clone();
        let collected = returns("collect", move || points(&reader.collect_now()));
        assert!(!self.is_due.load(Ordering::SeqCst), "the callback ran");
        collected
    }

    /// What is collected as soon as the SDK could be told.
    fn settled(&self, expected: &[(&str, f64)]) {
        settled(&self.reader, expected);
    }
}

/// Collects until exactly this is there, and stays.
fn settled(reader: &CustomReader, expected: &[(&str, f64)]) {
    let expected: BTreeMap<String, f64> = expected
        .iter()
        .map(|(series, value)| ((*series).to_owned(), *value))
        .collect();
    let reader = reader.clone();
    let began = Instant::now();
    let collected = returns("what waits", move || {
        while of_the_program(&reader) != expected && began.elapsed() < FOREVER / 2 {
            std::thread::yield_now();
        }
        let collected = of_the_program(&reader);
        let differs = |(series, value): &(&String, &f64)| expected.get(*series) != Some(*value);
        let others = collected.iter().filter(differs);
        let wrong: Vec<_> = others
            .map(|(series, value)| (series.clone(), *value))
            .collect();
        (wrong, expected.len().abs_diff(collected.len()))
    });
    assert_eq!(collected, (vec![], 0), "wrong, and missing");
}

/// Without what the layer says of itself.
fn of_the_program(reader: &CustomReader) -> BTreeMap<String, f64> {
    let mut collected = points(&reader.collect_now());
    collected.retain(|series, _| !series.starts_with("tracing_meter."));
    collected
}

/// A subscriber that measures into this provider.
fn measuring(provider: &SdkMeterProvider) -> (Dispatch, MeterHandle) {
    let sink = OtelSink::new(provider.clone());
    let layer = tracing_meter::builder().sink(sink).build().unwrap();
    let handle = layer.handle();
    (Dispatch::new(Registry::default().with(layer)), handle)
}

fn under<R>(subscriber: &Dispatch, code: impl FnOnce() -> R) -> R {
    tracing::dispatcher::with_default(subscriber, code)
}

/// Each kind twice, and spans: one that is over, and one that stays open.
fn measure_every_kind(open: &mpsc::Sender<tracing::Span>) {
    for value in [1, 2] {
        info!(
            monotonic_counter.uploads = value,
            counter.queued = -value,
            gauge.level = value,
            histogram.size = value,
            region = "eu",
        );
    }
    let job = || info_span!("job", calls.done = Empty, in_flight.jobs = Empty);
    drop(job().entered());
    open.send(job()).unwrap();
}

const EVERY_KIND: &[(&str, f64)] = &[
    ("uploads{\"region\": \"eu\"}", 3.0),
    ("queued{\"region\": \"eu\"}", -3.0),
    ("level{\"region\": \"eu\"}", 2.0),
    ("size{\"region\": \"eu\"}", 3.0),
    ("done{\"outcome\": \"ok\"}", 1.0),
    ("jobs{}", 1.0),
];

#[test]
fn every_kind_in_a_callback_that_is_registered_before_the_sink() {
    let (provider, reader) = Observed::provider();
    let (open, opened) = mpsc::channel();
    let subscriber = Arc::new(std::sync::OnceLock::<Dispatch>::new());
    let measures = Arc::clone(&subscriber);
    let observed = Observed::new(provider, reader, move || {
        under(measures.get().unwrap(), || measure_every_kind(&open));
    });
    let (measuring, handle) = measuring(&observed.provider);
    subscriber.set(measuring.clone()).unwrap();

    observed.collect();

    observed.settled(EVERY_KIND);
    under(&measuring, || drop(opened.recv().unwrap()));
    let done = [("done{\"outcome\": \"ok\"}", 2.0), ("jobs{}", 0.0)];
    observed.settled(&[&EVERY_KIND[..4], &done].concat());
    assert!(handle.problems().is_empty(), "{:?}", handle.problems());
}

#[test]
fn every_kind_in_a_callback_that_is_registered_after_the_sink() {
    let (provider, reader) = Observed::provider();
    let (measuring, handle) = measuring(&provider);
    let (open, opened) = mpsc::channel();
    let measures = measuring.clone();
    let observed = Observed::new(provider, reader, move || {
        under(&measures, || measure_every_kind(&open));
    });

    observed.collect();

    observed.settled(EVERY_KIND);
    under(&measuring, || drop(opened.recv().unwrap()));
    let done = [("done{\"outcome\": \"ok\"}", 2.0), ("jobs{}", 0.0)];
    observed.settled(&[&EVERY_KIND[..4], &done].concat());
    assert!(handle.problems().is_empty(), "{:?}", handle.problems());
}

#[test]
fn other_threads_measure_something_new_while_a_callback_does_not_return() {
    let (provider, reader) = Observed::provider();
    let (measuring, handle) = measuring(&provider);
    let (entered, is_entered) = mpsc::channel();
    let (leave, may_leave) = mpsc::channel::<()>();
    let may_leave = Mutex::new(may_leave);
    let observed = Observed::new(provider, reader.clone(), move || {
        entered.send(()).unwrap();
        let _ = may_leave.lock().unwrap().recv_timeout(FOREVER);
    });
    let collecting = std::thread::spawn(move || {
        observed.collect();
        observed
    });
    is_entered.recv_timeout(FOREVER).unwrap();

    for thread in 0..4_i64 {
        let measuring = measuring.clone();
        returns("a first measurement", move || {
            under(&measuring, || {
                // Two series of one metric, and one that all threads ask for.
                info!(monotonic_counter.uploads = 1, thread);
                info!(monotonic_counter.uploads = 1);
                info!(gauge.level = thread);
            });
        });
    }
    leave.send(()).unwrap();

    let observed = collecting.join().unwrap();
    observed.settled(&[
        ("uploads{\"thread\": \"0\"}", 1.0),
        ("uploads{\"thread\": \"1\"}", 1.0),
        ("uploads{\"thread\": \"2\"}", 1.0),
        ("uploads{\"thread\": \"3\"}", 1.0),
        ("uploads{}", 4.0),
        ("level{}", 3.0),
    ]);
    assert!(handle.problems().is_empty(), "{:?}", handle.problems());
}

#[test]
fn a_new_series_of_a_metric_that_is_known_is_in_the_collection_whose_callback_measures_it() {
    let (provider, reader) = Observed::provider();
    let (measuring, _) = measuring(&provider);
    let upload = |region: &str| info!(monotonic_counter.uploads = 1, region);
    under(&measuring, || upload("eu"));
    let observed = Observed::new(provider, reader, move || under(&measuring, || upload("us")));

    let collected = observed.collect();

    let of_the_callback = collected.get("uploads{\"region\": \"us\"}");
    assert_eq!(of_the_callback, Some(&1.0));
}

#[test]
fn every_reader_gets_what_the_callback_measured_in_each_of_their_collections() {
    let readers = [CustomReader::default(), CustomReader::default()];
    let provider = SdkMeterProvider::builder()
        .with_reader(readers[0].clone())
        .with_reader(readers[1].clone())
        .build();
    let (measuring, _) = measuring(&provider);
    let measures = move || under(&measuring, || info!(monotonic_counter.uploads = 1));
    let observed = Observed::new(provider, readers[1].clone(), measures);

    observed.collect();

    for reader in &readers {
        settled(reader, &[("uploads{}", 1.0)]);
    }
}

#[test]
fn flush_and_shutdown_return_although_their_collections_measure_something_new() {
    let exporter = InMemoryMetricExporter::default();
    let provider = SdkMeterProvider::builder()
        .with_reader(PeriodicReader::builder(exporter.clone()).build())
        .build();
    let (subscriber, _) = measuring(&provider);
    let is_shutting_down = Arc::new(AtomicBool::new(false));
    let is_the_last = Arc::clone(&is_shutting_down);
    let meter = provider.meter("the.program");
    meter
        .f64_observable_gauge("the.program.gauge")
        .with_callback(move |_| {
            under(&subscriber, || {
                if is_the_last.load(Ordering::SeqCst) {
                    info!(monotonic_counter.of_the_shutdown = 1);
                } else {
                    info!(monotonic_counter.of_the_flush = 1);
                }
            });
        })
        .build();

    let (flushing, written) = (provider.clone(), exporter.clone());
    returns("force_flush", move || {
        while !exported_names(&written).contains("of_the_flush") {
            flushing.force_flush().unwrap();
        }
    });
    is_shutting_down.store(true, Ordering::SeqCst);
    let all = provider.clone();
    returns("shutdown", move || all.shutdown().unwrap());
}

fn exported_names(memory: &InMemoryMetricExporter) -> BTreeSet<String> {
    let exported = memory.get_finished_metrics().unwrap();
    let scopes = exported.iter().flat_map(ResourceMetrics::scope_metrics);
    let metrics = scopes.flat_map(ScopeMetrics::metrics);
    metrics.map(|metric| metric.name().to_owned()).collect()
}

#[test]
fn what_a_series_cannot_keep_during_one_collection_is_rejected_counted_and_listed() {
    const ALL: i32 = 20_000;
    let (provider, reader) = Observed::provider();
    let (measuring, handle) = measuring(&provider);
    let observed = Observed::new(provider, reader, move || {
        under(&measuring, || {
            for _ in 0..ALL {
                info!(histogram.size = 1, monotonic_counter.uploads = 1);
            }
        });
    });

    observed.collect();

    // A few observations wait on their thread, and may be rejected a collection later.
    let reader = observed.reader.clone();
    let collected = returns("what waits", move || {
        let is_built = |collected: &BTreeMap<String, f64>| collected.len() == 2;
        while !is_built(&of_the_program(&reader)) {
            std::thread::yield_now();
        }
        of_the_program(&reader)
    });
    let problems = handle.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].reason(), Reason::QueueFull);
    assert_eq!(problems[0].metric(), "size");
    let rejected = i32::try_from(problems[0].count()).unwrap();
    assert!(rejected > 3_000, "{rejected}");
    let expected = [
        ("size{}".to_owned(), f64::from(ALL - rejected)),
        ("uploads{}".to_owned(), f64::from(ALL)),
    ];
    assert_eq!(collected, BTreeMap::from(expected));
}

#[test]
fn what_comes_while_a_view_panics_is_recorded_with_what_comes_next() {
    let reader = CustomReader::default();
    let panics = AtomicU64::new(1);
    let provider = SdkMeterProvider::builder()
        .with_reader(reader.clone())
        .with_view(move |instrument: &Instrument| {
            let is_ours = instrument.name() == "uploads";
            let is_bad = is_ours && panics.swap(0, Ordering::SeqCst) == 1;
            assert!(!is_bad, "a bad view");
            None
        })
        .build();
    let (measuring, handle) = measuring(&provider);

    let upload = || info!(monotonic_counter.uploads = 1);
    under(&measuring, upload);
    let listed = handle.clone();
    returns("the panic", move || {
        while listed.problems().is_empty() {
            std::thread::yield_now();
        }
    });
    under(&measuring, upload);

    settled(&reader, &[("uploads{}", 2.0)]);
    let problems = handle.problems();
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].reason(), Reason::SinkPanicked);
    assert_eq!(problems[0].count(), 1);
}

#[test]
fn all_instruments_are_built_on_one_thread_that_is_not_the_measuring_one() {
    let builders = Arc::new(Mutex::new(HashSet::new()));
    let seen = Arc::clone(&builders);
    let provider = SdkMeterProvider::builder()
        .with_reader(CustomReader::default())
        .with_view(move |instrument: &Instrument| {
            if instrument.kind() == InstrumentKind::Counter {
                seen.lock().unwrap().insert(std::thread::current().id());
            }
            None
        })
        .build();
    let (measuring, _) = measuring(&provider);

    under(&measuring, || {
        info!(monotonic_counter.a = 1);
        info!(monotonic_counter.b = 1);
        info!(monotonic_counter.c = 1);
    });

    let builders = builders.lock().unwrap();
    assert_eq!(builders.len(), 1, "{builders:?}");
    assert!(!builders.contains(&std::thread::current().id()));
}

#[test]
fn nothing_is_lost_while_threads_see_new_things_and_others_collect() {
    const THREADS: u64 = 3;
    const ROUNDS: u64 = 40;
    let (provider, reader) = Observed::provider();
    let (measuring, handle) = measuring(&provider);
    let is_over = Arc::new(AtomicBool::new(false));
    let inside = AtomicU64::new(0);
    let measures = measuring.clone();
    provider
        .meter("the.program")
        .f64_observable_gauge("the.program.gauge")
        .with_callback(move |_| {
            let round = inside.fetch_add(1, Ordering::SeqCst);
            if round < ROUNDS {
                under(&measures, || one_of_many(0, round));
            }
        })
        .build();

    let (over, collects) = (Arc::clone(&is_over), reader.clone());
    returns("the stress", move || {
        scope(|threads| {
            let collecting = threads.spawn(|| {
                let mut times = 0;
                while !over.load(Ordering::SeqCst) || times < ROUNDS {
                    collects.collect_now();
                    times += 1;
                }
            });
            let workers: Vec<_> = (1..=THREADS)
                .map(|thread| {
                    let measuring = measuring.clone();
                    threads.spawn(move || {
                        under(&measuring, || {
                            (0..ROUNDS).for_each(|n| one_of_many(thread, n));
                        });
                    })
                })
                .collect();
            for worker in workers {
                worker.join().unwrap();
            }
            over.store(true, Ordering::SeqCst);
            collecting.join().unwrap();
        });
    });

    let every = |metric: &str, value: fn(u64) -> f64| {
        let series = (0..=THREADS).flat_map(|thread| (0..ROUNDS).map(move |n| (thread, n)));
        let metric = metric.to_owned();
        series.map(move |(thread, n)| {
            let labels = format!("{{\"n\": \"{n}\", \"thread\": \"{thread}\"}}");
            (format!("{metric}{labels}"), value(n))
        })
    };
    #[allow(clippy::cast_precision_loss, reason = "they are small")]
    let mut expected: Vec<(String, f64)> = every("counted", |_| 2.0)
        .chain(every("observed", |n| n as f64))
        .chain(every("open", |_| 0.0))
        .collect();
    #[allow(clippy::cast_precision_loss, reason = "they are small")]
    let all = ((THREADS + 1) * ROUNDS) as f64;
    expected.push(("all{}".to_owned(), all));
    let expected: Vec<_> = expected.iter().map(|(s, v)| (s.as_str(), *v)).collect();
    settled(&reader, &expected);
    assert!(handle.problems().is_empty(), "{:?}", handle.problems());
}

fn one_of_many(thread: u64, n: u64) {
    info!(monotonic_counter.counted = 1, thread, n);
    info!(monotonic_counter.counted = 1, thread, n);
    info!(histogram.observed = n, thread, n);
    info!(monotonic_counter.all = 1);
    drop(info_span!(
        "job",
        in_flight.open = Empty,
        label.thread = thread,
        label.n = n
    ));
}
