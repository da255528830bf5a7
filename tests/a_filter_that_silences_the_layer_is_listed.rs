//! A filter of the whole subscriber disables what is measured, too: that is a problem
//! with file and line. Whatever disables something else is none.

#[path = "support/lines.rs"]
mod lines;
mod support;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lines::Lines;
use support::under;
use tracing::field::Empty;
use tracing::{Dispatch, Level, Subscriber, debug, dispatcher, info, info_span};
use tracing_meter::{MemorySink, MeterHandle, MeterLayer, Reason};
use tracing_subscriber::filter::{EnvFilter, LevelFilter, Targets, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Registry, reload};

/// The process has one level for all its subscribers: one test at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn layer<S>() -> (MeterLayer<S>, MeterHandle, MemorySink) {
    let memory = MemorySink::new();
    let layer = tracing_meter::builder().sink(memory.clone()).build();
    let layer = layer.unwrap();
    let handle = layer.handle();
    (layer, handle, memory)
}

fn fmt<S>(lines: &Lines) -> impl Layer<S> + Send + Sync + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_subscriber::fmt::layer().with_writer(lines.clone())
}

/// Gives the line of the first measurement.
fn emit() -> u32 {
    info!(monotonic_counter.n = 1);
    drop(info_span!("job", in_flight.jobs = Empty));
    debug!("not measured");
    line!() - 3
}

fn silenced(handle: &MeterHandle) -> Vec<String> {
    let problems = handle.problems();
    assert!(problems.iter().all(|p| p.reason() == Reason::Silenced));
    assert!(
        problems
            .iter()
            .all(|p| p.detail().contains("`with_filter`"))
    );
    let place = problems
        .iter()
        .map(|p| format!("{} {}", p.location(), p.metric()));
    place.collect()
}

fn both_from(line: u32) -> [String; 2] {
    [
        format!("{}:{line} n", file!()),
        format!("{}:{} jobs", file!(), line + 1),
    ]
}

#[test]
fn a_filter_above_the_layer_is_listed_with_file_and_line() {
    let _alone = alone();
    for filter in [
        "off",
        "error",
        "info,a_filter_that_silences_the_layer_is_listed=off",
    ] {
        let (layer, handle, memory) = layer();
        let filtered = Registry::default().with(layer).with(EnvFilter::new(filter));
        under(filtered, || {
            let line = emit();
            assert_eq!(silenced(&handle), both_from(line), "{filter}");
        });
        assert!(memory.snapshot().value("n", &[]).is_none(), "{filter}");
        assert!(handle.problems().is_empty(), "its subscriber is gone");
    }
}

#[test]
fn a_filter_beneath_the_layer_is_listed_too() {
    let _alone = alone();
    let (layer, handle, memory) = layer();
    let targets = Targets::new().with_target("another", Level::TRACE);
    let subscriber = Registry::default().with(targets).with(layer);
    under(subscriber, || {
        let line = emit();
        assert_eq!(silenced(&handle), both_from(line));
    });
    assert!(memory.snapshot().value("n", &[]).is_none());
}

#[test]
fn a_level_under_which_no_callsite_is_known_is_listed_without_one() {
    let _alone = alone();
    let (layer, handle, memory) = layer();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(std::io::sink)
        .with_env_filter("error");
    under(subscriber.finish().with(layer), || {
        // Never before, so that no callsite of it is known.
        info!(monotonic_counter.never_before = 1);
        assert!(silenced(&handle).contains(&"tracing_meter *".to_owned()));
        let problems = handle.problems();
        let of_all = problems.iter().find(|problem| problem.metric() == "*");
        assert!(of_all.unwrap().detail().contains("`error`"));
    });
    assert!(memory.snapshot().value("never_before", &[]).is_none());
}

#[test]
fn a_filter_that_refuses_spans_alone_is_listed() {
    let _alone = alone();
    let (layer, handle, memory) = layer();
    let subscriber = Registry::default().with(layer);
    under(subscriber.with(filter_fn(|it| !it.is_span())), || {
        let line = emit();
        assert_eq!(silenced(&handle), both_from(line)[1..]);
    });
    assert_eq!(memory.snapshot().value("n", &[]), Some(1.0));
}

