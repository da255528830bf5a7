//! Spans that follow the semantic conventions give the metrics of their model.

#![cfg(all(feature = "otel", feature = "prometheus"))]

#[path = "support/exporters.rs"]
mod exporters;
#[path = "support/semconv.rs"]
mod semconv;

use std::collections::BTreeSet;

use exporters::{Exporters, assert_promtool_finds_nothing};
use semconv::{Model, exported_keys, scraped_keys, series};
use tracing::field::{Empty, display};
use tracing::{Span, info_span};
use tracing_meter::{Convention, MeterHandle, OptIn, Reason, SemanticConventions};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

/// Runs code under the conventions and both exporters.
fn measured(conventions: impl Convention, code: impl FnOnce()) -> (Exporters, MeterHandle) {
    let (exporters, builder) = Exporters::new();
    let builder = builder.own_metrics(false).convention(conventions);
    let layer = builder.build().unwrap();
    let handle = layer.handle();
    tracing::subscriber::with_default(Registry::default().with(layer), code);
    (exporters, handle)
}

/// All series that spans give, which there must be no problem with.
fn series_of(code: impl FnOnce()) -> Vec<String> {
    series_by(SemanticConventions::new(), code)
}

fn series_by(conventions: SemanticConventions, code: impl FnOnce()) -> Vec<String> {
    let (exporters, handle) = measured(conventions, code);
    assert!(handle.problems().is_empty(), "{:?}", handle.problems());
    series(&exporters.resource_metrics())
}

#[test]
fn every_metric_of_the_model_is_as_the_model_has_it() {
    let model = Model::read();
    let (exporters, handle) = measured(SemanticConventions::new(), spans_with_everything);
    let exported = exporters.resource_metrics();

    assert_eq!(model.disagreements(&exported), Vec::<String>::new());
    for (name, defined) in &model.0 {
        let expected = defined.keys_of(|level| level != "opt_in");
        assert_eq!(exported_keys(&exported, name), owned(&expected), "{name}");
    }
    assert!(handle.problems().is_empty(), "{:?}", handle.problems());
}

#[test]
fn what_is_opt_in_is_there_when_it_is_asked_for() {
    let model = Model::read();
    let conventions = SemanticConventions::new().opt_in(OptIn::ALL);
    let (exporters, _) = measured(conventions, spans_with_everything);
    let exported = exporters.resource_metrics();

    assert_eq!(model.disagreements(&exported), Vec::<String>::new());
    for (name, defined) in &model.0 {
        let expected = defined.keys_of(|_| true);
        assert_eq!(exported_keys(&exported, name), owned(&expected), "{name}");
    }
}

#[test]
fn a_scrape_has_the_same_metrics() {
    let model = Model::read();
    let (exporters, handle) = measured(SemanticConventions::new(), spans_with_everything);
    let scrape = exporters.scrape();

    for entry in handle.catalog() {
        let defined = &model.0[entry.name()];
        let scraped = entry.prometheus_name();
        let ty = match defined.instrument {
            "histogram" => "histogram",
            "counter" => "counter",
            _ => "gauge",
        };
        let expected = defined.keys_of(|level| level != "opt_in");
        let expected = expected.iter().map(|key| key.replace('.', "_"));
        assert_eq!(
            scraped_keys(&scrape, scraped),
            expected.collect(),
            "{scraped}"
        );
        let help = format!("# HELP {scraped} {}\n", defined.brief);
        assert!(scrape.contains(&help), "{help} is not in\n{scrape}");
        assert!(
            scrape.contains(&format!("# TYPE {scraped} {ty}\n")),
            "{scraped}"
        );
        let bounds: BTreeSet<_> = exporters
            .scraped_bounds(scraped)
            .into_iter()
            .map(bits)
            .collect();
        assert_eq!(
            bounds,
            defined.boundaries().into_iter().map(bits).collect(),
            "{scraped}"
        );
    }
    assert_eq!(handle.catalog().len(), model.0.len());
    assert_promtool_finds_nothing(&scrape);
}

fn bits(bound: f64) -> u64 {
    bound.to_bits()
}

fn owned(keys: &BTreeSet<&str>) -> BTreeSet<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

