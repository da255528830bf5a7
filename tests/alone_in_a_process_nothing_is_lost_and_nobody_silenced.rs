//! A process of its own, and one test in it: interest and the most verbose level
//! are decided among all subscribers of a process.

mod support;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use support::under;
use tracing::{Dispatch, Event, Level, Subscriber, debug, info};
use tracing_core::callsite::DefaultCallsite;
use tracing_core::{Interest, Kind, Metadata, metadata};
use tracing_meter::{MemorySink, MeterLayer};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{EnvFilter, Registry, reload};

#[test]
fn alone_in_a_process_nothing_is_lost_and_nobody_silenced() {
    nothing_is_lost_after_asking();
    a_callsite_of_no_interest_is_what_it_would_be_without_us();
    under_reload_nobody_is_silenced();
    under_reload_nobody_is_asked_while_being_asked();
}

fn nothing_is_lost_after_asking() {
    let memory = MemorySink::new();
    let subscriber = Registry::default()
        .with(layer(&memory, "trace"))
        .with(Seen::default().with_filter(EnvFilter::new("info")))
        .with(Seen::default().with_filter(LevelFilter::TRACE));
    under(subscriber, || {
        for _ in 0..10 {
            let _ = tracing::enabled!(Level::TRACE);
            info!(monotonic_counter.n = 1);
        }
    });
    assert_eq!(count(&memory), Some(10.0));
}

fn a_callsite_of_no_interest_is_what_it_would_be_without_us() {
    let (always, never, sometimes) = ("always", "never", "sometimes");
    let registry = Registry::default;
    let info = LevelFilter::INFO;
    is_of_interest(registry().with(ours()), [never, never]);
    is_of_interest(registry().with(ours()).with(ours()), [never, never]);
    let beside_plain = registry().with(ours()).with(Seen::default()).with(ours());
    is_of_interest(beside_plain, [always, always]);
    is_of_interest(
        registry().with(ours()).with(by_level(info)),
        [always, never],
    );
    is_of_interest(
        registry().with(by_level(info)).with(ours()),
        [always, never],
    );
    let two = registry()
        .with(by_level(info))
        .with(by_level(LevelFilter::TRACE));
    is_of_interest(two, [always, sometimes]);
    let beneath_two = registry().with(ours()).with(by_level(info));
    is_of_interest(
        beneath_two.with(by_level(LevelFilter::TRACE)),
        [always, sometimes],
    );
    let above_two = registry()
        .with(by_level(info))
        .with(by_level(LevelFilter::TRACE));
    is_of_interest(above_two.with(ours()), [always, sometimes]);
}

/// Checks the interest of a subscriber in an ordinary event at INFO and at DEBUG.
fn is_of_interest(subscriber: impl Subscriber + Send + Sync + 'static, expected: [&str; 2]) {
    let dispatch = Dispatch::new(subscriber);
    let interest = [&INFO_METADATA, &DEBUG_METADATA].map(|callsite| {
        let interest = dispatch.register_callsite(callsite);
        match (interest.is_always(), interest.is_never()) {
            (true, _) => "always",
            (_, true) => "never",
            _ => "sometimes",
        }
    });
    assert_eq!(interest, expected);
}

fn by_level<S>(level: LevelFilter) -> impl Layer<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    Seen::default().with_filter(level)
}

fn ours<S>() -> MeterLayer<S> {
    layer(&MemorySink::new(), "trace")
}

static INFO: DefaultCallsite = DefaultCallsite::new(&INFO_METADATA);
static INFO_METADATA: Metadata<'static> = metadata! {
    name: "ordinary",
    target: "test",
    level: Level::INFO,
    fields: &[],
    callsite: &INFO,
    kind: Kind::EVENT,
};
static DEBUG: DefaultCallsite = DefaultCallsite::new(&DEBUG_METADATA);
static DEBUG_METADATA: Metadata<'static> = metadata! {
    name: "ordinary",
    target: "test",
    level: Level::DEBUG,
    fields: &[],
    callsite: &DEBUG,
    kind: Kind::EVENT,
};

fn under_reload_nobody_is_silenced() {
    let memory = MemorySink::new();
    let (reloadable, handle) = reload::Layer::new(layer(&memory, "warn"));
    let seen = Seen::default();
    let subscriber = Registry::default().with(reloadable).with(seen.clone());
    under(subscriber, || {
        debug!(first = 1);
        handle.reload(layer(&memory, "trace")).unwrap();
        debug!(second = 1);
        info!(monotonic_counter.n = 1);
    });
    assert_eq!(
        *seen.0.lock().unwrap(),
        ["first", "second", "monotonic_counter.n"]
    );
    assert_eq!(count(&memory), Some(1.0));
}

/// `reload` holds a lock while its layers are asked: to ask it again meanwhile
/// would wait for whoever waits to reload.
fn under_reload_nobody_is_asked_while_being_asked() {
    let asked = Asked::default();
    let tree = ours().and_then(asked.clone());
    let (reloadable, _handle) = reload::Layer::new(tree);
    let dispatch = Dispatch::new(Registry::default().with(reloadable));
    dispatch.register_callsite(&INFO_METADATA);
    assert_eq!(asked.0.swap(0, Ordering::Relaxed), 1);

    let dispatch = Dispatch::new(Registry::default().with(ours()).with(asked.clone()));
    dispatch.register_callsite(&INFO_METADATA);
    assert_eq!(asked.0.load(Ordering::Relaxed), 3, "the test can fail");
}

/// Counts how often it is asked about one callsite.
#[derive(Clone, Default)]
struct Asked(Arc<AtomicU32>);

impl<S: Subscriber> Layer<S> for Asked {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if std::ptr::eq(metadata, &raw const INFO_METADATA) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
        Interest::always()
    }
}

/// Collects the first field of each event that it sees.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<&'static str>>>);

impl<S: Subscriber> Layer<S> for Seen {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = event.metadata().fields().iter();
        self.0.lock().unwrap().push(fields.next().unwrap().name());
    }
}

fn layer<S>(memory: &MemorySink, directives: &str) -> MeterLayer<S> {
    let builder = tracing_meter::builder().sink(memory.clone());
    builder.directives(directives).build().unwrap()
}

fn count(memory: &MemorySink) -> Option<f64> {
    memory.snapshot().value("n", &[])
}
