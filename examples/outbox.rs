//! A webhook outbox whose measurements go where one argument says:
//!
//! ```text
//! cargo run --all-features --example outbox -- none|log|prometheus|otlp|statsd
//! ```
//!
//! To be measured the outbox needs `tracing` alone, and it does the same each time: what
//! it is run under is chosen in `Telemetry::start`, and nowhere else. At the end what the
//! sink shows is held against a count that knows nothing of `tracing`.

#![allow(clippy::print_stdout, reason = "an example shows its output")]

use std::io;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use metrics_exporter_prometheus::PrometheusHandle;
use opentelemetry_otlp::{MetricExporter, WithExportConfig as _};
use opentelemetry_sdk::metrics::SdkMeterProvider;
use tracing_meter::{Boundaries, FacadeSink, LogSink, MeterLayer, OtelSink};
use tracing_subscriber::Registry;
use tracing_subscriber::prelude::*;

#[path = "outbox/counts.rs"]
mod counts;
#[path = "outbox/journal.rs"]
mod journal;
#[path = "outbox/outbox.rs"]
mod outbox;
#[allow(dead_code, reason = "other examples read spans, too")]
#[path = "support/receiver.rs"]
mod receiver;
#[path = "outbox/scenario.rs"]
mod scenario;
#[path = "support/shown.rs"]
mod shown;
#[path = "support/statsd.rs"]
pub(crate) mod statsd;
#[path = "outbox/webhooks.rs"]
mod webhooks;

pub(crate) use counts::Counts;
pub(crate) use outbox::Result;
use receiver::Receiver;
pub(crate) use scenario::Truth;
pub(crate) use shown::Shown;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let choice = match arguments.as_slice() {
        [] => Choice::None,
        names => names.join(" ").parse()?,
    };
    let report = run(choice, &|step| println!("- {step}")).await?;
    if let Some(shown) = report.shown {
        println!("\nWhat the sink shows:\n\n{}\n", shown.text.trim_end());
        print_table(&report.truth.counts, &shown.counts)?;
    }
    match report.problems.as_slice() {
        [] => Ok(()),
        problems => Err(problems.join("\n").into()),
    }
}

/// Where measurements go. Nowhere, if nobody says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Choice {
    None,
    Log,
    Prometheus,
    Otlp,
    Statsd,
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(name: &str) -> std::result::Result<Self, String> {
        Ok(match name {
            "none" => Self::None,
            "log" => Self::Log,
            "prometheus" => Self::Prometheus,
            "otlp" => Self::Otlp,
            "statsd" => Self::Statsd,
            _ => {
                return Err(format!(
                    "there is no sink {name:?}: choose none, log, prometheus, otlp or statsd"
                ));
            }
        })
    }
}

/// What came of it.
pub(crate) struct Report {
    pub(crate) truth: Truth,
    pub(crate) shown: Option<Shown>,
    pub(crate) problems: Vec<String>,
}

/// Runs the outbox under the chosen sink.
pub(crate) async fn run(choice: Choice, say: &dyn Fn(&str)) -> Result<Report> {
    let (telemetry, meter) = Telemetry::start(choice).await?;
    let problems = meter.as_ref().map(MeterLayer::handle);
    let default = meter.map(|meter| Registry::default().with(meter).set_default());
    let truth = scenario::run(say).await?;
    drop(default);
    let problems = problems.map(|it| it.problems()).unwrap_or_default();
    Ok(Report {
        truth,
        shown: telemetry.end().await?,
        problems: problems.iter().map(ToString::to_string).collect(),
    })
}

/// The other end of a sink.
enum Telemetry {
    None,
    Log(Lines),
    Prometheus(PrometheusHandle),
    Otlp(SdkMeterProvider, Receiver),
    Statsd(statsd::Server, statsd::Client),
}

