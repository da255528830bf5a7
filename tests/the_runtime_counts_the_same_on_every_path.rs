//! `examples/runtime.rs`: every surface under a load, by hand, on a scrape and by OTLP.

#![allow(clippy::print_stdout, reason = "one process tells another its account")]
#![cfg(all(feature = "setup", feature = "axum", feature = "tower"))]

#[path = "support/addresses.rs"]
mod addresses;
#[path = "support/exporters.rs"]
mod exporters;
#[path = "support/int_attributes.rs"]
mod int_attributes;
#[allow(dead_code, reason = "its `main` is for `cargo run`")]
#[path = "../examples/runtime.rs"]
mod runtime;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::future::pending;
use std::net::SocketAddr;
use std::sync::LazyLock;

use addresses::{own_address, own_port};
use exporters::assert_promtool_finds_nothing;
use int_attributes::is_int;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Metric, NumberDataPoint,
};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use runtime::ledger::{Series, Values};
use runtime::load::LATE;
use runtime::otlp::SCOPE;
use runtime::receiver::{Attributes, ReceivedMetric, attributes};
use runtime::report::{Report, receive};
use runtime::table::{Column, Table};
use runtime::telemetry::{OTLP_ENDPOINT, PROMETHEUS_HOST, PROMETHEUS_PORT};
use runtime::trace::{PARENT_ID, TRACE_ID, Trace, hex};
use runtime::{Length, Options, levels, otlp, run, scrape};
use tokio::process::Command;

/// All metrics of the program: on a scrape, by OTLP, and their units there.
const METRICS: [(&str, &str, &str); 26] = [
    ("eventbus_rejected_total", "eventbus_rejected", ""),
    (
        "eventbus_subscribers_active",
        "eventbus_subscribers_active",
        "",
    ),
    (
        "http_client_active_requests",
        "http.client.active_requests",
        "{request}",
    ),
    (
        "http_client_request_duration_seconds",
        "http.client.request.duration",
        "s",
    ),
    (
        "http_server_active_requests",
        "http.server.active_requests",
        "{request}",
    ),
    (
        "http_server_request_duration_seconds",
        "http.server.request.duration",
        "s",
    ),
    ("runtime_log_emissions_total", "runtime_log_emissions", ""),
    ("wippy_cdc_changes_total", "wippy_cdc_changes", ""),
    ("wippy_cdc_errors_total", "wippy_cdc_errors", ""),
    (
        "wippy_cdc_retained_wal_bytes",
        "wippy_cdc_retained_wal_bytes",
        "By",
    ),
    ("wippy_function_calls_total", "wippy_function_calls", ""),
    (
        "wippy_function_duration_seconds",
        "wippy_function_duration",
        "s",
    ),
    ("wippy_function_in_flight", "wippy_function_in_flight", ""),
    (
        "wippy_http_request_duration_seconds",
        "wippy_http_request_duration",
        "s",
    ),
    (
        "wippy_http_requests_in_flight",
        "wippy_http_requests_in_flight",
        "",
    ),
    ("wippy_http_requests_total", "wippy_http_requests", ""),
    ("wippy_kv_op_duration_seconds", "wippy_kv_op_duration", "s"),
    ("wippy_kv_ops_total", "wippy_kv_ops", ""),
    ("wippy_process_active", "wippy_process_active", ""),
    ("wippy_process_started_total", "wippy_process_started", ""),
    (
        "wippy_process_terminated_total",
        "wippy_process_terminated",
        "",
    ),
    ("wippy_queue_in_flight", "wippy_queue_in_flight", ""),
    ("wippy_queue_messages_total", "wippy_queue_messages", ""),
    (
        "wippy_queue_process_duration_seconds",
        "wippy_queue_process_duration",
        "s",
    ),
    (
        "wippy_sql_op_duration_seconds",
        "wippy_sql_op_duration",
        "s",
    ),
    ("wippy_sql_ops_total", "wippy_sql_ops", ""),
];

/// What an order is: each span with its depth below the client's.
const CHAIN: [(usize, &str, SpanKind); 6] = [
    (0, "POST /orders", SpanKind::Server),
    (1, "place_order", SpanKind::Internal),
    (2, "process settle", SpanKind::Internal),
    (2, "send orders", SpanKind::Producer),
    (3, "process orders", SpanKind::Consumer),
    (4, "POST /deliveries/{queue}", SpanKind::Client),
];

/// Set where this process is to be the program.
const PROGRAM: &str = "PROGRAM";

