//! Attributes whose values are integers by the semantic conventions.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part of this")]

use opentelemetry::{KeyValue, Value};

/// Those that the conventions (1.44) type as `int`: of HTTP, RPC, databases, messaging,
/// networks, processes, threads and code.
const INTS: [&str; 32] = [
    "client.port",
    "code.column.number",
    "code.line.number",
    "db.operation.batch.size",
    "db.response.returned_rows",
    "destination.port",
    "http.request.body.size",
    "http.request.resend_count",
    "http.request.size",
    "http.response.body.size",
    "http.response.size",
    "http.response.status_code",
    "messaging.batch.message_count",
    "messaging.eventhubs.message.enqueued_time",
    "messaging.gcp_pubsub.message.ack_deadline",
    "messaging.gcp_pubsub.message.delivery_attempt",
    "messaging.kafka.offset",
    "messaging.message.body.size",
    "messaging.message.envelope.size",
    "messaging.rabbitmq.message.delivery_tag",
    "messaging.rocketmq.message.delay_time_level",
    "messaging.rocketmq.message.delivery_timestamp",
    "messaging.servicebus.message.delivery_count",
    "messaging.servicebus.message.enqueued_time",
    "network.local.port",
    "network.peer.port",
    "process.parent_pid",
    "process.pid",
    "server.port",
    "source.port",
    "thread.id",
    "url.port",
];

pub fn is_int(key: &str) -> bool {
    INTS.contains(&key)
}

/// The keys of the attributes that are to be integers. Fails where one is anything else.
#[track_caller]
pub fn ints(attributes: &[KeyValue]) -> Vec<&str> {
    let ints = attributes.iter().filter(|it| is_int(it.key.as_str()));
    ints.map(|it| {
        assert!(matches!(it.value, Value::I64(_)), "{it:?}");
        it.key.as_str()
    })
    .collect()
}
