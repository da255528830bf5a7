//! What the guide `docs/scale.md` says of many processes: real exports of several
//! processes go through a model of the guide's collectors, as their configuration files
//! say, and a real Prometheus with the guide's configuration answers its questions.
#![cfg(all(feature = "otel", feature = "prometheus"))]

#[path = "support/collector.rs"]
mod collector;
#[path = "support/exporters.rs"]
mod exporters;
#[path = "support/fleet.rs"]
mod fleet;
#[path = "support/guide.rs"]
mod guide;
#[path = "support/prometheus.rs"]
mod prometheus;
#[allow(dead_code, reason = "it receives spans, too")]
#[path = "../examples/support/receiver.rs"]
mod receiver;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use exporters::parse_scrape;
use fleet::{Fleet, RUNTIME};
use opentelemetry_sdk::metrics::Temporality;
use prometheus::Prometheus;
use tokio::net::TcpListener;
use tracing::field::Empty;
use tracing::{Span, info, info_span};

const BOTH: [Temporality; 2] = [Temporality::Cumulative, Temporality::Delta];

#[test]
fn the_sum_over_all_processes_is_what_was_measured_and_delta_gives_the_same() {
    let scrapes = BOTH.map(|temporality| {
        let mut fleet = Fleet::new();
        let processes = ["worker-1", "worker-2", "worker-3"]
            .map(|instance| fleet.process(Some(instance), temporality));
        let mut total = 0;
        let mut in_flight = Vec::new();
        for round in 1..=3 {
            for (process, number) in processes.iter().zip(1..) {
                total += 10 * number + round;
                process.runs(|| {
                    upload(10 * number + round);
                    job_took("low", 0.3);
                    job_took("high", f64::from(number));
                    in_flight.push(start_job("low"));
                });
                fleet.push(process);
            }
        }
        assert_eq!(fleet.sum("uploads_total"), Some(total.into()));
        assert_eq!(fleet.sum("jobs"), Some(9.0));
        assert_eq!(fleet.sum("job_seconds_count"), Some(18.0));
        let seconds = fleet.sum("job_seconds_sum").unwrap();
        // 9 * 0.3 and 3 * (1 + 2 + 3)
        assert!((seconds - 20.7).abs() < 1e-9, "{seconds}");
        fleet.scrape()
    });
    assert_eq!(scrapes[0], scrapes[1]);
}

#[test]
fn a_collector_shows_the_series_that_a_direct_scrape_shows() {
    let mut fleet = Fleet::new();
    let worker = fleet.process(Some("worker-1"), Temporality::Cumulative);
    let _in_flight = worker.runs(|| {
        upload(3);
        job_took("low", 0.3);
        start_job("high")
    });
    fleet.push(&worker);

    let identity = r#""instance": "worker-1", "job": "worker", "#;
    let mut collected = fleet.scrape();
    let targets: Vec<_> = collected
        .extract_if(.., |series, _| series.starts_with("target_info{"))
        .collect();
    assert_eq!(targets.len(), 1, "{targets:?}");
    let without_identity = collected.iter().map(|(series, value)| {
        assert!(series.contains(identity), "{series}");
        (series.replace(identity, ""), *value)
    });
    let direct = parse_scrape(&worker.prometheus.render());
    assert_eq!(without_identity.collect::<BTreeMap<_, _>>(), direct);
}

#[test]
fn what_a_dead_process_had_in_flight_leaves_with_it() {
    for temporality in BOTH {
        let mut fleet = Fleet::new();
        let alive = fleet.process(Some("worker-1"), temporality);
        let dies = fleet.process(Some("worker-2"), temporality);
        let _in_flight = [
            alive.runs(|| start_job("low")),
            dies.runs(|| start_job("low")),
            dies.runs(|| start_job("low")),
        ];
        fleet.push(&alive);
        fleet.push(&dies);
        assert_eq!(fleet.value("jobs", "worker-1"), Some(1.0));
        assert_eq!(fleet.value("jobs", "worker-2"), Some(2.0));
        assert_eq!(fleet.sum("jobs"), Some(3.0));

        for _ in 0..4 {
            fleet.pass(EXPORT_INTERVAL);
            fleet.push(&alive);
        }
        assert_eq!(fleet.value("jobs", "worker-2"), None);
        assert_eq!(fleet.value("target_info", "worker-2"), None);
        assert_eq!(fleet.sum("jobs"), Some(1.0));
    }
}

