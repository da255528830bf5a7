//! On every way out, and never below zero on the way.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use support::{measure, under};
use tracing::field::Empty;
use tracing::instrument::WithSubscriber;
use tracing::{Instrument as _, Span, info_span, instrument};
use tracing_meter::{Handle, Instrument, Labels, MemorySink, Sink};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

/// Keeps the running sum of `jobs`, and the lowest that it ever was.
#[derive(Clone, Default)]
struct Lowest(Arc<Mutex<(f64, f64)>>);

impl Sink for Lowest {
    fn series(&self, instrument: &Instrument, _: &Labels) -> Arc<dyn Handle> {
        match instrument.name() {
            "jobs" => Arc::new(self.clone()),
            _ => Arc::new(Self::default()),
        }
    }
}

impl Handle for Lowest {
    fn record(&self, value: f64) {
        let mut sum = self.0.lock().unwrap();
        sum.0 += value;
        sum.1 = sum.1.min(sum.0);
    }
}

fn job() -> Span {
    info_span!("job", in_flight.jobs = Empty, label.queue = "q")
}

#[instrument(skip_all, fields(in_flight.jobs, label.queue = "q"))]
fn way_out(way: &str) -> Result<(), std::num::ParseIntError> {
    match way {
        "early" => return Ok(()),
        "question mark" => drop("x".parse::<u32>()?),
        "panic" => panic!("on purpose"),
        _ => {}
    }
    Ok(())
}

#[test]
fn after_success_an_early_return_an_error_and_a_panic() {
    let measured = measure(|| {
        way_out("success").unwrap();
        way_out("early").unwrap();
        way_out("question mark").unwrap_err();
        catch_unwind(|| way_out("panic")).unwrap_err();
    });
    let expected = [1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, -1.0];
    assert_eq!(
        measured.snapshot.samples("jobs", &[("queue", "q")]),
        expected
    );
}

#[test]
fn after_a_future_is_dropped_a_task_aborted_and_a_task_panicked() {
    let memory = MemorySink::new();
    let layer = tracing_meter::builder()
        .sink(memory.clone())
        .build()
        .unwrap();
    let subscriber = tracing::Dispatch::new(Registry::default().with(layer));
    let in_flight = || memory.snapshot().value("jobs", &[("queue", "q")]);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(
        async {
            let mut dropped = Box::pin(std::future::pending::<()>().instrument(job()));
            let polled = futures_poll_once(dropped.as_mut()).await;
            assert!(!polled);
            assert_eq!(in_flight(), Some(1.0));
            drop(dropped);
            assert_eq!(in_flight(), Some(0.0));

            let (started, running) = tokio::sync::oneshot::channel();
            let aborted = tokio::spawn(
                async {
                    started.send(()).unwrap();
                    std::future::pending::<()>().await;
                }
                .instrument(job())
                .with_current_subscriber(),
            );
            running.await.unwrap();
            assert_eq!(in_flight(), Some(1.0));
            aborted.abort();
            assert!(aborted.await.unwrap_err().is_cancelled());
            assert_eq!(in_flight(), Some(0.0));

            let panics = async { panic!("on purpose") };
            let panicked = tokio::spawn(panics.instrument(job()).with_current_subscriber());
            assert!(panicked.await.unwrap_err().is_panic());
            assert_eq!(in_flight(), Some(0.0));
        }
        .with_subscriber(subscriber),
    );
}

/// Polls once; whether the future was ready.
async fn futures_poll_once(mut future: std::pin::Pin<&mut impl Future<Output = ()>>) -> bool {
    std::future::poll_fn(move |cx| std::task::Poll::Ready(future.as_mut().poll(cx).is_ready()))
        .await
}

#[test]
fn after_a_span_was_closed_on_another_thread() {
    let measured = measure(|| {
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        let spans: Vec<_> = (0..100).map(|_| job()).collect();
        let closer = std::thread::spawn(move || {
            tracing::dispatcher::with_default(&dispatch, || drop(spans));
        });
        closer.join().unwrap();
    });
    assert_eq!(measured.value("jobs", &[("queue", "q")]), Some(0.0));
    let samples = measured.snapshot.samples("jobs", &[("queue", "q")]);
    assert_eq!(samples.len(), 200);
}

