//! A process of its own: only a global subscriber is reached from inside `reload`.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use tracing::field::Empty;
use tracing::{Span, debug, info, info_span};
use tracing_meter::{Handle, Instrument, Labels, MemorySink, Sink};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Registry, reload};

/// Logs, and lets go of the last handle of a span.
struct Logging;

thread_local!(static KEPT: Cell<Option<Span>> = const { Cell::new(None) });

impl Sink for Logging {
    fn series(&self, _: &Instrument, _: &Labels) -> Arc<dyn Handle> {
        Arc::new(Self)
    }
}

impl Handle for Logging {
    fn record(&self, value: f64) {
        debug!(value, "recorded");
        drop(KEPT.take());
    }
}

#[test]
fn reloading_does_not_hang_when_a_sink_logs() {
    let memory = MemorySink::new();
    let builder = tracing_meter::builder().sink(Logging).sink(memory.clone());
    let (reloadable, handle) = reload::Layer::new(builder.build().unwrap());
    let subscriber = Registry::default().with(reloadable);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let open = info_span!("job", in_flight.jobs = Empty);
    KEPT.set(Some(info_span!("kept", in_flight.kept = Empty)));
    info!(gauge.lets_go = 1);
    let kept = || memory.snapshot().value("kept", &[]);
    assert_eq!(
        kept(),
        Some(1.0),
        "it is owed as long as the sink may not be called"
    );

    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        handle
            .reload(tracing_meter::builder().build().unwrap())
            .unwrap();
        done.send(()).unwrap();
    });
    let reloaded = is_done.recv_timeout(Duration::from_secs(30));
    assert!(reloaded.is_ok(), "the reload hangs");
    assert_eq!(kept(), Some(0.0));
    drop(open);
}
