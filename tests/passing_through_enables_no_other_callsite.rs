//! Alone in its process: `tracing` remembers what the subscribers of a process want.

#![cfg(feature = "propagation")]

use tracing::{debug_span, error, info_span};
use tracing_meter::propagation;
use tracing_subscriber::prelude::*;

const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

#[test]
fn passing_through_enables_no_other_callsite() {
    let subscriber = tracing_subscriber::registry().with(propagation::pass_through());
    tracing::subscriber::with_default(subscriber, || {
        error!(field = never_evaluated());
        assert!(info_span!("ordinary").is_disabled());
        assert!(!info_span!("message", traceparent = TRACEPARENT).is_disabled());
        assert!(debug_span!("message", traceparent = TRACEPARENT).is_disabled());
    });
}

fn never_evaluated() -> u64 {
    unreachable!("the event is disabled")
}
