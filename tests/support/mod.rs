//! Runs code under a layer, and gives what was measured.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part of this")]

use tracing::Subscriber;
use tracing_meter::{MemorySink, MeterHandle, MeterLayerBuilder, Snapshot};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

/// What a run under a layer left behind.
pub struct Measured {
    pub snapshot: Snapshot,
    pub handle: MeterHandle,
}

impl Measured {
    pub fn value(&self, metric: &str, labels: &[(&str, &str)]) -> Option<f64> {
        self.snapshot.value(metric, labels)
    }

    /// The problems, as `reason metric count`.
    pub fn problems(&self) -> Vec<String> {
        self.handle
            .problems()
            .iter()
            .map(|p| format!("{} {} {}", p.reason(), p.metric(), p.count()))
            .collect()
    }
}

/// Runs code under a layer of default settings.
pub fn measure(code: impl FnOnce()) -> Measured {
    measure_with(|builder| builder, code)
}

/// Runs code under a layer with settings of its own.
pub fn measure_with(
    configure: impl FnOnce(MeterLayerBuilder) -> MeterLayerBuilder,
    code: impl FnOnce(),
) -> Measured {
    let memory = MemorySink::new();
    let builder = configure(tracing_meter::builder().sink(memory.clone()));
    let layer = builder.build().expect("the configuration is valid");
    let handle = layer.handle();
    tracing::subscriber::with_default(Registry::default().with(layer), code);
    Measured {
        snapshot: memory.snapshot(),
        handle,
    }
}

/// Runs code under a subscriber that was put together by the test.
pub fn under(subscriber: impl Subscriber + Send + Sync + 'static, code: impl FnOnce()) {
    tracing::subscriber::with_default(subscriber, code);
}
