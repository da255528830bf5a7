//! Labels that spans get late, and values that a rule maps to a few.

#[path = "support/allocator.rs"]
mod allocator;
mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use support::under;
use tracing::field::Empty;
use tracing::{Metadata, info_span};
use tracing_meter::{
    Condition, Feed, Handle, Instrument, Kind, LabelRule, LabelValue, Labels, Measure, Recipe,
    Rules, SemanticConventions, Sink,
};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

/// A sink that keeps nothing, so that what is allocated is the layer's.
struct Nowhere;

impl Sink for Nowhere {
    fn series(&self, _: &Instrument, _: &Labels) -> Arc<dyn Handle> {
        Arc::new(Self)
    }
}

impl Handle for Nowhere {
    fn record(&self, _value: f64) {}
}

/// What a request's span feeds: its status is known at the end, its method is anything.
fn requests(callsite: &Metadata<'static>) -> Option<Recipe> {
    callsite.fields().field("method")?;
    let known = |method: &LabelValue| {
        let is_known = *method == LabelValue::from("GET");
        Some(if is_known {
            LabelValue::I64(1)
        } else {
            LabelValue::I64(0)
        })
    };
    let method = LabelRule::new("method").map("method", known);
    let requests = || {
        Feed::new()
            .when(Condition::equals("kind", "server"))
            .label_rule(method.clone())
    };
    let ended = requests()
        .label("status", "status")
        .measure(Measure::duration("duration"));
    let open = requests().measure(Measure::in_flight("active"));
    Some(Recipe::new().feed(ended).feed(open))
}

fn request(method: &str, status: u16, fails: bool) {
    let span = info_span!(
        "request",
        kind = "server",
        method,
        status = Empty,
        otel.status_code = Empty
    );
    let span = span.entered();
    span.record("status", status);
    if fails {
        span.record("otel.status_code", "ERROR");
    }
}

#[test]
fn a_label_that_comes_late_is_not_allocated() {
    let meter = tracing_meter::builder()
        .sink(Nowhere)
        .convention(requests)
        .build()
        .unwrap();
    let all = || {
        for status in [200, 404, 500] {
            request("GET", status, status == 500);
        }
    };
    under(Registry::default().with(meter), || {
        // The first ones make the series, the next ones go the way for the first time.
        (0..3).for_each(|_| all());
        let allocated = allocator::bytes(|| (0..100).for_each(|_| all()));
        assert_eq!(allocated, 0);
    });
}

#[test]
fn values_without_bound_are_not_kept() {
    const REQUESTS: usize = 100_000;
    let meter = tracing_meter::builder().sink(Nowhere).convention(requests);
    let meter = meter.series_limit(100).build().unwrap();
    let handle = meter.handle();
    let methods: Vec<String> = (0..REQUESTS).map(|number| format!("M{number}")).collect();
    under(Registry::default().with(meter), || {
        let (first, last) = methods.split_at(REQUESTS / 10);
        let send = |methods: &[String]| methods.iter().for_each(|it| request(it, 200, false));
        let kept = allocator::kept_bytes(|| send(first));
        assert!(kept < 1 << 20, "{kept} bytes");
        let kept = allocator::kept_bytes(|| send(last));
        assert_eq!(kept, 0);
        request("GET", 200, false);
        request("GET", 200, false);
        let allocated = allocator::bytes(|| request("GET", 200, false));
        assert_eq!(allocated, 0);
    });
    let series = |metric: &str| {
        let catalog = handle.catalog();
        let entry = catalog.iter().find(|entry| entry.name() == metric).unwrap();
        entry.series()
    };
    assert_eq!((series("duration"), series("active")), (2, 2));
}

#[test]
fn what_clients_make_up_is_not_kept_by_the_shipped_rules() {
    const REQUESTS: usize = 100_000;
    let meter = tracing_meter::builder().sink(Nowhere);
    let meter = meter
        .convention(Rules::tower_http("http"))
        .series_limit(100);
    let meter = meter.build().unwrap();
    let handle = meter.handle();
    let made_up: Vec<String> = (0..REQUESTS).map(|number| format!("M{number}")).collect();
    let request = |method: &str, uri: &str| {
        info_span!(target: "tower_http::trace::make_span", "request",
            method = %method, uri = %uri, version = ?http::Version::HTTP_11)
        .in_scope(|| ());
    };
    under(Registry::default().with(meter), || {
        let (first, last) = made_up.split_at(REQUESTS / 10);
        let send = |made_up: &[String]| made_up.iter().for_each(|it| request(it, it));
        let kept = allocator::kept_bytes(|| send(first));
        assert!(kept < 1 << 18, "{kept} bytes");
        let kept = allocator::kept_bytes(|| send(last));
        assert_eq!(kept, 0);
        (0..3).for_each(|_| request("GET", "/"));
        // Of whatever URI.
        let allocated = allocator::bytes(|| made_up.iter().for_each(|it| request("GET", it)));
        assert_eq!(allocated, 0);
    });
    for entry in handle.catalog() {
        if entry.name().starts_with("http.server.") {
            assert_eq!(entry.series(), 2, "{}", entry.name());
        }
    }
}

/// Sums what is in flight, over all series.
#[derive(Clone, Default)]
struct InFlight(Arc<AtomicI64>);

impl Sink for InFlight {
    fn series(&self, instrument: &Instrument, _: &Labels) -> Arc<dyn Handle> {
        match instrument.kind() {
            Kind::UpDownCounter if instrument.name().ends_with("active_requests") => {
                Arc::new(self.clone())
            }
            _ => Arc::new(Nowhere),
        }
    }
}

