//! Both exporters and the others, from the same events and spans.
#![cfg(all(feature = "otel", feature = "prometheus"))]

#[path = "support/exporters.rs"]
mod exporters;
mod support;

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use exporters::{Exporters, assert_promtool_finds_nothing};
use metrics::{Key, KeyName, Metadata, Recorder, SharedString, Unit};
use metrics_exporter_prometheus::PrometheusRecorder;
use metrics_util::MetricKindMask;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use opentelemetry::metrics::{
    Counter, Gauge, Histogram, HistogramBuilder, InstrumentBuilder, InstrumentProvider, Meter,
    MeterProvider, SyncInstrument, UpDownCounter,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::metrics::{
    Aggregation, Instrument as SdkInstrument, SdkMeterProvider, Stream,
};
use support::under;
use tracing::field::Empty;
use tracing::{info, info_span};
use tracing_meter::{Boundaries, FacadeSink, LogSink, MeterHandle, OtelSink, Problem};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

#[test]
fn the_sdk_and_the_scrape_show_the_same_numbers() {
    let (exporters, builder) = Exporters::new();
    let layer = builder.build().unwrap();
    under(Registry::default().with(layer), || {
        for _ in 0..3 {
            info!(monotonic_counter.uploads = 2, region = "eu", cached = true);
            info!(counter.queued = -1, chain.name = "c");
            info!(gauge.temperature = 21.5, unit.temperature = "Cel");
            info!(histogram.wait = 0.25, unit.wait = "s");
            drop(info_span!(
                "job",
                in_flight.jobs = Empty,
                calls.job_calls = Empty
            ));
        }
    });
    let uploads = [("region", "eu"), ("cached", "true")];
    exporters.assert_both("uploads", "uploads_total", &uploads, 6.0);
    exporters.assert_both("queued", "queued", &[("chain.name", "c")], -3.0);
    exporters.assert_both("temperature", "temperature_celsius", &[], 21.5);
    exporters.assert_both("jobs", "jobs", &[], 0.0);
    exporters.assert_both("job_calls", "job_calls_total", &[("outcome", "ok")], 3.0);
    assert_eq!(exporters.collected("wait", &[]), Some(0.75));
    assert_eq!(exporters.scraped("wait_seconds_sum", &[]), Some(0.75));
    assert_eq!(exporters.scraped("wait_seconds_count", &[]), Some(3.0));
    let le = |le| exporters.scraped("wait_seconds_bucket", &[("le", le)]);
    assert_eq!((le("0.1"), le("0.25")), (Some(0.0), Some(3.0)));
    assert_promtool_finds_nothing(&exporters.scrape());
}

#[test]
fn a_series_is_not_exported_before_it_is_measured() {
    let (exporters, builder) = Exporters::new();
    let layer = builder.build().unwrap();
    under(Registry::default().with(layer), || {
        let open = info_span!(
            "job",
            in_flight.jobs = Empty,
            calls.done = Empty,
            gauge.g = Empty
        );
        assert_eq!(exporters.collected("jobs", &[]), Some(1.0));
        assert_eq!(exporters.collected("done", &[("outcome", "ok")]), None);
        assert_eq!(exporters.collected("g", &[]), None);
        assert!(!exporters.scrape().contains("done_total"));
        drop(open);
    });
    exporters.assert_both("done", "done_total", &[("outcome", "ok")], 1.0);
}

#[test]
fn both_exporters_have_the_same_boundaries_from_one_setting() {
    let boundaries = Boundaries::new()
        .exact("exact.wait", &[1.0, 2.0])
        .prefix("job.", &[3.0])
        .prefix("db.client.operation", &[7.0])
        .seconds(&[4.0, 5.0])
        .otherwise(&[6.0]);
    let (exporters, builder) = Exporters::with_boundaries(boundaries);
    let layer = builder.unit("job.size", "By").build().unwrap();
    under(Registry::default().with(layer), || {
        info!(histogram.exact.wait = 1, unit.exact.wait = "s");
        info!(histogram.job.size = 1);
        info!(histogram.some.seconds = 1);
        info!(histogram.seconds = 1);
        drop(info_span!("s", duration.span = Empty));
        info!(histogram.plain = 1);
        info!(histogram.db.client.response.returned_rows = 1);
        info!(
            histogram.db.client.operation.duration = 1,
            unit.db.client.operation.duration = "s"
        );
        info!(histogram.traces_spanmetrics_latency = 1);
    });
    for (name, scraped, bounds) in [
        (
            "db.client.response.returned_rows",
            "db_client_response_returned_rows",
            // What the semantic conventions prescribe.
            &[
                1., 2., 5., 10., 20., 50., 100., 200., 500., 1000., 2000., 5000., 10000.,
            ][..],
        ),
        (
            "db.client.operation.duration",
            "db_client_operation_duration_seconds",
            &[7.0],
        ),
        (
            "traces_spanmetrics_latency",
            "traces_spanmetrics_latency",
            &[4.0, 5.0],
        ),
        ("exact.wait", "exact_wait_seconds", &[1.0, 2.0]),
        ("job.size", "job_size_bytes", &[3.0]),
        ("some.seconds", "some_seconds", &[4.0, 5.0]),
        ("seconds", "seconds", &[4.0, 5.0]),
        ("span", "span_seconds", &[4.0, 5.0]),
        ("plain", "plain", &[6.0]),
    ] {
        assert_eq!(exporters.collected_bounds(name), bounds, "{name}");
        assert_eq!(exporters.scraped_bounds(scraped), bounds, "{scraped}");
    }
}

#[test]
fn labels_that_are_one_on_a_scrape_are_joined_there_and_stay_apart_in_the_sdk() {
    let (exporters, builder) = Exporters::new();
    let layer = builder.build().unwrap();
    under(Registry::default().with(layer), || {
        info!(monotonic_counter.n = 1, x.y = "a", x_y = "b");
    });
    assert_eq!(exporters.scraped("n_total", &[("x_y", "a;b")]), Some(1.0));
    assert_eq!(
        exporters.collected("n", &[("x.y", "a"), ("x_y", "b")]),
        Some(1.0)
    );
}

#[test]
fn a_label_without_text_is_no_label_on_a_scrape() {
    let (exporters, builder) = Exporters::new();
    let layer = builder.build().unwrap();
    under(Registry::default().with(layer), || {
        info!(monotonic_counter.n = 1);
        info!(monotonic_counter.n = 5, region = "");
    });
    assert_eq!(exporters.scraped("n_total", &[]), Some(6.0));
    assert!(!exporters.scrape().contains("region"));
}

#[test]
fn the_facade_counts_the_whole_part_of_fractions() {
    let (exporters, builder) = Exporters::new();
    let layer = builder.build().unwrap();
    under(Registry::default().with(layer), || {
        for _ in 0..7 {
            info!(monotonic_counter.n = 0.5);
        }
        info!(monotonic_counter.n = 2);
        info!(monotonic_counter.tiny = 0.25);
        for _ in 0..10 {
            info!(monotonic_counter.tenths = 0.1);
        }
        info!(monotonic_counter.huge = u64::MAX);
        info!(monotonic_counter.huge = 5);
    });
    assert_eq!(exporters.scraped("tenths_total", &[]), Some(1.0));
    let huge = exporters.scraped("huge_total", &[]).unwrap();
    assert!(huge >= 9.2e18, "{huge} has wrapped around");
    assert_eq!(exporters.collected("n", &[]), Some(5.5));
    assert_eq!(exporters.scraped("n_total", &[]), Some(5.0));
    assert_eq!(exporters.scraped("tiny_total", &[]), Some(0.0));
}

#[test]
fn a_counter_that_the_facade_cannot_count_further_is_listed_once() {
    let (exporters, builder) = Exporters::new();
    let layer = builder.own_metrics(false).build().unwrap();
    let handle = layer.handle();
    let far = 2_f64.powi(62);
    under(Registry::default().with(layer), || {
        for amount in [far, far, 0.5, far, far] {
            info!(monotonic_counter.bytes = amount, queue = "low");
        }
    });
    let all = 2_f64.powi(63);
    let labels = [("queue", "low")];
    assert_eq!(exporters.scraped("bytes_total", &labels), Some(all));
    assert_eq!(exporters.collected("bytes", &labels), Some(2.0 * all));
    assert_eq!(problems(&handle), ["counter_full bytes 2"]);
}

#[test]
fn histograms_whose_name_the_prometheus_exporter_gets_wrong_are_listed() {
    let measure = || {
        info!(histogram.jobs.count = 1);
        info!(histogram.discount = 1);
        info!(histogram.check.sum = 1, unit.check.sum = "By");
        info!(
            histogram.check.bucket = 1,
            monotonic_counter.count = 1,
            gauge.sum = 1
        );
    };
    let layer = |configure: fn(FacadeSink) -> FacadeSink| {
        let recorder = Boundaries::new().prometheus_builder().unwrap();
        let recorder = recorder.build_recorder();
        let scraped = recorder.handle();
        let builder = tracing_meter::builder().own_metrics(false);
        let sink = configure(FacadeSink::new(recorder));
        let layer = builder.sink(sink).build().unwrap();
        let handle = layer.handle();
        under(Registry::default().with(layer), measure);
        (handle, scraped.render())
    };

    let (handle, scrape) = layer(|sink| sink);
    let wrong = ["check.bucket", "discount", "jobs.count"];
    assert_eq!(
        problems(&handle),
        wrong.map(|name| format!("exporter_name {name} 0"))
    );
    assert_eq!(
        handle.problems()[1].detail(),
        "`metrics-exporter-prometheus` writes its line `discount_count` as `discount`: \
         give it a unit, or a name with another ending"
    );
    assert!(scrape.contains("\ndiscount 1\n"), "{scrape}");
    assert!(scrape.contains("\ncheck_sum_bytes_count 1\n"), "{scrape}");

    assert!(problems(&layer(FacadeSink::names_as_written).0).is_empty());
}

/// The problems, as `reason metric count`.
fn problems(handle: &MeterHandle) -> Vec<String> {
    let problems = handle.problems();
    let line = |p: &Problem| format!("{} {} {}", p.reason(), p.metric(), p.count());
    problems.iter().map(line).collect()
}

#[test]
fn counts_that_are_pending_on_threads_are_there_at_each_collection_and_after_the_layer() {
    let (exporters, builder) = Exporters::new();
    let layer = builder.build().unwrap();
    // Often enough to be pending from the second round on.
    let count = || (0..2_000).for_each(|_| info!(monotonic_counter.n = 1));
    let collected = || exporters.collected("n", &[]);
    under(Registry::default().with(layer), || {
        count();
        assert_eq!(collected(), Some(2_000.0));
        count();
        assert_eq!(collected(), Some(4_000.0));
        assert_eq!(collected(), Some(4_000.0));
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let worker = || tracing::dispatcher::with_default(&dispatch, count);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..4).map(|_| scope.spawn(worker)).collect();
            let mut before = 4_000.0;
            while !workers
                .iter()
                .all(std::thread::ScopedJoinHandle::is_finished)
            {
                let now = collected().unwrap();
                assert!((before..=12_000.0).contains(&now), "{before} {now}");
                before = now;
            }
        });
        assert_eq!(collected(), Some(12_000.0));
        count();
    });
    assert_eq!(collected(), Some(14_000.0));
    let names = exporters.collected_names();
    assert_eq!(names, ["tracing_meter.series", "n"]);
}