#[test]
fn a_level_that_the_layers_directives_go_beyond_is_listed() {
    let _alone = alone();
    for (directives, is_listed) in [
        ("info", false),
        ("debug", true),
        ("info,my_app=debug", true),
        // What the layer measures without directives.
        ("trace", false),
    ] {
        let builder = tracing_meter::builder().directives(directives);
        let layer = builder.sink(MemorySink::new()).build().unwrap();
        let handle = layer.handle();
        // It lets `info` through, and no callsite is known that is more verbose.
        let subscriber = tracing_subscriber::fmt().with_writer(std::io::sink);
        under(subscriber.finish().with(layer), || {
            let problems = silenced(&handle);
            let of_all = problems.contains(&"tracing_meter *".to_owned());
            assert_eq!(of_all, is_listed, "{directives}: {problems:?}");
        });
    }
}

type Boxed = Box<dyn Subscriber + Send + Sync>;

#[test]
fn a_filter_in_a_boxed_subscriber_is_listed() {
    let _alone = alone();
    let boxed: [fn(MeterLayer<Registry>) -> Dispatch; 2] = [
        |layer| {
            let filtered = Registry::default()
                .with(layer)
                .with(EnvFilter::new("error"));
            Dispatch::new(Box::new(filtered) as Boxed)
        },
        |layer| {
            let filtered = Registry::default()
                .with(layer)
                .with(EnvFilter::new("error"));
            Dispatch::new(Arc::new(filtered))
        },
    ];
    for subscriber in boxed {
        let (layer, handle, memory) = layer();
        let (_elsewhere, another, _) = self::layer::<Registry>();
        dispatcher::with_default(&subscriber(layer), || {
            let line = emit();
            assert_eq!(silenced(&handle)[..2], both_from(line));
            assert_eq!(silenced(&another), [""; 0]);
        });
        assert!(memory.snapshot().value("n", &[]).is_none());
    }
}

#[test]
fn what_is_measured_beside_filters_is_no_problem() {
    let _alone = alone();
    let (lines, quiet) = (Lines::default(), EnvFilter::new("off"));
    let (inner, handle, memory) = layer();
    let subscriber = Registry::default()
        .with(fmt(&lines).with_filter(quiet))
        .with(inner)
        .with(EnvFilter::new("info"));
    under(subscriber, || {
        assert!(!tracing::enabled!(Level::DEBUG));
        emit();
        assert_eq!(silenced(&handle), [""; 0]);
    });
    assert_eq!(memory.snapshot().value("n", &[]), Some(1.0));
}

#[test]
fn what_the_layers_own_filters_refuse_is_no_problem() {
    let _alone = alone();
    for own in [EnvFilter::new("off"), EnvFilter::new("another=info")] {
        let (layer, handle, _) = layer();
        under(Registry::default().with(layer.with_filter(own)), || {
            emit();
            assert_eq!(silenced(&handle), [""; 0]);
        });
    }
    for directives in ["off", "another=info"] {
        let builder = tracing_meter::builder().directives(directives);
        let layer = builder.sink(MemorySink::new()).build().unwrap();
        let handle = layer.handle();
        let subscriber = Registry::default().with(layer).with(LevelFilter::INFO);
        let not_this = filter_fn(|metadata| metadata.fields().len() != 1);
        under(subscriber.with(not_this), || {
            emit();
            assert_eq!(silenced(&handle), [""; 0], "{directives}");
        });
    }
}

#[test]
fn a_filter_that_reload_lifts_is_no_problem_any_more() {
    let _alone = alone();
    let (layer, handle, memory) = layer();
    let (filter, reloading) = reload::Layer::new(EnvFilter::new("off"));
    under(Registry::default().with(layer).with(filter), || {
        let line = emit();
        assert_eq!(silenced(&handle), both_from(line));
        reloading.reload(EnvFilter::new("info")).unwrap();
        emit();
        assert_eq!(silenced(&handle), [""; 0]);
    });
    assert_eq!(memory.snapshot().value("n", &[]), Some(1.0));
}

#[test]
fn asking_for_problems_takes_no_line_from_another_layer() {
    let _alone = alone();
    let (layer, handle, memory) = layer();
    let lines = Lines::default();
    let subscriber = Registry::default()
        .with(fmt(&lines).with_filter(LevelFilter::INFO))
        .with(layer)
        .with(filter_fn(|metadata| *metadata.level() <= Level::DEBUG));
    under(subscriber, || {
        for _ in 0..2 {
            assert_eq!(silenced(&handle), [""; 0]);
            emit();
            info!(?handle, "printed");
        }
    });
    assert_eq!(memory.snapshot().value("n", &[]), Some(2.0));
    assert_eq!(lines.all().len(), 4, "{:?}", lines.all());
}
