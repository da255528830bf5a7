//! A statsd server on loopback, and a client that loses nothing on the way there.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use cadence::{BufferedUdpMetricSink, MetricSink, SinkStats};
use metrics_exporter_statsd::{StatsdBuilder, StatsdRecorder};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// As much as an Ethernet frame takes.
const DATAGRAM: usize = 1432;
/// How long a datagram that was sent may take on loopback.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads without a pause: what the system has no room for is lost.
pub(crate) struct Server {
    address: SocketAddr,
    stop: UdpSocket,
    datagrams: Receiver<String>,
    reading: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start() -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let (address, stop) = (socket.local_addr()?, socket.try_clone()?);
        let (sender, datagrams) = channel();
        let reading = std::thread::spawn(move || {
            let mut buffer = vec![0; usize::from(u16::MAX)];
            while let Ok(length @ 1..) = socket.recv(&mut buffer) {
                let datagram = String::from_utf8_lossy(&buffer[..length]);
                let _ = sender.send(datagram.into_owned());
            }
        });
        Ok(Self {
            address,
            stop,
            datagrams,
            reading: Some(reading),
        })
    }

    /// The lines of all datagrams that a client has sent.
    pub(crate) fn receive(&self, client: &Client) -> Result<Vec<String>> {
        let sent = client.flush()?;
        let mut lines = Vec::new();
        for arrived in 0..sent {
            let datagram = self.datagrams.recv_timeout(PATIENCE);
            let datagram =
                datagram.map_err(|_| format!("{arrived} of {sent} datagrams arrived"))?;
            lines.extend(datagram.lines().map(str::to_owned));
        }
        Ok(lines)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nobody else sends a datagram without anything in it.
        let stopped = self.stop.send_to(&[], self.address);
        if let (Ok(_), Some(reading)) = (stopped, self.reading.take()) {
            let _ = reading.join();
        }
    }
}

/// Sends to a server what makes a datagram, and the rest when it is told to.
///
/// The exporter's own client sends from a queue, on a thread for which nobody can wait:
/// what is in the queue when the program ends is lost.
#[derive(Clone)]
pub(crate) struct Client(Arc<BufferedUdpMetricSink>);

impl Client {
    pub(crate) fn connect(server: &Server) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        let sink = BufferedUdpMetricSink::with_capacity(server.address, socket, DATAGRAM)?;
        Ok(Self(Arc::new(sink)))
    }

    /// An exporter that sends by this client.
    pub(crate) fn exporter(&self) -> Result<StatsdRecorder> {
        let builder = StatsdBuilder::default().with_sink(self.clone());
        Ok(builder.build(None)?)
    }

    /// Sends what is left, and says how many datagrams there were in all.
    fn flush(&self) -> Result<u64> {
        self.0.flush()?;
        let SinkStats {
            packets_sent,
            packets_dropped,
            ..
        } = self.0.stats();
        match packets_dropped {
            0 => Ok(packets_sent),
            dropped => Err(format!("{dropped} datagrams could not be sent").into()),
        }
    }
}

impl MetricSink for Client {
    fn emit(&self, metric: &str) -> std::io::Result<usize> {
        self.0.emit(metric)
    }
}
