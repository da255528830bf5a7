//! `setup`, in processes of their own: their environment is theirs, and so is their end.
#![cfg(feature = "setup")]
#![allow(clippy::print_stdout, reason = "a process says what it has done")]

#[path = "support/addresses.rs"]
mod addresses;
#[allow(dead_code, reason = "the examples need more of it")]
#[path = "../examples/support/receiver.rs"]
mod receiver;
#[cfg(feature = "tls")]
#[path = "support/tls.rs"]
mod tls;

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use addresses::{own_address, own_port};
use metrics_exporter_prometheus::PrometheusHandle;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric};
use receiver::{Receiver, attributes};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tracing::level_filters::LevelFilter;
use tracing::{Event, Span, Subscriber, instrument};
use tracing_meter::SemanticConventions;
use tracing_meter::propagation::SpanPropagation as _;
use tracing_meter::setup::{self, Guard, SetupError};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// More than one batch of spans.
const JOBS: u32 = 600;
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";

/// What the other tests run, each with an environment of its own.
#[test]
fn the_program() -> Result {
    let Ok(program) = env::var("PROGRAM") else {
        return Ok(());
    };
    let run = || run(&program);
    let runtime = match env::var("RUNTIME").as_deref() {
        Ok("current") => tokio::runtime::Builder::new_current_thread(),
        Ok("multi") => tokio::runtime::Builder::new_multi_thread(),
        _ => return run(),
    };
    let mut runtime = runtime;
    runtime.build()?.block_on(async { run() })
}

fn run(program: &str) -> Result {
    let mut builder = setup::builder()
        .service_name("of the code")
        .service_version("1.2.3");
    builder = match program {
        "hurry" => builder.shutdown_limit(Duration::from_secs(1)),
        "wait" => builder.shutdown_limit(Duration::MAX),
        "nameless" => setup::builder(),
        "measure" => builder.meter(tracing_meter::builder()),
        "measure debug" => builder.meter(tracing_meter::builder().directives("debug")),
        "requests without http" => builder.conventions(SemanticConventions::new().http(false)),
        _ => builder,
    };
    if program == "layers" {
        builder = builder
            .layer(Seen("any").with_filter(LevelFilter::WARN))
            .layer(Seen("all").with_filter(LevelFilter::INFO));
    }
    if program == "debugging" {
        builder = builder.layer(Seen("sdk").with_filter(LevelFilter::DEBUG));
    }
    let telemetry = builder.init()?;
    for _ in 0..JOBS {
        job();
    }
    match program {
        "error" => Err("the program has failed")?,
        "panic" => panic!("the program panics"),
        "render" => print!("{}", render(&telemetry)),
        "render details" | "measure" | "measure debug" => {
            tracing::debug!(monotonic_counter.details = 1);
            print!("{}", render(&telemetry));
        }
        "requests" | "requests without http" => {
            request();
            statement();
            print!("{}", render(&telemetry));
        }
        "export twice" => {
            flush(&telemetry);
            job();
            flush(&telemetry);
            print!("{}", render(&telemetry));
        }
        "serve" => _ = std::io::stdin().read_line(&mut String::new())?,
        "send" => println!("sent {:?}", sent()),
        "log" => log::info!("by the log crate"),
        "again" => assert!(setup::init().is_err_and(|it| SetupError::is_already_set(&it))),
        "layers" => println!("level {}", LevelFilter::current()),
        "end early" => {
            let handle = telemetry.handle().clone();
            telemetry.shutdown()?;
            println!("ended with {:?}", handle.problems());
            job();
            handle.problems().iter().for_each(|it| println!("{it}"));
        }
        "shutdown" | "hurry" | "wait" | "debugging" => telemetry.shutdown()?,
        "drop" | "nameless" => {}
        unknown => Err(unknown)?,
    }
    Ok(())
}

/// A layer of an application's.
struct Seen(&'static str);

impl<S: Subscriber> Layer<S> for Seen {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        println!("{} saw {}", self.0, event.metadata().level());
    }
}

#[instrument(fields(in_flight.jobs, duration.job))]
fn job() {
    tracing::info!(monotonic_counter.uploads = 1, region = "eu", "uploaded");
}

fn request() {
    drop(tracing::info_span!(
        "request",
        otel.kind = "server",
        http.request.method = "GET",
        http.route = "/",
        url.scheme = "http",
    ));
}

fn statement() {
    drop(tracing::info_span!(
        "statement",
        db.system.name = "sqlite",
        rows = 3
    ));
    drop(tracing::trace_span!(target: "quiet", "detail"));
}

