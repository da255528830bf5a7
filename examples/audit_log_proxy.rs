//! A proxy of audit logs that says how many it lost, and why.
//!
//! ```text
//! sender --Unix socket--> proxy (bounded buffer) --HTTP POST--> log service
//! ```
//!
//! Nothing here waits for what is slower than itself, so each hop may have to
//! drop. The proxy counts by `reason` what it drops, and what the sender dropped
//! and reports with its next good flush. The drop rate is then
//! `batches_dropped / (batches_dropped + batches_forwarded)`.
//!
//! ```text
//! cargo run --all-features --example audit_log_proxy
//! ```

#![allow(clippy::print_stdout, reason = "an example shows its output")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::{Request, StatusCode, Uri, header::CONTENT_TYPE};
use axum::routing::post;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, UnixListener, UnixStream};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tracing::{info, warn};

/// How many logs wait in the sender for its next flush.
pub(crate) const CHANNEL: usize = 8;
/// How many batches the sender keeps after failed flushes.
pub(crate) const UNSENT: usize = 2;
/// How many batches wait in the proxy for the log service.
pub(crate) const BUFFER: usize = 4;

/// Logs that travel together.
pub(crate) type Batch = Vec<String>;
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    use tracing_meter::{Boundaries, FacadeSink};
    use tracing_subscriber::prelude::*;

    let recorder = Boundaries::new().prometheus_builder()?.build_recorder();
    let prometheus = recorder.handle();
    let sink = FacadeSink::new(recorder);
    let meter = tracing_meter::builder().sink(sink).build()?;
    tracing_subscriber::registry().with(meter).init();

    let truth = run().await?;
    let (batches, logs) = (
        truth.received.len(),
        truth.received.iter().flatten().count(),
    );
    println!(
        "\nReally written: {} batches, {} logs",
        truth.batches, truth.logs
    );
    println!("Really received: {batches} batches, {logs} logs\n");
    println!("{}", prometheus.render());
    Ok(())
}

/// Lets everything happen that loses logs, and then compares both ends.
pub(crate) async fn run() -> Result<Truth> {
    let mut rig = Rig::start().await?;

    println!("The log service is up: two batches");
    rig.send(3).await?;
    rig.send(3).await?;
    rig.proxy.drain().await?;

    println!("It is down: two batches are lost (forward_failed)");
    rig.service.down().await?;
    rig.send(3).await?;
    rig.send(3).await?;
    rig.proxy.drain().await?;

    println!("It is up again, and refuses: one batch is lost (forward_failed)");
    rig.service.up().await?;
    rig.service.refuse();
    rig.send(3).await?;
    rig.proxy.drain().await?;

    println!("It takes batches again: one batch");
    rig.service.answer();
    rig.send(3).await?;
    rig.proxy.drain().await?;

    println!("It does not answer: the buffer fills, three batches are lost (buffer_full)");
    rig.fill_the_buffer(3).await?;
    for _ in 0..3 {
        rig.send(3).await?;
    }
    rig.service.answer();
    rig.proxy.drain().await?;

    println!("The sender is too fast: two logs are lost (boundary_channel_full)");
    rig.send(CHANNEL + 2).await?;

    println!("The proxy is down: one batch is lost (boundary_batch_full)");
    rig.proxy.stop().await?;
    for _ in 0..=UNSENT {
        if let Err(error) = rig.send(2).await {
            println!("  not sent: {error}");
        }
    }

    println!("The proxy is up again: what was kept is sent, with the report of what was not");
    rig.proxy = Proxy::start(rig.sender.socket(), rig.service.uri()?)?;
    rig.send(2).await?;
    rig.proxy.stop().await?;
    Ok(rig.truth())
}

/// What was written and what arrived, counted without any metric.
pub(crate) struct Truth {
    pub(crate) batches: usize,
    pub(crate) logs: usize,
    pub(crate) received: Vec<Batch>,
}

/// A sender, a proxy and a log service that are connected.
pub(crate) struct Rig {
    pub(crate) sender: Sender,
    pub(crate) proxy: Proxy,
    pub(crate) service: LogService,
    batches: usize,
    logs: usize,
    _directory: TempDir,
}