/// One run of the program, which starts this one once more, with the test below.
static REPORT: LazyLock<Report> = LazyLock::new(|| {
    let mut program = Command::new(env::current_exe().unwrap());
    program
        .args(["--exact", "the_program", "--nocapture"])
        .env(PROGRAM, "")
        .env(PROMETHEUS_HOST, own_address())
        .env(PROMETHEUS_PORT, own_port());
    let threads = tokio::runtime::Runtime::new().unwrap();
    threads.block_on(receive(program, pending())).unwrap()
});

#[tokio::test(flavor = "multi_thread")]
async fn the_program() {
    if env::var_os(PROGRAM).is_some() {
        let options = Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            load: Some(Length::Rounds(3)),
        };
        let account = run(options, pending()).await.unwrap();
        println!("{account}");
    }
}

#[test]
fn no_series_differs_and_nothing_was_rejected() {
    let report = &*REPORT;
    assert_eq!(report.table.different().count(), 0, "{report}");
    assert_eq!(report.account.problems, [""; 0]);
    assert!(report.is_good());
    let is_counted = |column: &Column| matches!(column, Column::Is(_));
    for row in &report.table.rows {
        assert!(
            is_counted(&row.scraped) && is_counted(&row.received),
            "{}",
            row.series
        );
    }
    let by_hand = report.table.rows.iter().filter(|row| is_counted(&row.own));
    assert!(by_hand.count() > 150, "{report}");
}

