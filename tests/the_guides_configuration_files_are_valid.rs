//! The configuration files of `docs/scale.md`, as promtool and as a collector's start
//! would check them.

#[path = "support/guide.rs"]
mod guide;
#[path = "support/prometheus.rs"]
mod prometheus;

use std::collections::BTreeSet;

use prometheus::assert_promtool_agrees;
use serde_json::Value;

const PROMETHEUS: [&str; 3] = [
    "prometheus-direct.yml",
    "prometheus-behind-collector.yml",
    "prometheus-remote-write.yml",
];
const AGENT: &str = "collector-agent.yaml";
const GATEWAYS: [&str; 2] = ["collector-gateway.yaml", "collector-remote-write.yaml"];

#[test]
fn promtool_agrees_with_the_configurations_and_their_rules() {
    for file in PROMETHEUS {
        let arguments = ["check", "config", "--lint=all", "--lint-fatal"];
        assert_promtool_agrees(&arguments, &guide::path(file));
    }
}

#[test]
fn the_rules_say_what_their_tests_expect() {
    assert_promtool_agrees(&["test", "rules"], &guide::path("rules_test.yml"));
}

#[test]
fn every_alert_has_a_test_in_which_it_fires() {
    let rules = guide::yaml("rules.yml");
    let rules = list(&rules["groups"])
        .iter()
        .flat_map(|it| list(&it["rules"]));
    let alerts: BTreeSet<_> = rules.filter_map(|rule| rule["alert"].as_str()).collect();
    let tests = guide::yaml("rules_test.yml");
    let tests = list(&tests["tests"]).iter();
    let tests = tests.flat_map(|it| it["alert_rule_test"].as_array().into_iter().flatten());
    let fired: BTreeSet<_> = tests
        .filter(|test| !list(&test["exp_alerts"]).is_empty())
        .filter_map(|test| test["alertname"].as_str())
        .collect();
    assert_eq!(fired, alerts);
}

#[test]
fn the_guide_leads_to_every_file() {
    let scale = guide::path("");
    let files = std::fs::read_dir(scale).unwrap();
    let files = files.map(|it| it.unwrap().file_name().into_string().unwrap());
    let checked =
        PROMETHEUS
            .iter()
            .chain(&GATEWAYS)
            .chain([&AGENT, &"rules.yml", &"rules_test.yml"]);
    let checked: BTreeSet<_> = checked.map(|it| (*it).to_owned()).collect();
    assert_eq!(files.collect::<BTreeSet<_>>(), checked);
    let guide = include_str!("../docs/scale.md");
    for file in checked {
        assert!(guide.contains(&format!("](scale/{file})")), "{file}");
    }
}

/// A collector does not start with a key that it does not know.
#[test]
fn the_collectors_have_only_keys_that_there_are() {
    for file in collectors() {
        let config = guide::yaml(file);
        for path in leaves(&config) {
            let of_its_kind: Vec<_> = path.split('.').map(kind).collect();
            let known = KEYS.iter().any(|key| of_its_kind.join(".") == *key);
            assert!(known, "{file}: {path}");
        }
    }
}

/// What the collector's components of 2026 are known to have.
const KEYS: [&str; 38] = [
    "receivers.otlp.protocols.grpc.endpoint",
    "receivers.otlp.protocols.http.endpoint",
    "processors.memory_limiter.check_interval",
    "processors.memory_limiter.limit_mib",
    "processors.memory_limiter.spike_limit_mib",
    "processors.resourcedetection.detectors",
    "processors.resourcedetection.timeout",
    "processors.resourcedetection.override",
    "processors.deltatocumulative.max_stale",
    "processors.batch.send_batch_size",
    "processors.batch.timeout",
    "exporters.otlp.endpoint",
    "exporters.otlp.tls.insecure",
    "exporters.otlp.sending_queue.enabled",
    "exporters.otlp.sending_queue.num_consumers",
    "exporters.otlp.sending_queue.queue_size",
    "exporters.otlp.retry_on_failure.enabled",
    "exporters.otlp.retry_on_failure.initial_interval",
    "exporters.otlp.retry_on_failure.max_interval",
    "exporters.otlp.retry_on_failure.max_elapsed_time",
    "exporters.prometheus.endpoint",
    "exporters.prometheus.metric_expiration",
    "exporters.prometheus.resource_to_telemetry_conversion.enabled",
    "exporters.prometheusremotewrite.endpoint",
    "exporters.prometheusremotewrite.resource_to_telemetry_conversion.enabled",
    "exporters.prometheusremotewrite.target_info.enabled",
    "exporters.prometheusremotewrite.external_labels.cluster",
    "exporters.prometheusremotewrite.remote_write_queue.enabled",
    "exporters.prometheusremotewrite.remote_write_queue.queue_size",
    "exporters.prometheusremotewrite.remote_write_queue.num_consumers",
    "exporters.prometheusremotewrite.retry_on_failure.enabled",
    "exporters.prometheusremotewrite.retry_on_failure.initial_interval",
    "exporters.prometheusremotewrite.retry_on_failure.max_interval",
    "exporters.prometheusremotewrite.retry_on_failure.max_elapsed_time",
    "extensions.health_check.endpoint",
    "service.extensions",
    "service.telemetry.logs.level",
    "service.telemetry.metrics.level",
];