#[test]
fn counts_are_not_lost_when_a_view_drops_everything_else() {
    let reader = exporters::CustomReader::default();
    let only_n = |instrument: &SdkInstrument| {
        let stream = Stream::builder();
        match instrument.name() {
            "n" => None,
            _ => stream.with_aggregation(Aggregation::Drop).build().ok(),
        }
    };
    let provider = SdkMeterProvider::builder()
        .with_reader(reader.clone())
        .with_view(only_n)
        .build();
    let sink = OtelSink::new(provider.clone());
    let layer = tracing_meter::builder().sink(sink).build().unwrap();
    under(Registry::default().with(layer), || {
        for expected in [2_000.0, 4_000.0] {
            (0..2_000).for_each(|_| info!(monotonic_counter.n = 1));
            assert_eq!(
                exporters::points(&reader.collect_now()).get("n{}"),
                Some(&expected)
            );
        }
    });
}

#[test]
fn a_provider_that_cannot_bind_loses_nothing() {
    let exporters = Exporters::new().0;
    let layer = tracing_meter::builder()
        .sink(OtelSink::new(NotTheSdk(exporters.provider.clone())))
        .build()
        .unwrap();
    under(Registry::default().with(layer), || {
        for _ in 0..2 {
            info!(
                monotonic_counter.n = 1,
                counter.u = -1,
                gauge.g = 3,
                histogram.h = 2,
                k = "v"
            );
        }
    });
    for (name, value) in [("n", 2.0), ("u", -2.0), ("g", 3.0), ("h", 4.0)] {
        assert_eq!(
            exporters.collected(name, &[("k", "v")]),
            Some(value),
            "{name}"
        );
    }
}

