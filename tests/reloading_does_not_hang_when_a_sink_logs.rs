//! A process of its own: only a global subscriber is reached from inside `reload`.

use std::sync::mpsc;
use std::time::Duration;

use tracing::field::Empty;
use tracing::{debug, info_span};
use tracing_meter::{Handle, Instrument, Labels, MemorySink, Sink};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Registry, reload};

struct Logging;

impl Sink for Logging {
    fn series(&self, _: &Instrument, _: &Labels) -> Box<dyn Handle> {
        Box::new(Self)
    }
}

impl Handle for Logging {
    fn record(&self, value: f64) {
        debug!(value, "recorded");
    }
}

#[test]
fn reloading_does_not_hang_when_a_sink_logs() {
    let builder = tracing_meter::builder()
        .sink(Logging)
        .sink(MemorySink::new());
    let (reloadable, handle) = reload::Layer::new(builder.build().unwrap());
    let subscriber = Registry::default().with(reloadable);
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let open = info_span!("job", in_flight.jobs = Empty);

    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        handle
            .reload(tracing_meter::builder().build().unwrap())
            .unwrap();
        done.send(()).unwrap();
    });
    let reloaded = is_done.recv_timeout(Duration::from_secs(30));
    assert!(reloaded.is_ok(), "the reload hangs");
    drop(open);
}
