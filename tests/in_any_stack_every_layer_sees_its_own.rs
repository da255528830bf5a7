//! Random stacks of layers and random programs: ours counts everything, and every
//! other layer sees what its filter lets through, no more and no less.
//!
//! One test, so that no other subscriber of the process has a say.

mod support;

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use support::under;
use tracing::field::Empty;
use tracing::{Event, Level, Subscriber, debug, error, info, info_span, trace};
use tracing_meter::MemorySink;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::{EnvFilter, Registry};

/// One layer of a stack.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Ours,
    ByLevel(LevelFilter),
    ByEnv(LevelFilter),
    Unfiltered,
}

impl Kind {
    fn lets_through(self) -> LevelFilter {
        match self {
            Self::Ours | Self::Unfiltered => LevelFilter::TRACE,
            Self::ByLevel(level) | Self::ByEnv(level) => level,
        }
    }
}

/// One statement of a program.
#[derive(Clone, Copy, Debug)]
enum Step {
    Measure(Level),
    Log(Level),
    Ask,
    Job,
}

fn level() -> impl Strategy<Value = Level> {
    prop_oneof![
        Just(Level::ERROR),
        Just(Level::INFO),
        Just(Level::DEBUG),
        Just(Level::TRACE)
    ]
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        2 => Just(Kind::Ours),
        2 => level().prop_map(|level| Kind::ByLevel(level.into())),
        2 => level().prop_map(|level| Kind::ByEnv(level.into())),
        1 => Just(Kind::ByLevel(LevelFilter::OFF)),
        1 => Just(Kind::Unfiltered),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => level().prop_map(Step::Measure),
        3 => level().prop_map(Step::Log),
        1 => Just(Step::Ask),
        1 => Just(Step::Job),
    ]
}

fn run(step: Step) {
    match step {
        Step::Measure(Level::ERROR) => error!(monotonic_counter.n = 1),
        Step::Measure(Level::INFO) => info!(monotonic_counter.n = 1),
        Step::Measure(Level::DEBUG) => debug!(monotonic_counter.n = 1),
        Step::Measure(_) => trace!(monotonic_counter.n = 1),
        Step::Log(Level::ERROR) => error!(said = 1),
        Step::Log(Level::INFO) => info!(said = 1),
        Step::Log(Level::DEBUG) => debug!(said = 1),
        Step::Log(_) => trace!(said = 1),
        Step::Ask => drop(tracing::enabled!(Level::TRACE)),
        Step::Job => drop(info_span!("job", in_flight.jobs = Empty).entered()),
    }
}

/// Writes down the level of each event that it sees.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Level>>>);

impl<S: Subscriber> Layer<S> for Seen {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.lock().unwrap().push(*event.metadata().level());
    }
}

type Boxed = Box<dyn Layer<Registry> + Send + Sync>;

fn build(kind: Kind, memory: &MemorySink, seen: &Seen) -> Boxed {
    let seen = seen.clone();
    match kind {
        Kind::Ours => {
            let builder = tracing_meter::builder().sink(memory.clone());
            builder.build().unwrap().boxed()
        }
        Kind::ByLevel(level) => seen.with_filter(level).boxed(),
        Kind::ByEnv(level) => seen.with_filter(EnvFilter::new(level.to_string())).boxed(),
        Kind::Unfiltered => seen.boxed(),
    }
}

/// Runs the steps on a thread of their own: asking leaves something behind on it.
fn run_under(kinds: &[Kind], steps: &[Step]) -> Vec<(MemorySink, Seen)> {
    let outputs: Vec<_> = kinds
        .iter()
        .map(|_| (MemorySink::new(), Seen::default()))
        .collect();
    let layers = kinds.iter().zip(&outputs);
    let stack: Vec<Boxed> = layers
        .map(|(kind, (memory, seen))| build(*kind, memory, seen))
        .collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            under(Registry::default().with(stack), || {
                steps.iter().copied().for_each(run);
            });
        });
    });
    outputs
}

/// Whether what is less was seen in the same order.
fn is_part_of(less: &[Level], more: &[Level]) -> bool {
    let mut more = more.iter();
    less.iter().all(|level| more.any(|other| other == level))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn in_any_stack_every_layer_sees_its_own(
        kinds in prop::collection::vec(kind(), 1..5),
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let without_ours: Vec<Kind> =
            kinds.iter().copied().filter(|kind| !matches!(kind, Kind::Ours)).collect();
        let mut alone = run_under(&without_ours, &steps).into_iter();
        let outputs = run_under(&kinds, &steps);

        let asks = steps.iter().any(|step| matches!(step, Step::Ask));
        let measures = steps.iter().filter(|step| matches!(step, Step::Measure(_))).count();
        let jobs = steps.iter().filter(|step| matches!(step, Step::Job)).count();
        for (kind, (memory, seen)) in kinds.iter().zip(&outputs) {
            if let Kind::Ours = kind {
                let snapshot = memory.snapshot();
                prop_assert_eq!(snapshot.samples("n", &[]).len(), measures);
                prop_assert_eq!(snapshot.samples("jobs", &[]).len(), 2 * jobs);
            }
            if let Kind::Ours = kind {
                continue;
            }
            let seen = seen.0.lock().unwrap();
            let (_, seen_alone) = alone.next().unwrap();
            if asks {
                // Asking makes other layers lose their next event, also without us
                // (tokio-rs/tracing#2519): not one more is lost.
                prop_assert!(is_part_of(&seen_alone.0.lock().unwrap(), &seen));
                continue;
            }
            let expected: Vec<Level> = steps
                .iter()
                .filter_map(|step| match step {
                    Step::Measure(level) | Step::Log(level) => Some(*level),
                    Step::Ask | Step::Job => None,
                })
                .filter(|level| *level <= kind.lets_through())
                .collect();
            prop_assert_eq!(&*seen, &expected, "{:?}", kind);
        }
    }
}