/// A provider of another type. Its instruments forward all calls but `bind`,
/// whose default drops what is measured.
struct NotTheSdk(SdkMeterProvider);

impl MeterProvider for NotTheSdk {
    fn meter_with_scope(&self, scope: InstrumentationScope) -> Meter {
        Meter::new(Arc::new(Forward(self.0.meter_with_scope(scope))))
    }
}

struct Forward(Meter);

impl InstrumentProvider for Forward {
    fn f64_counter(&self, builder: InstrumentBuilder<'_, Counter<f64>>) -> Counter<f64> {
        let counter = self.0.f64_counter(builder.name).build();
        Counter::new(Arc::new(Unbindable(
            move |value, attributes: &[KeyValue]| {
                counter.add(value, attributes);
            },
        )))
    }

    fn f64_up_down_counter(
        &self,
        builder: InstrumentBuilder<'_, UpDownCounter<f64>>,
    ) -> UpDownCounter<f64> {
        let counter = self.0.f64_up_down_counter(builder.name).build();
        UpDownCounter::new(Arc::new(Unbindable(
            move |value, attributes: &[KeyValue]| {
                counter.add(value, attributes);
            },
        )))
    }

    fn f64_gauge(&self, builder: InstrumentBuilder<'_, Gauge<f64>>) -> Gauge<f64> {
        let gauge = self.0.f64_gauge(builder.name).build();
        Gauge::new(Arc::new(Unbindable(
            move |value, attributes: &[KeyValue]| {
                gauge.record(value, attributes);
            },
        )))
    }

