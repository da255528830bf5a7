//! A load that goes everywhere, and knows what has to come of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::body::{Body, to_bytes};
use axum::http::{Response, StatusCode};
use futures_util::StreamExt as _;
use tokio::task::{JoinHandle, JoinSet};

use super::Result;
use super::bus::BUFFER;
use super::client::{Client, Socket, nowhere, on, until_closed};
use super::downstream::Seen;
use super::ledger::{Ledger, Series, Values};
use super::queue::{self, CONSUMERS};
use super::{functions, http, kv, processes};

/// How long there is load.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Length {
    Rounds(usize),
    Time(Duration),
}

/// How many go on at once.
const CLIENTS: usize = 4;

/// Answers when all answers are there. `is_stopped` ends it before its time.
pub(crate) async fn run(
    length: Length,
    client: &Client,
    seen: &Arc<Seen>,
    is_stopped: &Arc<AtomicBool>,
) -> Result<()> {
    let pace = Pace {
        length,
        start: Instant::now(),
        is_stopped: Arc::clone(is_stopped),
    };
    let mut tasks = JoinSet::new();
    for number in 0..CLIENTS {
        let visitor = Visitor {
            client: client.clone(),
            number,
        };
        tasks.spawn(visitor.rounds(pace.clone()));
    }
    tasks.spawn(give_up_rounds(client.clone(), Arc::clone(seen), pace));
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    Ok(())
}

/// One order, whose trace is this.
pub(crate) async fn order(client: &Client, name: &str, traceparent: &str) -> Result<()> {
    let (status, text) = client
        .send("POST", on("/orders", ""), name, Some(traceparent))
        .await?;
    if status != 202 {
        return Err(format!("the order was answered with {status}: {text}").into());
    }
    ordered(&client.ledger);
    Ok(())
}

/// How many messages wait when the server is told to stop: more than are consumed while
/// it does.
pub(crate) const LATE: usize = 200;

/// What still goes on when the server is told to stop.
pub(crate) struct Unfinished {
    /// What of it is in flight.
    pub(crate) levels: Values,
    request: JoinHandle<Result<String>>,
    events: Response<Body>,
    socket: Socket,
}

/// Leaves something of everything that can be left: all of it has to be ended, answered
/// and counted, too.
pub(crate) async fn leave_unfinished(client: &Client, seen: &Seen) -> Result<Unfinished> {
    let ledger = &client.ledger;
    let stalled = client.clone();
    let request = tokio::spawn(async move {
        let stalled_resource = on("/resources/{resource}", "stalled");
        stalled.expect(502, "GET", stalled_resource, "").await
    });
    seen.one_stalls().await?;
    seen.resource(Some(StatusCode::SERVICE_UNAVAILABLE));
    let topic = on("/events/{topic}", "unfinished");
    let events = client.open("GET", topic, "", None).await?;
    ledger.subscriber();
    let socket = client.connect("/ws").await?;
    let process = on("/processes/{process}", "wait");
    client.expect(201, "POST", process, "").await?;
    ledger.process("killed");
    for number in 0..LATE {
        let queue = on("/queues/{queue}", queue::AUDIT);
        let message = format!("late {number}");
        client.expect(202, "POST", queue, &message).await?;
        ledger.offered(queue::AUDIT, "published");
    }
    Ok(Unfinished {
        levels: unfinished_levels(seen.port),
        request,
        events,
        socket,
    })
}

/// The stalled request, which the server has passed on, the stream and the socket, the
/// process that waits, and a message with each consumer.
#[allow(clippy::cast_precision_loss, reason = "there are few consumers")]
fn unfinished_levels(port: u16) -> Values {
    let request = |route| {
        let labels = [("method", "GET"), ("route", route)];
        (Series::new("wippy_http_requests_in_flight", &labels), 1.0)
    };
    let sent = |method, template| {
        let labels = [
            ("http_request_method", method),
            ("server_address", "127.0.0.1"),
            ("server_port", &*port.to_string()),
            ("url_template", template),
        ];
        Series::new("http_client_active_requests", &labels)
    };
    let requests = [("http_request_method", "GET"), ("url_scheme", "http")];
    let requests = Series::new("http_server_active_requests", &requests);
    let consumers = Series::new("wippy_queue_in_flight", &[("queue", queue::AUDIT)]);
    Values::from([
        (requests, 3.0),
        (sent("GET", "/resources/{resource}"), 1.0),
        (sent("POST", "/deliveries/{queue}"), CONSUMERS as f64),
        request("/resources/{resource}"),
        request("/events/{topic}"),
        request("/ws"),
        (Series::new("wippy_process_active", &[]), 1.0),
        (Series::new("eventbus_subscribers_active", &[]), 1.0),
        (consumers, CONSUMERS as f64),
    ])
}

