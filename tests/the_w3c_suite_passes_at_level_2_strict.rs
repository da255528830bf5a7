//! The example `w3c_service`, driven as the W3C's suite for Trace Context does.

#![cfg(feature = "http")]

#[allow(dead_code, reason = "its `main` is for `cargo run`")]
#[path = "../examples/w3c_service.rs"]
mod w3c_service;
mod w3c_suite;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::LazyLock;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use tracing_meter::propagation::W3cPropagator;

use w3c_service::{Service, install_telemetry, routes};
use w3c_suite::relay::start_relay;
use w3c_suite::{
    Called, Exchange, Harness, PARENT_ID, Result, TRACE_ID, for_each_case, pass, traceparent,
    tracestate,
};

const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// The global subscriber is that of the example.
fn tracer() -> SdkTracer {
    static PROVIDER: LazyLock<SdkTracerProvider> = LazyLock::new(|| install_telemetry().unwrap());
    PROVIDER.tracer("test")
}

async fn start_service() -> Result<Service> {
    Service::start(ANY_PORT, routes(tracer())?).await
}

// The suite, once for each path.

macro_rules! tests_of_both_paths {
    ($($module:ident::$case:ident)*) => {
        mod with_the_sdk {
            $(#[tokio::test]
            async fn $case() -> super::Result<()> {
                super::assert_passes("/sdk", super::$module::$case()).await
            })*
        }
        mod with_spans {
            $(#[tokio::test]
            async fn $case() -> super::Result<()> {
                super::assert_passes("/span", super::$module::$case()).await
            })*
        }
    };
}
for_each_case!(tests_of_both_paths);

async fn assert_passes(path: &str, exchanges: Vec<Exchange>) -> Result<()> {
    let service = start_service().await?;
    let passed = pass(exchanges, (service.address, path)).await?;
    assert_eq!(passed, Ok(()));
    Ok(())
}

// The suite, with a propagator behind OpenTelemetry's traits.

macro_rules! table {
    ($($module:ident::$case:ident)*) => {
        [$((stringify!($case), $module::$case as fn() -> Vec<Exchange>)),*]
    };
}
type Case = (&'static str, fn() -> Vec<Exchange>);
const CASES: [Case; 41] = for_each_case!(table);

async fn failures(
    propagator: impl TextMapPropagator + Send + Sync + 'static,
) -> Result<Vec<&'static str>> {
    let relay = start_relay(ANY_PORT, tracer(), propagator).await?;
    let mut failed = Vec::new();
    for (name, exchanges) in CASES {
        if pass(exchanges(), (relay.address, "/")).await?.is_err() {
            failed.push(name);
        }
    }
    Ok(failed)
}

#[tokio::test]
async fn it_passes_through_the_traits_of_opentelemetry() -> Result<()> {
    let failed = failures(W3cPropagator::new()).await?;
    assert!(failed.is_empty(), "{failed:?}");
    Ok(())
}

/// So the suite can fail. What is listed here may become shorter with a later SDK.
#[tokio::test]
async fn the_sdks_own_propagator_fails_some_of_them() -> Result<()> {
    let failed = failures(TraceContextPropagator::new()).await?;
    let expected = [
        "traceparent_duplicated",
        "traceparent_version_too_long",
        "traceparent_version_too_short",
        "traceparent_trace_id_too_long",
        "traceparent_parent_id_too_short",
        "traceparent_trace_flags_too_long",
        "traceparent_trace_flags_too_short",
        "traceparent_trace_flags_random",
        "tracestate_empty_header",
        "tracestate_multiple_headers_different_keys",
        "tracestate_key_illegal_vendor_format",
        "tracestate_member_count_limit",
        "tracestate_key_length_limit",
        "tracestate_value_illegal_characters",
    ];
    assert_eq!(failed, expected);
    Ok(())
}

// What the suite does not ask for.

const PATHS: [&str; 3] = ["/sdk", "/span", "/"];

async fn ask(path: &str, headers: &[(&str, &str)], calls: usize) -> Result<Vec<Called>> {
    let service = start_service().await?;
    let harness = Harness::start().await?;
    harness
        .ask((service.address, path), &owned(headers), calls)
        .await
}

fn owned(headers: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = headers.iter().map(|(n, v)| ((*n).into(), (*v).into()));
    owned.collect()
}

fn trace_ids(called: &[Called]) -> BTreeSet<&str> {
    called.iter().map(|call| call.trace().unwrap()[0]).collect()
}