impl Handle for InFlight {
    #[allow(clippy::cast_possible_truncation, reason = "1 or -1")]
    fn record(&self, value: f64) {
        self.0.fetch_add(value as i64, Ordering::Relaxed);
    }
}

#[test]
fn what_clients_make_up_is_not_kept_by_the_semantic_conventions() {
    const REQUESTS: usize = 100_000;
    let in_flight = InFlight::default();
    let meter = tracing_meter::builder().sink(in_flight.clone());
    let meter = meter
        .convention(SemanticConventions::new())
        .series_limit(100);
    let meter = meter.build().unwrap();
    let handle = meter.handle();
    let made_up: Vec<String> = (0..REQUESTS).map(|number| format!("M{number}")).collect();
    let server = |method: &str, path: &str, host: &str| {
        info_span!(
            "request",
            otel.kind = "server",
            http.request.method = method,
            http.route = "/",
            url.path = path,
            url.scheme = "http",
            server.address = host,
            http.response.status_code = Empty,
        )
    };
    let client = |method: &str, path: &str, host: &str| {
        info_span!(
            "request",
            otel.kind = "client",
            http.request.method = method,
            url.full = path,
            server.address = host,
            server.port = 80_i64,
            http.response.status_code = Empty,
        )
    };
    let both = |text: &str, method: &str| {
        for span in [server(method, text, text), client(method, text, text)] {
            span.in_scope(|| span.record("http.response.status_code", 200_i64));
        }
    };
    under(Registry::default().with(meter), || {
        let (first, last) = made_up.split_at(REQUESTS / 10);
        let send = |made_up: &[String]| made_up.iter().for_each(|it| both(it, it));
        let kept = allocator::kept_bytes(|| send(first));
        assert!(kept < 1 << 20, "{kept} bytes");
        let kept = allocator::kept_bytes(|| send(last));
        assert_eq!(kept, 0);
        let known = |path: &str| {
            let span = server("GET", path, "localhost");
            span.in_scope(|| span.record("http.response.status_code", 200_i64));
        };
        (0..3).for_each(|_| known("/"));
        let allocated = allocator::bytes(|| made_up.iter().for_each(|path| known(path)));
        assert_eq!(allocated, 0);
    });
    assert_eq!(in_flight.0.load(Ordering::Relaxed), 0);
    let catalog = handle.catalog();
    let series = |metric: &str| {
        catalog
            .iter()
            .find(|it| it.name() == metric)
            .unwrap()
            .series()
    };
    assert_eq!(series("http.server.request.duration"), 2);
    assert_eq!(series("http.server.active_requests"), 2);
    // A server's address is required of clients: there is a bound, but for the overflow.
    assert_eq!(series("http.client.request.duration"), 100);
    assert_eq!(series("http.client.active_requests"), 100);
}

#[test]
fn a_map_is_not_asked_on_the_way_to_a_known_series() {
    let asked = Arc::<AtomicI64>::default();
    let count = Arc::clone(&asked);
    let classes = move |callsite: &Metadata<'static>| {
        callsite.fields().field("code")?;
        let count = Arc::clone(&count);
        let class = LabelRule::new("class").map("code", move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Some("2xx".into())
        });
        let feed = Feed::new()
            .label_rule(class)
            .measure(Measure::closed("closed"));
        Some(feed.measure(Measure::happened("happened")).into())
    };
    let meter = tracing_meter::builder().sink(Nowhere).convention(classes);
    let event = || tracing::info!(code = 200);
    let span = || {
        info_span!("s", code = Empty).record("code", 200_i64);
    };
    under(Registry::default().with(meter.build().unwrap()), || {
        (0..5).for_each(|_| (event(), span()).0);
        let before = asked.load(Ordering::Relaxed);
        let allocated = allocator::bytes(|| (0..1_000).for_each(|_| (event(), span()).0));
        assert_eq!((allocated, asked.load(Ordering::Relaxed)), (0, before));
    });
}

#[test]
fn inherited_labels_change_nothing_of_that() {
    let asked = Arc::<AtomicI64>::default();
    let count = Arc::clone(&asked);
    let methods = move |callsite: &Metadata<'static>| {
        callsite.fields().field("method")?;
        let count = Arc::clone(&count);
        let method = LabelRule::new("method").map("method", move |method| {
            count.fetch_add(1, Ordering::Relaxed);
            Some(if *method == LabelValue::from("GET") {
                "GET".into()
            } else {
                "_OTHER".into()
            })
        });
        let ended = Feed::new()
            .label_rule(method.clone())
            .label("status", "status");
        let open = Feed::new()
            .label_rule(method)
            .measure(Measure::in_flight("active"));
        let ended = ended.measure(Measure::duration("duration"));
        Some(Recipe::new().feed(ended).feed(open))
    };
    let meter = tracing_meter::builder().sink(Nowhere).convention(methods);
    let meter = meter.series_limit(50).inherited_labels(["tenant"]);
    let made_up: Vec<String> = (0..5_000).map(|number| format!("M{number}")).collect();
    // Another callsite has made the series: here they are known, and their ways are bounded.
    let here = |method: &str| {
        let span = info_span!("here", method, status = Empty);
        span.in_scope(|| span.record("status", 200_i64));
    };
    under(Registry::default().with(meter.build().unwrap()), || {
        let _tenant = info_span!("outer", tenant = "acme").entered();
        request("GET", 200, false);
        request("M", 200, false);
        let send = || made_up.iter().for_each(|method| here(method));
        send();
        assert_eq!(allocator::kept_bytes(send), 0);
        (0..5).for_each(|_| here("GET"));
        let before = asked.load(Ordering::Relaxed);
        (0..100).for_each(|_| here("GET"));
        assert_eq!(asked.load(Ordering::Relaxed), before);
    });
}
