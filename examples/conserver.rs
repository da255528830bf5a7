//! A conserver: a worker takes vCons off a list, and a chain handles each.
//!
//! A vCon is a container of a conversation. `conserver.vcons.inflight` says how
//! many are being handled, by chain: +1 when one is taken off the list, and -1
//! when its handling ends, whichever way out it takes. The span does both; there
//! is no code here that counts down.
//!
//! The span also has the vCon's uuid, for the log and for traces. It is no label:
//! on a span only `label.KEY` is, so that a metric has one series a chain and
//! not one a vCon.
//!
//! Run it with `cargo run --all-features --example conserver`.
#![allow(clippy::print_stdout, reason = "an example shows its output")]

use std::error::Error;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinError;
use tracing::field::Empty;
use tracing::{Instrument, Span, info, info_span};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    use tracing_subscriber::layer::SubscriberExt;

    let recorder = tracing_meter::Boundaries::new()
        .prometheus_builder()?
        .build_recorder();
    let prometheus = recorder.handle();
    let meter = tracing_meter::builder()
        .sink(tracing_meter::FacadeSink::new(recorder))
        .build()?;
    let subscriber = tracing_subscriber::registry().with(meter);
    tracing::subscriber::set_global_default(subscriber)?;

    // One of the ways out is a panic, on purpose.
    std::panic::set_hook(Box::new(|panic| {
        println!("  ({})", panic.to_string().replace('\n', " "));
    }));
    println!("Six vCons leave a chain, each by another way out:\n");
    run(|way_out, moment| {
        let scrape = prometheus.render();
        let in_flight = scrape.lines().find(|line| line.starts_with(IN_FLIGHT));
        let (way_out, moment) = (format!("{way_out:?}"), format!("{moment:?}"));
        println!("  {way_out:<14} {moment:<9} {}", in_flight.unwrap_or("-"));
    })
    .await?;
    println!("\nThe last scrape:\n");
    let scrape = prometheus.render();
    for line in scrape.lines().filter(|line| line.contains("conserver_")) {
        println!("  {line}");
    }
    Ok(())
}

const IN_FLIGHT: &str = "conserver_vcons_inflight{";

/// How a vCon leaves its chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WayOut {
    /// The last link is done.
    Success,
    /// There is nothing to do for the links that are left.
    EarlyReturn,
    /// A link fails, and `?` ends the chain.
    Error,
    /// A link has a bug.
    Panic,
    /// The handling is cancelled where it waits.
    DroppedFuture,
    /// The task that it runs in is.
    AbortedTask,
}

impl WayOut {
    /// Each of them once.
    pub const ALL: [Self; 6] = [
        Self::Success,
        Self::EarlyReturn,
        Self::Error,
        Self::Panic,
        Self::DroppedFuture,
        Self::AbortedTask,
    ];
}

/// When to look at the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// A vCon is in its chain.
    Handling,
    /// It has left.
    Ended,
}

/// Puts one vCon on the list for each way out, plays the transcription service
/// that the chain waits for, and calls `look` while a vCon is being handled and
/// once its handling has ended.
///
/// # Errors
///
/// If a part of the program has gone before its work was done.
pub async fn run(mut look: impl FnMut(WayOut, Moment)) -> Result<(), Box<dyn Error>> {
    describe_metrics();
    let (list, vcons) = mpsc::channel(1);
    let (transcription, mut requests) = mpsc::channel(1);
    let (ended, mut endings) = mpsc::channel(1);
    let kill = Arc::new(Notify::new());
    let worker = Worker {
        vcons,
        chain: Chain::new("support_calls", transcription),
        kill: Arc::clone(&kill),
        ended,
    };
    let worker = tokio::spawn(worker.work());

    for (number, way_out) in (1..).zip(WayOut::ALL) {
        let vcon = Vcon::new(number);
        let withdrawn = Arc::clone(&vcon.withdrawn);
        list.send(vcon).await?;
        let request = requests.recv().await.ok_or("the chain is gone")?;
        info!(request.recording, "a transcript is asked for");
        look(way_out, Moment::Handling);
        match way_out {
            WayOut::Success => request.answer(Ok("agent: how may I help?")),
            WayOut::EarlyReturn => request.answer(Ok("")),
            WayOut::Error => request.answer(Err(TranscriptionDown)),
            WayOut::Panic => request.answer(Ok("a line without its speaker")),
            WayOut::DroppedFuture => withdrawn.notify_one(),
            WayOut::AbortedTask => kill.notify_one(),
        }
        endings.recv().await.ok_or("the worker is gone")?;
        look(way_out, Moment::Ended);
    }
    drop(list);
    Ok(worker.await?)
}