impl Unfinished {
    /// Whether the server has ended all of it.
    pub(crate) async fn ended(self) -> Result<()> {
        self.request.await??;
        to_bytes(self.events.into_body(), usize::MAX).await?;
        until_closed(self.socket).await
    }
}

#[derive(Clone)]
struct Pace {
    length: Length,
    start: Instant,
    is_stopped: Arc<AtomicBool>,
}

impl Pace {
    fn goes_on(&self, rounds: usize) -> bool {
        let is_due = match self.length {
            Length::Rounds(all) => rounds < all,
            Length::Time(time) => self.start.elapsed() < time,
        };
        is_due && !self.is_stopped.load(Ordering::Relaxed)
    }
}

/// One of the clients, with names of its own.
struct Visitor {
    client: Client,
    number: usize,
}

impl Visitor {
    async fn rounds(self, pace: Pace) -> Result<()> {
        let mut round = 0;
        while pace.goes_on(round) {
            let name = format!("{}-{round}", self.number);
            self.keys(&name).await?;
            self.items(&name).await?;
            self.functions(&name).await?;
            self.orders(&name).await?;
            self.messages(&name).await?;
            self.processes().await?;
            self.events(&name).await?;
            self.client.echo("/ws", &["one", "two"]).await?;
            self.resources().await?;
            self.logs().await?;
            self.strays().await?;
            round += 1;
        }
        Ok(())
    }

    async fn keys(&self, name: &str) -> Result<()> {
        let (client, ledger, namespace) = (&self.client, self.ledger(), http::NAMESPACE);
        let key = || on("/kv/{key}", name);
        client.expect(204, "PUT", key(), "value").await?;
        ledger.kv(namespace, "put", "ok");
        client.expect(200, "GET", key(), "").await?;
        ledger.kv(namespace, "get", "hit");
        client.expect(204, "DELETE", key(), "").await?;
        ledger.kv(namespace, "delete", "hit");
        client.expect(404, "DELETE", key(), "").await?;
        ledger.kv(namespace, "delete", "miss");
        client.expect(404, "GET", key(), "").await?;
        ledger.kv(namespace, "get", "miss");
        let too_long = "v".repeat(kv::MAX_VALUE + 1);
        client.expect(413, "PUT", key(), &too_long).await?;
        ledger.kv(namespace, "put", "too_long");
        Ok(())
    }

    async fn items(&self, name: &str) -> Result<()> {
        let (client, ledger) = (&self.client, self.ledger());
        let item = || on("/items/{item}", name);
        client.expect(201, "POST", item(), "{\"size\": 1}").await?;
        ledger.sql("insert", "ok");
        ledger.change("items", "insert");
        client.expect(409, "POST", item(), "{}").await?;
        ledger.sql("insert", "error");
        client.expect(200, "GET", item(), "").await?;
        ledger.sql("select", "ok");
        client.expect(204, "PUT", item(), "{\"size\": 2}").await?;
        ledger.sql("update", "ok");
        ledger.change("items", "update");
        client.expect(204, "PUT", item(), "no JSON").await?;
        ledger.sql("update", "ok");
        ledger.change_error("items");
        client.expect(204, "DELETE", item(), "").await?;
        ledger.sql("delete", "ok");
        ledger.change("items", "delete");
        client.expect(404, "GET", item(), "").await?;
        ledger.sql("select", "ok");
        Ok(())
    }

    async fn functions(&self, name: &str) -> Result<()> {
        let (client, ledger) = (&self.client, self.ledger());
        let function = |function| on("/functions/{function}", function);
        client.expect(200, "POST", function("echo"), name).await?;
        ledger.function("echo", "ok");
        client.expect(422, "POST", function("refuse"), name).await?;
        ledger.function("refuse", "error");
        client.expect(500, "POST", function("report"), name).await?;
        ledger.function("report", "error");
        ledger.sql("select", "error");
        client.expect(500, "POST", function("panic"), name).await?;
        ledger.function("panic", "panic");
        client
            .expect(404, "POST", function("unknown"), name)
            .await?;
        Ok(())
    }

    async fn orders(&self, name: &str) -> Result<()> {
        let (client, ledger) = (&self.client, self.ledger());
        let orders = on("/orders", "");
        match client.send("POST", orders, name, None).await? {
            (202, _) => ordered(ledger),
            (503, _) => {
                ledger.function("place_order", "error");
                ledger.offered(queue::ORDERS, "full");
            }
            (status, text) => return Err(unexpected(status, &text)),
        }
        Ok(())
    }

