//! An application server with every surface, under a load that goes everywhere, whose
//! numbers are compared on every path.
//!
//! ```text
//! cargo run --all-features --example runtime                # until ctrl-c or SIGTERM
//! cargo run --all-features --example runtime -- --load 10   # ten seconds of load
//! ```
//!
//! The code of the surfaces, each a file of `examples/runtime/`, writes `tracing` alone.
//! Requests, those that are served and those that are sent, have no field of ours: they are
//! measured by the semantic conventions, and by a rule under the names that dashboards read.
//! What is measured there is compared at the end with what the clients, the service
//! downstream and the file system have seen: on a scrape, and as it came by OTLP. The
//! program fails if any row differs.
//!
//! | option | |
//! |---|---|
//! | `--listen ADDR` | where it serves, by default 127.0.0.1:8080 |
//! | `--load SECONDS` | makes its own load, and ends |
//! | `--rounds N` | the same, for each client so often |
//!
//! Where metrics and traces go is said by OpenTelemetry's environment variables:
//! `OTEL_EXPORTER_PROMETHEUS_HOST` and `_PORT` say where `/metrics` is, by default
//! localhost:9464. Without `OTEL_EXPORTER_OTLP_ENDPOINT` a load has a receiver for itself:
//! this process is the receiver then, and starts the program once more with its address.
//! Of the other variables it is told those of Prometheus' address and of the resource.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example shows its output"
)]

use std::env;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tracing_meter::setup::Guard;

#[path = "runtime/account.rs"]
pub(crate) mod account;
#[path = "runtime/bus.rs"]
mod bus;
#[path = "runtime/changes.rs"]
mod changes;
#[path = "runtime/client.rs"]
mod client;
#[path = "runtime/connections.rs"]
mod connections;
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
#[path = "runtime/levels.rs"]
pub(crate) mod levels;
#[path = "runtime/load.rs"]
pub(crate) mod load;
#[path = "runtime/log.rs"]
mod log;
#[path = "runtime/options.rs"]
mod options;
#[path = "runtime/otlp.rs"]
pub(crate) mod otlp;
#[path = "runtime/outbound.rs"]
mod outbound;
#[path = "runtime/processes.rs"]
mod processes;
#[path = "runtime/queue.rs"]
mod queue;
#[allow(dead_code, reason = "tests and other examples read more of it")]
#[path = "support/receiver.rs"]
pub(crate) mod receiver;
#[path = "runtime/report.rs"]
pub(crate) mod report;
#[path = "runtime/scrape.rs"]
pub(crate) mod scrape;
#[path = "runtime/server.rs"]
mod server;
#[path = "runtime/sql.rs"]
mod sql;
#[path = "runtime/streams.rs"]
mod streams;
#[path = "runtime/surfaces.rs"]
mod surfaces;
#[path = "runtime/table.rs"]
pub(crate) mod table;
#[path = "runtime/telemetry.rs"]
pub(crate) mod telemetry;
#[path = "runtime/trace.rs"]
pub(crate) mod trace;

use account::Account;
use client::Client;
use downstream::{Downstream, Seen};
use ledger::{Ledger, Values};
pub(crate) use load::Length;
use load::Unfinished;
pub(crate) use options::Options;
use report::receive;
use server::Server;
use table::{Row, Table};
use telemetry::OTLP_ENDPOINT;

pub(crate) type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> ExitCode {
    match compare_or_serve().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all was good.
async fn compare_or_serve() -> Result<bool> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let options = Options::parse(arguments.iter())?;
    if options.load.is_some() && telemetry::variable(OTLP_ENDPOINT).is_none() {
        let mut program = Command::new(env::current_exe()?);
        program.args(arguments);
        let report = receive(program, stop_signal()?).await?;
        println!("\n{report}");
        return Ok(report.is_good());
    }
    let account = run(options, stop_signal()?).await?;
    println!("{account}");
    Ok(account.problems.is_empty())
}

/// The order whose trace is followed.
pub(crate) const FOLLOWED: &str = "the followed order";

/// Serves until the load or `stopped` ends it, and drains before it looks at numbers.
pub(crate) async fn run(
    options: Options,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> Result<Account> {
    let telemetry = telemetry::start(DIRECTIVES)?;
    log_panics();
    let ledger = Ledger::default();
    let downstream = Downstream::start(ledger.clone()).await?;
    let server = Server::start(options.listen, downstream.address).await?;
    println!("serving on http://{}", server.address);
    let metrics = telemetry.prometheus().map(|_| telemetry::metrics_url());
    if let Some(metrics) = &metrics {
        println!("serving metrics on {metrics}");
    }

    let unfinished = if let Some(length) = options.load {
        let client = Client::new(server.address, ledger.clone());
        let unfinished = load(length, &client, &downstream.seen, stopped).await?;
        if let Some(metrics) = &metrics {
            levels::are(&unfinished.levels, metrics).await?;
        }
        Some(unfinished)
    } else {
        stopped.await;
        None
    };

    println!("draining");
    downstream.seen.stall_no_more();
    ledger.wal(server.drain().await?);
    if let Some(unfinished) = unfinished {
        unfinished.ended().await?;
    }
    let counted = options.load.map(|_| ledger.values());
    let delivered = downstream.seen.traceparents(FOLLOWED);
    account(telemetry, metrics.as_deref(), counted, delivered).await
}

/// The surfaces count below INFO, too; libraries do not.
const DIRECTIVES: &str = concat!("info,", module_path!(), "=trace");

/// Begins with the order that is followed, and leaves something of everything unfinished.
async fn load(
    length: Length,
    client: &Client,
    seen: &Arc<Seen>,
    stopped: impl Future<Output = ()> + Send + 'static,
) -> Result<Unfinished> {
    load::order(client, FOLLOWED, &trace::traceparent()).await?;
    load::run(length, client, seen, &until(stopped)).await?;
    load::leave_unfinished(client, seen).await
}

/// Looks at the numbers, and exports what is left.
async fn account(
    telemetry: Guard,
    metrics: Option<&str>,
    counted: Option<Values>,
    delivered: Vec<String>,
) -> Result<Account> {
    let mut problems = rejected(&telemetry);
    let mut scrape = String::new();
    if let Some(metrics) = metrics {
        scrape = scrape::scrape(metrics).await?;
        problems.extend(different(counted.as_ref(), &scrape::parse(&scrape)?));
    }
    // Everything else is told, even if what is left cannot be exported.
    problems.extend(telemetry.shutdown().err().map(|why| why.to_string()));
    Ok(Account {
        counted,
        scrape,
        delivered,
        problems,
    })
}

/// What the layer had to reject.
fn rejected(telemetry: &Guard) -> Vec<String> {
    let rejected = telemetry.handle().problems();
    rejected.iter().map(ToString::to_string).collect()
}

/// Where a scrape is not what was counted.
fn different(counted: Option<&Values>, scraped: &Values) -> Vec<String> {
    let table = Table::new(counted, scraped, None);
    let different = table.different().map(|row| {
        let Row {
            series,
            own,
            scraped,
            ..
        } = row;
        format!("{series} was counted as {own}, and scraped as {scraped}")
    });
    different.collect()
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
pub(crate) fn stop_signal() -> Result<impl Future<Output = ()>> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupted.recv() => {}
            _ = terminated.recv() => {}
        }
    })
}
