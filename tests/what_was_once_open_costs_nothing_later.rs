//! What is done for a span depends on what is open now, never on what once was.

mod support;

use support::{measure, under};
use tracing::field::Empty;
use tracing::{Span, error, info, info_span, instrument};
use tracing_meter::{MemorySink, Snapshot};
use tracing_subscriber::layer::{Identity, SubscriberExt};
use tracing_subscriber::{Registry, reload};

const MANY: u32 = 50_000;

/// Beside a layer that enables all spans, so that ordinary ones are there.
fn measure_inheriting<const N: usize>(keys: [&str; N], code: impl FnOnce()) -> Snapshot {
    let memory = MemorySink::new();
    let builder = tracing_meter::builder().sink(memory.clone());
    let meter = builder.inherited_labels(keys).build().unwrap();
    under(Registry::default().with(Identity::new()).with(meter), code);
    memory.snapshot()
}

#[test]
fn a_burst_of_open_spans_leaves_every_count_right() {
    let measured = measure(|| {
        for _ in 0..2 {
            let open: Vec<Span> = (0..MANY)
                .map(|n| {
                    info_span!(
                        "job",
                        in_flight.jobs = Empty,
                        calls.job = Empty,
                        label.odd = n % 2
                    )
                })
                .collect();
            // Not in the order of their opening, and some of them on another thread.
            let (even, odd): (Vec<_>, Vec<_>) =
                open.into_iter().enumerate().partition(|(n, _)| n % 3 == 0);
            let dispatch = tracing::dispatcher::get_default(Clone::clone);
            let elsewhere = std::thread::spawn(move || {
                tracing::dispatcher::with_default(&dispatch, || drop(odd));
            });
            even.into_iter().rev().for_each(drop);
            elsewhere.join().unwrap();
        }
    });
    for odd in ["0", "1"] {
        assert_eq!(measured.value("jobs", &[("odd", odd)]), Some(0.0));
        let calls = measured.value("job", &[("odd", odd), ("outcome", "ok")]);
        assert_eq!(calls, Some(f64::from(MANY)));
    }
}

#[test]
fn inherited_labels_are_those_of_the_spans_that_are_open_now() {
    const ROUNDS: u32 = 20_000;
    let measured = measure_inheriting(["tenant", "zone"], || {
        for round in 0..ROUNDS {
            let outer = info_span!("outer", tenant = Empty, zone = "z").entered();
            let ordinary = [(); 3].map(|()| info_span!("ordinary").entered());
            info!(monotonic_counter.early = 1);
            outer.record("tenant", if round % 2 == 0 { "even" } else { "odd" });
            info!(monotonic_counter.late = 1);
            let inner = info_span!("inner", tenant = "own", calls.inner = Empty).entered();
            let between = info_span!("between").entered();
            info!(monotonic_counter.inside = 1);
            drop((between, inner, ordinary, outer));
            info!(monotonic_counter.outside = 1);
        }
    });
    let all = Some(f64::from(ROUNDS));
    let half = Some(f64::from(ROUNDS / 2));
    let own = [("tenant", "own"), ("zone", "z")];
    let closed = [("tenant", "own"), ("zone", "z"), ("outcome", "ok")];
    assert_eq!(measured.value("early", &[("zone", "z")]), all);
    assert_eq!(
        measured.value("late", &[("tenant", "even"), ("zone", "z")]),
        half
    );
    assert_eq!(
        measured.value("late", &[("tenant", "odd"), ("zone", "z")]),
        half
    );
    assert_eq!(measured.value("inside", &own), all);
    assert_eq!(measured.value("inner", &closed), all);
    assert_eq!(measured.value("outside", &[]), all);
}

#[test]
fn labels_come_from_a_parent_that_is_given_and_from_no_root() {
    let measured = measure_inheriting(["tenant"], || {
        let acme = info_span!("request", tenant = "acme");
        let other = info_span!("request", tenant = "other");
        let _entered = info_span!(parent: &other, "ordinary").entered();
        for _ in 0..2 {
            info!(parent: &acme, monotonic_counter.n = 1);
            info!(parent: None, monotonic_counter.n = 1);
            info!(monotonic_counter.n = 1);
            drop(info_span!(parent: &acme, "s", calls.s = Empty));
            drop(info_span!(parent: None, "s", calls.s = Empty));
            drop(info_span!("s", calls.s = Empty));
        }
    });
    for tenant in [&[("tenant", "acme")][..], &[("tenant", "other")], &[]] {
        assert_eq!(measured.value("n", tenant), Some(2.0), "{tenant:?}");
        let closed: Vec<_> = tenant.iter().copied().chain([("outcome", "ok")]).collect();
        assert_eq!(measured.value("s", &closed), Some(2.0), "{tenant:?}");
    }
}

#[test]
fn an_error_finds_its_span_through_any_number_of_others() {
    #[instrument(err, fields(calls.work))]
    fn work(left: &mut Vec<tracing::span::EnteredSpan>) -> Result<(), &'static str> {
        left.extend((0..50).map(|_| info_span!("left").entered()));
        error!(error = "twice", "the way is known then");
        Err("boom")
    }
    let measured = measure_inheriting([], || {
        for _ in 0..3 {
            let mut left = Vec::new();
            work(&mut left).unwrap_err();
            left.into_iter().rev().for_each(drop);
        }
    });
    assert_eq!(measured.value("work", &[("outcome", "error")]), Some(3.0));
}

#[test]
fn a_span_that_closed_while_the_layer_was_away_is_given_back_by_the_next_in_its_place() {
    let memory = MemorySink::new();
    let builder = tracing_meter::builder().sink(memory.clone());
    let (layer, handle) = reload::Layer::new(Some(builder.build().unwrap()));
    let mut away = None;
    under(Registry::default().with(layer), || {
        let span = info_span!("job", in_flight.jobs = Empty);
        handle.modify(|layer| away = layer.take()).unwrap();
        drop(span);
        handle.modify(|layer| *layer = away.take()).unwrap();
        let again = info_span!("job", in_flight.jobs = Empty);
        drop(again);
        // Before the layer goes, which gives back what is left.
        assert_eq!(memory.snapshot().value("jobs", &[]), Some(0.0));
    });
}
