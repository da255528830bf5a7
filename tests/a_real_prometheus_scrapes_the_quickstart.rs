//! The example `quickstart`, read by a real Prometheus server.
#![cfg(all(feature = "otel", feature = "prometheus"))]

#[path = "support/exporters.rs"]
mod exporters;
#[allow(dead_code, reason = "its `main` is for `cargo run`")]
#[path = "../examples/quickstart.rs"]
mod quickstart;

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use exporters::{Exporters, assert_promtool_finds_nothing, measured};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use quickstart::{Result, Service};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;

/// Within a minute, at `PAUSE` between two of them.
const POLLS: usize = 300;
const PAUSE: Duration = Duration::from_millis(200);

#[test]
fn a_real_prometheus_answers_what_dashboards_ask() {
    measured(async |exporters| {
        let service = start(exporters).await?;
        let Some(prometheus) = Prometheus::start(service.address).await? else {
            return Ok(());
        };

        let rate = r#"sum(rate(http_requests_total{route="/jobs/{queue}"}[30s]))"#;
        let is_positive = |answer: f64| answer > 0.0;
        let rate = prometheus
            .poll_under_load(&service, rate, is_positive)
            .await?;
        assert!(rate < 10_000.0, "{rate} requests per second");

        // A job of this queue takes 8 ms at least, so the buckets up to 5 ms are empty.
        let median =
            "histogram_quantile(0.5, sum by (le) (rate(job_seconds_bucket{queue='low'}[30s])))";
        let median = prometheus
            .poll_under_load(&service, median, f64::is_finite)
            .await?;
        assert!((0.005..=10.0).contains(&median), "{median} s");

        let uploads = exporters.collected("uploads", &[("region", "eu")]);
        let uploads = uploads.ok_or("nothing was uploaded")?;
        prometheus.poll_until("sum(uploads_total)", uploads).await?;
        prometheus.poll_until("sum(jobs)", 0.0).await?;
        assert_promtool_finds_nothing(&service.scrape().await?);
        Ok(())
    });
}

#[test]
fn a_round_of_load_is_the_same_in_both_exporters() {
    measured(async |exporters| {
        let service = start(exporters).await?;
        service.load().await?;

        let jobs = "/jobs/{queue}";
        for (route, status, count) in [
            (jobs, "201", 20.0),
            (jobs, "404", 1.0),
            ("/health", "200", 1.0),
            ("none", "404", 1.0),
        ] {
            let labels = [("route", route), ("status", status), ("outcome", "ok")];
            exporters.assert_both("http_requests", "http_requests_total", &labels, count);
            let in_flight = "http_requests_in_flight";
            exporters.assert_both(in_flight, in_flight, &[("route", route)], 0.0);
            assert_durations(exporters, "http_request_duration", &labels, count);
        }
        for queue in ["low", "high"] {
            let labels = [("queue", queue), ("outcome", "ok")];
            exporters.assert_both("jobs", "jobs", &[("queue", queue)], 0.0);
            assert_durations(exporters, "job", &labels, 10.0);
        }
        exporters.assert_both("uploads", "uploads_total", &[("region", "eu")], 20.0);

        let scrape = service.scrape().await?;
        assert_promtool_finds_nothing(&scrape);
        assert!(scrape.contains("# HELP jobs Jobs that are running."));
        assert!(scrape.contains("# HELP job_seconds How long jobs take."));
        assert!(!scrape.contains("/metrics"), "a scrape is no request");
        Ok(())
    });
}

fn assert_durations(exporters: &Exporters, name: &str, labels: &[(&str, &str)], count: f64) {
    let scraped = |part: &str| exporters.scraped(&format!("{name}_seconds_{part}"), labels);
    assert_eq!(scraped("count"), Some(count), "{name} {labels:?}");
    let sum = exporters.collected(name, labels);
    assert_eq!(scraped("sum"), sum, "{name} {labels:?}");
    assert!(sum > Some(0.0), "{name} {labels:?}");
}

async fn start(exporters: &Exporters) -> Result<Service> {
    let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
    Service::start(any_port, exporters.prometheus.clone()).await
}

/// A Prometheus server that scrapes one address each second, until it is dropped.
struct Prometheus {
    child: Child,
    log: mpsc::UnboundedReceiver<String>,
    address: String,
    _directory: TempDir,
}

impl Prometheus {
    /// Without the program this prints that it was skipped; in CI it is required.
    #[allow(clippy::print_stdout, reason = "a skipped test says so")]
    async fn start(target: SocketAddr) -> Result<Option<Self>> {
        let directory = tempfile::tempdir()?;
        let Ok(mut child) = command(&directory, target)?.spawn() else {
            assert!(std::env::var_os("CI").is_none(), "CI needs prometheus");
            println!("skipped: prometheus is not installed (Debian: prometheus)");
            return Ok(None);
        };
        let mut server = Self {
            log: lines(child.stderr.take().ok_or("no log")?),
            child,
            address: String::new(),
            _directory: directory,
        };
        server.address = server.listens_on().await?;
        Ok(Some(server))
    }

    /// It chose its port itself, and says which in its log.
    async fn listens_on(&mut self) -> Result<String> {
        let mut said = String::new();
        while let Some(line) = self.log.recv().await {
            if line.contains("Listening on")
                && let Some((_, address)) = line.split_once("address=")
            {
                return Ok(address.trim().to_owned());
            }
            said = said + &line + "\n";
        }
        Err(format!("prometheus ended:\n{said}").into())
    }

    /// Asks until the answer is good, while the service works.
    async fn poll_under_load(
        &self,
        service: &Service,
        query: &str,
        is_good: impl Fn(f64) -> bool,
    ) -> Result<f64> {
        for _ in 0..POLLS {
            service.load().await?;
            if let Some(answer) = self.ask(query).await?.filter(|answer| is_good(*answer)) {
                return Ok(answer);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(format!("no good answer to {query}").into())
    }

    /// Asks until the answer is this one, while the service idles.
    async fn poll_until(&self, query: &str, expected: f64) -> Result<()> {
        let mut answer = None;
        for _ in 0..POLLS {
            answer = self.ask(query).await?;
            if answer == Some(expected) {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(format!("{query} is {answer:?}, not {expected}").into())
    }

    /// The only series of a query's answer, if it has one yet.
    async fn ask(&self, query: &str) -> Result<Option<f64>> {
        let address = &self.address;
        let uri = format!(
            "http://{address}/api/v1/query?query={}",
            percent_encoded(query)
        );
        let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
        let response = client.get(uri.parse()?).await?;
        let is_ready = response.status() != StatusCode::SERVICE_UNAVAILABLE;
        let body = to_bytes(Body::new(response.into_body()), usize::MAX).await?;
        if !is_ready {
            return Ok(None);
        }
        let answer: Value = serde_json::from_slice(&body)?;
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let value = answer["data"]["result"][0]["value"][1].as_str();
        Ok(value.map(str::parse).transpose()?)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(directory: &TempDir, target: SocketAddr) -> Result<Command> {
    let config = directory.path().join("prometheus.yml");
    let scrape =
        format!("  - job_name: quickstart\n    static_configs: [{{targets: ['{target}']}}]\n");
    std::fs::write(
        &config,
        format!("global: {{scrape_interval: 1s}}\nscrape_configs:\n{scrape}"),
    )?;
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!(
            "--storage.tsdb.path={}",
            directory.path().join("data").display()
        ))
        .arg("--web.listen-address=127.0.0.1:0")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    Ok(command)
}

/// Reads to the end: a program whose log nobody reads would be stopped by it.
fn lines(log: ChildStderr) -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(std::io::Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}
