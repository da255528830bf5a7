//! An application server with every surface, under a load that goes everywhere, whose
//! numbers are compared on every path.
//!
//! ```text
//! cargo run --all-features --example runtime                # until ctrl-c or SIGTERM
//! cargo run --all-features --example runtime -- --load 10   # ten seconds of load
//! ```
//!
//! The code of the surfaces, each a file of `examples/runtime/`, writes `tracing` alone.
//! What is measured there is compared at the end with what the clients, the service
//! downstream and the file system have seen: on a scrape, and as it came by OTLP. The
//! program fails if any row differs.
//!
//! | option | |
//! |---|---|
//! | `--listen ADDR` | where it serves, by default 127.0.0.1:8080 |
//! | `--metrics ADDR` | where `/metrics` is, by default 127.0.0.1:9464 |
//! | `--load SECONDS` | makes its own load, and ends |
//! | `--rounds N` | the same, for each client so often |
//!
//! OTLP goes to `OTEL_EXPORTER_OTLP_ENDPOINT`, or, with a load, to a receiver that the
//! program runs itself. `RUST_LOG` chooses which lines are logged, and changes no number.

#![allow(clippy::print_stdout, reason = "an example shows its output")]

use std::fmt;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

#[path = "runtime/bus.rs"]
mod bus;
#[path = "runtime/changes.rs"]
mod changes;
#[path = "runtime/client.rs"]
mod client;
#[path = "runtime/convention.rs"]
mod convention;
#[path = "runtime/downstream.rs"]
mod downstream;
#[path = "runtime/functions.rs"]
mod functions;
#[path = "runtime/http.rs"]
mod http;
#[path = "runtime/kv.rs"]
mod kv;
#[path = "runtime/ledger.rs"]
pub(crate) mod ledger;
#[path = "runtime/load.rs"]
mod load;
#[path = "runtime/log.rs"]
mod log;
#[path = "runtime/otlp.rs"]
mod otlp;
#[path = "runtime/outbound.rs"]
mod outbound;
#[path = "runtime/processes.rs"]
mod processes;
#[path = "runtime/queue.rs"]
mod queue;
#[allow(dead_code, reason = "tests and other examples read more of it")]
#[path = "support/receiver.rs"]
pub(crate) mod receiver;
#[path = "runtime/scrape.rs"]
mod scrape;
#[path = "runtime/server.rs"]
mod server;
#[path = "runtime/sql.rs"]
mod sql;
#[path = "runtime/streams.rs"]
mod streams;
#[path = "runtime/table.rs"]
pub(crate) mod table;
#[path = "runtime/telemetry.rs"]
mod telemetry;
#[path = "runtime/trace.rs"]
pub(crate) mod trace;

use client::Client;
use downstream::{Deliveries, Downstream};
use ledger::Ledger;
pub(crate) use load::Length;
use receiver::{Received, ReceivedMetric, Receiver};
use server::Server;
use table::Table;
use telemetry::Telemetry;
use trace::Trace;