impl Rig {
    pub(crate) async fn start() -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let socket = directory.path().join("audit.sock");
        let service = LogService::start().await?;
        Ok(Self {
            proxy: Proxy::start(&socket, service.uri()?)?,
            sender: Sender::new(socket),
            service,
            batches: 0,
            logs: 0,
            _directory: directory,
        })
    }

    /// Writes one batch of logs and flushes it.
    pub(crate) async fn send(&mut self, logs: usize) -> Result<()> {
        for _ in 0..logs {
            self.logs += 1;
            self.sender.write(format!("GET /{} allowed", self.logs));
        }
        self.batches += 1;
        self.sender.flush().await
    }

    /// Lets the service hold one batch, and fills the proxy's buffer behind it.
    pub(crate) async fn fill_the_buffer(&mut self, logs: usize) -> Result<()> {
        self.service.hold();
        self.send(logs).await?;
        self.service.holds_one().await;
        for _ in 0..BUFFER {
            self.send(logs).await?;
        }
        Ok(())
    }

    pub(crate) fn truth(&self) -> Truth {
        Truth {
            batches: self.batches,
            logs: self.logs,
            received: self.service.received(),
        }
    }
}

/// Runs inside the sandbox: has no metrics of its own, so it tells the proxy.
pub(crate) struct Sender {
    socket: PathBuf,
    logs: mpsc::Sender<String>,
    waiting: mpsc::Receiver<String>,
    unsent: VecDeque<Batch>,
    lost: SenderLosses,
}

/// What the sender lost since its last good flush.
#[derive(Default)]
struct SenderLosses {
    channel_full: Loss,
    batch_full: Loss,
}

#[derive(Default)]
struct Loss {
    batches: usize,
    logs: usize,
}

impl Sender {
    fn new(socket: PathBuf) -> Self {
        let (logs, waiting) = mpsc::channel(CHANNEL);
        Self {
            socket,
            logs,
            waiting,
            unsent: VecDeque::new(),
            lost: SenderLosses::default(),
        }
    }

    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    fn write(&mut self, log: String) {
        if self.logs.try_send(log).is_err() {
            self.lost.channel_full.logs += 1;
        }
    }

    async fn flush(&mut self) -> Result<()> {
        let older = self.send_unsent().await;
        self.seal();
        older?;
        self.send_unsent().await
    }

    /// Makes a batch of the logs that wait.
    fn seal(&mut self) {
        let batch: Batch = std::iter::from_fn(|| self.waiting.try_recv().ok()).collect();
        if batch.is_empty() {
            return;
        }
        if self.unsent.len() < UNSENT {
            return self.unsent.push_back(batch);
        }
        self.lost.batch_full.batches += 1;
        self.lost.batch_full.logs += batch.len();
    }

    async fn send_unsent(&mut self) -> Result<()> {
        if self.unsent.is_empty() {
            return Ok(());
        }
        let (reading, mut writing) = UnixStream::connect(&self.socket).await?.into_split();
        let mut answers = BufReader::new(reading).lines();
        while let Some(batch) = self.unsent.front() {
            let message = self.lost.beside(batch);
            writing.write_all(message.as_bytes()).await?;
            answers.next_line().await?.ok_or("no answer")?;
            self.lost = SenderLosses::default();
            self.unsent.pop_front();
        }
        Ok(())
    }
}

impl SenderLosses {
    /// A message: one line.
    fn beside(&self, batch: &Batch) -> String {
        let loss = |loss: &Loss| json!({ "batches": loss.batches, "logs": loss.logs });
        let message = json!({
            "logs": batch,
            "lost": {
                "boundary_channel_full": loss(&self.channel_full),
                "boundary_batch_full": loss(&self.batch_full),
            },
        });
        format!("{message}\n")
    }
}

/// Takes batches in on a socket and forwards them to the log service.
pub(crate) struct Proxy {
    socket: PathBuf,
    accepting: JoinHandle<()>,
    forwarding: JoinHandle<()>,
    pending: watch::Receiver<usize>,
}

