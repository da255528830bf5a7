//! The example `audit_log_proxy`, with both ends compared to its metrics.
#![cfg(all(feature = "otel", feature = "prometheus"))]

#[allow(dead_code, reason = "its `main` is for `cargo run`")]
#[path = "../examples/audit_log_proxy.rs"]
mod audit_log_proxy;
#[path = "support/exporters.rs"]
mod exporters;

use audit_log_proxy::{BUFFER, Batch, CHANNEL, Proxy, Rig, UNSENT, run};
use exporters::{Exporters, assert_promtool_finds_nothing, measured};

#[test]
fn the_drop_rate_is_what_was_really_lost() {
    let (exporters, truth) = measured(async |_| run().await);

    assert_forwarded(&exporters, 12);
    assert_dropped(&exporters, "forward_failed", Some((3, 9)));
    assert_dropped(&exporters, "buffer_full", Some((3, 9)));
    assert_dropped(&exporters, "boundary_channel_full", Some((0, 2)));
    assert_dropped(&exporters, "boundary_batch_full", Some((1, 2)));

    let (batches, logs) = all_dropped(&exporters);
    let received_logs = truth.received.iter().flatten().count();
    assert_eq!(truth.received.len() + batches, truth.batches);
    assert_eq!(received_logs + logs, truth.logs);
    assert_eq!(
        truth.received,
        [
            batch(1..=3),
            batch(4..=6),
            batch(16..=18),
            batch(19..=21),
            batch(22..=24),
            batch(25..=27),
            batch(28..=30),
            batch(31..=33),
            batch(43..=50),
            batch(53..=54),
            batch(55..=56),
            batch(59..=60),
        ]
    );
    assert_promtool_finds_nothing(&exporters.scrape());
}

#[test]
fn forwarding_resumes_when_the_log_service_is_up_again() {
    measured(async |exporters| {
        let mut rig = Rig::start().await?;
        rig.send(3).await?;
        rig.proxy.drain().await?;
        assert_forwarded(exporters, 1);
        assert_dropped(exporters, "forward_failed", None);

        rig.service.down().await?;
        rig.send(4).await?;
        rig.send(5).await?;
        rig.proxy.drain().await?;
        assert_forwarded(exporters, 1);
        assert_dropped(exporters, "forward_failed", Some((2, 9)));

        rig.service.up().await?;
        rig.send(2).await?;
        rig.proxy.drain().await?;
        assert_forwarded(exporters, 2);
        assert_dropped(exporters, "forward_failed", Some((2, 9)));
        assert_eq!(rig.truth().received, [batch(1..=3), batch(13..=14)]);
        Ok(())
    });
}

#[test]
fn a_refused_batch_is_a_failed_forward() {
    measured(async |exporters| {
        let mut rig = Rig::start().await?;
        rig.service.refuse();
        rig.send(3).await?;
        rig.proxy.drain().await?;
        rig.service.answer();
        rig.send(1).await?;
        rig.proxy.drain().await?;

        assert_dropped(exporters, "forward_failed", Some((1, 3)));
        assert_forwarded(exporters, 1);
        assert_eq!(rig.truth().received, [batch(4..=4)]);
        Ok(())
    });
}

#[test]
fn a_full_buffer_drops_what_comes_and_keeps_what_it_has() {
    measured(async |exporters| {
        let mut rig = Rig::start().await?;
        rig.fill_the_buffer(1).await?;
        assert_dropped(exporters, "buffer_full", None);
        rig.send(6).await?;
        rig.send(7).await?;
        assert_dropped(exporters, "buffer_full", Some((2, 13)));

        rig.service.answer();
        rig.proxy.drain().await?;
        assert_forwarded(exporters, 1 + BUFFER);
        assert_dropped(exporters, "buffer_full", Some((2, 13)));
        assert_eq!(rig.truth().received.concat(), batch(1..=1 + BUFFER));
        Ok(())
    });
}

#[test]
fn the_sender_reports_its_drops_once_with_its_next_good_flush() {
    measured(async |exporters| {
        let mut rig = Rig::start().await?;
        rig.proxy.stop().await?;
        let not_sent = [CHANNEL + 3, 1, 2, 3];
        for logs in not_sent {
            assert!(rig.send(logs).await.is_err());
        }
        assert_dropped(exporters, "boundary_channel_full", None);
        assert_dropped(exporters, "boundary_batch_full", None);

        rig.proxy = Proxy::start(rig.sender.socket(), rig.service.uri()?)?;
        for _ in 0..2 {
            rig.send(1).await?;
            assert_dropped(exporters, "boundary_channel_full", Some((0, 3)));
            assert_dropped(exporters, "boundary_batch_full", Some((2, 5)));
        }
        rig.proxy.stop().await?;
        assert_forwarded(exporters, UNSENT + 2);
        let received = rig.truth().received;
        assert_eq!(
            received,
            [batch(1..=8), batch(12..=12), batch(18..=18), batch(19..=19),]
        );
        Ok(())
    });
}

const BATCHES_DROPPED: &str = "agent.boundary_log_proxy.batches_dropped";
const LOGS_DROPPED: &str = "agent.boundary_log_proxy.logs_dropped";
const BATCHES_FORWARDED: &str = "agent.boundary_log_proxy.batches_forwarded";

fn assert_forwarded(exporters: &Exporters, batches: usize) {
    assert_count(exporters, BATCHES_FORWARDED, &[], Some(batches));
}

/// Batches and logs that were dropped, or none yet.
fn assert_dropped(exporters: &Exporters, reason: &str, dropped: Option<(usize, usize)>) {
    let labels = [("reason", reason)];
    let (batches, logs) = dropped.unzip();
    assert_count(exporters, BATCHES_DROPPED, &labels, batches);
    assert_count(exporters, LOGS_DROPPED, &labels, logs);
}

fn assert_count(exporters: &Exporters, name: &str, labels: &[(&str, &str)], count: Option<usize>) {
    let scraped = format!("{}_total", name.replace('.', "_"));
    let count = count.map(|count| u32::try_from(count).unwrap().into());
    assert_eq!(
        exporters.collected(name, labels),
        count,
        "{name} {labels:?}"
    );
    assert_eq!(
        exporters.scraped(&scraped, labels),
        count,
        "{scraped} {labels:?}"
    );
}

fn all_dropped(exporters: &Exporters) -> (usize, usize) {
    let scrape = exporters::parse_scrape(&exporters.scrape());
    let sum = |name: &str| -> f64 {
        let name = format!("{}_total", name.replace('.', "_"));
        let series = scrape
            .iter()
            .filter(|(series, _)| series.starts_with(&name));
        series.map(|(_, value)| value).sum()
    };
    (to_count(sum(BATCHES_DROPPED)), to_count(sum(LOGS_DROPPED)))
}

fn to_count(value: f64) -> usize {
    value.to_string().parse().unwrap()
}

/// Logs are numbered in the order in which they were written.
fn batch(numbers: std::ops::RangeInclusive<usize>) -> Batch {
    numbers.map(|n| format!("GET /{n} allowed")).collect()
}