pub(crate) type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let options = Options::parse(std::env::args().skip(1))?;
    log_panics();
    let report = run(options, stop_signal()?).await?;
    println!("\n{report}");
    Ok(if report.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What came of it.
pub(crate) struct Report {
    pub(crate) table: Table,
    /// The text of `/metrics`, when all was done.
    #[allow(dead_code, reason = "the table shows its numbers, tests look at the rest")]
    pub(crate) scrape: String,
    /// What the program's own receiver got.
    pub(crate) spans: Vec<Received>,
    pub(crate) metrics: Vec<ReceivedMetric>,
    /// What the service downstream got.
    pub(crate) deliveries: Deliveries,
    /// What the layer had to reject.
    pub(crate) problems: Vec<String>,
}

/// The order whose trace is followed.
pub(crate) const FOLLOWED: &str = "the followed order";

/// Serves until the load or `stopped` ends it, and drains before it looks at numbers.
pub(crate) async fn run(
    options: Options,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> Result<Report> {
    let receiver = options.receiver().await?;
    let own_endpoint = receiver
        .as_ref()
        .map(|it| format!("http://{}", it.address()));
    let endpoint = own_endpoint.or_else(|| std::env::var(OTLP_ENDPOINT).ok());
    let telemetry = Telemetry::start(options.metrics, DIRECTIVES, endpoint.as_deref()).await?;
    let ledger = Ledger::default();
    let downstream = Downstream::start(ledger.clone()).await?;
    let server = Server::start(options.listen, downstream.address).await?;
    println!("serving on http://{}", server.address);
    println!("serving metrics on http://{}/metrics", telemetry.address);

    match options.load {
        None => stopped.await,
        Some(length) => {
            let client = Client::new(server.address, ledger.clone());
            load::order(&client, FOLLOWED, &trace::traceparent()).await?;
            let is_stopped = until(stopped);
            load::run(length, &client, &downstream.seen, &is_stopped).await?;
        }
    }

    println!("draining");
    downstream.seen.stall_no_more();
    ledger.wal(server.drain().await?);
    let scrape = scrape::scrape(telemetry.address).await?;
    telemetry.shutdown().await?;

    let own = options.load.map(|_| ledger.values());
    let metrics = receiver.as_ref().map(Receiver::metrics);
    let by_otlp = metrics
        .as_ref()
        .map(|it| otlp::values(it, &names(&telemetry)));
    let scraped = scrape::parse(&scrape)?;
    let problems = telemetry.meter.problems();
    Ok(Report {
        table: Table::new(own.as_ref(), &scraped, by_otlp.as_ref()),
        scrape,
        spans: receiver.as_ref().map(Receiver::spans).unwrap_or_default(),
        metrics: metrics.unwrap_or_default(),
        deliveries: downstream.seen.deliveries(),
        problems: problems.iter().map(ToString::to_string).collect(),
    })
}

/// The surfaces count below INFO, too; libraries do not.
const DIRECTIVES: &str = concat!("info,", module_path!(), "=trace");

impl Report {
    pub(crate) fn is_good(&self) -> bool {
        self.table.different().next().is_none() && self.problems.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.spans.is_empty() {
            writeln!(f, "{}", Trace::among(&self.spans))?;
        }
        for traceparent in self.deliveries.get(FOLLOWED).into_iter().flatten() {
            let traceparent = traceparent.as_deref().unwrap_or("nothing");
            writeln!(f, "  which the service downstream got as {traceparent}")?;
        }
        let (spans, metrics) = (self.spans.len(), self.metrics.len());
        writeln!(f, "\n{spans} spans and {metrics} metrics came by OTLP\n")?;
        writeln!(f, "{}", self.table)?;
        let mut problems = self.problems.iter();
        problems.try_for_each(|problem| writeln!(f, "problem: {problem}"))
    }
}

/// The names of all metrics on a scrape, by their names through OTLP.
fn names(telemetry: &Telemetry) -> otlp::Names {
    let catalog = telemetry.meter.catalog();
    let names = catalog.iter();
    names
        .map(|it| (it.name().to_owned(), it.prometheus_name().to_owned()))
        .collect()
}

fn until(stopped: impl Future<Output = ()> + Send + 'static) -> Arc<AtomicBool> {
    let is_stopped = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&is_stopped);
    tokio::spawn(async move {
        stopped.await;
        told.store(true, Ordering::Relaxed);
    });
    is_stopped
}

/// Some functions and processes are to panic, and their backtraces are of no use.
fn log_panics() {
    std::panic::set_hook(Box::new(|panic| tracing::warn!("{panic}")));
}

/// Ctrl-c, or SIGTERM, from now on.
fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) metrics: SocketAddr,
    pub(crate) load: Option<Length>,
}

impl Options {
    fn parse(mut arguments: impl Iterator<Item = String>) -> Result<Self> {
        let mut options = Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            metrics: SocketAddr::from(([127, 0, 0, 1], 9464)),
            load: None,
        };
        while let Some(option) = arguments.next() {
            let value = || format!("{option} needs a value");
            let value = arguments.next().ok_or_else(value)?;
            match option.as_str() {
                "--listen" => options.listen = value.parse()?,
                "--metrics" => options.metrics = value.parse()?,
                "--rounds" => options.load = Some(Length::Rounds(value.parse()?)),
                "--load" => {
                    let time = Duration::try_from_secs_f64(value.parse()?)?;
                    options.load = Some(Length::Time(time));
                }
                _ => return Err(format!("unknown: {option}").into()),
            }
        }
        Ok(options)
    }

    /// Where there is a load and nobody else who receives.
    async fn receiver(&self) -> Result<Option<Receiver>> {
        let is_own = self.load.is_some() && std::env::var_os(OTLP_ENDPOINT).is_none();
        Ok(if is_own {
            Some(Receiver::start().await?)
        } else {
            None
        })
    }
}

const OTLP_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