impl Proxy {
    pub(crate) fn start(socket: &Path, service: Uri) -> Result<Self> {
        describe_metrics();
        let (buffer, batches) = mpsc::channel(BUFFER);
        let (pending, settled) = watch::channel(0);
        let listener = UnixListener::bind(socket)?;
        let intake = Intake {
            buffer,
            pending: pending.clone(),
        };
        Ok(Self {
            socket: socket.to_owned(),
            accepting: tokio::spawn(accept(listener, intake)),
            forwarding: tokio::spawn(forward(batches, service, pending)),
            pending: settled,
        })
    }

    /// Waits until each batch that was taken in is forwarded, or counted as lost.
    pub(crate) async fn drain(&self) -> Result<()> {
        self.pending.clone().wait_for(|count| *count == 0).await?;
        Ok(())
    }

    /// Takes nothing more in, and ends when everything is settled.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.accepting.abort();
        if let Err(error) = (&mut self.accepting).await
            && error.is_panic()
        {
            return Err(error.into());
        }
        std::fs::remove_file(&self.socket)?;
        Ok((&mut self.forwarding).await?)
    }
}

/// Emitted once, so that a dashboard can say what to do about each reason.
fn describe_metrics() {
    info!(
        describe.agent.boundary_log_proxy.batches_dropped = "Batches of audit logs that were lost before the log service had them. Reason: \
             buffer_full = the proxy's buffer is full: the sender is faster than the log service; \
             forward_failed = the log service is down or refused the batch; \
             boundary_channel_full = no batch, see the logs; \
             boundary_batch_full = the sender could not reach the proxy and has no room for more.",
        describe.agent.boundary_log_proxy.logs_dropped = "Audit logs that were lost before the log service had them. Reason: \
             buffer_full, forward_failed, boundary_batch_full = their batch was lost; \
             boundary_channel_full = the sender writes faster than it flushes.",
        describe.agent.boundary_log_proxy.batches_forwarded =
            "Batches of audit logs that the log service has taken.",
        unit.agent.boundary_log_proxy.batches_dropped = "{batch}",
        unit.agent.boundary_log_proxy.logs_dropped = "{log}",
        unit.agent.boundary_log_proxy.batches_forwarded = "{batch}",
        "the proxy starts"
    );
}

fn count_dropped(reason: &'static str, batches: u64, logs: u64) {
    warn!(
        monotonic_counter.agent.boundary_log_proxy.batches_dropped = batches,
        monotonic_counter.agent.boundary_log_proxy.logs_dropped = logs,
        reason,
        "audit logs were lost"
    );
}

/// The proxy's side of the socket.
#[derive(Clone)]
struct Intake {
    buffer: mpsc::Sender<Batch>,
    pending: watch::Sender<usize>,
}

async fn accept(listener: UnixListener, intake: Intake) {
    while let Ok((stream, _)) = listener.accept().await {
        let intake = intake.clone();
        tokio::spawn(async move {
            if let Err(error) = intake.read(stream).await {
                warn!(%error, "a sender is cut off");
            }
        });
    }
}

impl Intake {
    async fn read(&self, stream: UnixStream) -> Result<()> {
        let (reading, mut writing) = stream.into_split();
        let mut messages = BufReader::new(reading).lines();
        while let Some(message) = messages.next_line().await? {
            self.take_in(&serde_json::from_str(&message)?)?;
            writing.write_all(b"ok\n").await?;
        }
        Ok(())
    }

    fn take_in(&self, message: &Value) -> Result<()> {
        let batch: Batch = serde_json::from_value(message["logs"].clone())?;
        count_what_the_sender_lost(&message["lost"]);
        match self.buffer.try_reserve() {
            Ok(place) => {
                self.pending.send_modify(|count| *count += 1);
                place.send(batch);
            }
            Err(_) => count_dropped("buffer_full", 1, batch.len() as u64),
        }
        Ok(())
    }
}

/// Only reasons that are known: a sender must not be able to make up labels.
fn count_what_the_sender_lost(lost: &Value) {
    for reason in ["boundary_channel_full", "boundary_batch_full"] {
        let [batches, logs] = ["batches", "logs"].map(|of| lost[reason][of].as_u64().unwrap_or(0));
        if logs > 0 {
            count_dropped(reason, batches, logs);
        }
    }
}