#[test]
fn with_many_thousand_spans_open_at_once_from_many_threads() {
    let measured = measure(|| {
        let dispatch = tracing::dispatcher::get_default(Clone::clone);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                let dispatch = dispatch.clone();
                scope.spawn(move || {
                    tracing::dispatcher::with_default(&dispatch, || {
                        let mut spans: Vec<_> = (0..5_000).map(|_| job()).collect();
                        spans.retain(|span| span.id().unwrap().into_u64() % 3 != 0);
                        spans.extend((0..2_000).map(|_| job()));
                    });
                });
            }
        });
    });
    let samples = measured.snapshot.samples("jobs", &[("queue", "q")]);
    assert_eq!(samples.len(), 2 * 4 * 7_000);
    assert_eq!(measured.value("jobs", &[("queue", "q")]), Some(0.0));
}

/// What may happen to one of a few spans.
#[derive(Clone, Debug)]
enum Step {
    Open(usize),
    Enter(usize),
    Record(usize, u8),
    Clone(usize),
    Drop(usize),
    Panic(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let slot = 0_usize..4;
    prop_oneof![
        slot.clone().prop_map(Step::Open),
        slot.clone().prop_map(Step::Enter),
        (slot.clone(), any::<u8>()).prop_map(|(at, value)| Step::Record(at, value)),
        slot.clone().prop_map(Step::Clone),
        slot.clone().prop_map(Step::Drop),
        slot.prop_map(Step::Panic),
    ]
}

fn run(steps: &[Step]) {
    let mut spans: Vec<Vec<Span>> = vec![Vec::new(); 4];
    for step in steps {
        match *step {
            Step::Open(at) => {
                let parent = spans[at].last().and_then(Span::id);
                spans[at].push(info_span!(
                    parent: parent,
                    "job",
                    in_flight.jobs = Empty,
                    calls.done = Empty,
                    duration.time = Empty,
                    label.late = Empty
                ));
            }
            Step::Enter(at) => {
                if let Some(span) = spans[at].last() {
                    span.in_scope(|| drop(info_span!("inside")));
                }
            }
            Step::Record(at, value) => {
                if let Some(span) = spans[at].last() {
                    span.record("label.late", value % 3);
                }
            }
            Step::Clone(at) => {
                if let Some(span) = spans[at].last().cloned() {
                    spans[(at + 1) % 4].push(span);
                }
            }
            Step::Drop(at) => drop(spans[at].pop()),
            Step::Panic(at) => {
                if let Some(span) = spans[at].pop() {
                    let panics = AssertUnwindSafe(|| {
                        let _entered = span.entered();
                        std::panic::resume_unwind(Box::new("on purpose"));
                    });
                    assert!(catch_unwind(panics).is_err());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn whatever_happens_to_spans_in_whatever_order(
        steps in prop::collection::vec(step(), 0..60),
    ) {
        let opened = steps.iter().filter(|step| matches!(step, Step::Open(_))).count();
        let (lowest, memory) = (Lowest::default(), MemorySink::new());
        let builder = tracing_meter::builder().sink(lowest.clone());
        let layer = builder.sink(memory.clone()).build().unwrap();
        under(Registry::default().with(layer), || run(&steps));
        prop_assert_eq!(*lowest.0.lock().unwrap(), (0.0, 0.0));
        let snapshot = memory.snapshot();
        let jobs = snapshot.samples("jobs", &[]).len();
        prop_assert_eq!(jobs, 2 * opened);
        let done: usize = snapshot
            .label_sets("done")
            .map(|labels| {
                let labels: Vec<_> =
                    labels.iter().map(|l| (l.key().to_owned(), l.value().to_string())).collect();
                let labels: Vec<_> =
                    labels.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
                snapshot.samples("done", &labels).len()
            })
            .sum();
        prop_assert_eq!(done, opened);
    }
}
