//! `examples/relay.rs`: two processes, a queue, HTTP, and a real OTLP receiver.

#![cfg(all(feature = "axum", feature = "tower"))]

#[allow(dead_code, reason = "its `main` is for `cargo run`")]
#[path = "../examples/relay.rs"]
mod relay;

use std::collections::BTreeMap;
use std::env;

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use relay::{NOT_SAMPLED, ORDERS, Received};
use tokio::process::Command;

const ENDPOINT: &str = "RELAY_ENDPOINT";

/// What the spans of an order are, each the child of the one before.
const CHAIN: [(&str, &str, SpanKind); 8] = [
    ("shop", "place", SpanKind::Internal),
    ("shop", "POST /orders", SpanKind::Client),
    ("shop", "POST /orders", SpanKind::Server),
    ("shop", "publish", SpanKind::Producer),
    ("shop", "relay", SpanKind::Consumer),
    ("shop", "POST /deliveries", SpanKind::Client),
    ("delivery", "POST /deliveries", SpanKind::Server),
    ("delivery", "store", SpanKind::Internal),
];

#[tokio::test]
async fn an_order_is_one_trace_and_each_parent_is_right() {
    let report = relay::run(&second).await.unwrap();

    let mut traces = BTreeMap::<_, Vec<_>>::new();
    for received in &report.spans {
        let trace_id = received.span.trace_id.clone();
        traces.entry(trace_id).or_default().push(received);
    }
    assert_eq!(traces.len(), ORDERS / 2);
    for (trace_id, spans) in &traces {
        let chain = chain(spans);
        let described = chain.iter().map(|it| describe(it));
        assert_eq!(described.collect::<Vec<_>>(), CHAIN);
        assert_eq!(spans.len(), CHAIN.len());
        // The second process got the id of the last span before it.
        let (last, trace_id) = (hex(&chain[5].span.span_id), hex(trace_id));
        let traceparent = format!("00-{trace_id}-{last}-03");
        let delivered = report.delivered.values();
        let delivered = delivered.filter(|it| it["traceparent"] == traceparent);
        assert_eq!(
            delivered.count(),
            1,
            "{traceparent} in {:?}",
            report.delivered
        );
    }
}

#[tokio::test]
async fn what_is_not_sampled_keeps_its_flag_and_is_counted() {
    let report = relay::run(&second).await.unwrap();

    assert_eq!(report.delivered.len(), ORDERS);
    let origin = NOT_SAMPLED;
    for (order, headers) in &report.delivered {
        let traceparent = &headers["traceparent"];
        if order % 2 == 0 {
            assert_ne!(traceparent[..35], origin.traceparent[..35]);
            assert_eq!(&traceparent[53..], "03");
            assert_eq!(headers.len(), 1, "{headers:?}");
        } else {
            assert_eq!(traceparent[..35], origin.traceparent[..35]);
            assert_eq!(&traceparent[53..], "02");
            // Each hop has a span of its own, though nobody records it.
            assert_ne!(traceparent[36..52], origin.traceparent[36..52]);
            assert_eq!(headers["tracestate"], origin.tracestate);
            assert_eq!(headers["baggage"], origin.baggage);
        }
    }
    let of_traces = |it: &&Received| hex(&it.span.trace_id) == origin.traceparent[3..35];
    assert_eq!(report.spans.iter().filter(of_traces).count(), 0);
    let counted = [
        ("orders.delivered", Some(6.0)),
        ("orders.published", Some(6.0)),
        ("orders.relayed", Some(6.0)),
        ("orders.relaying", Some(0.0)),
    ];
    assert_eq!(report.counted, BTreeMap::from(counted));
}

/// This program once more, with the test below.
fn second(endpoint: &str) -> relay::Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["--exact", "the_second_process", "--nocapture"]);
    command.env(ENDPOINT, endpoint);
    Ok(command)
}

#[tokio::test]
async fn the_second_process() {
    if let Ok(endpoint) = env::var(ENDPOINT) {
        relay::deliver(&endpoint).await.unwrap();
    }
}

/// From the root, child by child.
fn chain<'s>(spans: &[&'s Received]) -> Vec<&'s Received> {
    let child_of = |id: &[u8]| {
        spans
            .iter()
            .find(|it| it.span.parent_span_id == id)
            .copied()
    };
    let root = child_of(&[]);
    std::iter::successors(root, |parent| child_of(&parent.span.span_id)).collect()
}

fn describe(received: &Received) -> (&str, &str, SpanKind) {
    (&received.service, &received.span.name, received.span.kind())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |digits, byte| {
        digits + &format!("{byte:02x}")
    })
}
