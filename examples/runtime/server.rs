//! The server with all its surfaces, from its start to its drained end.

use std::fs;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Result;
use super::bus::Bus;
use super::changes::ChangeCapture;
use super::connections::{self, End};
use super::http;
use super::kv::Store;
use super::outbound::Outbound;
use super::processes::Processes;
use super::queue::{self, Consumers};
use super::sql::Database;
use super::streams::{self, Closing};
use super::surfaces::{self, Surfaces};

/// How long a stopping server waits for its clients.
const PATIENCE: Duration = Duration::from_secs(5);
const DATABASE: &str = "runtime.sqlite";

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: oneshot::Sender<()>,
    connections: End,
    serving: JoinHandle<std::io::Result<()>>,
    processes: Processes,
    consumers: Consumers,
    capturing: JoinHandle<Result<ChangeCapture>>,
    bus: Bus,
    sockets: Closing,
    /// The database's, which goes with it.
    directory: TempDir,
}

impl Server {
    /// Starts to serve. What it takes over is delivered to `downstream`.
    pub(crate) async fn start(listen: SocketAddr, downstream: SocketAddr) -> Result<Self> {
        surfaces::describe();
        let directory = tempfile::tempdir()?;
        let file = directory.path().join(DATABASE);
        let (notify, changes) = mpsc::channel(1);
        let database = Database::create(&file, notify)?;
        let capture = ChangeCapture::open(&file)?;
        let outbound = Outbound::to(downstream);
        let (queues, consumers) = queue::start(&outbound);
        let (store, bus) = (Arc::<Store>::default(), Bus::default());
        let processes = Processes::new(Arc::clone(&store));
        let (sockets, closing) = streams::sockets();
        let routes = http::routes(Surfaces {
            queues,
            processes: processes.clone(),
            store,
            database,
            bus: bus.clone(),
            outbound,
            sockets,
        });

        let listener = TcpListener::bind(listen).await;
        let listener = listener.map_err(|why| format!("cannot listen on {listen}: {why}"))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel::<()>();
        let (listener, connections) = connections::at(listener);
        let serving = axum::serve(listener, routes).with_graceful_shutdown(async {
            let _ = stopped.await;
        });
        Ok(Self {
            address,
            stop,
            connections,
            serving: tokio::spawn(serving.into_future()),
            processes,
            consumers,
            capturing: tokio::spawn(capture.tail(changes)),
            bus,
            sockets: closing,
            directory,
        })
    }

    /// Takes no more requests, and answers those that it has; then consumes what was
    /// published, ends all processes, and captures what was changed. Answers with the
    /// size of the database's log, as the file system sees it at the end.
    pub(crate) async fn drain(self) -> Result<u64> {
        drop(self.stop);
        self.bus.close();
        self.sockets.start();
        self.processes.stop();
        let mut answered = pin!(answered(self.serving, self.sockets));
        if let Ok(answered) = timeout(PATIENCE, &mut answered).await {
            answered?;
        } else {
            self.connections.now();
            answered.await?;
        }
        // With the last request went the last who could publish, or write to the database.
        self.consumers.drained().await;
        self.processes.ended().await;
        // The log goes with the last who has the database open.
        let _capture = self.capturing.await??;
        let log = self.directory.path().join(format!("{DATABASE}-wal"));
        Ok(fs::metadata(log)?.len())
    }
}

async fn answered(serving: JoinHandle<std::io::Result<()>>, sockets: Closing) -> Result<()> {
    serving.await??;
    sockets.closed().await;
    Ok(())
}