impl Telemetry {
    /// The one place where it is chosen what the outbox runs under.
    async fn start(choice: Choice) -> Result<(Self, Option<MeterLayer<Registry>>)> {
        let boundaries = Boundaries::new().exact("outbox.events.matched", &[1.0, 2.0, 5.0, 10.0]);
        let meter = tracing_meter::builder().boundaries(boundaries.clone());
        let (telemetry, meter) = match choice {
            Choice::None => return Ok((Self::None, None)),
            Choice::Log => {
                let lines = Lines::default();
                let writer = lines.clone();
                let sink = LogSink::new(move || writer.clone());
                (Self::Log(lines), meter.sink(sink))
            }
            Choice::Prometheus => {
                let recorder = boundaries.prometheus_builder()?.build_recorder();
                let scrape = Self::Prometheus(recorder.handle());
                (scrape, meter.sink(FacadeSink::new(recorder)))
            }
            Choice::Otlp => {
                let receiver = Receiver::start().await?;
                let provider = otlp_provider(&receiver)?;
                let sink = OtelSink::new(provider.clone());
                (Self::Otlp(provider, receiver), meter.sink(sink))
            }
            Choice::Statsd => {
                let server = statsd::Server::start()?;
                let client = statsd::Client::connect(&server)?;
                let sink = FacadeSink::new(client.exporter()?)
                    .names_as_written()
                    .set_levels();
                (Self::Statsd(server, client), meter.sink(sink))
            }
        };
        Ok((telemetry, Some(meter.build()?)))
    }

    /// Lets the sink send what it still has, and reads what arrived.
    async fn end(self) -> Result<Option<Shown>> {
        Ok(match self {
            Self::None => None,
            Self::Log(lines) => Some(Shown::logged(lines.text())),
            Self::Prometheus(prometheus) => Some(Shown::scraped(prometheus.render(), &SCRAPED)),
            Self::Otlp(provider, receiver) => {
                // It blocks, while the runtime must go on to export.
                tokio::task::spawn_blocking(move || provider.shutdown()).await??;
                let exported = receiver.metrics();
                receiver.stop().await;
                Some(Shown::exported(&exported))
            }
            Self::Statsd(server, client) => Some(Shown::sent(&server.receive(&client)?)),
        })
    }
}

fn otlp_provider(receiver: &Receiver) -> Result<SdkMeterProvider> {
    let exporter = MetricExporter::builder()
        .with_tonic()
        .with_endpoint(format!("http://{}", receiver.address()))
        .build()?;
    Ok(SdkMeterProvider::builder()
        .with_periodic_exporter(exporter)
        .build())
}

/// Metrics as the outbox wrote them, and as a scrape has them.
const SCRAPED: [(&str, &str); 12] = [
    (
        "outbox.deliveries.attempts",
        "outbox_deliveries_attempts_total",
    ),
    ("outbox.deliveries.inflight", "outbox_deliveries_inflight"),
    ("outbox.deliveries.waiting", "outbox_deliveries_waiting"),
    ("outbox.events.fanned_out", "outbox_events_fanned_out_total"),
    ("outbox.events.matched", "outbox_events_matched"),
    ("outbox.events.no_match", "outbox_events_no_match_total"),
    ("outbox.events.published", "outbox_events_published_total"),
    ("outbox.failures", "outbox_failures_total"),
    (
        "outbox.janitor.rows_deleted",
        "outbox_janitor_rows_deleted_total",
    ),
    ("outbox.notify.missed", "outbox_notify_missed_total"),
    ("outbox.publisher.lag", "outbox_publisher_lag_seconds"),
    (
        "outbox.redeliver.requests",
        "outbox_redeliver_requests_total",
    ),
];

/// Keeps what is written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    fn text(&self) -> String {
        let written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&written).into_owned()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The count beside what the sink shows of it. A difference is an error.
fn print_table(truth: &Counts, shown: &Counts) -> Result<()> {
    println!("{:<58} {:>11} {:>11}", "metric", "counted", "shown");
    let mut differences = 0;
    for (series, (counted, shown)) in truth.beside(shown) {
        let differ = !is_same(counted, shown);
        differences += u32::from(differ);
        let mark = if differ { "  <- differs" } else { "" };
        let (counted, shown) = (in_short(counted), in_short(shown));
        println!("{series:<58} {counted:>11} {shown:>11}{mark}");
    }
    if differences > 0 {
        return Err(format!("{differences} series differ").into());
    }
    println!("\nNo difference.");
    Ok(())
}

/// A sum may have been added up in another order.
pub(crate) fn is_same(counted: Option<f64>, shown: Option<f64>) -> bool {
    match (counted, shown) {
        (Some(counted), Some(shown)) => (counted - shown).abs() < 1e-9,
        _ => false,
    }
}

fn in_short(value: Option<f64>) -> String {
    let Some(value) = value else {
        return "-".to_owned();
    };
    let digits = if value.fract() == 0.0 { 0 } else { 6 };
    format!("{value:.digits$}")
}
