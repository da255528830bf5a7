//! Where an event can fail on its way.

use std::fmt::Display;

use tracing::warn;

#[derive(Clone, Copy)]
pub(super) enum Stage {
    /// Taking what is to be done.
    Claim,
    /// Making one delivery of an event for each that wants it.
    FanOut,
    /// The request to the webhook.
    Deliver,
    /// Writing down what the webhook answered.
    Ack,
}

impl Stage {
    const fn name(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::FanOut => "fan_out",
            Self::Deliver => "deliver",
            Self::Ack => "ack",
        }
    }

    pub(super) fn failed(self, error: &impl Display) {
        let stage = self.name();
        // Not on the event that is counted: the error would be a label there.
        warn!(stage, %error, "failed");
        warn!(monotonic_counter.outbox.failures = 1, stage);
    }
}