#[test]
fn a_series_that_differs_anywhere_is_found() {
    let values = |count: f64, sum: f64| {
        let labels = [("op", "get")];
        Values::from([
            (Series::new("ops_total", &labels), count),
            (Series::new("op_seconds_sum", &labels), sum),
        ])
    };
    let good = values(3.0, 0.1);
    let different = |own: &Values, scraped: &Values, received: &Values| {
        let table = Table::new(Some(own), scraped, Some(received));
        let different: Vec<_> = table
            .different()
            .map(|row| row.series.to_string())
            .collect();
        different.join(" ")
    };
    let (counts, sums) = (r#"ops_total{op="get"}"#, r#"op_seconds_sum{op="get"}"#);
    let (lost, late) = (values(2.0, 0.1), values(3.0, 0.2));
    assert_eq!(different(&good, &good, &good), "");
    assert_eq!(different(&lost, &good, &good), counts);
    assert_eq!(different(&good, &lost, &good), counts);
    assert_eq!(different(&good, &good, &lost), counts);
    // Nobody counts time by hand.
    assert_eq!(different(&late, &good, &good), "");
    assert_eq!(different(&good, &late, &good), sums);
    let both = format!("{sums} {counts}");
    assert_eq!(different(&good, &Values::new(), &good), both);
    assert_eq!(different(&Values::new(), &good, &good), counts);
}

/// The comparison is the same wherever the environment would lead telemetry.
#[tokio::test]
async fn what_the_environment_says_of_telemetry_changes_no_comparison() {
    let mut comparison = Command::new(env::current_exe().unwrap());
    comparison.args(["--exact", "no_series_differs_and_nothing_was_rejected"]);
    for (name, value) in [
        (OTLP_ENDPOINT, ""),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://127.0.0.1:1"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "delta"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "20"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("TRACING_METER", "off"),
        ("TRACING_METER_CONVENTIONS", "none"),
        ("TRACING_METER_SPANS", "trace"),
    ] {
        comparison.env(name, value);
    }
    let output = comparison.kill_on_drop(true).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

#[test]
fn a_series_that_is_there_twice_is_found_on_a_scrape_and_by_otlp() {
    let once = "ops_total{op=\"get\"} 3\nops_total{op=\"put\"} 3\n";
    assert_eq!(scrape::parse(once).unwrap().len(), 2);
    let twice = [once, "ops_total{op=\"get\"} 3\n"].concat();
    assert!(scrape::parse(&twice).is_err());

    let export = |name: &str, time| ReceivedMetric {
        resource: Attributes::new(),
        scope: SCOPE.to_owned(),
        metric: Metric {
            name: name.to_owned(),
            data: Some(Data::Gauge(Gauge {
                data_points: vec![NumberDataPoint {
                    time_unix_nano: time,
                    value: Some(Value::AsDouble(3.0)),
                    ..NumberDataPoint::default()
                }],
            })),
            ..Metric::default()
        },
    };
    let later = [export("jobs", 1), export("jobs", 2)];
    assert_eq!(otlp::values(&later).unwrap().len(), 1);
    assert!(otlp::values(&[export("jobs", 1), export("jobs", 1)]).is_err());
    // Two names that are one on a scrape.
    assert!(otlp::values(&[export("a.jobs", 1), export("a_jobs", 1)]).is_err());
}

#[test]
fn a_level_that_never_went_up_is_found() {
    let values = |level: f64, count: f64| {
        Values::from([
            (Series::new("jobs_in_flight", &[]), level),
            (Series::new("jobs_total", &[]), count),
        ])
    };
    let wrong = |expected: &Values, scraped: &Values| {
        levels::first_wrong(expected, scraped).map(ToString::to_string)
    };
    let one = values(1.0, 1.0);
    assert_eq!(wrong(&one, &values(1.0, 2.0)), None);
    let found = Some("jobs_in_flight".to_owned());
    assert_eq!(wrong(&one, &values(0.0, 1.0)), found);
    assert_eq!(wrong(&one, &Values::new()), found);
    assert_eq!(wrong(&Values::new(), &one), found);
    assert_eq!(wrong(&Values::new(), &values(0.0, 1.0)), None);
}

#[test]
fn nothing_is_in_flight_at_the_end() {
    let mut seen = BTreeSet::new();
    for row in &REPORT.table.rows {
        let name = row.series.name.as_str();
        if levels::is_level(&row.series) {
            assert!(matches!(row.scraped, Column::Is(0.0)), "{}", row.series);
            seen.insert(name);
        }
    }
    assert_eq!(
        Vec::from_iter(seen),
        [
            "eventbus_subscribers_active",
            "http_client_active_requests",
            "http_server_active_requests",
            "wippy_function_in_flight",
            "wippy_http_requests_in_flight",
            "wippy_process_active",
            "wippy_queue_in_flight",
        ]
    );
}

/// Nobody counts time by hand, but a part is not longer than the whole: what is measured
/// in another unit would be.
#[test]
fn what_a_request_does_takes_no_longer_than_the_request() {
    let values = scrape::parse(&REPORT.account.scrape).unwrap();
    let seconds = |name: &str, key: &str, of: &[&str]| {
        let is_asked = |series: &Series| {
            series.name == name && series.labels.get(key).is_some_and(|it| of.contains(&&**it))
        };
        let asked = values.iter().filter(|(series, _)| is_asked(series));
        asked.map(|(_, seconds)| seconds).sum::<f64>()
    };
    let requests = |routes| seconds("wippy_http_request_duration_seconds_sum", "route", routes);
    let functions = ["/functions/{function}", "/orders"];
    let statements = ["/items/{item}", "/functions/{function}", "/orders"];
    for (part, whole) in [
        (
            seconds(
                "wippy_kv_op_duration_seconds_sum",
                "namespace",
                &["clients"],
            ),
            requests(&["/kv/{key}"]),
        ),
        (
            seconds(
                "wippy_sql_op_duration_seconds_sum",
                "result",
                &["ok", "error"],
            ),
            requests(&statements),
        ),
        (
            seconds(
                "wippy_function_duration_seconds_sum",
                "outcome",
                &["ok", "error", "panic"],
            ),
            requests(&functions),
        ),
    ] {
        assert!(0.0 < part && part < whole, "{part} of {whole}");
    }
}

#[test]
fn every_metric_is_scraped_with_its_help() {
    let scrape = &REPORT.account.scrape;
    let helps = scrape.lines().filter_map(|it| it.strip_prefix("# HELP "));
    let helps = helps.filter_map(|it| it.split_once(' '));
    let helps: BTreeMap<_, _> = helps.filter(|(name, _)| is_of_the_program(name)).collect();
    let names: BTreeSet<_> = METRICS.iter().map(|(scraped, ..)| *scraped).collect();
    assert_eq!(helps.keys().copied().collect::<BTreeSet<_>>(), names);
    for (name, help) in helps {
        // What it says of a metric that says nothing itself.
        assert!(
            !help.contains("measured by tracing-meter"),
            "{name}: {help}"
        );
    }
    assert_promtool_finds_nothing(scrape);
}

#[test]
fn every_metric_came_by_otlp_from_this_service() {
    let metrics = REPORT.metrics.iter();
    let metrics = metrics.filter(|it| it.scope == SCOPE);
    let metrics: Vec<_> = metrics
        .filter(|it| is_of_the_program(&it.metric.name))
        .collect();
    let received = metrics.iter();
    let received = received.map(|it| (&*it.metric.name, &*it.metric.unit));
    let expected = METRICS.iter().map(|(_, name, unit)| (*name, *unit));
    assert_eq!(
        received.collect::<BTreeSet<_>>(),
        expected.collect::<BTreeSet<_>>()
    );
    for received in metrics {
        let name = &received.metric.name;
        assert_eq!(received.resource["service.name"], "runtime");
        assert_eq!(
            received.resource["service.version"],
            env!("CARGO_PKG_VERSION")
        );
        assert_ne!(received.metric.description, "", "{name}");
        let cumulative = AggregationTemporality::Cumulative;
        match received.metric.data.as_ref().unwrap() {
            Data::Sum(sum) => {
                assert_eq!(sum.aggregation_temporality(), cumulative, "{name}");
                assert_eq!(sum.is_monotonic, is_counter(name), "{name}");
            }
            Data::Histogram(histogram) => {
                assert_eq!(histogram.aggregation_temporality(), cumulative, "{name}");
            }
            Data::Gauge(_) => assert!(!is_counter(name)),
            other => panic!("{name} is {other:?}"),
        }
    }
}

/// The layer measures itself, too.
fn is_of_the_program(metric: &str) -> bool {
    !metric.starts_with("tracing_meter") && metric != "target_info"
}

fn is_counter(name: &str) -> bool {
    let metric = METRICS.iter().find(|(_, received, _)| *received == name);
    metric.unwrap().0.ends_with("_total")
}

#[test]
fn an_order_is_one_trace_with_the_right_parents() {
    let trace = Trace::among(&REPORT.spans);
    let mut chain = Vec::new();
    walk(&trace, PARENT_ID, 0, &mut chain);
    let described = chain
        .iter()
        .map(|(depth, span)| (*depth, &*span.name, span.kind()));
    assert_eq!(described.collect::<Vec<_>>(), CHAIN);
    for (_, span) in &chain {
        assert_eq!(status(span), StatusCode::Unset, "{}", span.name);
    }
    let of_trace = REPORT.spans.iter().map(|it| hex(&it.span.trace_id));
    assert_eq!(of_trace.filter(|id| id == TRACE_ID).count(), CHAIN.len());
    let (_, client) = chain.last().unwrap();
    let traceparent = format!("00-{TRACE_ID}-{}-01", hex(&client.span_id));
    assert_eq!(REPORT.account.delivered, [traceparent]);
}

fn walk<'r>(trace: &Trace<'r>, parent: &str, depth: usize, to: &mut Vec<(usize, &'r Span)>) {
    for child in trace.children(parent) {
        to.push((depth, &child.span));
        walk(trace, &hex(&child.span.span_id), depth + 1, to);
    }
}

#[test]
fn each_request_is_a_span_which_fails_with_a_5xx_alone() {
    let mut spans = BTreeMap::<_, f64>::new();
    for span in of_kind(SpanKind::Server) {
        let attributes = attributes(&span.attributes);
        let status_code = attributes.get("http.response.status_code");
        let is_failure = status_code.is_some_and(|code| code.starts_with('5'));
        let expected = if is_failure {
            StatusCode::Error
        } else {
            StatusCode::Unset
        };
        assert_eq!(status(span), expected, "{} {status_code:?}", span.name);
        *spans
            .entry((span.name.clone(), status_code.cloned()))
            .or_default() += 1.0;
    }
    let mut requests = BTreeMap::<_, f64>::new();
    for row in &REPORT.table.rows {
        let (labels, Column::Is(count)) = (&row.series.labels, row.own) else {
            continue;
        };
        if row.series.name == "wippy_http_requests_total" {
            let method = labels["method"].replace("_OTHER", "HTTP");
            let route = labels.get("route").map(|route| format!(" {route}"));
            let name = method + &route.unwrap_or_default();
            *requests
                .entry((name, labels.get("status").cloned()))
                .or_default() += count;
        }
    }
    assert_eq!(spans, requests);
}

/// By its type, because the text is the same.
#[test]
fn what_is_an_integer_by_the_conventions_came_as_one() {
    let of_spans = REPORT.spans.iter().flat_map(|it| {
        let of_events = it.span.events.iter().flat_map(|it| &it.attributes);
        let of_links = it.span.links.iter().flat_map(|it| &it.attributes);
        it.span.attributes.iter().chain(of_events).chain(of_links)
    });
    let of_points = REPORT.metrics.iter().flat_map(|it| of_points(&it.metric));
    let mut seen = BTreeSet::new();
    for attribute in of_spans.chain(of_points) {
        if is_int(&attribute.key) {
            let value = attribute.value.as_ref().and_then(|it| it.value.as_ref());
            let is_int = matches!(value, Some(any_value::Value::IntValue(_)));
            assert!(is_int, "{attribute:?}");
            seen.insert(attribute.key.as_str());
        }
    }
    let expected = [
        "code.line.number",
        "http.response.status_code",
        "server.port",
        "thread.id",
    ];
    assert_eq!(Vec::from_iter(seen), expected);
}

/// Dashboards compare it with numbers.
#[test]
fn the_status_of_a_request_is_an_integer_under_the_name_of_a_rule_too() {
    let metrics = REPORT.metrics.iter().map(|it| &it.metric);
    let metrics = metrics.filter(|it| it.name.starts_with("wippy_http"));
    let statuses = metrics.flat_map(of_points).filter(|it| it.key == "status");
    let statuses: Vec<_> = statuses.map(|it| it.value.clone()?.value).collect();
    assert_ne!(statuses, []);
    for status in statuses {
        assert!(
            matches!(status, Some(any_value::Value::IntValue(_))),
            "{status:?}"
        );
    }
}

fn of_points(metric: &Metric) -> Vec<&KeyValue> {
    match metric.data.as_ref() {
        Some(Data::Sum(sum)) => sum
            .data_points
            .iter()
            .flat_map(|it| &it.attributes)
            .collect(),
        Some(Data::Gauge(gauge)) => gauge
            .data_points
            .iter()
            .flat_map(|it| &it.attributes)
            .collect(),
        Some(Data::Histogram(of)) => of
            .data_points
            .iter()
            .flat_map(|it| &it.attributes)
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_comes_without_a_trace_is_a_trace_of_its_own() {
    let is_root = |span: &&Span| span.parent_span_id.is_empty();
    let by_id: BTreeMap<_, _> = REPORT
        .spans
        .iter()
        .map(|it| (&it.span.span_id, &it.span))
        .collect();
    let parents = |spans: Vec<&'static Span>| {
        let parents = spans
            .into_iter()
            .map(|span| by_id.get(&span.parent_span_id));
        parents
            .map(|parent| parent.map(|it| it.kind()))
            .collect::<BTreeSet<_>>()
    };
    let audits = || of_kind(SpanKind::Consumer).filter(|span| span.name == "process audit");
    let (imported, sent): (Vec<_>, Vec<_>) = audits().partition(is_root);
    // 12 rounds, with 6 deliveries of what is good, flaky and poison; and what is late.
    assert_eq!((imported.len(), sent.len()), (72, 72 + LATE));
    assert_eq!(parents(sent), [Some(SpanKind::Producer)].into());

    let processes = || REPORT.spans.iter().map(|it| &it.span);
    let processes = processes().filter(|span| span.name == "process wait");
    let (detached, started): (Vec<_>, Vec<_>) = processes.partition(is_root);
    assert_eq!((detached.len(), started.len()), (12, 13));
    assert_eq!(parents(started), [Some(SpanKind::Server)].into());
}

#[test]
fn the_store_and_the_database_leave_nothing_in_a_trace() {
    let mut names = BTreeSet::new();
    for received in &REPORT.spans {
        let span = &received.span;
        // Those of servers are compared with the requests.
        if span.kind() != SpanKind::Server {
            names.insert((span.kind().as_str_name(), span.name.as_str()));
        }
        for event in &span.events {
            let target = attributes(&event.attributes)["target"].clone();
            let of = ["::kv", "::sql", "::changes", "::bus"];
            assert!(!of.iter().any(|it| target.ends_with(it)), "{event:?}");
        }
    }
    let expected = [
        ("SPAN_KIND_CLIENT", "GET /resources/{resource}"),
        ("SPAN_KIND_CLIENT", "POST /deliveries/{queue}"),
        ("SPAN_KIND_CONSUMER", "process audit"),
        ("SPAN_KIND_CONSUMER", "process orders"),
        ("SPAN_KIND_INTERNAL", "echo"),
        ("SPAN_KIND_INTERNAL", "log"),
        ("SPAN_KIND_INTERNAL", "panic"),
        ("SPAN_KIND_INTERNAL", "place_order"),
        ("SPAN_KIND_INTERNAL", "process fail"),
        ("SPAN_KIND_INTERNAL", "process panic"),
        ("SPAN_KIND_INTERNAL", "process settle"),
        ("SPAN_KIND_INTERNAL", "process wait"),
        ("SPAN_KIND_INTERNAL", "refuse"),
        ("SPAN_KIND_INTERNAL", "report"),
        ("SPAN_KIND_PRODUCER", "send audit"),
        ("SPAN_KIND_PRODUCER", "send orders"),
    ];
    assert_eq!(Vec::from_iter(names), expected);
}

fn of_kind(kind: SpanKind) -> impl Iterator<Item = &'static Span> {
    let spans = REPORT.spans.iter().map(|it| &it.span);
    spans.filter(move |span| span.kind() == kind)
}

fn status(span: &Span) -> StatusCode {
    span.status.as_ref().map_or(StatusCode::Unset, Status::code)
}
