//! Surface: queues, whose messages carry headers as brokers do: names and bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tracing::{Span, debug, instrument};
use tracing_meter::propagation::SpanPropagation as _;

use super::Result;
use super::outbound::Outbound;

pub(crate) const ORDERS: &str = "orders";
pub(crate) const AUDIT: &str = "audit";
/// How often a message is given to a consumer, if that does not acknowledge it.
pub(crate) const DELIVERIES: usize = 3;

/// How many messages wait in a queue.
const CAPACITY: usize = 1024;
pub(crate) const CONSUMERS: usize = 2;

#[derive(Default)]
pub(crate) struct Message {
    headers: Vec<(String, Vec<u8>)>,
    body: String,
}

impl Message {
    fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(known, _)| known == name)?;
        str::from_utf8(value).ok()
    }
}

/// The side of those who publish.
pub(crate) struct Queues(BTreeMap<&'static str, mpsc::Sender<Message>>);

/// The side of those who consume, until nobody can publish any more and all is consumed.
pub(crate) struct Consumers(JoinSet<()>);

/// Starts all queues, whose messages are delivered by `outbound`.
pub(crate) fn start(outbound: &Outbound) -> (Queues, Consumers) {
    let mut consumers = JoinSet::new();
    let queues = [ORDERS, AUDIT].map(|name| {
        let (sender, messages) = mpsc::channel(CAPACITY);
        let messages = Arc::new(Mutex::new(messages));
        for _ in 0..CONSUMERS {
            consumers.spawn(consume_all(name, Arc::clone(&messages), outbound.clone()));
        }
        (name, sender)
    });
    (Queues(queues.into()), Consumers(consumers))
}

/// Why a message was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    NoSuchQueue,
    Full,
}

impl Queues {
    /// Publishes in the trace of whoever does.
    pub(crate) fn publish(&self, queue: &str, body: String) -> Result<(), Refused> {
        let (queue, sender) = self.find(queue)?;
        send(queue, sender, body)
    }

    /// Takes a message over from a broker that knows nothing of traces.
    pub(crate) fn import(&self, queue: &str, body: String) -> Result<(), Refused> {
        let (queue, sender) = self.find(queue)?;
        let headers = Vec::new();
        offer(queue, sender, Message { headers, body })
    }

    fn find(&self, queue: &str) -> Result<(&'static str, &mpsc::Sender<Message>), Refused> {
        let (name, sender) = self.0.get_key_value(queue).ok_or(Refused::NoSuchQueue)?;
        Ok((name, sender))
    }
}

impl Consumers {
    pub(crate) async fn drained(mut self) {
        while self.0.join_next().await.is_some() {}
    }
}

#[instrument(skip_all, fields(otel.kind = "producer", otel.name = format!("send {queue}")))]
fn send(queue: &str, sender: &mpsc::Sender<Message>, body: String) -> Result<(), Refused> {
    let mut headers = Vec::new();
    Span::current().inject_into(&mut headers);
    offer(queue, sender, Message { headers, body })
}

fn offer(queue: &str, sender: &mpsc::Sender<Message>, message: Message) -> Result<(), Refused> {
    let offered = sender.try_send(message).map_err(|_| Refused::Full);
    let result = if offered.is_ok() { "published" } else { "full" };
    count(queue, result);
    offered
}

async fn consume_all(
    queue: &'static str,
    messages: Arc<Mutex<mpsc::Receiver<Message>>>,
    outbound: Outbound,
) {
    // The lock is held until there is a message, and not while it is consumed.
    while let Some(message) = { messages.lock().await.recv().await } {
        for _ in 0..DELIVERIES {
            let consumed = consume(queue, &message, &outbound).await;
            count(queue, if consumed.is_ok() { "ack" } else { "nack" });
            if consumed.is_ok() {
                break;
            }
        }
    }
}

/// Without a `traceparent` it is a trace of its own.
#[instrument(skip_all, err, fields(
    otel.kind = "consumer",
    otel.name = format!("process {queue}"),
    traceparent = message.header("traceparent"),
    tracestate = message.header("tracestate"),
    baggage = message.header("baggage"),
    duration.wippy_queue_process_duration,
    in_flight.wippy_queue_in_flight,
    label.queue = queue,
))]
async fn consume(queue: &str, message: &Message, outbound: &Outbound) -> Result<()> {
    outbound.deliver(queue, &message.body).await
}

fn count(queue: &str, result: &str) {
    debug!(monotonic_counter.wippy_queue_messages = 1, queue, result);
}

pub(crate) fn describe() {
    debug!(
        describe.wippy_queue_messages = "Messages that were published, acknowledged and not.",
        describe.wippy_queue_process_duration = "How long consumers took for a message.",
        describe.wippy_queue_in_flight = "Messages that consumers work on.",
    );
}
