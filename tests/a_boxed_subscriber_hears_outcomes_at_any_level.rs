//! A `Box<dyn Subscriber>` is not told that it was registered. It is the subscriber of the
//! process here, so nothing else is tested with it.

use tracing::field::Empty;
use tracing::{Subscriber, instrument};
use tracing_meter::MemorySink;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

#[instrument(err(level = "debug"), fields(calls.job = Empty))]
fn fails() -> Result<(), &'static str> {
    Err("no")
}

#[test]
fn an_error_at_debug_is_an_outcome_although_the_directives_say_info() {
    let memory = MemorySink::new();
    let builder = tracing_meter::builder().directives("info");
    let layer = builder.sink(memory.clone()).build().unwrap();
    let boxed: Box<dyn Subscriber + Send + Sync> = Box::new(Registry::default().with(layer));
    tracing::subscriber::set_global_default(boxed).unwrap();

    fails().unwrap_err();

    let calls = |outcome| memory.snapshot().value("job", &[("outcome", outcome)]);
    assert_eq!((calls("error"), calls("ok")), (Some(1.0), None));
}
