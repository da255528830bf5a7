//! A process of its own, and one test in it: interest and the most verbose level
//! are decided among all subscribers of a process.

mod support;

use std::sync::{Arc, Mutex};

use support::under;
use tracing::{Event, Level, Subscriber, debug, info};
use tracing_meter::{MemorySink, MeterLayer};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::{EnvFilter, Registry, reload};

#[test]
fn alone_in_a_process_nothing_is_lost_and_nobody_silenced() {
    nothing_is_lost_after_asking();
    under_reload_nobody_is_silenced();
}

fn nothing_is_lost_after_asking() {
    let memory = MemorySink::new();
    let seen = Seen::default();
    let subscriber = Registry::default()
        .with(layer(&memory, "trace"))
        .with(seen.clone().with_filter(EnvFilter::new("info")))
        .with(Seen::default().with_filter(LevelFilter::TRACE));
    under(subscriber, || {
        for _ in 0..10 {
            let _ = tracing::enabled!(Level::TRACE);
            info!(monotonic_counter.n = 1);
        }
    });
    assert_eq!(count(&memory), Some(10.0));
    // Of an ordinary event it would lose each second one; of ours it does not.
    assert_eq!(seen.0.lock().unwrap().len(), 10);
}

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
