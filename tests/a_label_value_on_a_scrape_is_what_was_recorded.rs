//! Label values that hold what the exposition format escapes: backslashes, quotes and
//! line breaks.
#![cfg(all(feature = "prometheus", feature = "otel"))]

#[path = "support/exporters.rs"]
mod exporters;
#[path = "support/prometheus.rs"]
mod prometheus;
mod support;

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use axum::Router;
use axum::routing::get;
use exporters::assert_promtool_finds_nothing;
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use prometheus::Prometheus;
use proptest::prelude::*;
use support::under;
use tokio::net::TcpListener;
use tracing::info;
use tracing_meter::{Boundaries, FacadeSink};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

const HOSTILE: &[&str] = &[
    "plain",
    r"\srv",
    r"\\srv",
    r"\\\srv",
    r"C:\dir\",
    r"C:\\dir\\",
    r"\",
    r"\\",
    "\"",
    "\\\"",
    "\\\\\"",
    "say \"it\"",
    "\n",
    r"\n",
    r"\\n",
    "\\\n",
    "\\\\\n",
    "\\\na",
    "a\n\\",
    "\"\\\n\\\"",
    r#"{a="b"} 1"#,
];

/// Counts each value once, and gives the scrape.
fn scrape(values: &[&str]) -> String {
    let builder = Boundaries::new().prometheus_builder().unwrap();
    let recorder = builder.build_recorder();
    let handle = recorder.handle();
    let builder = tracing_meter::builder().own_metrics(false);
    let layer = builder.sink(FacadeSink::new(recorder)).build().unwrap();
    under(Registry::default().with(layer), || {
        for value in values {
            info!(
                monotonic_counter.seen = 1,
                describe.seen = r"A \\ that \is \\\ hostile\\",
                value
            );
        }
    });
    handle.render()
}

/// The values of `seen_total`, with what was counted, as the exposition format says:
/// three escapes, and nothing else after a backslash.
fn seen(scrape: &str) -> BTreeMap<String, String> {
    let lines = scrape.lines().filter(|line| !line.starts_with('#'));
    let mut seen = BTreeMap::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let quoted = line.strip_prefix("seen_total{value=\"").expect(line);
        let (value, rest) = unescaped(quoted);
        let count = rest.strip_prefix("} ").expect(line);
        assert_eq!(seen.insert(value, count.to_owned()), None, "{line} twice");
    }
    seen
}

/// What stands before the closing quote, and what comes after it.
fn unescaped(quoted: &str) -> (String, &str) {
    let (mut value, mut rest) = (String::new(), quoted.chars());
    loop {
        match rest.next().expect("a closing quote") {
            '"' => return (value, rest.as_str()),
            '\\' => value.push(match rest.next() {
                Some('n') => '\n',
                Some(c @ ('\\' | '"')) => c,
                other => panic!("the escape {other:?} in {quoted}"),
            }),
            c => value.push(c),
        }
    }
}

fn once_each<'a>(values: impl IntoIterator<Item = &'a str>) -> BTreeMap<String, String> {
    let once = |value: &str| (value.to_owned(), "1".to_owned());
    values.into_iter().map(once).collect()
}

#[test]
fn hostile_values_are_read_back_as_they_were_recorded() {
    let scrape = scrape(HOSTILE);
    assert_eq!(seen(&scrape), once_each(HOSTILE.iter().copied()));
    let help = r"# HELP seen_total A \\\\ that \\is \\\\\\ hostile\\\\";
    assert!(scrape.lines().any(|line| line == help), "{scrape}");
    assert_promtool_finds_nothing(&scrape);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn distinct_values_stay_distinct_and_come_back(
        values in prop::collection::btree_set(r#"[\\"\nna;{}=]{1,6}"#, 1..40)
    ) {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        prop_assert_eq!(seen(&scrape(&values)), once_each(values));
    }
}

#[tokio::test]
async fn a_real_prometheus_has_each_of_them() {
    let scrape = scrape(HOSTILE);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new().route("/metrics", get(move || async move { scrape }));
    tokio::spawn(async move { axum::serve(listener, app).await });
    let config = format!(
        "global: {{scrape_interval: 200ms}}\n\
         scrape_configs: [{{job_name: hostile, static_configs: [{{targets: ['{address}']}}]}}]"
    );
    let Some(prometheus) = Prometheus::start(&config, &[]).await.unwrap() else {
        return;
    };
    #[allow(clippy::cast_precision_loss, reason = "they are few")]
    let all = HOSTILE.len() as f64;
    prometheus
        .poll_until("count(seen_total)", all)
        .await
        .unwrap();
    for value in HOSTILE {
        // Its strings are escaped as those of Rust are.
        let query = format!("seen_total{{value={value:?}}}");
        assert_eq!(prometheus.ask(&query).await.unwrap(), Some(1.0), "{query}");
    }
}

#[test]
fn exporters_that_want_names_as_written_get_values_as_written() {
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let sink = FacadeSink::new(recorder).names_as_written();
    let layer = tracing_meter::builder().own_metrics(false).sink(sink);
    under(Registry::default().with(layer.build().unwrap()), || {
        for value in HOSTILE {
            info!(monotonic_counter.seen = 1, value);
        }
    });
    let snapshot = snapshotter.snapshot().into_vec();
    let seen = snapshot.iter().map(|(key, _, _, value)| {
        assert_eq!(*value, DebugValue::Counter(1));
        key.key().labels().next().unwrap().value()
    });
    assert_eq!(once_each(seen), once_each(HOSTILE.iter().copied()));
}
