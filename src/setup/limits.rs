//! How much of the spans is kept, and how much of them waits.

use std::time::Duration;

use opentelemetry_sdk::trace::{BatchConfig, BatchConfigBuilder, SpanLimits};

use super::environment::Environment;
use super::error::SetupError;
use super::variables::{
    BATCH_DELAY, BATCH_QUEUE, BATCH_SIZE, EVENT_ATTRIBUTES, LINK_ATTRIBUTES, SPAN_ATTRIBUTES,
    SPAN_EVENTS, SPAN_LINKS,
};

/// The SDK reads these itself, too, and takes its defaults for what it cannot read. So it
/// is told all of them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    pub(super) of_a_span: SpanLimits,
    batches: Batches,
}

#[derive(Clone, Copy, Debug)]
struct Batches {
    queue: u32,
    size: u32,
    delay: Duration,
}

impl Default for Batches {
    fn default() -> Self {
        Self {
            queue: 2048,
            size: 512,
            delay: Duration::from_secs(5),
        }
    }
}

impl Limits {
    pub(super) fn read(env: &Environment<'_>) -> Result<Self, SetupError> {
        let mut of_a_span = SpanLimits::default();
        for (variable, limit) in [
            (SPAN_ATTRIBUTES, &mut of_a_span.max_attributes_per_span),
            (SPAN_EVENTS, &mut of_a_span.max_events_per_span),
            (SPAN_LINKS, &mut of_a_span.max_links_per_span),
            (EVENT_ATTRIBUTES, &mut of_a_span.max_attributes_per_event),
            (LINK_ATTRIBUTES, &mut of_a_span.max_attributes_per_link),
        ] {
            let said = env.number(&variable)?;
            *limit = said.unwrap_or(*limit);
        }
        let batches = Batches::read(env)?;
        Ok(Self { of_a_span, batches })
    }

    pub(super) fn of_batches(&self) -> BatchConfig {
        let size = |spans| usize::try_from(spans).unwrap_or(usize::MAX);
        BatchConfigBuilder::default()
            .with_max_queue_size(size(self.batches.queue))
            .with_max_export_batch_size(size(self.batches.size))
            .with_scheduled_delay(self.batches.delay)
            .build()
    }
}

impl Batches {
    fn read(env: &Environment<'_>) -> Result<Self, SetupError> {
        let default = Self::default();
        let queue = env.positive(&BATCH_QUEUE)?;
        let queue = queue.unwrap_or(default.queue);
        let size = env.positive(&BATCH_SIZE)?;
        if let Some(size) = size.filter(|it| *it > queue) {
            let why = format!("`{size}` is more than {}, {queue}", BATCH_QUEUE.name());
            return Err(SetupError::variable(&BATCH_SIZE, why));
        }
        let delay = env.milliseconds(&BATCH_DELAY)?;
        Ok(Self {
            queue,
            size: size.unwrap_or(default.size.min(queue)),
            delay: delay.unwrap_or(default.delay),
        })
    }
}