/// With what could not be exported.
fn render(telemetry: &Guard) -> String {
    if let Some(traces) = telemetry.tracer_provider() {
        let _ = traces.force_flush();
    }
    telemetry
        .prometheus()
        .map(PrometheusHandle::render)
        .unwrap_or_default()
}

fn flush(telemetry: &Guard) {
    let (traces, metrics) = (telemetry.tracer_provider(), telemetry.meter_provider());
    traces.unwrap().force_flush().unwrap();
    metrics.unwrap().force_flush().unwrap();
}

#[instrument(fields(traceparent = TRACEPARENT, baggage = "tenant=acme"))]
fn sent() -> BTreeMap<String, String> {
    let mut headers = HashMap::new();
    Span::current().inject_into(&mut headers);
    headers.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_over_grpc() -> Result {
    let receiver = Receiver::start().await?;
    let program = program("drop")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .env(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            receiver.address().to_string(),
        )
        .env("OTEL_EXPORTER_OTLP_INSECURE", "true")
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b,tenant=acme");

    program.run().await?.succeeds();

    assert_all_arrived(&receiver);
    assert_resource_and_headers(&receiver);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_over_http() -> Result {
    let receiver = Receiver::start_http().await?;
    let program = program("drop")
        // Not for what is on the same machine.
        .env("http_proxy", nobody())
        .env(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("http://{}", receiver.address()),
        )
        .env("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b,tenant=acme");

    program.run().await?.succeeds();

    assert_all_arrived(&receiver);
    assert_resource_and_headers(&receiver);
    Ok(())
}

/// Blanks are no value, and none around a value is part of it, to the exporters neither.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_blank_is_not_said() -> Result {
    for protocol in ["GRPC", " http/protobuf "] {
        let is_grpc = protocol == "GRPC";
        let (receiver, endpoint) = if is_grpc {
            let receiver = Receiver::start().await?;
            let endpoint = format!(" {} ", receiver.address());
            (receiver, endpoint)
        } else {
            let receiver = Receiver::start_http().await?;
            let endpoint = format!(" http://{}/ ", receiver.address());
            (receiver, endpoint)
        };
        let mut program = program("shutdown")
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
            .env("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", protocol)
            .env("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", protocol)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
            .env("OTEL_EXPORTER_OTLP_INSECURE", "true")
            .env("OTEL_EXPORTER_OTLP_COMPRESSION", " gzip ")
            .env("OTEL_SPAN_EVENT_COUNT_LIMIT", " 0 ")
            .env("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b,tenant=acme");
        for signal in ["TRACES", "METRICS"] {
            for what in ["ENDPOINT", "INSECURE", "COMPRESSION", "HEADERS"] {
                program = program.env(&format!("OTEL_EXPORTER_OTLP_{signal}_{what}"), "");
            }
        }

        program.run().await?.succeeds();

        assert_all_arrived(&receiver);
        assert_resource_and_headers(&receiver);
        assert!(receiver.spans().iter().all(|it| it.span.events.is_empty()));
        let mut headers = receiver.headers().into_iter();
        assert!(!is_grpc || headers.all(|it| it["grpc-encoding"] == "gzip"));
    }
    Ok(())
}

/// A page for people answers everything, and answers well.
#[tokio::test(flavor = "multi_thread")]
async fn a_redirection_is_no_success() -> Result {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let login = axum::Router::new()
        .route("/login", axum::routing::get(|| async { "log in" }))
        .fallback(|| async { axum::response::Redirect::to("/login") });
    tokio::spawn(async move { axum::serve(listener, login).await });

    let program = program("shutdown").env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    let ended = program.run().await?;

    assert!(!ended.success, "{}", ended.stderr);
    assert!(ended.stderr.contains("303"), "{}", ended.stderr);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn each_signal_goes_its_own_way() -> Result {
    let (traces, metrics) = (Receiver::start().await?, Receiver::start_http().await?);
    let of_metrics = format!("http://{}/v1/metrics", metrics.address());
    let program = program("drop")
        .env("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc")
        .env(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            format!("http://{}", traces.address()),
        )
        .env("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", of_metrics);

    program.run().await?.succeeds();

    assert_eq!(traces.spans().len(), JOBS as usize);
    assert!(traces.metrics().is_empty() && metrics.spans().is_empty());
    assert_eq!(last_sum(&metrics, "uploads"), uploads());
    Ok(())
}

#[cfg(feature = "tls")]
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_behind_https_is_trusted_by_its_certificate() -> Result {
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = match protocol {
            "grpc" => Receiver::start().await?,
            _ => Receiver::start_http().await?,
        };
        let https = tls::Https::before(receiver.address()).await?;
        let program = |what| {
            program(what)
                .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
                .env(
                    "OTEL_EXPORTER_OTLP_ENDPOINT",
                    format!("https://{}", https.address),
                )
                .env(
                    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
                    &https.client_certificate,
                )
                .env("OTEL_EXPORTER_OTLP_CLIENT_KEY", &https.client_key)
        };

        // The system does not know its certificate.
        let ended = program("shutdown").run().await?;
        assert!(
            !ended.success && receiver.spans().is_empty(),
            "{}",
            ended.stderr
        );
        // Nor does it know nobody.
        let ended = program("shutdown")
            .env("OTEL_EXPORTER_OTLP_CERTIFICATE", &https.certificate)
            .env("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "")
            .env("OTEL_EXPORTER_OTLP_CLIENT_KEY", "")
            .run()
            .await?;
        assert!(
            !ended.success && receiver.spans().is_empty(),
            "{}",
            ended.stderr
        );

        let known = program("shutdown").env("OTEL_EXPORTER_OTLP_CERTIFICATE", &https.certificate);
        known.run().await?.succeeds();
        assert_all_arrived(&receiver);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_measured_without_the_guard_is_listed() -> Result {
    let program = program("end early")
        .env("OTEL_TRACES_EXPORTER", "none")
        .env("OTEL_METRICS_EXPORTER", "console");

    let ended = program.run().await?;

    assert!(ended.stdout.contains("ended with []"), "{}", ended.stdout);
    let listed = "tracing_meter: *: shut_down: a sink was shut down";
    assert_eq!(ended.stdout.matches(listed).count(), 1, "{}", ended.stdout);
    ended.succeeds();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_on_any_way_out_of_any_runtime() -> Result {
    for runtime in ["none", "current", "multi"] {
        for (way_out, succeeds) in [
            ("drop", true),
            ("shutdown", true),
            ("error", false),
            ("panic", false),
        ] {
            for protocol in ["grpc", "http/protobuf"] {
                let receiver = match protocol {
                    "grpc" => Receiver::start().await?,
                    _ => Receiver::start_http().await?,
                };
                let endpoint = format!("http://{}", receiver.address());
                let program = program(way_out)
                    .env("RUNTIME", runtime)
                    .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
                    .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
                let ended = program.run().await?;
                assert_eq!(ended.success, succeeds, "{}", ended.stderr);
                assert_all_arrived(&receiver);
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_without_a_name_is_unknown_by_its_program() -> Result {
    let receiver = Receiver::start_http().await?;
    let program = program("nameless")
        .env(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("http://{}", receiver.address()),
        )
        .env("OTEL_SERVICE_NAME", " ");

    program.run().await?.succeeds();

    let name = &receiver.spans()[0].resource["service.name"];
    let expected = "unknown_service:a_process_is_set_up_as_its_environment_says";
    assert!(name.starts_with(expected), "{name}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_preference_says_what_is_delta() -> Result {
    use AggregationTemporality::{Cumulative, Delta};

    for (preference, of_sums) in [("cumulative", Cumulative), ("Delta", Delta)] {
        let receiver = Receiver::start().await?;
        let program = program("drop")
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
            .env(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("http://{}", receiver.address()),
            )
            .env(
                "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
                preference,
            );

        program.run().await?.succeeds();

        assert_eq!(last_sum(&receiver, "uploads"), (f64::from(JOBS), of_sums));
        // What is in flight is a level, whatever is preferred.
        assert_eq!(last_sum(&receiver, "jobs"), (0.0, Cumulative));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_exports_by_itself_as_often_as_it_is_told() -> Result {
    let receiver = Receiver::start().await?;
    let mut program = program("serve")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        .env(
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            format!("http://{}", receiver.address()),
        )
        .env("OTEL_METRIC_EXPORT_INTERVAL", "50")
        .env("OTEL_BSP_SCHEDULE_DELAY", "50")
        .start()?;

    until("everything has arrived", || {
        receiver.spans().len() == JOBS as usize && !receiver.metrics().is_empty()
    })
    .await;

    program.end().await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_down_is_reported_and_counted() -> Result {
    let program = program("render")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", nobody())
        .env("OTEL_METRICS_EXPORTER", "prometheus")
        .env("OTEL_EXPORTER_PROMETHEUS_HOST", own_address())
        .env("OTEL_EXPORTER_PROMETHEUS_PORT", own_port());

    let ended = program.run().await?.succeeds();

    for counted in [
        r#"telemetry_failed_exports_total{signal="traces"}"#,
        &format!(r#"telemetry_lost_spans_total{{signal="traces"}} {JOBS}"#),
    ] {
        assert!(ended.stdout.contains(counted), "{}", ended.stdout);
    }
    let reported = "ERROR tracing_meter::setup::exports: cannot export traces: ";
    assert!(ended.stderr.contains(reported), "{}", ended.stderr);
    let lost = format!("telemetry was lost: traces: {JOBS} spans did not arrive");
    assert!(ended.stderr.contains(&lost), "{}", ended.stderr);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_for_a_moment_is_asked_again() -> Result {
    for protocol in ["grpc", "http/protobuf"] {
        let [receiver, _] = receivers(protocol).await?;
        receiver.be_away_for(2);
        let endpoint = format!("http://{}", receiver.address());
        let program = program("shutdown")
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);

        program.run().await?.succeeds();

        assert_all_arrived(&receiver);
    }
    Ok(())
}

/// A program that exports to two receivers, and shows what it has measured itself.
async fn exporting(protocol: &str, traces: &Receiver, metrics: &Receiver) -> Result<Ended> {
    let (mut of_traces, mut of_metrics) = ("", "");
    if protocol == "http/protobuf" {
        (of_traces, of_metrics) = ("/v1/traces", "/v1/metrics");
    }
    let program = program("export twice")
        .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
        .env(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            format!("http://{}{of_traces}", traces.address()),
        )
        .env(
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            format!("http://{}{of_metrics}", metrics.address()),
        )
        .env("OTEL_METRICS_EXPORTER", "otlp,prometheus")
        .env("OTEL_EXPORTER_PROMETHEUS_HOST", own_address())
        .env("OTEL_EXPORTER_PROMETHEUS_PORT", own_port())
        // Its level is as good as any for what is said.
        .env(
            "RUST_LOG",
            "info,a_process_is_set_up_as_its_environment_says=off,opentelemetry=off",
        );
    Ok(program.run().await?.succeeds())
}

async fn receivers(protocol: &str) -> Result<[Receiver; 2]> {
    Ok(if protocol == "grpc" {
        [Receiver::start().await?, Receiver::start().await?]
    } else {
        [Receiver::start_http().await?, Receiver::start_http().await?]
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_rejects_is_counted_and_said_once() -> Result {
    for protocol in ["grpc", "http/protobuf"] {
        let [traces, metrics] = receivers(protocol).await?;
        traces.reject(1, "too\nold");
        metrics.reject(3, "too many");

        let ended = exporting(protocol, &traces, &metrics).await?;

        let exports = traces.headers().len();
        assert!(exports >= 2, "{exports}");
        for counted in [
            format!(r#"telemetry_rejected_spans_total{{signal="traces"}} {exports}"#),
            r#"telemetry_rejected_points_total{signal="metrics"} 6"#.to_owned(),
        ] {
            assert!(
                ended.stdout.contains(&counted),
                "{counted} in {}",
                ended.stdout
            );
        }
        let lines = lines_of_exports(&ended);
        let of_traces = r#" WARN tracing_meter::setup::exports: the collector has rejected 1 of the spans of an export: "too\nold""#;
        let of_metrics = r#" WARN tracing_meter::setup::exports: the collector has rejected 3 of the points of an export: "too many""#;
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].contains(of_traces), "{lines:?}");
        assert!(lines[1].contains(of_metrics), "{lines:?}");
        // They did not arrive.
        let lost = format!("telemetry was lost: traces: {exports} spans did not arrive: ");
        assert!(lines[2].contains(&lost), "{lines:?}");
        assert!(
            lines[2].contains("; metrics: the collector has rejected 3"),
            "{lines:?}"
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_collector_warns_of_is_said_once_and_nothing_is_lost() -> Result {
    for protocol in ["grpc", "http/protobuf"] {
        let [traces, metrics] = receivers(protocol).await?;
        traces.reject(0, "use OTLP 2");
        // Which is what it says that has nothing to say.
        metrics.reject(0, "");

        let ended = exporting(protocol, &traces, &metrics).await?;

        let lines = lines_of_exports(&ended);
        let [line] = &lines[..] else {
            panic!("{lines:?}");
        };
        let warning = r#" WARN tracing_meter::setup::exports: the collector warns: "use OTLP 2""#;
        assert!(line.contains(warning), "{line}");
        assert!(!ended.stdout.contains("rejected"), "{}", ended.stdout);
    }
    Ok(())
}

/// What was said of exports, and at the end.
fn lines_of_exports(ended: &Ended) -> Vec<&str> {
    let lines = ended.stderr.lines();
    lines
        .filter(|it| it.contains("tracing_meter::setup"))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_lost_is_an_error_of_shutting_down() -> Result {
    for protocol in ["grpc", "http/protobuf"] {
        let program = program("shutdown")
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", nobody());

        let ended = program.run().await?;

        assert!(!ended.success);
        let lost = format!("Error: telemetry was lost: traces: {JOBS} spans did not arrive: ");
        assert!(ended.stderr.contains(&lost), "{}", ended.stderr);
        assert!(ended.stderr.contains("; metrics: "), "{}", ended.stderr);
    }
    Ok(())
}

/// Without the limit it would wait for ten minutes.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_does_not_answer_does_not_hold_the_process() -> Result {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    for protocol in ["grpc", "http/protobuf"] {
        let program = program("hurry")
            .env("RUNTIME", "current")
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .env(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("http://{}", silent.local_addr()?),
            )
            .env("OTEL_EXPORTER_OTLP_TIMEOUT", "600000");

        let ended = program.run().await?;

        assert!(!ended.success);
        let lost = "telemetry was lost: traces: not exported within 500.0ms";
        assert!(ended.stderr.contains(lost), "{}", ended.stderr);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_alone_have_all_of_the_time() -> Result {
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let program = program("hurry").env("OTEL_METRICS_EXPORTER", "none").env(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        format!("http://{}", silent.local_addr()?),
    );

    let ended = program.run().await?;

    let lost = "telemetry was lost: traces: not exported within 1.0s";
    assert!(ended.stderr.contains(lost), "{}", ended.stderr);
    Ok(())
}

/// For five seconds the SDK would wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_answers_late_is_waited_for() -> Result {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let endpoint = format!("http://{}", listener.local_addr()?);
    let late = axum::Router::new().fallback(|| tokio::time::sleep(Duration::from_secs(6)));
    tokio::spawn(async move { axum::serve(listener, late).await });

    let program = program("wait")
        .env("OTEL_TRACES_EXPORTER", "none")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);

    program.run().await?.succeeds();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn prometheus_scrapes_what_no_log_filter_changes() -> Result {
    let port = free_port();
    let mut program = program("serve")
        .env("OTEL_METRICS_EXPORTER", "prometheus")
        .env("OTEL_TRACES_EXPORTER", "none")
        .env("OTEL_EXPORTER_PROMETHEUS_PORT", &port)
        .env("OTEL_SERVICE_NAME", "")
        .env("RUST_LOG", "off")
        .start()?;

    let scrape = scrape(&port).await;
    let second = self::program("drop")
        .env("OTEL_METRICS_EXPORTER", "prometheus")
        .env("OTEL_EXPORTER_PROMETHEUS_PORT", &port)
        .run()
        .await?;

    for line in [
        &format!(r#"uploads_total{{region="eu"}} {JOBS}"#),
        "jobs 0",
        &format!(r#"job_seconds_count{{outcome="ok"}} {JOBS}"#),
        r#"team="x y""#,
        r#"service_name="of the code""#,
    ] {
        assert!(scrape.contains(line), "{line} in {scrape}");
    }
    let taken = format!("the Prometheus endpoint cannot listen on 127.0.0.1:{port}: Address");
    assert!(
        !second.success && second.stderr.contains(&taken),
        "{}",
        second.stderr
    );
    assert_eq!(program.end().await?.stderr, "");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_are_measured_as_they_are_unless_the_environment_or_the_code_says_no() -> Result {
    const HTTP: &str = "http_server_request_duration_seconds_count{";
    const DATABASE: &str = "db_client_operation_duration_seconds_count{";
    for (what, conventions, has_http, has_database) in [
        ("requests", "", true, true),
        ("requests", "http,RPC", true, false),
        ("requests", " database ", false, true),
        ("requests", "none", false, false),
        ("requests without http", "", false, true),
        ("requests without http", "http", true, false),
    ] {
        let program = scraped(what).env("TRACING_METER_CONVENTIONS", conventions);

        let scrape = program.run().await?.succeeds().stdout;

        let measured = (scrape.contains(HTTP), scrape.contains(DATABASE));
        let expected = (has_http, has_database);
        assert_eq!(measured, expected, "{what}, `{conventions}`: {scrape}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_environment_chooses_spans_and_a_file_of_rules() -> Result {
    const SPANS: &str = "a_process_is_set_up_as_its_environment_says=info,quiet=trace";
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), RULES)?;
    let program = scraped("requests")
        .env("TRACING_METER_SPANS", SPANS)
        .env("TRACING_METER_RULES", file.path().to_str().unwrap());

    let scrape = program.run().await?.succeeds().stdout;

    let calls = |name: &str| {
        let mut lines = scrape.lines();
        let calls = |line: &&str| {
            line.starts_with("traces_span_metrics_calls_total{")
                && line.contains(&format!("span_name=\"{name}\""))
                && line.contains("service_name=\"of the environment\"")
        };
        lines.find(calls).map(|line| line.ends_with(" 1"))
    };
    assert_eq!(calls("request"), Some(true), "{scrape}");
    // More than `info` is asked for by target.
    assert_eq!(calls("detail"), Some(true), "{scrape}");
    if cfg!(feature = "toml") {
        assert!(scrape.contains("statement_rows_sum 3"), "{scrape}");
    }
    Ok(())
}

const RULES: &str = r#"
[[rule]]
name = "rows"
select = { kind = "span", name = "statement", fields = ["rows"] }
measure = [{ metric = "statement.rows", kind = "histogram", field = "rows" }]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn conventions_that_are_not_known_are_errors_that_name_their_variable() -> Result {
    let mut wrong = vec![
        ("TRACING_METER_CONVENTIONS", "http,htp", "htp"),
        ("TRACING_METER_CONVENTIONS", "none,http", "none"),
        ("TRACING_METER_SPANS", "app=loud", "app=loud"),
    ];
    if cfg!(feature = "toml") {
        wrong.push(("TRACING_METER_RULES", "/no/such/file", "/no/such/file"));
    }
    for (variable, value, culprit) in wrong {
        let ended = scraped("requests").env(variable, value).run().await?;
        assert!(!ended.success, "{variable}={value}");
        assert!(ended.stderr.contains(variable), "{}", ended.stderr);
        assert!(ended.stderr.contains(culprit), "{}", ended.stderr);
    }
    Ok(())
}

fn scraped(what: &str) -> Program {
    program(what)
        .env("OTEL_METRICS_EXPORTER", "prometheus")
        .env("OTEL_TRACES_EXPORTER", "none")
        .env("OTEL_EXPORTER_PROMETHEUS_HOST", own_address())
        .env("OTEL_EXPORTER_PROMETHEUS_PORT", own_port())
}

/// With a measuring layer of the application's as without one.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_measured_is_info_unless_there_are_directives() -> Result {
    for (what, directives, has_details) in [
        ("render details", "", false),
        ("measure", "", false),
        ("measure", "debug", true),
        ("measure debug", "", true),
        ("measure debug", "info", false),
    ] {
        let program = program(what)
            .env("OTEL_METRICS_EXPORTER", "prometheus")
            .env("OTEL_TRACES_EXPORTER", "none")
            .env("OTEL_EXPORTER_PROMETHEUS_HOST", own_address())
            .env("OTEL_EXPORTER_PROMETHEUS_PORT", own_port())
            .env("TRACING_METER", directives);

        let scrape = program.run().await?.succeeds().stdout;

        assert!(scrape.contains("uploads_total"), "{scrape}");
        let details = scrape.contains("details_total 1");
        assert_eq!(details, has_details, "{what}, `{directives}`: {scrape}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_shows_both_signals() -> Result {
    let program = program("drop")
        .env("OTEL_METRICS_EXPORTER", "console")
        .env("OTEL_TRACES_EXPORTER", "console");

    let ended = program.run().await?.succeeds();

    let (spans, metrics) = (
        ended.stdout.matches("Span #").count(),
        "Name         : uploads",
    );
    assert_eq!(spans, JOBS as usize);
    assert!(ended.stdout.contains(metrics), "{}", ended.stdout);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn without_exporters_a_trace_is_passed_on_as_it_came() -> Result {
    for (name, value) in [
        ("OTEL_TRACES_EXPORTER", "none"),
        ("OTEL_SDK_DISABLED", "true"),
    ] {
        let program = program("send")
            .env("OTEL_METRICS_EXPORTER", "none")
            .env(name, value);
        let ended = program.run().await?.succeeds();
        let sent = format!(r#"sent {{"baggage": "tenant=acme", "traceparent": "{TRACEPARENT}"}}"#);
        assert!(ended.stdout.contains(&sent), "{}", ended.stdout);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_headers_of_the_propagators_are_read_and_sent() -> Result {
    let baggage = r#""baggage": "tenant=acme""#;
    let traceparent = format!(r#""traceparent": "{TRACEPARENT}""#);
    for (propagators, sent) in [
        ("baggage,tracecontext", format!("{baggage}, {traceparent}")),
        ("tracecontext", traceparent.clone()),
        ("baggage", baggage.to_owned()),
        ("none", String::new()),
    ] {
        let program = program("send")
            .env("OTEL_METRICS_EXPORTER", "none")
            .env("OTEL_TRACES_EXPORTER", "none")
            .env("OTEL_PROPAGATORS", propagators);
        let ended = program.run().await?.succeeds();
        let sent = format!("sent {{{sent}}}");
        assert!(ended.stdout.contains(&sent), "{}", ended.stdout);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn sampling_changes_no_number() -> Result {
    for (sampler, argument) in [("always_off", ""), ("traceidratio", "0")] {
        let receiver = Receiver::start().await?;
        let program = program("drop")
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
            .env(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("http://{}", receiver.address()),
            )
            .env("OTEL_TRACES_SAMPLER", sampler)
            .env("OTEL_TRACES_SAMPLER_ARG", argument);

        program.run().await?.succeeds();

        assert!(receiver.spans().is_empty());
        assert_eq!(last_sum(&receiver, "uploads"), uploads());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_stops_the_process_by_its_name() -> Result {
    for (name, value) in [
        ("OTEL_METRICS_EXPORTER", "statsd"),
        ("OTEL_TRACES_SAMPLER", "sometimes"),
        ("OTEL_PROPAGATORS", "b3"),
        ("RUST_LOG", "app=loud"),
        ("TRACING_METER", "app=loud"),
    ] {
        let ended = program("drop").env(name, value).run().await?;
        assert!(!ended.success);
        assert!(ended.stderr.contains("Error: invalid "), "{}", ended.stderr);
        assert!(ended.stderr.contains(name), "{}", ended.stderr);
        assert!(
            ended.stderr.contains(&format!("`{value}`")),
            "{}",
            ended.stderr
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn log_lines_name_their_trace_and_those_of_the_log_crate_are_there() -> Result {
    let program = program("log")
        .env("OTEL_METRICS_EXPORTER", "none")
        .env("OTEL_TRACES_EXPORTER", "console")
        .env("RUST_LOG", "");

    let ended = program.run().await?.succeeds();

    assert!(
        ended.stderr.contains("by the log crate"),
        "{}",
        ended.stderr
    );
    let line = ended.stderr.lines().find(|it| it.contains("uploaded"));
    let line = line.ok_or("no line")?;
    assert!(
        line.contains("trace_id=") && line.contains("span_id="),
        "{line}"
    );
    Ok(())
}

/// The SDK logs while it is asked for an instrument, in the middle of a span's opening.
#[tokio::test(flavor = "multi_thread")]
async fn a_log_filter_may_let_through_what_the_sdk_says_and_nothing_else() -> Result {
    for (what, filter) in [
        ("shutdown", "opentelemetry_sdk=debug"),
        ("debugging", "warn"),
    ] {
        let receiver = Receiver::start_http().await?;
        let program = program(what)
            .env(
                "OTEL_EXPORTER_OTLP_ENDPOINT",
                format!("http://{}", receiver.address()),
            )
            .env("RUST_LOG", filter);

        let ended = program.run().await?.succeeds();

        let said = [&*ended.stdout, &*ended.stderr].concat();
        assert!(said.contains("DEBUG"), "{said}");
        assert!(!ended.stderr.contains("uploaded"), "{}", ended.stderr);
        assert_all_arrived(&receiver);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filtered_layer_of_the_application_sees_its_own_and_enables_nothing_else() -> Result {
    let program = program("layers")
        .env("OTEL_METRICS_EXPORTER", "none")
        .env("OTEL_TRACES_EXPORTER", "none");

    let ended = program.run().await?.succeeds();

    assert!(ended.stdout.contains("level info"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("any saw"), "{}", ended.stdout);
    assert_eq!(ended.stdout.matches("all saw INFO").count(), JOBS as usize);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_set_up_once() -> Result {
    let program = program("again")
        .env("OTEL_METRICS_EXPORTER", "none")
        .env("OTEL_TRACES_EXPORTER", "none");
    program.run().await?.succeeds();
    Ok(())
}

#[test]
fn the_quick_start_has_less_than_ten_lines() {
    let readme = include_str!("../README.md");
    let blocks = readme.split("```").skip(1).step_by(2);
    let mut quick_starts = blocks.filter(|it| it.contains("setup::init()"));
    let lines = quick_starts
        .next()
        .map(|it| it.trim_end().lines().skip(1).count());
    assert!(lines.is_some_and(|it| it < 10), "{lines:?}");
}

fn uploads() -> (f64, AggregationTemporality) {
    (f64::from(JOBS), AggregationTemporality::Cumulative)
}

fn assert_all_arrived(receiver: &Receiver) {
    let spans = receiver.spans();
    assert_eq!(spans.len(), JOBS as usize);
    assert!(spans.iter().all(|it| it.span.name == "job"));
    assert_eq!(last_sum(receiver, "uploads"), uploads());
    let nothing = (0.0, AggregationTemporality::Cumulative);
    assert_eq!(last_sum(receiver, "jobs"), nothing);
}

fn assert_resource_and_headers(receiver: &Receiver) {
    let pid = &receiver.spans()[0].resource["process.pid"];
    let of_spans = receiver.spans().into_iter().map(|it| it.resource);
    let of_metrics = receiver.metrics().into_iter().map(|it| it.resource);
    for resource in of_spans.chain(of_metrics) {
        assert_eq!(resource["service.name"], "of the environment");
        assert_eq!(resource["service.version"], "1.2.3");
        assert_eq!(resource["team"], "x y");
        assert_eq!(resource["telemetry.sdk.language"], "rust");
        assert_eq!(&resource["process.pid"], pid);
        for key in [
            "service.instance.id",
            "host.name",
            "os.type",
            "process.runtime.name",
        ] {
            assert!(!resource[key].is_empty(), "{key}");
        }
    }
    for headers in receiver.headers() {
        assert_eq!(headers["api-key"], "a b");
        assert_eq!(headers["tenant"], "acme");
    }
}

/// The value of the metric's only series, as it came last.
fn last_sum(receiver: &Receiver, name: &str) -> (f64, AggregationTemporality) {
    let metrics = receiver.metrics();
    let last = metrics.iter().rfind(|it| it.metric.name == name);
    let Some(Metric {
        data: Some(Data::Sum(sum)),
        ..
    }) = last.map(|it| &it.metric)
    else {
        panic!("no sum {name} in {metrics:?}");
    };
    let [point] = &sum.data_points[..] else {
        panic!("{sum:?}");
    };
    assert!(attributes(&point.attributes).len() <= 1);
    let Some(Value::AsDouble(value)) = point.value else {
        panic!("{point:?}");
    };
    (value, sum.aggregation_temporality())
}

fn program(what: &str) -> Program {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["the_program", "--exact", "--nocapture", "--quiet"]);
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("OTEL_") || name.starts_with("TRACING_METER") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command
        .env("PROGRAM", what)
        .env("OTEL_SERVICE_NAME", "of the environment")
        .env("OTEL_RESOURCE_ATTRIBUTES", "team=x%20y")
        // Of a child that runs on nobody reads the lines.
        .env("RUST_LOG", "warn")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    Program(command)
}

struct Program(Command);

struct Ended {
    success: bool,
    stdout: String,
    stderr: String,
}

impl Program {
    fn env(mut self, name: &str, value: impl AsRef<str>) -> Self {
        self.0.env(name, value.as_ref());
        self
    }

    fn start(mut self) -> Result<Running> {
        Ok(Running(Some(self.0.spawn()?)))
    }

    /// To its end, for which two minutes are more than enough.
    async fn run(mut self) -> Result<Ended> {
        let output = tokio::time::timeout(Duration::from_secs(120), self.0.output()).await??;
        Ended::of(&output)
    }
}

struct Running(Option<tokio::process::Child>);

impl Running {
    async fn end(&mut self) -> Result<Ended> {
        let mut process = self.0.take().ok_or("it has ended")?;
        process
            .stdin
            .take()
            .ok_or("no input")?
            .write_all(b"\n")
            .await?;
        Ended::of(&process.wait_with_output().await?)
    }
}

impl Ended {
    fn of(output: &std::process::Output) -> Result<Self> {
        Ok(Self {
            success: output.status.success(),
            stdout: String::from_utf8(output.stdout.clone())?,
            stderr: String::from_utf8(output.stderr.clone())?,
        })
    }

    #[track_caller]
    fn succeeds(self) -> Self {
        assert!(self.success, "{}\n{}", self.stdout, self.stderr);
        self
    }
}

/// A collector that is down.
fn nobody() -> String {
    format!("http://{}:{}", own_address(), own_port())
}

/// One of the default host that nobody listens at, now.
fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

/// Once the endpoint is there and the work is done.
async fn scrape(port: &str) -> String {
    let url = format!("http://127.0.0.1:{port}/metrics");
    let done = format!("uploads_total{{region=\"eu\"}} {JOBS}");
    for _ in 0..POLLS {
        if let Ok(answer) = reqwest::get(&url).await {
            let text = answer.text().await.unwrap();
            if text.contains(&done) {
                return text;
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("no scrape at {url}");
}

/// Within a minute, at `PAUSE` between two of them.
const POLLS: usize = 1200;
const PAUSE: Duration = Duration::from_millis(50);

async fn until(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..POLLS {
        if is_so() {
            return;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("not so within a minute: {what}");
}