#[test]
fn what_is_idle_stays_when_it_is_cumulative_and_leaves_for_a_while_when_it_is_delta() {
    // A gauge has no temporality, but is exported only if it was set where others are deltas.
    for (temporality, idle, idle_gauge, after_an_hour) in [
        (Temporality::Cumulative, Some(5.0), Some(7.0), 8.0),
        (Temporality::Delta, None, None, 2.0),
        (Temporality::LowMemory, None, Some(7.0), 2.0),
    ] {
        let mut fleet = Fleet::new();
        let worker = fleet.process(Some("worker-1"), temporality);
        let _in_flight = worker.runs(|| {
            upload(5);
            info!(gauge.backlog = 7);
            start_job("low")
        });
        fleet.push(&worker);
        for _ in 0..5 {
            fleet.pass(EXPORT_INTERVAL);
            fleet.push(&worker);
        }
        let value = |metric| fleet.value(metric, "worker-1");
        assert_eq!(value("uploads_total"), idle, "{temporality:?}");
        assert_eq!(value("backlog"), idle_gauge, "{temporality:?}");
        assert_eq!(value("jobs"), Some(1.0), "never a delta");

        worker.runs(|| upload(1));
        fleet.push(&worker);
        assert_eq!(fleet.value("uploads_total", "worker-1"), Some(6.0));

        fleet.pass(Duration::from_secs(60 * 60));
        worker.runs(|| upload(2));
        fleet.push(&worker);
        let value = fleet.value("uploads_total", "worker-1");
        assert_eq!(value, Some(after_an_hour), "{temporality:?}");
    }
}

#[test]
fn an_export_that_fails_is_made_good_by_the_next_one_unless_it_is_delta() {
    for (temporality, arrived) in [
        (Temporality::Cumulative, 111.0),
        (Temporality::Delta, 101.0),
    ] {
        let mut fleet = Fleet::new();
        let worker = fleet.process(Some("worker-1"), temporality);
        let in_flight = worker.runs(|| {
            upload(1);
            start_job("low")
        });
        fleet.push(&worker);

        fleet.collector_stops();
        worker.runs(|| upload(10));
        drop(in_flight);
        assert!(worker.provider.force_flush().is_err());

        fleet.collector_starts();
        worker.runs(|| upload(100));
        fleet.push(&worker);
        assert_eq!(fleet.value("uploads_total", "worker-1"), Some(arrived));
        assert_eq!(fleet.value("jobs", "worker-1"), Some(0.0), "never a delta");
    }
}

#[test]
fn what_is_overtaken_behind_the_agent_does_no_harm_and_before_it_only_what_is_cumulative() {
    for (temporality, before) in [(Temporality::Cumulative, 11.0), (Temporality::Delta, 10.0)] {
        let mut fleet = Fleet::new();
        let exports = |fleet: &mut Fleet, instance| {
            let worker = fleet.process(Some(instance), temporality);
            [1, 10].map(|files| {
                worker.runs(|| upload(files));
                fleet.exported(&worker)
            })
        };
        let [earlier, later] = exports(&mut fleet, "worker-1");
        let earlier = fleet.through_the_agent(earlier);
        let later = fleet.through_the_agent(later);
        fleet.through_the_gateway(later);
        fleet.through_the_gateway(earlier);
        assert_eq!(fleet.value("uploads_total", "worker-1"), Some(11.0));

        let [earlier, later] = exports(&mut fleet, "worker-2");
        fleet.deliver(later);
        fleet.deliver(earlier);
        assert_eq!(fleet.value("uploads_total", "worker-2"), Some(before));
    }
}

#[test]
fn two_processes_without_an_instance_id_overwrite_each_other() {
    let mut fleet = Fleet::new();
    let [one, two] = [(); 2].map(|()| fleet.process(None, Temporality::Cumulative));
    let _in_flight = [one.runs(|| start_job("low")), one.runs(|| start_job("low"))];
    one.runs(|| upload(100));
    let _in_flight_too = two.runs(|| start_job("low"));
    two.runs(|| upload(10));
    for _ in 0..2 {
        fleet.push(&one);
        assert_eq!(
            (fleet.sum("uploads_total"), fleet.sum("jobs")),
            (Some(100.0), Some(2.0))
        );
        fleet.push(&two);
        assert_eq!(
            (fleet.sum("uploads_total"), fleet.sum("jobs")),
            (Some(10.0), Some(1.0))
        );
    }
}

