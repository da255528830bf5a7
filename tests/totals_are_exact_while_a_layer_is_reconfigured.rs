//! Two threads measure with spans open throughout while a third one reconfigures in a loop.
//! The subscriber is that of the process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};

use tracing::field::Empty;
use tracing::{Level, Metadata, Span, debug_span, event, info, info_span};
use tracing_meter::{
    Convention, Feed, LabelRule, LabelValue, Measure, MemorySink, MeterHandle, Recipe,
    Reconfiguration, Snapshot,
};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

/// How often the layer is reconfigured.
const TIMES: usize = 1000;
/// So many spans stay open on each thread.
const OPEN: usize = 16;
const WORKERS: u64 = 2;

/// Counts what happens in one target, under its own names.
struct Counts(&'static str);

impl Convention for Counts {
    fn recognise(&self, callsite: &Metadata<'static>) -> Option<Recipe> {
        let worker = LabelRule::new("worker").map("worker", |worker| Some(worker.clone()));
        let feed = Feed::new()
            .label_rule(worker.default(LabelValue::I64(-1)))
            .measure(Measure::happened(self.0.to_owned() + ".events"))
            .measure(Measure::in_flight(self.0.to_owned() + ".open"))
            .measure(Measure::closed(self.0.to_owned() + ".closed"));
        (callsite.target() == "counted").then(|| feed.into())
    }
}

/// Opens, records, closes and counts until the layer was reconfigured often enough. Says how
/// many rounds that took.
fn work(worker: u64, is_over: &AtomicBool) -> u32 {
    let mut open: Vec<Span> = Vec::new();
    let mut rounds = 0;
    while !is_over.load(Ordering::Relaxed) {
        rounds += 1;
        // Every configuration measures those.
        let always = info_span!(
            "always",
            worker,
            in_flight.always_open = Empty,
            calls.always = Empty,
            monotonic_counter.late = Empty,
        );
        always.in_scope(|| {
            info!(monotonic_counter.events = 1);
            // Some do not measure those, and some in other ways.
            event!(target: "counted", Level::DEBUG, worker, monotonic_counter.sometimes = 1);
        });
        always.record("monotonic_counter.late", 1);
        let sometimes = debug_span!(
            target: "counted",
            "sometimes",
            worker,
            in_flight.sometimes_open = Empty
        );
        open.extend([always, sometimes]);
        if open.len() > 2 * OPEN {
            open.drain(..OPEN);
        }
    }
    rounds
}

fn reconfigure(handle: &MeterHandle) {
    let both: [Arc<dyn Convention>; 2] = [Arc::new(Counts("a")), Arc::new(Counts("b"))];
    let directives = [
        "info",
        "trace",
        "counted=off,info",
        "totals_are_exact_while_a_layer_is_reconfigured=info,warn",
    ];
    for round in 0..TIMES {
        let convention = Arc::clone(&both[round % 3 % 2]);
        let is_used = round % 5 != 0;
        let new = Reconfiguration::new()
            .directives(directives[round % directives.len()])
            .conventions(move |all| {
                all.clear();
                all.extend(is_used.then(|| Arc::clone(&convention)));
            });
        handle.reconfigure(new).unwrap();
    }
}

/// The value of each series of a metric.
fn values(measured: &Snapshot, metric: &str) -> Vec<Option<f64>> {
    let value = |worker: &LabelValue| measured.value(metric, &[("worker", &worker.to_string())]);
    let all = measured.label_sets(metric).flat_map(|labels| labels.iter());
    all.map(|label| value(label.value())).collect()
}

#[test]
fn nothing_is_lost_and_what_is_in_flight_comes_back_to_zero() {
    let memory = MemorySink::new();
    let layer = tracing_meter::builder()
        .sink(memory.clone())
        .inherited_labels(["worker"])
        .build()
        .unwrap();
    let handle = layer.handle();
    tracing::subscriber::set_global_default(Registry::default().with(layer)).unwrap();

    let is_over = AtomicBool::new(false);
    let rounds: Vec<u32> = thread::scope(|scope| {
        let work = |worker| work(worker, &is_over);
        let workers = (0..WORKERS).map(|worker| scope.spawn(move || work(worker)));
        let workers: Vec<_> = workers.collect();
        let reconfigured = scope.spawn(|| reconfigure(&handle)).join();
        is_over.store(true, Ordering::Relaxed);
        reconfigured.unwrap();
        let rounds = workers.into_iter().map(ScopedJoinHandle::join);
        rounds.collect::<Result<_, _>>().unwrap()
    });

    let measured = memory.snapshot();
    for (worker, rounds) in ["0", "1"].iter().zip(rounds) {
        let rounds = Some(f64::from(rounds));
        let labels = [("worker", *worker)];
        assert_eq!(measured.value("events", &labels), rounds);
        assert_eq!(measured.value("late", &labels), rounds);
        assert_eq!(measured.value("always_open", &labels), Some(0.0));
        let closed = [("outcome", "ok"), ("worker", *worker)];
        assert_eq!(measured.value("always", &closed), rounds);
    }
    for metric in ["sometimes_open", "a.open", "b.open"] {
        let open = values(&measured, metric);
        assert!(!open.is_empty(), "{metric} was never measured");
        assert!(
            open.iter().all(|open| *open == Some(0.0)),
            "{metric} {open:?}"
        );
    }
    assert!(handle.problems().is_empty(), "{:?}", handle.problems());
}
