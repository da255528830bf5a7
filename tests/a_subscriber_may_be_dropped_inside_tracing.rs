//! A process of its own, with a global lock held on purpose: whoever registers a
//! callsite or a subscriber owns every other subscriber for a moment, under
//! `tracing-core`'s lock, and may come to be the one that drops it. The SDK's
//! provider logs when it is dropped, and logging waits for that lock.
#![cfg(feature = "otel")]

use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::time::Duration;

use opentelemetry_sdk::metrics::{ManualReader, SdkMeterProvider};
use tracing::{Metadata, Subscriber, info};
use tracing_meter::OtelSink;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::{Layer, Registry};

const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps the thread that registers until its subscriber has no other owner.
struct Hold {
    asked: Mutex<mpsc::Sender<()>>,
    let_go: Mutex<mpsc::Receiver<()>>,
}

impl<S: Subscriber> Layer<S> for Hold {
    fn register_callsite(&self, _: &'static Metadata<'static>) -> tracing::subscriber::Interest {
        if std::thread::current().name() == Some("registers") {
            // Asked for each callsite: the first time counts.
            let _ = self.asked.lock().unwrap().send(());
            let _ = self.let_go.lock().unwrap().recv_timeout(PATIENCE);
        }
        tracing::subscriber::Interest::always()
    }
}

#[test]
fn the_last_owner_of_a_subscriber_may_be_a_thread_inside_tracing() {
    let (asked, is_asked) = mpsc::channel();
    let (let_go, is_let_go) = mpsc::channel();
    let (done, is_done) = mpsc::channel();
    let entered = Arc::new(Barrier::new(2));
    let provider = SdkMeterProvider::builder()
        .with_reader(ManualReader::builder().build())
        .build();
    let sink = OtelSink::new(provider);
    let layer = tracing_meter::builder().sink(sink).build().unwrap();
    let hold = Hold {
        asked: Mutex::new(asked),
        let_go: Mutex::new(is_let_go),
    };
    let registers = std::thread::Builder::new().name("registers".to_owned());
    let is_entered = Arc::clone(&entered);
    registers
        .spawn(move || {
            is_entered.wait();
            tracing::subscriber::with_default(Registry::default(), || {});
            done.send(()).unwrap();
        })
        .unwrap();
    let subscriber = Registry::default().with(layer).with(hold);
    tracing::subscriber::with_default(subscriber, || {
        info!("registers a callsite");
        entered.wait();
        is_asked.recv_timeout(PATIENCE).unwrap();
    });
    drop(let_go);
    let finished = is_done.recv_timeout(PATIENCE);
    assert!(finished.is_ok(), "dropping the subscriber hangs");
}
