//! The conserver of the example, in both exporters.
#![cfg(all(feature = "otel", feature = "prometheus"))]

#[allow(
    dead_code,
    unreachable_pub,
    reason = "an example is a program of its own"
)]
#[path = "../examples/conserver.rs"]
mod conserver;
#[path = "support/exporters.rs"]
mod exporters;
mod support;

use conserver::{Moment, WayOut};
use exporters::{Exporters, assert_promtool_finds_nothing};
use support::under;
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

const CHAIN: [(&str, &str); 1] = [("chain.name", "support_calls")];
const CHAIN_ON_SCRAPE: [(&str, &str); 1] = [("chain_name", "support_calls")];

#[test]
fn one_is_in_flight_while_it_is_handled_and_none_after_each_way_out() {
    let mut seen = Vec::new();
    run_and_look(|exporters, way_out, moment| {
        let in_flight = match moment {
            Moment::Handling => 1.0,
            Moment::Ended => 0.0,
        };
        assert_in_flight(exporters, in_flight);
        seen.push((way_out, moment));
    });
    let ways_out = [
        WayOut::Success,
        WayOut::EarlyReturn,
        WayOut::Error,
        WayOut::Panic,
        WayOut::DroppedFuture,
        WayOut::AbortedTask,
    ];
    let expected = ways_out.map(|way_out| [(way_out, Moment::Handling), (way_out, Moment::Ended)]);
    assert_eq!(seen, expected.as_flattened());
}

#[test]
fn no_scrape_ever_sees_less_than_none_or_more_than_one() {
    let (exporters, builder) = Exporters::new();
    let layer = builder.build().unwrap();
    std::thread::scope(|threads| {
        let worker = threads.spawn(|| {
            under(Registry::default().with(layer), || {
                for _ in 0..100 {
                    run(|_, _| ());
                }
            });
        });
        while !worker.is_finished() {
            let scraped = exporters.scraped("conserver_vcons_inflight", &CHAIN_ON_SCRAPE);
            let collected = exporters.collected("conserver.vcons.inflight", &CHAIN);
            for value in scraped.into_iter().chain(collected) {
                assert!([0.0, 1.0].contains(&value), "{value} are in flight");
            }
        }
    });
    assert_in_flight(&exporters, 0.0);
}

#[test]
fn the_chain_is_the_only_label_and_each_ending_is_counted_once() {
    let exporters = run_and_look(|_, _, _| ());
    for ending in [
        "stored",
        "nothing_said",
        "failed",
        "panicked",
        "withdrawn",
        "killed",
    ] {
        let labels = [CHAIN[0], ("ending", ending)];
        let (written, scraped) = ("conserver.vcons.handled", "conserver_vcons_handled_total");
        exporters.assert_both(written, scraped, &labels, 1.0);
    }
    let scrape = exporters.scrape();
    let in_flight: Vec<_> = scrape
        .lines()
        .filter(|line| !line.starts_with("tracing_meter_"))
        .filter(|line| line.contains("conserver_vcons_inflight"))
        .collect();
    assert_eq!(
        in_flight,
        [
            "# HELP conserver_vcons_inflight vCons that were taken off the list \
             and are being handled, by chain.",
            "# TYPE conserver_vcons_inflight gauge",
            "conserver_vcons_inflight{chain_name=\"support_calls\"} 0",
        ]
    );
    assert!(!scrape.contains("uuid") && !scrape.contains("018f4a7c"));
    assert_promtool_finds_nothing(&scrape);
}

fn assert_in_flight(exporters: &Exporters, value: f64) {
    let (written, scraped) = ("conserver.vcons.inflight", "conserver_vcons_inflight");
    exporters.assert_both(written, scraped, &CHAIN, value);
}

fn run_and_look(mut look: impl FnMut(&Exporters, WayOut, Moment)) -> Exporters {
    let (exporters, builder) = Exporters::new();
    let layer = builder.build().unwrap();
    let handle = layer.handle();
    under(Registry::default().with(layer), || {
        run(|way_out, moment| look(&exporters, way_out, moment));
    });
    assert!(handle.problems().is_empty(), "{:?}", handle.problems());
    exporters
}

/// On this thread, so that the scoped subscriber sees all tasks.
fn run(look: impl FnMut(WayOut, Moment)) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(conserver::run(look)).unwrap();
}