/// Spans of all metrics, whose fields have everything that the conventions prescribe, and
/// types that are easily taken for others.
fn spans_with_everything() {
    for kind in ["server", "client"] {
        let request = info_span!(
            "request",
            otel.kind = kind,
            http.request.method = "POST",
            http.request.body.size = 17,
            http.response.body.size = 0,
            http.response.status_code = "500",
            http.route = "/kv/{key}",
            error.type = "timeout",
            network.protocol.name = "spdy",
            network.protocol.version = 3.1,
            server.address = "kv.example",
            server.port = %8080,
            url.full = "https://kv.example:8080/kv/a",
            url.path = "/kv/a",
            url.scheme = "https",
            url.template = "/kv/{k}",
            user_agent.original = "curl/8",
            user_agent.synthetic.type = "bot",
        );
        drop(request);
        drop(info_span!(
            "call",
            otel.kind = kind,
            rpc.system.name = "jsonrpc",
            rpc.method = "kv/get",
            rpc.status_code = -32602,
            error.type = "timeout",
            server.address = "kv.example",
            server.port = "50051",
        ));
    }
    drop(info_span!(
        "query",
        otel.kind = "client",
        db.system.name = "postgresql",
        db.namespace = "shop",
        db.collection.name = "orders",
        db.operation.name = "SELECT",
        db.query.summary = "SELECT orders",
        db.query.text = "SELECT * FROM orders",
        db.response.returned_rows = 12,
        db.response.status_code = 42,
        db.stored_procedure.name = "totals",
        error.type = "42P01",
        network.peer.address = "10.0.0.1",
        network.peer.port = 5432_u16,
        server.address = "db.example",
        server.port = "5433",
    ));
    for template in [None, Some("/customers/{id}")] {
        for operation in ["send", "receive", "process"] {
            drop(info_span!(
                "message",
                otel.kind = "client",
                messaging.system = "kafka",
                messaging.operation.name = operation,
                messaging.operation.type = operation,
                messaging.batch.message_count = 3,
                messaging.destination.name = "orders",
                messaging.destination.template = template,
                messaging.destination.partition.id = 7,
                messaging.destination.subscription.name = "all",
                messaging.consumer.group.name = "billing",
                error.type = "timeout",
                server.address = "broker.example",
                server.port = "9092",
            ));
        }
    }
}

/// A span of a server as most write it.
fn server(method: &str, status: impl tracing::Value) -> Span {
    info_span!(
        "request",
        otel.kind = "server",
        http.request.method = method,
        http.response.status_code = status,
        http.route = "/kv/{key}",
        url.scheme = "http",
        error.type = Empty,
        otel.status_code = Empty,
    )
}

fn client(status: impl tracing::Value) -> Span {
    info_span!(
        "request",
        otel.kind = "client",
        http.request.method = "GET",
        http.response.status_code = status,
        server.address = "kv.example",
        server.port = 80,
        error.type = Empty,
    )
}

const ACTIVE: &str =
    r#"http.server.active_requests {http.request.method="GET", url.scheme="http"}"#;

#[test]
fn a_404_is_no_error_of_a_server_and_one_of_a_client() {
    let requests = series_of(|| {
        drop(server("GET", 404));
        drop(client(404));
    });

    assert_eq!(
        requests,
        [
            r#"http.client.active_requests {http.request.method="GET", server.address="kv.example", server.port=80}"#,
            r#"http.client.request.duration {error.type="404", http.request.method="GET", http.response.status_code=404, server.address="kv.example", server.port=80}"#,
            ACTIVE,
            r#"http.server.request.duration {http.request.method="GET", http.response.status_code=404, http.route="/kv/{key}", url.scheme="http"}"#,
        ]
    );
}