#[test]
fn of_two_processes_without_an_instance_id_the_older_ones_deltas_are_dropped() {
    let mut fleet = Fleet::new();
    let [older, younger] = [(); 2].map(|()| fleet.process(None, Temporality::Delta));
    older.runs(|| upload(100));
    younger.runs(|| upload(10));
    fleet.push(&younger);
    fleet.push(&older);
    assert_eq!(fleet.sum("uploads_total"), Some(10.0), "110 were uploaded");
}

#[test]
fn a_real_prometheus_answers_the_guide_for_cumulative_processes() {
    // A process that restarts begins at 0.
    prometheus_answers_the_guide(Temporality::Cumulative, 30.0);
}

#[test]
fn a_real_prometheus_answers_the_guide_for_delta_processes() {
    // The collector goes on to add.
    prometheus_answers_the_guide(Temporality::Delta, 80.0);
}

fn prometheus_answers_the_guide(temporality: Temporality, after_restart: f64) {
    let mut fleet = Fleet::new();
    let Some(prometheus) = Server::start(&fleet) else {
        return;
    };
    let first = fleet.process(Some("worker-1"), temporality);
    let second = fleet.process(Some("worker-2"), temporality);
    let mut in_flight = Vec::new();
    for process in [&first, &second] {
        process.runs(|| {
            upload(10);
            job_took("low", 0.3);
            job_took("low", 3.0);
            in_flight.extend([start_job("low"), start_job("high")]);
        });
        fleet.push(process);
    }
    prometheus.answers("sum(uploads_total)", 20.0);
    prometheus.answers("sum without (instance) (jobs{queue='low'})", 2.0);
    prometheus.answers("jobs{instance='worker-1', queue='low'}", 1.0);
    prometheus.answers("job_queue:jobs:sum{job='worker', queue='low'}", 2.0);
    prometheus.answers("job:processes:count{job='worker'}", 2.0);

    // Three of four jobs take 0.3 s, in a bucket from 0.25 to 0.5 s.
    first.runs(|| (0..3).for_each(|_| job_took("low", 0.3)));
    second.runs(|| job_took("low", 3.0));
    first.runs(|| upload(40));
    fleet.push(&first);
    fleet.push(&second);
    prometheus.answers("sum(job_seconds_count)", 8.0);
    let quantile = |quantile: f64| {
        let rates = "sum by (le) (rate(job_seconds_bucket[5m]))";
        format!("histogram_quantile({quantile}, {rates})")
    };
    prometheus.answers_between(&quantile(0.5), 0.25, 0.5);
    prometheus.answers_between(&quantile(0.99), 2.5, 5.0);
    for expression in guide::expressions() {
        prometheus.answers_between(&expression, 0.0, f64::INFINITY);
    }

    // A restart: what was in flight has ended before, and nothing counts twice.
    let worker_1 = "uploads_total{instance='worker-1'}";
    in_flight.drain(..2);
    fleet.end(first);
    prometheus.answers("sum(jobs{instance='worker-1'})", 0.0);
    prometheus.answers(worker_1, 50.0);
    let first = fleet.process(Some("worker-1"), temporality);
    first.runs(|| upload(30));
    fleet.push(&first);
    prometheus.answers(worker_1, after_restart);
    let scrapes = format!("count_over_time({worker_1}[5m])");
    prometheus.answers_between(&scrapes, 20.0, f64::INFINITY);
    // 70, and what Prometheus adds for the two ends.
    prometheus.answers_between(&format!("increase({worker_1}[5m])"), 69.9, 77.0);

    // A crash: the collector forgets the process, Prometheus does at the next scrape.
    for _ in 0..4 {
        fleet.pass(EXPORT_INTERVAL);
        first.runs(|| upload(1));
        fleet.push(&first);
    }
    prometheus.answers("count(jobs{instance='worker-2'}) or vector(0)", 0.0);
    prometheus.answers("job:processes:count{job='worker'}", 1.0);
}

