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
//! | `--load SECONDS` | makes its own load, and ends |
//! | `--rounds N` | the same, for each client so often |
//!
//! Where metrics and traces go is said by OpenTelemetry's environment variables:
//! `OTEL_EXPORTER_PROMETHEUS_HOST` and `_PORT` say where `/metrics` is, by default
//! localhost:9464. Without `OTEL_EXPORTER_OTLP_ENDPOINT` a load has a receiver for itself:
//! this process is the receiver then, and starts the program once more with its address.

#![allow(clippy::print_stdout, reason = "an example shows its output")]

use std::env;
use std::fmt;
use std::net::SocketAddr;
use std::pin::pin;
use std::process::{ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{ChildStdout, Command};
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
pub(crate) mod load;
#[path = "runtime/log.rs"]
mod log;
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
use receiver::{Received, ReceivedMetric, Receiver};
use server::Server;
use table::{Row, Table};
use telemetry::OTLP_ENDPOINT;
use trace::Trace;

pub(crate) type Result<T, E = Box<dyn std::error::Error + Send + Sync>> = std::result::Result<T, E>;

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let options = Options::parse(arguments.iter())?;
    let is_good = if options.load.is_some() && env::var_os(OTLP_ENDPOINT).is_none() {
        let mut program = Command::new(env::current_exe()?);
        program.args(arguments);
        let report = receive(program, stop_signal()?).await?;
        println!("\n{report}");
        report.is_good()
    } else {
        let account = run(options, stop_signal()?).await?;
        println!("{account}");
        account.problems.is_empty()
    };
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
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
    println!("serving metrics on {}", telemetry::metrics_url());

    let unfinished = if let Some(length) = options.load {
        let client = Client::new(server.address, ledger.clone());
        Some(load(length, &client, &downstream.seen, stopped).await?)
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
    account(telemetry, counted, delivered).await
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
    counted: Option<Values>,
    delivered: Vec<String>,
) -> Result<Account> {
    let scrape = scrape::scrape(&telemetry::metrics_url()).await?;
    let mut problems = problems(&telemetry, counted.as_ref(), &scrape::parse(&scrape)?);
    // Everything else is told, even if what is left cannot be exported.
    problems.extend(telemetry.shutdown().err().map(|why| why.to_string()));
    Ok(Account {
        counted,
        scrape,
        delivered,
        problems,
    })
}

/// What the layer had to reject, and where a scrape is not what was counted.
fn problems(telemetry: &Guard, counted: Option<&Values>, scraped: &Values) -> Vec<String> {
    let rejected = telemetry.handle().problems();
    let rejected = rejected.iter().map(ToString::to_string);
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
    rejected.chain(different).collect()
}

/// The program's own account, and what came by OTLP meanwhile.
pub(crate) struct Report {
    pub(crate) account: Account,
    pub(crate) spans: Vec<Received>,
    pub(crate) metrics: Vec<ReceivedMetric>,
    pub(crate) table: Table,
}

/// Starts the program with a receiver, and hears its account. `stopped` ends it early.
pub(crate) async fn receive(
    mut program: Command,
    stopped: impl Future<Output = ()>,
) -> Result<Report> {
    let receiver = Receiver::start_http().await?;
    program
        .env(OTLP_ENDPOINT, format!("http://{}", receiver.address()))
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
        // No span is to be lost, however many end at once.
        .env("OTEL_BSP_MAX_QUEUE_SIZE", "100000")
        // The load has lines of every level logged.
        .env(
            "RUST_LOG",
            env::var("RUST_LOG").unwrap_or_else(|_| QUIET.to_owned()),
        )
        .stdout(Stdio::piped());
    let mut program = program.kill_on_drop(true).spawn()?;
    let id = program.id().ok_or("it has ended")?;
    let stdout = program.stdout.take().ok_or("it has no output")?;
    let mut account = pin!(account_of(stdout));
    let account = tokio::select! {
        account = &mut account => account?,
        () = stopped => {
            terminate(id).await?;
            account.await?
        }
    };
    let status = program.wait().await?;
    if !status.success() && account.problems.is_empty() {
        return Err(format!("the program has failed: {status}").into());
    }
    let (spans, metrics) = (receiver.spans(), receiver.metrics());
    receiver.stop().await;
    let scraped = scrape::parse(&account.scrape)?;
    let by_otlp = otlp::values(&metrics);
    Ok(Report {
        table: Table::new(account.counted.as_ref(), &scraped, Some(&by_otlp)),
        account,
        spans,
        metrics,
    })
}

/// What cannot be exported is still told.
const QUIET: &str = "off,tracing_meter=warn";

/// Lines of anything else are passed on.
async fn account_of(stdout: ChildStdout) -> Result<Account> {
    let mut account = Account::default();
    let mut lines = BufReader::new(stdout).lines();
    while let Some(line) = lines.next_line().await? {
        if !account.take(&line)? {
            println!("{line}");
        }
    }
    Ok(account)
}

async fn terminate(process: u32) -> Result<()> {
    let mut kill = Command::new("kill");
    kill.arg(process.to_string()).status().await?;
    Ok(())
}

impl Report {
    pub(crate) fn is_good(&self) -> bool {
        self.table.different().next().is_none() && self.account.problems.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", Trace::among(&self.spans))?;
        for traceparent in &self.account.delivered {
            writeln!(f, "The service downstream got {traceparent}.")?;
        }
        let (spans, metrics) = (self.spans.len(), self.metrics.len());
        writeln!(f, "{spans} spans and {metrics} metrics came by OTLP.\n")?;
        write!(f, "{}", self.table)?;
        let mut problems = self.account.problems.iter();
        problems.try_for_each(|problem| write!(f, "\nproblem: {problem}"))
    }
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

#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    pub(crate) listen: SocketAddr,
    pub(crate) load: Option<Length>,
}

impl Options {
    fn parse<'a>(mut arguments: impl Iterator<Item = &'a String>) -> Result<Self> {
        let mut options = Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            load: None,
        };
        while let Some(option) = arguments.next() {
            let value = || format!("{option} needs a value");
            let value = arguments.next().ok_or_else(value)?;
            match option.as_str() {
                "--listen" => options.listen = value.parse()?,
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
}
