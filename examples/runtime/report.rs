//! The program as another process that is watched: what it says of itself, beside what
//! comes of it by OTLP.

use std::env;
use std::fmt;
use std::pin::pin;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{ChildStdout, Command};

use super::Result;
use super::account::Account;
use super::receiver::{Received, ReceivedMetric, Receiver};
use super::table::Table;
use super::telemetry::{self, OTLP_ENDPOINT};
use super::trace::Trace;
use super::{otlp, scrape};

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
    // All of it is to come here, and as it is compared, whatever else is said outside.
    telemetry::forget_variables(&mut program);
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
    let by_otlp = otlp::values(&metrics)?;
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

pub(crate) async fn terminate(process: u32) -> Result<()> {
    // The shell's own: the program of this name is not everywhere.
    let mut kill = Command::new("sh");
    kill.args(["-c", &format!("kill {process}")])
        .status()
        .await?;
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
