//! `examples/runtime.rs` as a service: a Prometheus server watches it, its collector goes
//! away and comes back, and it is told to stop while clients go on.

#![allow(clippy::print_stdout, reason = "one process tells another its account")]
#![cfg(all(feature = "setup", feature = "axum", feature = "tower"))]

#[path = "support/addresses.rs"]
mod addresses;
#[path = "support/prometheus.rs"]
mod prometheus;
#[allow(dead_code, reason = "its load and its table are for other tests")]
#[path = "../examples/runtime.rs"]
mod runtime;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use addresses::{own_address, own_port};
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prometheus::Prometheus;
use reqwest::{Client, Method};
use runtime::account::Account;
use runtime::ledger::{Series, Values};
use runtime::receiver::Receiver;
use runtime::report::terminate;
use runtime::telemetry::{OTLP_ENDPOINT, PROMETHEUS_HOST, PROMETHEUS_PORT, forget_variables};
use runtime::{Options, Result, levels, otlp, run, scrape, stop_signal};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinSet;
use tokio::time::timeout;

const SERVE: &str = "SERVE";
const MINUTE: Duration = Duration::from_secs(60);

/// The service, which the tests below start with an environment.
#[tokio::test(flavor = "multi_thread")]
async fn the_service() -> Result<()> {
    if env::var_os(SERVE).is_some() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let options = Options { listen, load: None };
        println!("{}", run(options, stop_signal()?).await?);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_prometheus_answers_what_an_operator_asks() -> Result<()> {
    let receiver = Receiver::start().await?;
    let service = Service::start(&receiver).await?;
    let Some(prometheus) = Prometheus::start(&scrapes(&service.metrics), &[]).await? else {
        return Ok(());
    };
    let clients = Clients::start(&service, &[PUT, GET, MISSING, PANIC, ORDER]);

    let is = |expected: std::ops::Range<f64>| {
        move |answer: Option<f64>| answer.is_some_and(|it| expected.contains(&it))
    };
    let requests = "sum(rate(wippy_http_requests_total[20s]))";
    prometheus.poll(requests, is(1.0..1e6)).await?;
    // One of five.
    let failures = "sum(rate(wippy_http_requests_total{status=~'5..'}[20s])) \
                    / sum(rate(wippy_http_requests_total[20s]))";
    prometheus.poll(failures, is(0.19..0.21)).await?;
    let panics = "sum by (function) (rate(wippy_function_calls_total{outcome='panic'}[20s]))";
    prometheus.poll(panics, is(0.1..1e6)).await?;
    let slowest = "histogram_quantile(0.99, sum by (le, route) \
                   (rate(wippy_http_request_duration_seconds_bucket[20s])))";
    prometheus.poll(slowest, is(1e-6..10.0)).await?;
    let misses = "sum(rate(wippy_kv_ops_total{op='get',result='miss'}[20s])) \
                  / sum(rate(wippy_kv_ops_total{op='get'}[20s]))";
    prometheus.poll(misses, is(0.49..0.51)).await?;
    let backlog = "sum(increase(wippy_queue_messages_total{queue='orders',result='published'}[20s]))\
                   - sum(increase(wippy_queue_messages_total{queue='orders',result='ack'}[20s]))";
    prometheus.poll(backlog, is(-50.0..50.0)).await?;
    let of_the_service = "count(wippy_http_requests_total * on (instance, job) \
                          group_left (service_name) target_info{service_name='runtime'})";
    prometheus.poll(of_the_service, is(1.0..1e3)).await?;

    let answered = clients.stop().await?;
    let all = f64::from(answered.values().sum::<u32>());
    prometheus
        .poll_until("sum(wippy_http_requests_total)", all)
        .await?;
    prometheus
        .poll_until("sum(http_server_request_duration_seconds_count)", all)
        .await?;
    let in_flight = "sum({__name__=~'.*_in_flight|.*_active|.*_active_requests'})";
    prometheus.poll_until(in_flight, 0.0).await?;

    let account = service.stop().await?;
    assert_is_what_was_answered(&account, &answered);
    assert_same_by_otlp(&account, &receiver);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_may_go_away_and_come_back() -> Result<()> {
    let receiver = Receiver::start().await?;
    let address = receiver.address();
    let service = Service::start(&receiver).await?;
    let clients = Clients::start(&service, &[PUT, GET]);
    until("metrics arrive", async || {
        Ok(!receiver.metrics().is_empty())
    })
    .await?;
    until("spans arrive", async || Ok(!receiver.spans().is_empty())).await?;

    let before = receiver.stop().await.len();
    // The scrape shows that nothing arrives, while everything goes on.
    for signal in ["traces", "metrics"] {
        let failures = Series::new("telemetry_failed_exports_total", &[("signal", signal)]);
        until("failures are counted", async || {
            Ok(service.scrape().await?.get(&failures) > Some(&1.0))
        })
        .await?;
    }
    let receiver = Receiver::start_at(address).await?;
    until("metrics arrive again", async || {
        Ok(!receiver.metrics().is_empty())
    })
    .await?;
    until("spans arrive again", async || {
        Ok(!receiver.spans().is_empty())
    })
    .await?;

    let answered = clients.stop().await?;
    let account = service.stop().await?;
    // No number is lost: what is exported is the sum since the start.
    assert_is_what_was_answered(&account, &answered);
    assert_same_by_otlp(&account, &receiver);
    // Spans are, and it is said how many.
    let arrived = before + receiver.spans().len();
    let lost = answered.values().sum::<u32>() as usize - arrived;
    let said = format!("telemetry was lost: traces: {lost} spans did not arrive");
    assert!(
        lost > 0 && account.problems == [said],
        "{lost}: {:?}",
        account.problems
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sigterm_under_load_loses_nothing_that_was_answered() -> Result<()> {
    let receiver = Receiver::start().await?;
    let service = Service::start(&receiver).await?;
    let clients = Clients::start(&service, &[PUT, GET, MISSING, PANIC, ORDER]);
    until("there is a load", async || Ok(clients.answers() > 500)).await?;

    let account = service.stop().await?;

    let answered = clients.end().await?;
    assert_is_what_was_answered(&account, &answered);
    assert_same_by_otlp(&account, &receiver);
    assert_eq!(account.problems, Vec::<String>::new());
    let scraped = scrape::parse(&account.scrape)?;
    let orders = f64::from(answered[&ORDER]);
    for result in ["published", "ack"] {
        let labels = [("queue", "orders"), ("result", result)];
        let messages = Series::new("wippy_queue_messages_total", &labels);
        assert_eq!(scraped.get(&messages), Some(&orders), "{result}");
    }
    assert_nothing_is_in_flight(&scraped);
    for (request, answers) in &answered {
        let name = format!("{} {}", request.method, request.route);
        let spans = receiver.spans().into_iter();
        let spans = spans.filter(|it| it.span.name == name && has_status(it, request.status));
        assert_eq!(
            spans.count(),
            *answers as usize,
            "{name} {}",
            request.status
        );
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_never_finish_do_not_keep_a_service_that_is_told_to_stop() -> Result<()> {
    let receiver = Receiver::start().await?;
    let service = Service::start(&receiver).await?;
    let address = service.address.trim_start_matches("http://");
    let mut clients = Vec::new();
    let whole = "PUT /kv/kept HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\nhalf";
    for half in ["", "GET /kv/kept HT", whole] {
        let mut client = TcpStream::connect(address).await?;
        client.write_all(half.as_bytes()).await?;
        clients.push(client);
    }
    let labels = [("method", "PUT"), ("route", "/kv/{key}")];
    let requests = Series::new("wippy_http_requests_in_flight", &labels);
    until("the half request is in flight", async || {
        Ok(service.scrape().await?.get(&requests) == Some(&1.0))
    })
    .await?;

    let account = service.stop().await?;

    assert_eq!(account.problems, Vec::<String>::new());
    let scraped = scrape::parse(&account.scrape)?;
    assert_eq!(scraped.get(&requests), Some(&0.0));
    assert_nothing_is_in_flight(&scraped);
    assert_same_by_otlp(&account, &receiver);
    Ok(())
}

#[track_caller]
fn assert_nothing_is_in_flight(scraped: &Values) {
    for (series, value) in scraped {
        assert!(
            !levels::is_level(series) || *value == 0.0,
            "{series} {value}"
        );
    }
}

fn has_status(received: &runtime::receiver::Received, status: u16) -> bool {
    let attributes = runtime::receiver::attributes(&received.span.attributes);
    attributes.get("http.response.status_code") == Some(&status.to_string())
}

/// A request, and how it is always answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Request {
    method: &'static str,
    path: &'static str,
    route: &'static str,
    status: u16,
}

impl Request {
    const fn new(method: &'static str, path: &'static str, route: &'static str, of: u16) -> Self {
        Self {
            method,
            path,
            route,
            status: of,
        }
    }
}

const PUT: Request = Request::new("PUT", "/kv/kept", "/kv/{key}", 204);
const GET: Request = Request::new("GET", "/kv/kept", "/kv/{key}", 200);
const MISSING: Request = Request::new("GET", "/kv/missing", "/kv/{key}", 404);
const PANIC: Request = Request::new("POST", "/functions/panic", "/functions/{function}", 500);
const ORDER: Request = Request::new("POST", "/orders", "/orders", 202);

/// How often each was answered, to the last byte.
type Answered = BTreeMap<Request, u32>;

/// What the service says of requests is what its clients say.
#[track_caller]
fn assert_is_what_was_answered(account: &Account, answered: &Answered) {
    let scraped = scrape::parse(&account.scrape).unwrap();
    for of_request in [of_dashboards, of_conventions] {
        let counted = answered.iter();
        let counted: Values = counted
            .map(|(request, answers)| (of_request(request), f64::from(*answers)))
            .collect();
        let name = counted.keys().next().map(|series| &series.name);
        let of_requests = scraped.iter().filter(|(it, _)| Some(&it.name) == name);
        let of_requests = of_requests.map(|(series, value)| (series.clone(), *value));
        assert_eq!(of_requests.collect::<Values>(), counted);
    }
}

fn of_dashboards(request: &Request) -> Series {
    let outcome = if request.status < 500 { "ok" } else { "error" };
    let labels = [
        ("method", request.method),
        ("outcome", outcome),
        ("route", request.route),
        ("status", &request.status.to_string()),
    ];
    Series::new("wippy_http_requests_total", &labels)
}

fn of_conventions(request: &Request) -> Series {
    let status = request.status.to_string();
    let mut labels = vec![
        ("http_request_method", request.method),
        ("http_response_status_code", &*status),
        ("http_route", request.route),
        ("network_protocol_version", "1.1"),
        ("url_scheme", "http"),
    ];
    labels.extend((request.status >= 500).then_some(("error_type", &*status)));
    Series::new("http_server_request_duration_seconds_count", &labels)
}

/// Each series that is scraped came by OTLP with the same value, and no other; all of it
/// from this service, and as the sum since its start.
#[track_caller]
fn assert_same_by_otlp(account: &Account, receiver: &Receiver) {
    let (metrics, spans) = (receiver.metrics(), receiver.spans());
    let resources = metrics.iter().map(|it| &it.resource);
    let resources: BTreeSet<_> = resources
        .chain(spans.iter().map(|it| &it.resource))
        .collect();
    let resource = resources.first().unwrap();
    assert_eq!(resources.len(), 1, "{resources:?}");
    assert_eq!(resource["service.name"], "runtime");
    assert_ne!(resource["service.instance.id"], "");
    for received in &metrics {
        let temporality = match &received.metric.data {
            Some(Data::Sum(sum)) => sum.aggregation_temporality(),
            Some(Data::Histogram(histogram)) => histogram.aggregation_temporality(),
            _ => continue,
        };
        let cumulative = AggregationTemporality::Cumulative;
        assert_eq!(temporality, cumulative, "{}", received.metric.name);
    }
    let is_shared = |series: &Series| {
        // Its own count of failures is later than the scrape.
        !series.name.starts_with("tracing_meter_")
            && !series.name.starts_with("telemetry_")
            && series.name != "target_info"
            && !series.name.ends_with("_sum")
    };
    let shared = |values: Values| values.into_iter().filter(|(it, _)| is_shared(it));
    let scraped = shared(scrape::parse(&account.scrape).unwrap());
    let exported = shared(otlp::values(&metrics).unwrap());
    assert_eq!(scraped.collect::<Values>(), exported.collect::<Values>());
}

/// The process, until it is stopped.
struct Service {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
    address: String,
    metrics: String,
}

impl Service {
    async fn start(receiver: &Receiver) -> Result<Self> {
        let mut process = Command::new(env::current_exe()?);
        forget_variables(&mut process);
        let mut process = process
            .args(["--exact", "the_service", "--nocapture"])
            .env(SERVE, "")
            .env(PROMETHEUS_HOST, own_address())
            .env(PROMETHEUS_PORT, own_port())
            .env(OTLP_ENDPOINT, format!("http://{}", receiver.address()))
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
            .env("OTEL_METRIC_EXPORT_INTERVAL", "100")
            .env("OTEL_BSP_SCHEDULE_DELAY", "100")
            // No span is to be lost but by the collector.
            .env("OTEL_BSP_MAX_QUEUE_SIZE", "1000000")
            .env("RUST_LOG", "off")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = process.stdout.take().ok_or("it has no output")?;
        let mut service = Self {
            process,
            lines: BufReader::new(stdout).lines(),
            address: String::new(),
            metrics: String::new(),
        };
        service.address = service.says("serving on ").await?;
        service.metrics = service.says("serving metrics on ").await?;
        Ok(service)
    }

    async fn says(&mut self, before: &str) -> Result<String> {
        while let Some(line) = self.lines.next_line().await? {
            if let Some((_, said)) = line.split_once(before) {
                return Ok(said.to_owned());
            }
        }
        Err("the service has ended".into())
    }

    async fn scrape(&self) -> Result<Values> {
        scrape::parse(&scrape::scrape(&self.metrics).await?)
    }

    /// Sends SIGTERM, and reads the account.
    async fn stop(self) -> Result<Account> {
        terminate(self.process.id().ok_or("it has ended")?).await?;
        timeout(MINUTE, self.account()).await?
    }

    async fn account(mut self) -> Result<Account> {
        let mut account = Account::default();
        while let Some(line) = self.lines.next_line().await? {
            account.take(&line)?;
        }
        self.process.wait().await?;
        Ok(account)
    }
}

/// Clients who go on until they are stopped, or until nobody answers.
struct Clients {
    answered: Arc<Mutex<Answered>>,
    tasks: JoinSet<Result<()>>,
    go_on: Arc<()>,
}

impl Clients {
    fn start(service: &Service, requests: &'static [Request]) -> Self {
        let answered = Arc::<Mutex<Answered>>::default();
        let go_on = Arc::new(());
        let mut tasks = JoinSet::new();
        for number in 0..4 {
            let (address, answered) = (service.address.clone(), Arc::clone(&answered));
            let go_on = Arc::downgrade(&go_on);
            tasks.spawn(async move {
                let client = Client::new();
                // A round is whole, so that each request has its share.
                for round in 0.. {
                    if go_on.strong_count() == 0 {
                        break;
                    }
                    // Each order has its own.
                    let body = format!("{round} of {number}");
                    for request in requests {
                        if !is_answered(&client, &address, request, &body).await? {
                            return Ok(());
                        }
                        *answered.lock().unwrap().entry(*request).or_default() += 1;
                    }
                }
                Ok(())
            });
        }
        Self {
            answered,
            tasks,
            go_on,
        }
    }

    fn answers(&self) -> u32 {
        self.answered.lock().unwrap().values().sum()
    }

    async fn stop(self) -> Result<Answered> {
        drop(self.go_on);
        all(self.tasks, &self.answered).await
    }

    /// Once nobody answers any more.
    async fn end(self) -> Result<Answered> {
        all(self.tasks, &self.answered).await
    }
}

async fn all(mut tasks: JoinSet<Result<()>>, answered: &Mutex<Answered>) -> Result<Answered> {
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(answered.lock().unwrap().clone())
}

/// Whether it is answered at all. Another answer is an error.
async fn is_answered(
    client: &Client,
    address: &str,
    request: &Request,
    body: &str,
) -> Result<bool> {
    let method = Method::from_bytes(request.method.as_bytes())?;
    let sent = client.request(method, format!("{address}{}", request.path));
    let Ok(answer) = sent.body(body.to_owned()).send().await else {
        return Ok(false);
    };
    let status = answer.status().as_u16();
    if answer.bytes().await.is_err() {
        return Ok(false);
    }
    if status != request.status {
        return Err(format!("{request:?} was answered with {status}").into());
    }
    Ok(true)
}

/// Each second.
fn scrapes(metrics: &str) -> String {
    let target = metrics
        .trim_start_matches("http://")
        .trim_end_matches("/metrics");
    let scrape =
        format!("  - job_name: runtime\n    static_configs: [{{targets: ['{target}']}}]\n");
    format!("global: {{scrape_interval: 1s}}\nscrape_configs:\n{scrape}")
}

/// Within a minute.
async fn until(what: &str, is_so: impl AsyncFn() -> Result<bool>) -> Result<()> {
    for _ in 0..prometheus::POLLS {
        if is_so().await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Err(format!("not within a minute: {what}").into())
}
