//! Both exporters and the others, from the same events and spans.
#![cfg(all(feature = "otel", feature = "prometheus"))]

#[path = "support/exporters.rs"]
mod exporters;
mod support;

use exporters::{Exporters, assert_promtool_finds_nothing};
use support::under;
use tracing::field::Empty;
use tracing::{info, info_span};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

#[test]
fn the_sdk_and_the_scrape_show_the_same_numbers() {
    let (exporters, builder) = Exporters::new();
    let layer = builder.build().unwrap();
    under(Registry::default().with(layer), || {
        for _ in 0..3 {
            info!(monotonic_counter.uploads = 2, region = "eu", cached = true);
            info!(counter.queued = -1, chain.name = "c");
            info!(gauge.temperature = 21.5, unit.temperature = "Cel");
            info!(histogram.wait = 0.25, unit.wait = "s");
            drop(info_span!(
                "job",
                in_flight.jobs = Empty,
                calls.job_calls = Empty
            ));
        }
    });
    let uploads = [("region", "eu"), ("cached", "true")];
    exporters.assert_both("uploads", "uploads_total", &uploads, 6.0);
    exporters.assert_both("queued", "queued", &[("chain.name", "c")], -3.0);
    exporters.assert_both("temperature", "temperature_celsius", &[], 21.5);
    exporters.assert_both("jobs", "jobs", &[], 0.0);
    exporters.assert_both("job_calls", "job_calls_total", &[("outcome", "ok")], 3.0);
    assert_eq!(exporters.collected("wait", &[]), Some(0.75));
    assert_eq!(exporters.scraped("wait_seconds_sum", &[]), Some(0.75));
    assert_eq!(exporters.scraped("wait_seconds_count", &[]), Some(3.0));
    let le = |le| exporters.scraped("wait_seconds_bucket", &[("le", le)]);
    assert_eq!((le("0.1"), le("0.25")), (Some(0.0), Some(3.0)));
    assert_promtool_finds_nothing(&exporters.scrape());
}