/// The values of `error.type`, in their order.
fn error_types(series: &[String], metric: &str) -> Vec<String> {
    let of_metric = series
        .iter()
        .filter_map(|it| it.strip_prefix(metric)?.strip_prefix(" {"));
    let error = |labels: &str| {
        let (_, rest) = labels.split_once("error.type=\"")?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    let errors = of_metric.map(|labels| error(labels).unwrap_or_else(|| "none".to_owned()));
    let errors: BTreeSet<_> = errors.collect();
    errors.into_iter().collect()
}

#[test]
fn an_error_is_what_was_recorded_else_the_status_else_another() {
    let with = |record: fn(&Span), status: Option<u16>| {
        let all = series_of(|| record(&server("GET", status)));
        error_types(&all, "http.server.request.duration").join(" ")
    };

    let nothing: fn(&Span) = |_| {};
    let typed: fn(&Span) = |span| _ = span.record("error.type", "timeout");
    let failed: fn(&Span) = |span| _ = span.record("otel.status_code", "ERROR");
    assert_eq!(with(nothing, Some(200)), "none");
    assert_eq!(with(nothing, Some(499)), "none");
    assert_eq!(with(nothing, Some(503)), "503");
    assert_eq!(with(typed, Some(503)), "timeout");
    assert_eq!(with(typed, None), "timeout");
    assert_eq!(with(failed, Some(503)), "503");
    assert_eq!(with(failed, None), "_OTHER");
    assert_eq!(with(nothing, None), "none");
}

#[test]
fn a_request_that_panics_has_another_error() {
    let all = series_of(|| {
        let panics = || server("GET", None::<u16>).in_scope(|| panic!("on purpose"));
        std::panic::catch_unwind(panics).unwrap_err();
    });

    assert_eq!(
        error_types(&all, "http.server.request.duration"),
        ["_OTHER"]
    );
}

#[test]
fn methods_that_are_not_known_are_one_series() {
    let flood = || {
        for method in 0..100 {
            drop(server(&format!("METHOD{method}"), 200));
        }
        drop(server("get", 200));
    };
    let expected = [
        r#"http.server.active_requests {http.request.method="_OTHER", url.scheme="http"}"#,
        r#"http.server.request.duration {http.request.method="_OTHER", http.response.status_code=200, http.route="/kv/{key}", url.scheme="http"}"#,
    ];
    assert_eq!(series_of(flood), expected);

    let known = SemanticConventions::new().known_methods(["METHOD7"]);
    let with_one_known = series_by(known, flood);
    assert_eq!(with_one_known.len(), 4, "{with_one_known:?}");
}

/// As `reqwest-tracing` makes it, with everything by `Display`.
#[test]
fn numbers_that_were_recorded_as_text_are_numbers() {
    let requests = series_of(|| {
        let span = info_span!(
            "HTTP request",
            http.request.method = %"GET",
            url.scheme = %"http",
            server.address = %"kv.example",
            server.port = %80,
            user_agent.original = %"reqwest",
            otel.kind = "client",
            otel.name = %"GET",
            otel.status_code = Empty,
            http.response.status_code = Empty,
            error.message = Empty,
            error.cause_chain = Empty,
        );
        span.record("http.response.status_code", display("404 Not Found"));
    });

    assert_eq!(
        requests,
        [
            r#"http.client.active_requests {http.request.method="GET", server.address="kv.example", server.port=80}"#,
            r#"http.client.request.duration {error.type="404", http.request.method="GET", http.response.status_code=404, server.address="kv.example", server.port=80}"#,
        ]
    );
}

#[test]
fn the_side_is_known_by_the_kind_in_any_usual_case() {
    for kind in ["server", "Server", "SERVER"] {
        let span = || {
            drop(info_span!(
                "request",
                otel.kind = kind,
                http.request.method = "GET",
                url.scheme = "http",
                server.address = "kv.example",
                server.port = 80,
            ));
        };
        let served = [
            ACTIVE.to_owned(),
            ACTIVE.replace("active_requests", "request.duration"),
        ];
        assert_eq!(series_of(span), served, "{kind}");
    }
    let internal = || {
        drop(info_span!(
            "request",
            otel.kind = "internal",
            http.request.method = "GET",
            http.route = "/kv/{key}",
            url.scheme = "http",
        ));
    };
    assert_eq!(series_of(internal), Vec::<String>::new());
}

#[test]
fn without_a_kind_the_side_is_known_by_what_only_one_side_has() {
    let served = series_of(|| {
        drop(info_span!(
            "request",
            http.request.method = "GET",
            url.path = "/a",
            url.scheme = "http"
        ));
    });
    assert_eq!(
        served,
        [
            ACTIVE.to_owned(),
            ACTIVE.replace("active_requests", "request.duration")
        ]
    );

    let sent = series_of(|| {
        drop(info_span!(
            "request",
            http.request.method = "GET",
            server.address = "kv.example",
            server.port = 80,
            url.full = "http://kv.example/a",
        ));
    });
    assert!(
        sent[0].starts_with("http.client.active_requests {"),
        "{sent:?}"
    );
    assert!(
        sent[1].starts_with("http.client.request.duration {"),
        "{sent:?}"
    );
}

#[test]
fn a_span_of_which_no_side_is_known_is_listed_and_not_measured() {
    let (exporters, handle) = measured(SemanticConventions::new(), || {
        drop(info_span!("request", http.request.method = "GET"));
        drop(info_span!("call", rpc.system.name = "grpc"));
    });

    assert_eq!(series(&exporters.resource_metrics()), Vec::<String>::new());
    let problems = handle.problems();
    let about_kind = problems
        .iter()
        .filter(|it| it.detail().contains("otel.kind"));
    let lines: BTreeSet<_> = about_kind.map(|it| it.location().line()).collect();
    assert_eq!(lines.len(), 2, "{problems:?}");
    assert!(
        problems
            .iter()
            .all(|it| it.reason() == Reason::MissingField)
    );
}

#[test]
fn a_required_attribute_that_no_field_gives_is_listed() {
    let (exporters, handle) = measured(SemanticConventions::new(), || {
        drop(info_span!(
            "request",
            http.request.method = "GET",
            http.route = "/"
        ));
    });

    let measured = series(&exporters.resource_metrics());
    assert_eq!(
        measured,
        [
            r#"http.server.active_requests {http.request.method="GET"}"#,
            r#"http.server.request.duration {http.request.method="GET", http.route="/"}"#,
        ]
    );
    let problems = handle.problems();
    assert!(!problems.is_empty());
    for problem in problems {
        assert_eq!(problem.reason(), Reason::MissingField);
        assert!(problem.detail().contains("url.scheme"), "{problem}");
    }
}

#[test]
fn a_status_of_rpc_is_an_error_for_its_side() {
    let call = |kind: &str, status: &str| {
        drop(info_span!(
            "call",
            otel.kind = kind,
            rpc.system.name = "grpc",
            rpc.method = "kv.Kv/Get",
            rpc.status_code = status,
            error.type = Empty,
        ));
    };
    let errors = |kind: &'static str, status: &'static str| {
        let metric = format!("rpc.{kind}.call.duration");
        error_types(&series_of(|| call(kind, status)), &metric).join(" ")
    };

    for (status, of_server, of_client) in [
        ("OK", "none", "none"),
        ("NOT_FOUND", "none", "NOT_FOUND"),
        ("INTERNAL", "INTERNAL", "INTERNAL"),
        ("unavailable", "unavailable", "unavailable"),
        ("SERVER_TIMEOUT", "SERVER_TIMEOUT", "SERVER_TIMEOUT"),
        ("-32602", "-32602", "-32602"),
    ] {
        assert_eq!(errors("server", status), of_server, "{status}");
        assert_eq!(errors("client", status), of_client, "{status}");
    }
}

#[test]
fn a_database_call_is_known_by_its_system_whatever_its_kind() {
    let queries = series_of(|| {
        let span = info_span!(
            "query",
            db.system.name = "postgresql",
            db.response.status_code = Empty,
            db.response.returned_rows = Empty,
        );
        span.record("db.response.returned_rows", 3);
        span.record("db.response.status_code", "57014");
    });

    let labels =
        r#"{db.response.status_code="57014", db.system.name="postgresql", error.type="57014"}"#;
    assert_eq!(
        queries,
        [
            format!("db.client.operation.duration {labels}"),
            format!("db.client.response.returned_rows {labels}"),
        ]
    );
    let not_yet_known = series_of(|| drop(info_span!("query", db.system.name = Empty)));
    assert_eq!(not_yet_known, Vec::<String>::new());
}

fn message(operation: &str, count: Option<u64>) {
    drop(info_span!(
        "message",
        messaging.system = "kafka",
        messaging.operation.name = operation,
        messaging.batch.message_count = count,
        messaging.destination.name = "orders",
    ));
}

#[test]
fn a_message_that_is_not_counted_is_one() {
    let produce = || {
        message("publish", None);
        message("publish", Some(5));
        drop(info_span!("one", messaging.system = "kafka", messaging.operation.type = "send"));
    };
    let (exporters, handle) = measured(SemanticConventions::new(), produce);

    let published = [
        ("messaging.destination.name", "orders"),
        ("messaging.operation.name", "publish"),
        ("messaging.system", "kafka"),
    ];
    exporters.assert_both(
        "messaging.client.sent.messages",
        "messaging_client_sent_messages_total",
        &published,
        6.0,
    );
    // Without a name the operation is called as its type.
    let named = [
        ("messaging.operation.name", "send"),
        ("messaging.system", "kafka"),
    ];
    let alone = exporters.collected("messaging.client.sent.messages", &named);
    assert_eq!(alone, Some(1.0));
    assert!(handle.problems().is_empty(), "{:?}", handle.problems());
}

#[test]
fn a_destination_is_called_by_its_template_where_there_is_one() {
    let produce = |name: &str, template: Option<&str>| {
        drop(info_span!(
            "message",
            messaging.system = "kafka",
            messaging.operation.name = "send",
            messaging.destination.name = name,
            messaging.destination.template = template,
        ));
    };
    let (exporters, _) = measured(SemanticConventions::new(), || {
        produce("customer-1", Some("customer-{id}"));
        produce("customer-2", Some("customer-{id}"));
        produce("orders", None);
    });

    let sent = |key, destination| {
        let labels = [
            (key, destination),
            ("messaging.operation.name", "send"),
            ("messaging.system", "kafka"),
        ];
        exporters.collected("messaging.client.sent.messages", &labels)
    };
    assert_eq!(
        sent("messaging.destination.template", "customer-{id}"),
        Some(2.0)
    );
    assert_eq!(sent("messaging.destination.name", "orders"), Some(1.0));
    let all = series(&exporters.resource_metrics());
    assert_eq!(all.len(), 4, "{all:?}");
}

#[test]
fn a_protocol_is_named_unless_it_is_http() {
    let protocols = |protocol: &str| {
        let all = series_of(|| {
            drop(info_span!(
                "request",
                otel.kind = "server",
                http.request.method = "GET",
                http.route = "/",
                network.protocol.name = protocol,
                url.scheme = "http",
            ));
        });
        all.iter()
            .filter(|it| it.contains("network.protocol.name"))
            .count()
    };

    assert_eq!(protocols("spdy"), 1);
    assert_eq!(protocols("http"), 0);
    assert_eq!(protocols("HTTP"), 0);
}

#[test]
fn messages_are_consumed_once() {
    let names = |conventions: SemanticConventions| {
        let all = series_by(conventions, || {
            message("receive", None);
            message("process", None);
        });
        let names = all.iter().map(|it| {
            let operation = it.split("operation.name=\"").nth(1).unwrap();
            let operation = operation.split('"').next().unwrap();
            format!("{} {operation}", it.split(' ').next().unwrap())
        });
        names.collect::<Vec<_>>()
    };

    let durations = [
        "messaging.client.operation.duration receive",
        "messaging.process.duration process",
    ];
    let received = "messaging.client.consumed.messages receive";
    assert_eq!(
        names(SemanticConventions::new()),
        [received, durations[0], durations[1]]
    );
    assert_eq!(
        names(SemanticConventions::new().count_processed(true)),
        [
            "messaging.client.consumed.messages process",
            received,
            durations[0],
            durations[1],
        ]
    );
}

#[test]
fn each_group_may_be_off() {
    let names = |conventions| -> BTreeSet<String> {
        let (exporters, _) = measured(conventions, spans_with_everything);
        let names = exporters.collected_names().into_iter();
        names
            .map(|name| name.split('.').next().unwrap().to_owned())
            .collect()
    };
    let all = names(SemanticConventions::new());
    assert_eq!(all.len(), 4, "{all:?}");
    for (group, conventions) in [
        ("http", SemanticConventions::new().http(false)),
        ("rpc", SemanticConventions::new().rpc(false)),
        ("db", SemanticConventions::new().database(false)),
        ("messaging", SemanticConventions::new().messaging(false)),
    ] {
        let mut others = all.clone();
        others.remove(group);
        assert_eq!(names(conventions), others, "{group}");
    }
}

#[test]
fn an_event_is_no_request() {
    let all = series_of(|| {
        tracing::info!(
            otel.kind = "server",
            http.request.method = "GET",
            http.route = "/"
        );
    });
    assert_eq!(all, Vec::<String>::new());
}