    fn f64_histogram(&self, builder: HistogramBuilder<'_, Histogram<f64>>) -> Histogram<f64> {
        let histogram = self.0.f64_histogram(builder.name).build();
        Histogram::new(Arc::new(Unbindable(
            move |value, attributes: &[KeyValue]| {
                histogram.record(value, attributes);
            },
        )))
    }
}

struct Unbindable<F>(F);

impl<F: Fn(f64, &[KeyValue]) + Send + Sync> SyncInstrument<f64> for Unbindable<F> {
    fn measure(&self, value: f64, attributes: &[KeyValue]) {
        (self.0)(value, attributes);
    }
}

#[test]
fn a_series_that_an_exporter_dropped_after_idling_comes_back() {
    let recorder = Boundaries::new()
        .prometheus_builder()
        .unwrap()
        .idle_timeout(MetricKindMask::ALL, Some(Duration::from_millis(20)))
        .build_recorder();
    let prometheus = recorder.handle();
    let builder = tracing_meter::builder().own_metrics(false);
    let sink = FacadeSink::new(recorder).renew_after(Duration::from_millis(10));
    let layer = builder.sink(sink).build().unwrap();
    let until = |what: &str, condition: &dyn Fn(&str) -> bool| {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !condition(&prometheus.render()) {
            assert!(Instant::now() < deadline, "{what}");
            std::thread::yield_now();
        }
    };
    let measure = || {
        info!(monotonic_counter.n = 1);
        info!(histogram.h = 1);
        info!(gauge.g = 7);
        drop(info_span!("job", in_flight.jobs = Empty));
    };
    under(Registry::default().with(layer), || {
        measure();
        until("the exporter drops what idles", &|scrape| {
            scrape.trim().is_empty()
        });
        measure();
        let scrape = exporters::parse_scrape(&prometheus.render());
        let values: Vec<f64> = ["g", "jobs", "n_total", "h_sum"]
            .iter()
            .map(|name| scrape[&format!("{name}{{}}")])
            .collect();
        assert_eq!(values, [7.0, 0.0, 1.0, 1.0]);

        let open = info_span!("job", in_flight.jobs = Empty);
        until("the exporter drops what is in flight", &|scrape| {
            scrape.trim().is_empty()
        });
        drop(open);
        let open = info_span!("job", in_flight.jobs = Empty);
        until("what is in flight is seen again", &|scrape| {
            scrape.contains("jobs 1")
        });
        drop(open);
        assert!(!prometheus.render().contains("-1"));
    });
}

