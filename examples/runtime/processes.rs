//! Surface: processes, light ones, which run on their own until they end or are killed.

use std::collections::HashMap;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::panicking;

use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tracing::field::Empty;
use tracing::{Instrument as _, Span, debug, info, info_span};

use super::kv::Store;

/// The namespace in which processes note how they ended.
pub(crate) const NAMESPACE: &str = "processes";

/// What a process is told of where it comes from: the headers of a trace, or none.
pub(crate) type Origin = HashMap<String, String>;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Job {
    /// Ends well, at once.
    Settle,
    Fail,
    Panic,
    /// Waits until it is killed.
    Wait,
}

impl FromStr for Job {
    type Err = ();

    fn from_str(job: &str) -> Result<Self, ()> {
        Ok(match job {
            "settle" => Self::Settle,
            "fail" => Self::Fail,
            "panic" => Self::Panic,
            "wait" => Self::Wait,
            _ => return Err(()),
        })
    }
}

#[derive(Clone)]
pub(crate) struct Processes {
    store: Arc<Store>,
    table: Arc<Mutex<Table>>,
    stopping: watch::Sender<bool>,
}

#[derive(Default)]
struct Table {
    tasks: JoinSet<()>,
    running: HashMap<u64, Process>,
    last_id: u64,
}

struct Process {
    task: AbortHandle,
    /// Its sender goes with the process.
    ended: watch::Receiver<()>,
}

impl Processes {
    pub(crate) fn new(store: Arc<Store>) -> Self {
        Self {
            store,
            table: Arc::default(),
            stopping: watch::Sender::new(false),
        }
    }

    /// Starts a process, which continues the trace that it is told of.
    pub(crate) fn start(&self, job: Job, origin: &Origin) -> u64 {
        let span = info_span!(
            parent: None,
            "process",
            otel.name = format!("process {job:?}").to_lowercase(),
            otel.status_code = Empty,
            traceparent = origin.get("traceparent"),
            tracestate = origin.get("tracestate"),
            baggage = origin.get("baggage"),
            started.wippy_process_started = Empty,
            in_flight.wippy_process_active = Empty,
        );
        let mut table = self.lock();
        while table.tasks.try_join_next().is_some() {}
        table.last_id += 1;
        let id = table.last_id;
        let (running, ended) = watch::channel(());
        let end = End {
            id,
            processes: self.clone(),
            result: "killed",
            _running: running,
        };
        let process = run(job, self.stopping.subscribe(), end);
        let task = table.tasks.spawn(process.instrument(span));
        table.running.insert(id, Process { task, ended });
        id
    }

    /// How the process ended, once it has. Asked for once, it is forgotten.
    pub(crate) async fn result(&self, id: u64) -> Option<String> {
        if let Some(mut ended) = self.end_of(id) {
            let _ = ended.changed().await;
        }
        let key = id.to_string();
        let result = self.store.get(NAMESPACE, &key)?;
        self.store.delete(NAMESPACE, &key);
        Some(result)
    }

    /// Whether there was such a process.
    pub(crate) fn kill(&self, id: u64) -> bool {
        let table = self.lock();
        let process = table.running.get(&id);
        process.map(|process| process.task.abort()).is_some()
    }

    /// Kills those that wait, now and later.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) async fn ended(&self) {
        let mut tasks = std::mem::take(&mut self.lock().tasks);
        while tasks.join_next().await.is_some() {}
    }

    fn end_of(&self, id: u64) -> Option<watch::Receiver<()>> {
        let table = self.lock();
        table.running.get(&id).map(|process| process.ended.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(job: Job, mut stopping: watch::Receiver<bool>, mut end: End) {
    match job {
        Job::Settle => end.result = "ok",
        Job::Fail => end.result = "error",
        Job::Panic => panic!("the job is to panic"),
        Job::Wait => _ = stopping.wait_for(|stopping| *stopping).await,
    }
}

/// The end of a process on every way out.
struct End {
    id: u64,
    processes: Processes,
    result: &'static str,
    _running: watch::Sender<()>,
}

impl Drop for End {
    fn drop(&mut self) {
        let result = if panicking() { "panic" } else { self.result };
        if matches!(result, "error" | "panic") {
            Span::current().record("otel.status_code", "ERROR");
        }
        info!(monotonic_counter.wippy_process_terminated = 1, result);
        let (store, key) = (&self.processes.store, self.id.to_string());
        let _ = store.put(NAMESPACE, &key, result.to_owned());
        self.processes.lock().running.remove(&self.id);
    }
}

pub(crate) fn describe() {
    debug!(
        describe.wippy_process_started = "Processes that were started.",
        describe.wippy_process_terminated = "Processes that ended, by how they did.",
        describe.wippy_process_active = "Processes that run.",
    );
}