/// Only what is known goes on: section 3.2.2.5.3. An SDK forgets flags of spans that
/// are not sampled, but not their list.
#[tokio::test]
async fn flags_go_on_with_every_call() -> Result<()> {
    let flags = [
        ("00", "00"),
        ("01", "01"),
        ("02", "02"),
        ("03", "03"),
        ("fc", "00"),
        ("ff", "03"),
    ];
    for path in PATHS {
        for (received, sent) in flags {
            let traceparent = format!("00-{TRACE_ID}-{PARENT_ID}-{received}");
            for list in ["", "foo=1", "foo@@bar=1"] {
                let headers = [("traceparent", &*traceparent), ("tracestate", list)];
                for call in ask(path, &headers, 2).await? {
                    assert_eq!(call.trace()?[2], sent, "{headers:?} at {path}");
                }
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn each_of_several_calls_has_a_parent_of_its_own() -> Result<()> {
    let traceparent = format!("00-{TRACE_ID}-{PARENT_ID}-03");
    for path in PATHS {
        let called = ask(path, &[("traceparent", &traceparent)], 8).await?;
        let parents = called.iter().map(|call| call.trace().unwrap()[1]);
        let parents = parents.chain([PARENT_ID]).collect::<BTreeSet<_>>();
        assert_eq!(parents.len(), 9, "{path}");
        assert_eq!(trace_ids(&called), BTreeSet::from([TRACE_ID]), "{path}");
    }
    Ok(())
}

/// Its id is random: the generator is the SDK's.
#[tokio::test]
async fn calls_for_one_request_of_an_untraced_caller_share_a_new_trace() -> Result<()> {
    for path in PATHS {
        let [first, second] = [ask(path, &[], 3).await?, ask(path, &[], 3).await?];
        let both: BTreeSet<_> = [trace_ids(&first), trace_ids(&second)].into();
        assert_eq!(both.len(), 2, "{path}");
        assert!(both.iter().all(|ids| ids.len() == 1), "{path}: {both:?}");
        for call in first.iter().chain(&second) {
            assert_eq!(call.trace()?[2], "03", "{path}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn baggage_goes_on_with_a_trace_or_without() -> Result<()> {
    let traceparent = format!("00-{TRACE_ID}-{PARENT_ID}-03");
    let baggage = ("baggage", "tenant=a%20b;secret");
    for path in PATHS {
        for headers in [&[("traceparent", &*traceparent), baggage][..], &[baggage]] {
            for call in ask(path, headers, 2).await? {
                assert_eq!(call.values("baggage"), [baggage.1], "{path} {headers:?}");
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn headers_are_sent_in_lowercase_and_only_where_there_is_something_to_send() -> Result<()> {
    let traceparent = format!("00-{TRACE_ID}-{PARENT_ID}-03");
    let [parent, state] = [("TraceParent", &*traceparent), ("TraceState", "foo=1")];
    for path in PATHS {
        for (received, expected) in [
            (&[parent, state][..], &["traceparent", "tracestate"][..]),
            (
                &[parent, ("TraceState", ""), ("Baggage", "")],
                &["traceparent"],
            ),
            (&[state], &["traceparent"]),
            (&[], &["traceparent"]),
        ] {
            let called = ask(path, received, 1).await?;
            let names = called[0].headers.iter().map(|(name, _)| name.as_str());
            let is_ours = |name: &&str| {
                let name = name.to_lowercase();
                ["traceparent", "tracestate", "baggage"].contains(&&*name)
            };
            let names: Vec<_> = names.filter(is_ours).collect();
            assert_eq!(names, expected, "{path} {received:?}");
        }
    }
    Ok(())
}

/// The calls for each request wait for those of all others.
#[tokio::test]
async fn requests_at_the_same_time_stay_in_their_traces() -> Result<()> {
    for path in PATHS {
        let service = start_service().await?;
        let harness = Harness::answering_at_once(3).await?;
        let ask = async |trace_id: &str| {
            let traceparent = format!("00-{trace_id}-{PARENT_ID}-03");
            let headers = owned(&[("traceparent", &traceparent)]);
            let called = harness.ask((service.address, path), &headers, 4).await?;
            assert_eq!(trace_ids(&called), BTreeSet::from([trace_id]), "{path}");
            Result::Ok(())
        };
        let [one, two, three] = ["1", "2", "3"].map(|digit| digit.repeat(32));
        tokio::try_join!(ask(&one), ask(&two), ask(&three))?;
    }
    Ok(())
}