#[test]
fn exporters_that_want_the_names_as_written_get_them() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let sink = FacadeSink::new(recorder).names_as_written();
    let layer = tracing_meter::builder()
        .own_metrics(false)
        .sink(sink)
        .build()
        .unwrap();
    under(Registry::default().with(layer), || {
        info!(
            monotonic_counter.file.uploads = 3,
            unit.file.uploads = "By",
            chain.name = "c"
        );
    });
    let [(key, unit, _, value)] = &snapshotter.snapshot().into_vec()[..] else {
        panic!("one series");
    };
    assert_eq!(key.key().name(), "file.uploads");
    assert_eq!(
        key.key().labels().next().map(metrics::Label::key),
        Some("chain.name")
    );
    assert_eq!(*unit, Some(Unit::Bytes));
    assert_eq!(*value, DebugValue::Counter(3));
}

#[test]
fn the_log_sink_writes_a_line_for_each_measurement() {
    let written = Arc::new(Mutex::new(Vec::new()));
    let sink = LogSink::new(Writer(Arc::clone(&written)));
    let layer = tracing_meter::builder()
        .own_metrics(false)
        .sink(sink)
        .build()
        .unwrap();
    under(Registry::default().with(layer), || {
        info!(
            monotonic_counter.uploads = 2,
            region = "eu",
            note = "two words"
        );
        info!(
            histogram.wait = 0.25,
            unit.wait = "s",
            empty = "",
            quoted = "a\"b\n"
        );
        drop(info_span!("job", in_flight.jobs = Empty));
        info!(gauge.g = 1, value = 9);
    });
    let written = String::from_utf8(written.lock().unwrap().clone()).unwrap();
    assert_eq!(
        written,
        "metric=uploads kind=counter value=2 note=\"two words\" region=eu\n\
         metric=wait kind=histogram unit=s value=0.25 empty=\"\" quoted=\"a\\\"b\\n\"\n\
         metric=jobs kind=up_down_counter value=1\n\
         metric=jobs kind=up_down_counter value=-1\n\
         metric=g kind=gauge value=1 label.value=9\n"
    );
}