async fn forward(mut batches: mpsc::Receiver<Batch>, service: Uri, pending: watch::Sender<usize>) {
    let mut client = Client::builder(TokioExecutor::new());
    // A service that was restarted is not met on an old connection.
    let client = client.pool_max_idle_per_host(0).build_http();
    while let Some(batch) = batches.recv().await {
        match post_batch(&client, &service, &batch).await {
            Ok(()) => info!(
                monotonic_counter.agent.boundary_log_proxy.batches_forwarded = 1,
                "forwarded"
            ),
            Err(error) => {
                // Not on the event that is counted: it would be a label there.
                warn!(%error, "the log service did not take a batch");
                count_dropped("forward_failed", 1, batch.len() as u64);
            }
        }
        pending.send_modify(|count| *count -= 1);
    }
}

async fn post_batch(
    client: &Client<HttpConnector, String>,
    service: &Uri,
    batch: &Batch,
) -> Result<()> {
    let request = Request::post(service)
        .header(CONTENT_TYPE, "application/json")
        .body(serde_json::to_string(batch)?)?;
    let status = client.request(request).await?.status();
    if status.is_success() {
        return Ok(());
    }
    Err(format!("it answered {status}").into())
}

/// Stands for the service that keeps the logs. It can be down, slow or unwilling.
pub(crate) struct LogService {
    address: SocketAddr,
    keeper: Arc<Keeper>,
    server: Option<Server>,
    /// Bound, but not listening: keeps the port while the service is down.
    _port: TcpSocket,
}

struct Server {
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

struct Keeper {
    mood: watch::Sender<Mood>,
    holds_one: Notify,
    received: Mutex<Vec<Batch>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Answer,
    Hold,
    Refuse,
}

impl LogService {
    async fn start() -> Result<Self> {
        let port = reusable(SocketAddr::from(([127, 0, 0, 1], 0)))?;
        let keeper = Keeper {
            mood: watch::Sender::new(Mood::Answer),
            holds_one: Notify::new(),
            received: Mutex::default(),
        };
        let mut service = Self {
            address: port.local_addr()?,
            keeper: Arc::new(keeper),
            server: None,
            _port: port,
        };
        service.up().await?;
        Ok(service)
    }

    pub(crate) fn uri(&self) -> Result<Uri> {
        Ok(format!("http://{}/logs", self.address).parse()?)
    }

    pub(crate) async fn up(&mut self) -> Result<()> {
        self.down().await?;
        let listener = reusable(self.address)?.listen(16)?;
        let routes = Router::new()
            .route("/logs", post(keep))
            .with_state(Arc::clone(&self.keeper));
        let (stop, stopped) = oneshot::channel();
        let serving = axum::serve(listener, routes).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        let serving = tokio::spawn(serving.into_future());
        self.server = Some(Server { stop, serving });
        Ok(())
    }

    pub(crate) async fn down(&mut self) -> Result<()> {
        if let Some(Server { stop, serving }) = self.server.take() {
            drop(stop);
            serving.await??;
        }
        Ok(())
    }

    pub(crate) fn answer(&self) {
        self.keeper.mood.send_replace(Mood::Answer);
    }

    pub(crate) fn hold(&self) {
        self.keeper.mood.send_replace(Mood::Hold);
    }

    pub(crate) fn refuse(&self) {
        self.keeper.mood.send_replace(Mood::Refuse);
    }

    async fn holds_one(&self) {
        self.keeper.holds_one.notified().await;
    }

    fn received(&self) -> Vec<Batch> {
        self.keeper.lock().clone()
    }
}

impl Keeper {
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Batch>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn keep(State(keeper): State<Arc<Keeper>>, body: String) -> StatusCode {
    let mut mood = keeper.mood.subscribe();
    if *mood.borrow() == Mood::Hold {
        keeper.holds_one.notify_one();
    }
    let willing = mood.wait_for(|mood| *mood != Mood::Hold).await;
    if willing.is_ok_and(|mood| *mood == Mood::Refuse) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let Ok(batch) = serde_json::from_str(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    keeper.lock().push(batch);
    StatusCode::NO_CONTENT
}

fn reusable(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
