//! The example `unannotated`: what its scrape says of handlers without a line of ours.
#![cfg(all(feature = "setup", feature = "axum", feature = "tower"))]

#[path = "support/addresses.rs"]
mod addresses;
#[allow(dead_code, reason = "the test calls what its `main` calls")]
#[path = "../examples/unannotated.rs"]
mod unannotated;

use std::env;
use std::process::Command;

use addresses::{own_address, own_port};

/// Runs in another process, because a process is set up once.
#[tokio::test]
async fn the_program() -> unannotated::Result<()> {
    match env::var_os("PROGRAM") {
        Some(_) => unannotated::run(true).await,
        None => Ok(()),
    }
}

#[test]
fn requests_statements_and_spans_are_measured_without_a_line_of_their_code() {
    let mut program = Command::new(env::current_exe().unwrap());
    for (name, _) in env::vars_os() {
        let known = name.to_string_lossy();
        if known.starts_with("OTEL_") || known.starts_with("TRACING_METER") {
            program.env_remove(&name);
        }
    }
    let ended = program
        .args(["the_program", "--exact", "--nocapture", "--quiet"])
        .env("PROGRAM", "unannotated")
        .env("OTEL_EXPORTER_PROMETHEUS_HOST", own_address())
        .env("OTEL_EXPORTER_PROMETHEUS_PORT", own_port())
        .output()
        .unwrap();
    assert!(
        ended.status.success(),
        "{}",
        String::from_utf8_lossy(&ended.stderr)
    );
    let scrape = String::from_utf8(ended.stdout).unwrap();

    let mut counted: Vec<String> = scrape.lines().filter_map(counted).collect();
    counted.sort();
    assert_eq!(counted, EXPECTED, "{scrape}");
}

/// What a line counts, without the port that the other service happens to have.
fn counted(line: &str) -> Option<String> {
    let (series, value) = line.rsplit_once(' ')?;
    let (metric, labels) = series.split_once('{')?;
    let is_counted = metric.ends_with("_count")
        || metric.ends_with("_calls_total")
        || metric.ends_with("_active_requests");
    let is_ours =
        metric.starts_with("http") || metric.starts_with("db") || metric.starts_with("traces");
    if !is_counted || !is_ours {
        return None;
    }
    let mut labels: Vec<&str> = labels.trim_end_matches('}').split(',').collect();
    labels.retain(|label| !label.starts_with("server_") && !label.starts_with("network_"));
    labels.sort_unstable();
    Some(format!("{metric} {} {value}", labels.join(" ")))
}

const EXPECTED: [&str; 22] = [
    r#"db_client_operation_duration_seconds_count db_query_summary="CREATE" db_system_name="sqlite" 1"#,
    r#"db_client_operation_duration_seconds_count db_query_summary="INSERT" db_system_name="sqlite" 2"#,
    r#"db_client_operation_duration_seconds_count db_query_summary="PRAGMA" db_system_name="sqlite" 1"#,
    r#"db_client_operation_duration_seconds_count db_query_summary="SELECT" db_system_name="sqlite" 5"#,
    r#"db_client_response_returned_rows_count db_query_summary="CREATE" db_system_name="sqlite" 1"#,
    r#"db_client_response_returned_rows_count db_query_summary="INSERT" db_system_name="sqlite" 2"#,
    r#"db_client_response_returned_rows_count db_query_summary="PRAGMA" db_system_name="sqlite" 1"#,
    r#"db_client_response_returned_rows_count db_query_summary="SELECT" db_system_name="sqlite" 5"#,
    r#"http_client_active_requests http_request_method="POST" url_template="/translations/{language}" 0"#,
    r#"http_client_request_duration_seconds_count error_type="413" http_request_method="POST" http_response_status_code="413" 1"#,
    r#"http_client_request_duration_seconds_count http_request_method="POST" http_response_status_code="200" 1"#,
    r#"http_server_active_requests http_request_method="GET" url_scheme="http" 0"#,
    r#"http_server_active_requests http_request_method="POST" url_scheme="http" 0"#,
    r#"http_server_request_duration_seconds_count error_type="502" http_request_method="GET" http_response_status_code="502" http_route="/notes/{id}/translation" url_scheme="http" 1"#,
    r#"http_server_request_duration_seconds_count http_request_method="GET" http_response_status_code="200" http_route="/notes/{id}" url_scheme="http" 2"#,
    r#"http_server_request_duration_seconds_count http_request_method="GET" http_response_status_code="200" http_route="/notes/{id}/translation" url_scheme="http" 1"#,
    r#"http_server_request_duration_seconds_count http_request_method="GET" http_response_status_code="404" http_route="/notes/{id}" url_scheme="http" 1"#,
    r#"http_server_request_duration_seconds_count http_request_method="POST" http_response_status_code="200" http_route="/notes" url_scheme="http" 2"#,
    r#"traces_span_metrics_calls_total span_kind="SPAN_KIND_INTERNAL" span_name="find" status_code="STATUS_CODE_UNSET" 5"#,
    r#"traces_span_metrics_calls_total span_kind="SPAN_KIND_INTERNAL" span_name="insert" status_code="STATUS_CODE_UNSET" 2"#,
    r#"traces_span_metrics_duration_seconds_count span_kind="SPAN_KIND_INTERNAL" span_name="find" status_code="STATUS_CODE_UNSET" 5"#,
    r#"traces_span_metrics_duration_seconds_count span_kind="SPAN_KIND_INTERNAL" span_name="insert" status_code="STATUS_CODE_UNSET" 2"#,
];