#[test]
fn many_threads_that_meet_a_series_first_lose_no_fraction() {
    let (exporters, builder) = Exporters::new();
    let layer = builder.series_limit(1_000).build().unwrap();
    let dispatch = tracing::Dispatch::new(Registry::default().with(layer));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                tracing::dispatcher::with_default(&dispatch, || {
                    for id in 0..1_000 {
                        info!(monotonic_counter.halves = 0.5, id);
                    }
                });
            });
        }
    });
    let scrape = exporters::parse_scrape(&exporters.scrape());
    let halves = scrape
        .iter()
        .filter(|(series, _)| series.starts_with("halves"));
    let sum: f64 = halves.map(|(_, value)| value).sum();
    assert!((sum - 2_000.0).abs() < 0.5, "{sum}");
}

#[derive(Clone)]
struct Writer(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> tracing_subscriber::fmt::MakeWriter<'a> for Writer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn many_threads_lose_nothing_in_any_sink() {
    let (exporters, builder) = Exporters::new();
    let layer = builder.build().unwrap();
    let dispatch = tracing::Dispatch::new(Registry::default().with(layer));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                tracing::dispatcher::with_default(&dispatch, || {
                    for round in 0..1000 {
                        info!(monotonic_counter.n = 1, counter.u = 1, k = round % 7);
                        let _job = info_span!("job", in_flight.jobs = Empty).entered();
                    }
                });
            });
        }
    });
    let sum = |name: &str, scraped: &str| -> (f64, f64) {
        (0..7)
            .map(|k| {
                let k = k.to_string();
                let labels = [("k", k.as_str())];
                let collected = exporters.collected(name, &labels).unwrap();
                (collected, exporters.scraped(scraped, &labels).unwrap())
            })
            .fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1))
    };
    assert_eq!(sum("n", "n_total"), (4000.0, 4000.0));
    assert_eq!(sum("u", "u"), (4000.0, 4000.0));
    exporters.assert_both("jobs", "jobs", &[], 0.0);
}

/// A recorder that panics one of the times that it is asked for a counter.
struct PanicsOnce {
    recorder: PrometheusRecorder,
    asks_until_then: AtomicI32,
}

impl Recorder for PanicsOnce {
    fn describe_counter(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.recorder.describe_counter(name, unit, help);
    }

    fn describe_gauge(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.recorder.describe_gauge(name, unit, help);
    }

    fn describe_histogram(&self, name: KeyName, unit: Option<Unit>, help: SharedString) {
        self.recorder.describe_histogram(name, unit, help);
    }

    fn register_counter(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Counter {
        let asks = self.asks_until_then.fetch_sub(1, Ordering::Relaxed);
        assert_ne!(asks, 0, "a recorder panics on purpose");
        self.recorder.register_counter(key, metadata)
    }

    fn register_gauge(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Gauge {
        self.recorder.register_gauge(key, metadata)
    }

    fn register_histogram(&self, key: &Key, metadata: &Metadata<'_>) -> metrics::Histogram {
        self.recorder.register_histogram(key, metadata)
    }
}

#[test]
fn a_recorder_that_panics_once_gets_what_comes_after() {
    for asks in 0..3 {
        let recorder = Boundaries::new()
            .prometheus_builder()
            .unwrap()
            .build_recorder();
        let prometheus = recorder.handle();
        let sink = FacadeSink::new(PanicsOnce {
            recorder,
            asks_until_then: AtomicI32::new(asks),
        });
        let builder = tracing_meter::builder().own_metrics(false).sink(sink);
        let layer = builder.build().unwrap();
        under(Registry::default().with(layer), || {
            (0..3).for_each(|_| info!(monotonic_counter.n = 1));
        });
        let scrape = exporters::parse_scrape(&prometheus.render());
        assert_eq!(scrape.get("n_total{}"), Some(&3.0), "{asks}");
    }
}