#[test]
fn a_real_prometheus_that_scrapes_processes_forgets_at_once_what_a_dead_one_had_in_flight() {
    let fleet = Fleet::new();
    let workers = [(); 2].map(|()| fleet.process(None, Temporality::Cumulative));
    let _in_flight = workers.each_ref().map(|it| it.runs(|| start_job("low")));
    let is_dead = Arc::new(AtomicBool::new(false));
    let [first, second] = workers.map(|worker| worker.prometheus);
    let first = Router::new().route("/metrics", get(async move || first.render()));
    let dies = Arc::clone(&is_dead);
    let second = async move || {
        let lives = !dies.load(Ordering::Relaxed);
        lives
            .then(|| second.render())
            .ok_or(StatusCode::SERVICE_UNAVAILABLE)
    };
    let second = Router::new().route("/metrics", get(second));
    let targets = [("localhost:9464", first), ("localhost:9465", second)];
    let Some(prometheus) = Server::with("prometheus-direct.yml", targets) else {
        return;
    };
    prometheus.answers("sum without (instance) (jobs{job='worker'})", 2.0);
    prometheus.answers("jobs{instance='worker-1'}", 1.0);
    prometheus.answers("count(jobs{process!=''}) or vector(0)", 0.0);
    prometheus.answers("job:processes:count{job='worker'}", 2.0);

    is_dead.store(true, Ordering::Relaxed);
    prometheus.answers("up{instance='worker-2'}", 0.0);
    prometheus.answers("sum without (instance) (jobs{job='worker'})", 1.0);
    prometheus.answers("job:processes:count{job='worker'}", 1.0);
}

#[test]
fn a_real_prometheus_counts_what_never_was_when_two_processes_write_one_series() {
    let mut fleet = Fleet::new();
    let Some(prometheus) = Server::start(&fleet) else {
        return;
    };
    let [one, two] = [(); 2].map(|()| fleet.process(None, Temporality::Cumulative));
    one.runs(|| upload(100));
    two.runs(|| upload(10));
    for _ in 0..2 {
        fleet.push(&one);
        prometheus.answers("sum(uploads_total)", 100.0);
        fleet.push(&two);
        prometheus.answers("sum(uploads_total)", 10.0);
    }
    prometheus.answers(
        "count(uploads_total{job='worker', instance=~'127.0.0.1:.*'})",
        1.0,
    );
    // Nothing was uploaded since the first scrape.
    prometheus.answers_between("increase(uploads_total[5m])", 100.0, f64::INFINITY);
    prometheus.answers("resets(uploads_total[5m])", 2.0);
}

// What a process of the README's service does.

fn upload(files: u32) {
    info!(monotonic_counter.uploads = files, region = "eu", "uploaded");
}

/// In flight as long as it is kept.
fn start_job(queue: &str) -> Span {
    info_span!("run_job", in_flight.jobs = Empty, label.queue = queue)
}

/// What `duration.job` measures, with a duration that a test can tell.
fn job_took(queue: &str, seconds: f64) {
    info!(
        histogram.job = seconds,
        unit.job = "s",
        queue,
        outcome = "ok"
    );
}

/// `OTEL_METRIC_EXPORT_INTERVAL` as the guide has it.
const EXPORT_INTERVAL: Duration = Duration::from_secs(15);

/// A Prometheus with a configuration of the guide, five times a second.
struct Server(Prometheus);

impl Server {
    /// It scrapes this fleet's gateway.
    fn start(fleet: &Fleet) -> Option<Self> {
        let gateway = Arc::clone(&fleet.gateway);
        let scrape = move || async move { gateway.lock().unwrap().scrape() };
        let app = Router::new().route("/metrics", get(scrape));
        Self::with("prometheus-behind-collector.yml", [("localhost:8889", app)])
    }

    /// The addresses of the configuration, and what is to listen there.
    fn with<const N: usize>(file: &str, targets: [(&str, Router); N]) -> Option<Self> {
        let mut config = guide::text(file);
        let mut replace = |key: &str, value: &str| {
            assert_eq!(config.matches(key).count(), 1, "{key}");
            config = config.replace(key, value);
        };
        replace("scrape_interval: 15s", "scrape_interval: 200ms");
        replace("scrape_timeout: 10s", "scrape_timeout: 200ms");
        replace("evaluation_interval: 15s", "evaluation_interval: 200ms");
        for (target, app) in targets {
            let listener = RUNTIME.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
            replace(target, &listener.local_addr().unwrap().to_string());
            RUNTIME.spawn(async { axum::serve(listener, app).await });
        }
        let rules = guide::path("rules.yml");
        let started = RUNTIME.block_on(Prometheus::start(&config, &[&rules]));
        started.unwrap().map(Self)
    }

    fn answers(&self, query: &str, expected: f64) {
        let answer = RUNTIME.block_on(self.0.poll_until(query, expected));
        answer.unwrap();
    }

    fn answers_between(&self, query: &str, least: f64, most: f64) {
        let is_good = |answer: Option<f64>| answer.is_some_and(|it| least <= it && it <= most);
        RUNTIME.block_on(self.0.poll(query, is_good)).unwrap();
    }
}