#[test]
fn the_collectors_use_what_they_define_and_define_what_they_use() {
    for file in collectors() {
        let config = guide::yaml(file);
        let service = &config["service"];
        for kind in ["receivers", "processors", "exporters"] {
            let pipelines = service["pipelines"].as_object().unwrap().values();
            let used = pipelines.flat_map(|it| names(&it[kind])).collect();
            assert_eq!(keys(&config[kind]), used, "{kind} of {file}");
        }
        let extensions = names(&service["extensions"]).collect();
        assert_eq!(keys(&config["extensions"]), extensions, "{file}");
    }
}

#[test]
fn the_collectors_limit_memory_first_add_deltas_up_and_batch_last() {
    for file in collectors() {
        let config = guide::yaml(file);
        let pipelines = config["service"]["pipelines"].as_object().unwrap();
        let signals: Vec<_> = pipelines.keys().collect();
        assert_eq!(signals, ["metrics", "traces"], "{file}");
        for (signal, pipeline) in pipelines {
            let processors: Vec<_> = names(&pipeline["processors"]).collect();
            assert_eq!(processors.first(), Some(&"memory_limiter"), "{file}");
            assert_eq!(processors.last(), Some(&"batch"), "{file}");
            let adds_up = processors.contains(&"deltatocumulative");
            assert_eq!(adds_up, signal == "metrics", "{file}");
        }

        let exporters = config["exporters"].as_object().unwrap();
        for (name, exporter) in exporters {
            let queue = match kind(name) {
                "otlp" => "sending_queue",
                "prometheusremotewrite" => "remote_write_queue",
                _ => continue,
            };
            assert_eq!(
                exporter[queue]["num_consumers"], 1,
                "{name} keeps the order"
            );
            assert_eq!(exporter["retry_on_failure"]["enabled"], true, "{name}");
        }
    }
}

#[test]
fn nothing_listens_for_other_hosts_unless_somebody_wants_it() {
    for file in collectors().chain(PROMETHEUS) {
        let config = guide::yaml(file);
        for (path, text) in texts(&config) {
            if path.ends_with("endpoint") || path.ends_with("targets") || path.ends_with("url") {
                let address = text.strip_prefix("http://").unwrap_or(&text);
                assert!(address.starts_with("localhost:"), "{file}: {path} {text}");
            }
        }
    }
}

#[test]
fn the_files_lead_from_the_process_to_prometheus() {
    let agent = guide::yaml(AGENT);
    let to_gateway = &agent["exporters"]["otlp"]["endpoint"];
    for file in GATEWAYS {
        let gateway = guide::yaml(file);
        let otlp = &gateway["receivers"]["otlp"]["protocols"];
        assert_eq!(&otlp["grpc"]["endpoint"], to_gateway, "{file}");
        let health = &gateway["extensions"]["health_check"]["endpoint"];
        assert_ne!(health, &agent["extensions"]["health_check"]["endpoint"]);
    }
    let otlp = &agent["receivers"]["otlp"]["protocols"];
    assert_eq!(
        otlp["grpc"]["endpoint"], "localhost:4317",
        "the SDK's default"
    );
    assert_eq!(
        otlp["http"]["endpoint"], "localhost:4318",
        "the SDK's default"
    );

    let gateway = guide::yaml("collector-gateway.yaml");
    let behind = guide::yaml("prometheus-behind-collector.yml");
    let scrape = &behind["scrape_configs"][0];
    assert_eq!(scrape["honor_labels"], true);
    let scraped = &scrape["static_configs"][0]["targets"][0];
    assert_eq!(scraped, &gateway["exporters"]["prometheus"]["endpoint"]);

    let [direct, remote] = ["prometheus-direct.yml", "prometheus-remote-write.yml"];
    let [direct, remote] = [direct, remote].map(guide::yaml);
    let targets = &direct["scrape_configs"][0]["static_configs"];
    assert_eq!(
        targets[0]["targets"][0], "localhost:9464",
        "the SDK's default"
    );
    let job = |config: &Value| config["scrape_configs"][0].clone();
    assert_eq!(job(&direct), job(&remote));
}

fn collectors() -> impl Iterator<Item = &'static str> {
    std::iter::once(AGENT).chain(GATEWAYS)
}

/// Of two components of one kind the second has a name behind a slash.
fn kind(component: &str) -> &str {
    component.split('/').next().unwrap_or_default()
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn names(value: &Value) -> impl Iterator<Item = &str> {
    list(value).iter().map(|it| it.as_str().unwrap())
}

fn keys(value: &Value) -> BTreeSet<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// The paths to everything but the pipelines, which have names of their own.
fn leaves(config: &Value) -> BTreeSet<String> {
    let paths = texts(config).into_iter().map(|(path, _)| path);
    paths
        .filter(|path| !path.starts_with("service.pipelines."))
        .collect()
}

/// All scalars as text, with the paths to them; an element of a list has that of the list.
fn texts(config: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    collect("", config, &mut found);
    found
}

fn collect(path: &str, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(entries) => {
            for (key, value) in entries {
                collect(
                    format!("{path}.{key}").trim_start_matches('.'),
                    value,
                    found,
                );
            }
        }
        Value::Array(entries) => entries.iter().for_each(|it| collect(path, it, found)),
        Value::String(text) => found.push((path.to_owned(), text.clone())),
        other => found.push((path.to_owned(), other.to_string())),
    }
}