/// Said once, at start-up.
fn describe_metrics() {
    info!(
        describe.conserver.vcons.inflight =
            "vCons that were taken off the list and are being handled, by chain.",
        describe.conserver.vcons.handled = "vCons whose handling has ended, by chain and ending.",
    );
}

/// Handles one vCon after the other, until the list is closed.
struct Worker {
    vcons: mpsc::Receiver<Vcon>,
    chain: Chain,
    /// An operator's order to stop what is being handled, wherever it hangs.
    kill: Arc<Notify>,
    ended: mpsc::Sender<&'static str>,
}

impl Worker {
    async fn work(mut self) {
        while let Some(vcon) = self.vcons.recv().await {
            // Opened here and not by `handle`, whose future does nothing until it
            // is polled: the vCon is off the list now.
            let span = info_span!(
                "vcon",
                in_flight.conserver.vcons.inflight = Empty,
                label.chain.name = self.chain.name,
                uuid = %vcon.uuid,
            );
            let ending = self.handle(vcon, span).await;
            info!(
                monotonic_counter.conserver.vcons.handled = 1,
                chain.name = self.chain.name,
                ending
            );
            // Nobody has to listen.
            let _ = self.ended.send(ending).await;
        }
    }

    /// In a task of its own: the worker outlives a link that panics.
    async fn handle(&self, vcon: Vcon, span: Span) -> &'static str {
        let chain = self.chain.clone();
        let mut handling = tokio::spawn(chain.handle_unless_withdrawn(vcon, span));
        tokio::select! {
            ended = &mut handling => ending(ended),
            () = self.kill.notified() => {
                handling.abort();
                ending(handling.await)
            }
        }
    }
}

fn ending(ended: Result<Result<Verdict, TranscriptionDown>, JoinError>) -> &'static str {
    match ended {
        Ok(Ok(Verdict::Stored)) => "stored",
        Ok(Ok(Verdict::NothingSaid)) => "nothing_said",
        Ok(Ok(Verdict::Withdrawn)) => "withdrawn",
        Ok(Err(TranscriptionDown)) => "failed",
        Err(died) if died.is_panic() => "panicked",
        Err(_) => "killed",
    }
}

/// What a chain made of a vCon.
enum Verdict {
    Stored,
    NothingSaid,
    Withdrawn,
}

/// The links that a vCon goes through.
#[derive(Clone)]
struct Chain {
    name: &'static str,
    transcription: mpsc::Sender<Request>,
}

impl Chain {
    const fn new(name: &'static str, transcription: mpsc::Sender<Request>) -> Self {
        Self {
            name,
            transcription,
        }
    }

    /// Drops the handling, at whichever `await` it is, when the vCon is withdrawn.
    async fn handle_unless_withdrawn(
        self,
        vcon: Vcon,
        span: Span,
    ) -> Result<Verdict, TranscriptionDown> {
        tokio::select! {
            verdict = self.handle(&vcon).instrument(span) => verdict,
            () = vcon.withdrawn.notified() => Ok(Verdict::Withdrawn),
        }
    }

    async fn handle(&self, vcon: &Vcon) -> Result<Verdict, TranscriptionDown> {
        let text = self.transcribe(vcon).await?;
        if text.is_empty() {
            return Ok(Verdict::NothingSaid);
        }
        let speaker = speaker_of(text);
        info!(speaker, "stored");
        Ok(Verdict::Stored)
    }

    async fn transcribe(&self, vcon: &Vcon) -> Result<&'static str, TranscriptionDown> {
        let (reply, answer) = oneshot::channel();
        let recording = vcon.uuid.clone();
        let request = Request { recording, reply };
        let sent = self.transcription.send(request).await;
        sent.map_err(|_| TranscriptionDown)?;
        answer.await.map_err(|_| TranscriptionDown)?
    }
}

/// The link with the bug.
fn speaker_of(text: &str) -> &str {
    let (speaker, _) = text.split_once(": ").expect("a line names its speaker");
    speaker
}

/// A conversation on its way through a chain.
struct Vcon {
    uuid: String,
    /// Its owner does not want it handled any more.
    withdrawn: Arc<Notify>,
}

impl Vcon {
    fn new(number: u32) -> Self {
        Self {
            uuid: format!("018f4a7c-0000-8000-8000-{number:012}"),
            withdrawn: Arc::default(),
        }
    }
}

/// What the transcription service is asked for.
struct Request {
    recording: String,
    reply: oneshot::Sender<Result<&'static str, TranscriptionDown>>,
}

impl Request {
    fn answer(self, text: Result<&'static str, TranscriptionDown>) {
        // Whoever asked may be gone.
        let _ = self.reply.send(text);
    }
}

/// The transcription service does not answer.
struct TranscriptionDown;
