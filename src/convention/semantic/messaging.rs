//! Messages that are sent, received, processed and settled.

use super::attribute::{Attribute, error_type, text_of};
use super::callsite::Callsite;
use crate::convention::{Condition, Feed, LabelRule, Measure};
use crate::kind::Kind;
use crate::semconv::OTHER;

const SYSTEM: &str = "messaging.system";
const TYPE: &str = "messaging.operation.type";
const NAME: &str = "messaging.operation.name";
const COUNT: &str = "messaging.batch.message_count";
const DESTINATION: &str = "messaging.destination.name";
const TEMPLATE: &str = "messaging.destination.template";

const OF_A_PRODUCER: [Attribute; 4] = [
    Attribute::text(SYSTEM).required(),
    Attribute::text("messaging.destination.partition.id"),
    Attribute::text("server.address"),
    Attribute::int("server.port"),
];

const OF_A_CONSUMER: [Attribute; 2] = [
    Attribute::text("messaging.consumer.group.name"),
    Attribute::text("messaging.destination.subscription.name"),
];

/// What a span does, by the values of `messaging.operation.type`, or of
/// `messaging.operation.name`. Those of the type that are deprecated are among them.
struct Operation {
    types: &'static [&'static str],
    names: &'static [&'static str],
}

const CREATE: Operation = Operation {
    types: &["create"],
    names: &["create"],
};

const SEND: Operation = Operation {
    types: &["send", "publish"],
    names: &["send", "publish", "schedule", "enqueue"],
};

const RECEIVE: Operation = Operation {
    types: &["receive"],
    names: &["receive", "poll", "peek", "pull"],
};

const PROCESS: Operation = Operation {
    types: &["process", "deliver"],
    names: &["process", "consume", "handle"],
};

const SETTLE: Operation = Operation {
    types: &["settle"],
    names: &["settle", "ack", "nack"],
};

pub(super) fn feeds(callsite: &Callsite<'_>) -> Vec<Feed> {
    if !callsite.has(SYSTEM) || !callsite.has_any(&[TYPE, NAME]) {
        return Vec::new();
    }
    let destinations = destinations(callsite);
    let feeds = [client_durations, process_durations, sent, consumed];
    let of = |destination| feeds.map(|feed| feed(callsite, destination));
    destinations.iter().flat_map(of).collect()
}

fn client_durations(callsite: &Callsite<'_>, destination: &Destination) -> Feed {
    let duration = Measure::duration("messaging.client.operation.duration")
        .help("Duration of messaging operation initiated by a producer or consumer client.");
    let attributes = [&OF_A_CONSUMER[..], &[Attribute::text(TYPE)]].concat();
    let operations = [CREATE, SEND, RECEIVE, SETTLE];
    feed(callsite, &operations, destination, &attributes).measure(duration)
}

fn process_durations(callsite: &Callsite<'_>, destination: &Destination) -> Feed {
    let duration = Measure::duration("messaging.process.duration");
    let duration = duration.help("Duration of processing operation.");
    feed(callsite, &[PROCESS], destination, &OF_A_CONSUMER).measure(duration)
}

fn sent(callsite: &Callsite<'_>, destination: &Destination) -> Feed {
    let sent = messages(callsite, "messaging.client.sent.messages")
        .help("Number of messages producer attempted to send to the broker.");
    feed(callsite, &[SEND], destination, &[]).measure(sent)
}

fn consumed(callsite: &Callsite<'_>, destination: &Destination) -> Feed {
    let consumed = messages(callsite, "messaging.client.consumed.messages")
        .help("Number of messages that were delivered to the application.");
    let operations: &[Operation] = if callsite.conventions.counts_processed {
        &[RECEIVE, PROCESS]
    } else {
        &[RECEIVE]
    };
    feed(callsite, operations, destination, &OF_A_CONSUMER).measure(consumed)
}

/// A span that does not say how many messages it is about is about one.
fn messages(callsite: &Callsite<'_>, metric: &'static str) -> Measure {
    let counted = callsite.value(Kind::Counter, metric, COUNT);
    let counted = counted.map(|measure| measure.or(1.0));
    counted
        .unwrap_or_else(|| Measure::closed(metric))
        .unit("{message}")
}

fn feed(
    callsite: &Callsite<'_>,
    operations: &[Operation],
    destination: &Destination,
    more: &[Attribute],
) -> Feed {
    let attributes = [&OF_A_PRODUCER[..], destination.attributes, more].concat();
    let is_one_of_them = if callsite.has(TYPE) {
        Condition::one_of(TYPE, operations.iter().flat_map(|it| it.types).copied())
    } else {
        Condition::one_of(NAME, operations.iter().flat_map(|it| it.names).copied())
    };
    let feed = callsite.feed(SYSTEM, &attributes).when(is_one_of_them);
    let error = error_type().failure(OTHER).optional();
    let feed = feed.label_rule(name()).label_rule(error);
    let condition = destination.condition.iter().cloned();
    condition.fold(feed, Feed::when)
}

/// The name of an operation, which is required: else its type.
fn name() -> LabelRule {
    text_of(text_of(LabelRule::new(NAME), NAME), TYPE)
}

/// How the destination of a message is called.
struct Destination {
    attributes: &'static [Attribute],
    condition: Option<Condition>,
}

/// By its template, where the span has one: its name has no bound then.
fn destinations(callsite: &Callsite<'_>) -> Vec<Destination> {
    const BY_NAME: &[Attribute] = &[Attribute::text(DESTINATION)];
    const BY_TEMPLATE: &[Attribute] = &[Attribute::text(TEMPLATE)];
    let destination = |attributes, condition| Destination {
        attributes,
        condition,
    };
    if callsite.has(DESTINATION) && callsite.has(TEMPLATE) {
        vec![
            destination(BY_NAME, Some(Condition::absent(TEMPLATE))),
            destination(BY_TEMPLATE, Some(Condition::present(TEMPLATE))),
        ]
    } else if callsite.has(TEMPLATE) {
        vec![destination(BY_TEMPLATE, None)]
    } else {
        vec![destination(BY_NAME, None)]
    }
}