    async fn messages(&self, name: &str) -> Result<()> {
        for kind in ["good", "flaky", "poison"] {
            let message = format!("{kind} {name}");
            for route in ["/queues/{queue}", "/queues/{queue}/imports"] {
                let audit = on(route, queue::AUDIT);
                // What is imported is another message.
                let message = format!("{message} on {route}");
                let sent = self.client.send("POST", audit, &message, None).await?;
                let result = match sent {
                    (202, _) => "published",
                    (503, _) => "full",
                    (status, text) => return Err(unexpected(status, &text)),
                };
                self.ledger().offered(queue::AUDIT, result);
            }
        }
        let unknown = on("/queues/{queue}", "unknown");
        self.client.expect(404, "POST", unknown, name).await?;
        Ok(())
    }

    async fn processes(&self) -> Result<()> {
        let routes = ["/processes/{process}", "/processes/{process}/detached"];
        for route in routes {
            for (job, result) in [
                ("settle", "ok"),
                ("fail", "error"),
                ("panic", "panic"),
                ("wait", "killed"),
            ] {
                let id = self.client.expect(201, "POST", on(route, job), "").await?;
                self.process_ends(&id, result).await?;
            }
            let unknown = on(route, "unknown");
            self.client.expect(404, "POST", unknown, "").await?;
        }
        Ok(())
    }

    async fn process_ends(&self, id: &str, result: &str) -> Result<()> {
        let (client, ledger) = (&self.client, self.ledger());
        let process = || on("/processes/{process}", id);
        if result == "killed" {
            client.expect(204, "DELETE", process(), "").await?;
        }
        let ended = client.expect(200, "GET", process(), "").await?;
        if ended != result {
            return Err(format!("a process ended with {ended}, not {result}").into());
        }
        ledger.process(result);
        ledger.kv(processes::NAMESPACE, "get", "hit");
        ledger.kv(processes::NAMESPACE, "delete", "hit");
        Ok(())
    }

    /// A subscriber that reads to the end, and one that hangs up. More events are
    /// published at once than there is room for.
    async fn events(&self, topic: &str) -> Result<()> {
        let (client, ledger) = (&self.client, self.ledger());
        let events = || on("/events/{topic}", topic);
        let reader = client.open("GET", events(), "", None).await?;
        ledger.subscriber();
        let published = BUFFER + 3;
        let lines = "event\n".repeat(published);
        client.expect(202, "POST", events(), &lines).await?;
        client.expect(204, "DELETE", events(), "").await?;
        let read = to_bytes(reader.into_body(), usize::MAX).await?;
        let read = String::from_utf8(read.to_vec())?
            .matches("data: event")
            .count();
        ledger.rejected_events(u32::try_from(published - read)?);

        let hasty = client.open("GET", events(), "", None).await?;
        client.expect(202, "POST", events(), "event").await?;
        let mut hasty = hasty.into_body().into_data_stream();
        hasty.next().await.ok_or("there was no event")??;
        Ok(())
    }

    async fn resources(&self) -> Result<()> {
        for (resource, status) in [("here", 200), ("missing", 404), ("broken", 502)] {
            let resource = on("/resources/{resource}", resource);
            self.client.expect(status, "GET", resource, "").await?;
        }
        Ok(())
    }

    async fn logs(&self) -> Result<()> {
        for level in ["trace", "debug", "info", "warn", "error"] {
            let log = on("/logs/{level}", level);
            self.client.expect(204, "POST", log, "a line").await?;
            self.ledger().log(level);
        }
        let unknown = on("/logs/{level}", "loud");
        self.client.expect(404, "POST", unknown, "a line").await?;
        Ok(())
    }

    async fn strays(&self) -> Result<()> {
        let client = &self.client;
        client.expect(404, "GET", nowhere("/no/where"), "").await?;
        client.expect(405, "DELETE", on("/ws", ""), "").await?;
        client
            .expect(405, "BREW", on("/kv/{key}", "tea"), "")
            .await?;
        Ok(())
    }

    fn ledger(&self) -> &Ledger {
        &self.client.ledger
    }
}

/// What comes of an order, but for what its consumer does.
fn ordered(ledger: &Ledger) {
    ledger.function("place_order", "ok");
    ledger.offered(queue::ORDERS, "published");
    ledger.sql("insert", "ok");
    ledger.change("orders", "insert");
    ledger.kv(functions::NAMESPACE, "put", "ok");
    ledger.process("ok");
}

/// Requests whose client hangs up while the server still waits for its own answer.
async fn give_up_rounds(client: Client, seen: Arc<Seen>, pace: Pace) -> Result<()> {
    let mut round = 0;
    while pace.goes_on(round) {
        let stalled = on("/resources/{resource}", "stalled");
        client.give_up(stalled, seen.one_stalls()).await?;
        seen.resource(None);
        round += 1;
    }
    Ok(())
}

fn unexpected(status: u16, text: &str) -> Box<dyn std::error::Error + Send + Sync> {
    format!("{status} was not expected: {text}").into()
}
