//! A process of its own, with a global subscriber: what a thread's destructors
//! measure counts, although the thread has nothing left to keep it in.
#![cfg(all(feature = "otel", feature = "prometheus"))]

#[path = "support/exporters.rs"]
mod exporters;
mod support;

use std::cell::RefCell;

use exporters::Exporters;
use tracing::info;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

struct LastWords;

impl Drop for LastWords {
    fn drop(&mut self) {
        say();
    }
}

thread_local! {
    static WORDS: RefCell<Option<LastWords>> = const { RefCell::new(None) };
}

fn say() {
    info!(
        monotonic_counter.said = 1,
        counter.more = 1,
        histogram.length = 2
    );
}

#[test]
fn a_thread_may_measure_while_it_ends() {
    let (exporters, builder) = Exporters::new();
    let subscriber = Registry::default().with(builder.build().unwrap());
    tracing::subscriber::set_global_default(subscriber).unwrap();
    exporters.resource_metrics();
    (0..2_000).for_each(|_| say());
    for _ in 0..3 {
        let thread = std::thread::spawn(|| {
            WORDS.with(|words| *words.borrow_mut() = Some(LastWords));
            say();
        });
        thread.join().unwrap();
    }
    assert_eq!(exporters.collected("said", &[]), Some(2_006.0));
    assert_eq!(exporters.collected("more", &[]), Some(2_006.0));
    assert_eq!(exporters.collected("length", &[]), Some(2.0 * 2_006.0));
    assert_eq!(exporters.scraped("said_total", &[]), Some(2_006.0));
}
