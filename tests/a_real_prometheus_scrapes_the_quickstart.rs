//! The example `quickstart`, read by a real Prometheus server.
#![cfg(all(feature = "otel", feature = "prometheus", feature = "axum"))]

#[path = "support/exporters.rs"]
mod exporters;
#[path = "support/prometheus.rs"]
mod prometheus;
#[allow(dead_code, reason = "its `main` is for `cargo run`")]
#[path = "../examples/quickstart.rs"]
mod quickstart;

use std::net::SocketAddr;

use exporters::{Exporters, assert_promtool_finds_nothing, measured_with};
use prometheus::{PAUSE, POLLS, Prometheus};
use quickstart::{Result, Service};
use tracing_meter::{MeterLayerBuilder, SemanticConventions};

#[test]
fn a_real_prometheus_answers_what_dashboards_ask() {
    measured_with(with_requests, async |exporters| {
        let service = start(exporters).await?;
        let Some(prometheus) = Prometheus::start(&scrapes(service.address), &[]).await? else {
            return Ok(());
        };

        let rate = "sum(rate(http_server_request_duration_seconds_count\
                    {http_route='/jobs/{queue}'}[30s]))";
        let is_positive = |answer: f64| answer > 0.0;
        let rate = poll_under_load(&prometheus, &service, rate, is_positive).await?;
        assert!(rate < 10_000.0, "{rate} requests per second");

        // A job of this queue takes 8 ms at least, so the buckets up to 5 ms are empty.
        let median = "histogram_quantile(0.5, sum by (le) \
                      (rate(job_duration_seconds_bucket{queue='low'}[30s])))";
        let median = poll_under_load(&prometheus, &service, median, f64::is_finite).await?;
        assert!((0.005..=10.0).contains(&median), "{median} s");

        let uploads = exporters.collected("uploads", &[("region", "eu")]);
        let uploads = uploads.ok_or("nothing was uploaded")?;
        prometheus.poll_until("sum(uploads_total)", uploads).await?;
        prometheus.poll_until("sum(job_in_flight)", 0.0).await?;
        assert_promtool_finds_nothing(&service.scrape().await?);
        Ok(())
    });
}

#[test]
fn a_round_of_load_is_the_same_in_both_exporters() {
    measured_with(with_requests, async |exporters| {
        let service = start(exporters).await?;
        service.load().await?;

        for (method, route, status, count) in [
            ("POST", Some("/jobs/{queue}"), "201", 20.0),
            ("POST", Some("/jobs/{queue}"), "404", 1.0),
            ("GET", Some("/health"), "200", 1.0),
            ("GET", None, "404", 1.0),
        ] {
            let route = route.map(|route| ("http.route", route));
            let opened = [("http.request.method", method), ("url.scheme", "http")];
            let mut answered = opened.to_vec();
            answered.push(("http.response.status_code", status));
            answered.push(("network.protocol.version", "1.1"));
            answered.extend(route);
            assert_durations(exporters, "http.server.request.duration", &answered, count);
            let active = "http.server.active_requests";
            exporters.assert_both(active, "http_server_active_requests", &opened, 0.0);
        }
        for queue in ["low", "high"] {
            let labels = [("queue", queue), ("outcome", "ok")];
            exporters.assert_both("job.calls", "job_calls_total", &labels, 10.0);
            exporters.assert_both("job.in_flight", "job_in_flight", &labels[..1], 0.0);
            assert_durations(exporters, "job.duration", &labels, 10.0);
        }
        exporters.assert_both("uploads", "uploads_total", &[("region", "eu")], 20.0);

        let scrape = service.scrape().await?;
        assert_promtool_finds_nothing(&scrape);
        assert!(scrape.contains("# HELP job_in_flight Jobs that are running."));
        assert!(scrape.contains("# HELP job_duration_seconds How long jobs take."));
        assert!(!scrape.contains("/metrics"), "a scrape is no request");
        Ok(())
    });
}

fn assert_durations(exporters: &Exporters, name: &str, labels: &[(&str, &str)], count: f64) {
    let on_scrape = name.replace('.', "_");
    let scraped = |part: &str| exporters.scraped(&format!("{on_scrape}_seconds_{part}"), labels);
    assert_eq!(scraped("count"), Some(count), "{name} {labels:?}");
    let sum = exporters.collected(name, labels);
    assert_eq!(scraped("sum"), sum, "{name} {labels:?}");
    assert!(sum > Some(0.0), "{name} {labels:?}");
}

/// As the example measures.
fn with_requests(builder: MeterLayerBuilder) -> MeterLayerBuilder {
    builder.convention(SemanticConventions::new())
}

async fn start(exporters: &Exporters) -> Result<Service> {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    Service::start(any_port, exporters.prometheus.clone()).await
}

/// Each second.
fn scrapes(target: SocketAddr) -> String {
    let scrape =
        format!("  - job_name: quickstart\n    static_configs: [{{targets: ['{target}']}}]\n");
    format!("global: {{scrape_interval: 1s}}\nscrape_configs:\n{scrape}")
}

/// Asks until the answer is good, while the service works.
async fn poll_under_load(
    prometheus: &Prometheus,
    service: &Service,
    query: &str,
    is_good: impl Fn(f64) -> bool,
) -> Result<f64> {
    for _ in 0..POLLS {
        service.load().await?;
        let answer = prometheus.ask(query).await?;
        if let Some(answer) = answer.filter(|answer| is_good(*answer)) {
            return Ok(answer);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(format!("no good answer to {query}").into())
}
