//! The layer is a per-layer filter of its own: it neither needs nor changes what others see.

#[path = "support/lines.rs"]
mod lines;
mod support;

use lines::Lines;
use support::under;
use tracing::field::Empty;
use tracing::span::{Attributes, EnteredSpan, Id, Record};
use tracing::subscriber::Interest;
use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber, debug, debug_span, error, event, info, info_span,
    instrument, trace,
};
use tracing_core::span::Current;
use tracing_meter::{MemorySink, MeterLayer};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::layer::{Context, Identity, Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Registry, reload};

fn layer<S>(memory: &MemorySink) -> MeterLayer<S> {
    tracing_meter::builder()
        .sink(memory.clone())
        .build()
        .unwrap()
}

fn quiet_fmt<S>(filter: &str) -> impl Layer<S> + Send + Sync + use<S>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    tracing_subscriber::fmt::layer()
        .with_writer(std::io::sink)
        .with_filter(EnvFilter::new(filter))
}

fn count(memory: &MemorySink, metric: &str) -> Option<f64> {
    memory.snapshot().value(metric, &[])
}

#[test]
fn turning_the_logs_off_changes_no_number() {
    for filter in ["off", "error", "trace"] {
        let memory = MemorySink::new();
        let subscriber = Registry::default()
            .with(quiet_fmt(filter))
            .with(layer(&memory));
        under(subscriber, || {
            trace!(monotonic_counter.n = 1);
            drop(info_span!(
                "job",
                in_flight.jobs = Empty,
                calls.done = Empty
            ));
        });
        assert_eq!(count(&memory, "n"), Some(1.0), "{filter}");
        let done = memory.snapshot().value("done", &[("outcome", "ok")]);
        assert_eq!(done, Some(1.0), "{filter}");
    }
}

#[test]
fn two_layers_in_one_registry_measure_each_for_itself() {
    let (one, two) = (MemorySink::new(), MemorySink::new());
    let subscriber = Registry::default()
        .with(layer(&one))
        .with(quiet_fmt("off"))
        .with(layer(&two));
    under(subscriber, || {
        info!(monotonic_counter.n = 1);
        drop(info_span!("job", in_flight.jobs = Empty));
    });
    for memory in [one, two] {
        assert_eq!(count(&memory, "n"), Some(1.0));
        assert_eq!(memory.snapshot().samples("jobs", &[]), [1.0, -1.0]);
    }
}

#[test]
fn it_works_as_an_option_in_a_list_and_in_a_box() {
    let memory = MemorySink::new();
    let mut expected = 0.0;
    let mut emit_under = |what: &str, subscriber: Dispatch| {
        tracing::dispatcher::with_default(&subscriber, || info!(monotonic_counter.n = 1));
        expected += 1.0;
        assert_eq!(count(&memory, "n"), Some(expected), "{what}");
    };
    let some = Registry::default().with(Some(layer(&memory)));
    emit_under("some", Dispatch::new(some.with(None::<MeterLayer<_>>)));
    let boxed = Registry::default().with(layer(&memory).boxed());
    emit_under("boxed", Dispatch::new(boxed));
    let twice = vec![layer(&memory), layer(&MemorySink::new())];
    emit_under("list", Dispatch::new(Registry::default().with(twice)));
    let mixed = vec![layer(&memory).boxed(), quiet_fmt("off").boxed()];
    emit_under("mixed", Dispatch::new(Registry::default().with(mixed)));
    // The other way round the registry would only heed the level of `off`,
    // whichever layers they are: `and_then` takes the outer layer's hint.
    let stacked = quiet_fmt("off").and_then(layer(&memory));
    emit_under("stacked", Dispatch::new(Registry::default().with(stacked)));
}

#[test]
fn a_layer_that_reload_puts_in_place_measures_and_the_old_one_ends_what_is_in_flight() {
    let (before, after) = (MemorySink::new(), MemorySink::new());
    let (reloadable, handle) = reload::Layer::new(layer(&before));
    let subscriber = Registry::default().with(reloadable).with(quiet_fmt("info"));
    under(subscriber, || {
        let open = info_span!("job", in_flight.jobs = Empty);
        info!(monotonic_counter.n = 1);
        handle.reload(layer(&after)).unwrap();
        assert_eq!(before.snapshot().value("jobs", &[]), Some(0.0));
        drop(open);
        info!(monotonic_counter.n = 1);
        debug!(monotonic_counter.n = 1);
        drop(info_span!("job", in_flight.jobs = Empty));
    });
    assert_eq!(count(&before, "n"), Some(1.0));
    assert_eq!(count(&after, "n"), Some(2.0));
    assert_eq!(before.snapshot().samples("jobs", &[]), [1.0, -1.0]);
    assert_eq!(after.snapshot().samples("jobs", &[]), [1.0, -1.0]);
}

#[test]
fn reloading_another_layers_filter_disturbs_nothing() {
    let memory = MemorySink::new();
    let (filter, handle) = reload::Layer::new(EnvFilter::new("off"));
    let fmt = tracing_subscriber::fmt::layer()
        .with_writer(std::io::sink)
        .with_filter(filter);
    let subscriber = Registry::default().with(fmt).with(layer(&memory));
    under(subscriber, || {
        let open = info_span!("job", in_flight.jobs = Empty, calls.done = Empty);
        for directives in ["trace", "off", "info"] {
            handle.reload(EnvFilter::new(directives)).unwrap();
            info!(monotonic_counter.n = 1);
        }
        drop(open);
    });
    assert_eq!(count(&memory, "n"), Some(3.0));
    assert_eq!(memory.snapshot().samples("jobs", &[]), [1.0, -1.0]);
    let done = memory.snapshot().value("done", &[("outcome", "ok")]);
    assert_eq!(done, Some(1.0));
}

#[test]
fn an_env_filter_on_the_layer_chooses_by_target_level_and_span_field() {
    let memory = MemorySink::new();
    let filter = EnvFilter::new("off,chosen=info,[tenant{name=acme}]=debug");
    let subscriber = Registry::default()
        .with(layer(&memory).with_filter(filter))
        .with(quiet_fmt("trace"));
    under(subscriber, || {
        event!(target: "chosen", Level::INFO, monotonic_counter.by_target = 1);
        event!(target: "chosen", Level::DEBUG, monotonic_counter.by_target = 1);
        for name in ["acme", "other"] {
            let _tenant = info_span!("tenant", name).entered();
            debug!(monotonic_counter.by_field = 1, tenant = name);
            drop(info_span!("job", in_flight.jobs = Empty));
        }
    });
    assert_eq!(count(&memory, "by_target"), Some(1.0));
    let tenant = |name| memory.snapshot().value("by_field", &[("tenant", name)]);
    assert_eq!((tenant("acme"), tenant("other")), (Some(1.0), None));
    assert_eq!(memory.snapshot().samples("jobs", &[]), [1.0, -1.0]);
}

#[test]
fn a_span_that_a_filter_hides_from_the_layer_hides_none_of_those_around_it() {
    #[instrument(err, fields(calls.work = Empty))]
    fn leaves_a_hidden_span_entered(entered: &mut Option<EnteredSpan>) -> Result<(), &str> {
        *entered = Some(debug_span!("hidden").entered());
        Err("boom")
    }
    let memory = MemorySink::new();
    let builder = tracing_meter::builder().sink(memory.clone());
    let meter = builder.inherited_labels(["tenant"]).build().unwrap();
    let subscriber = Registry::default()
        .with(quiet_fmt("trace"))
        .with(meter.with_filter(LevelFilter::INFO));
    under(subscriber, || {
        let _outer = info_span!("outer", tenant = "acme").entered();
        let _hidden = debug_span!("hidden").entered();
        info!(monotonic_counter.n = 1);
        drop(info_span!("job", calls.done = Empty));
        leaves_a_hidden_span_entered(&mut None).unwrap_err();
    });
    let measured = memory.snapshot();
    assert_eq!(measured.value("n", &[("tenant", "acme")]), Some(1.0));
    for (metric, outcome) in [("done", "ok"), ("work", "error")] {
        let labels = [("tenant", "acme"), ("outcome", outcome)];
        assert_eq!(measured.value(metric, &labels), Some(1.0), "{metric}");
    }
}

#[test]
fn an_env_filter_above_the_registry_silences_the_metrics_too() {
    let memory = MemorySink::new();
    let subscriber = Registry::default()
        .with(EnvFilter::new("warn"))
        .with(layer(&memory));
    under(subscriber, || {
        info!(monotonic_counter.n = 1);
        error!(monotonic_counter.n = 1);
    });
    assert_eq!(count(&memory, "n"), Some(1.0));
}

/// Hands each event straight to another subscriber, that was never registered.
struct PassOn<T>(T);

impl<S: Subscriber, T: Subscriber> Layer<S> for PassOn<T> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        self.0.event(event);
    }
}

/// A registry inside of another type, which passes on all but the ids of filters.
struct Wrapped<S>(S);

impl<S: Subscriber> Subscriber for Wrapped<S> {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.0.register_callsite(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.0.max_level_hint()
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        self.0.new_span(attributes)
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        self.0.record(id, values);
    }

    fn record_follows_from(&self, id: &Id, follows: &Id) {
        self.0.record_follows_from(id, follows);
    }

    fn event(&self, event: &Event<'_>) {
        self.0.event(event);
    }

    fn enter(&self, id: &Id) {
        self.0.enter(id);
    }

    fn exit(&self, id: &Id) {
        self.0.exit(id);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.0.clone_span(id)
    }

    fn try_close(&self, id: Id) -> bool {
        self.0.try_close(id)
    }

    fn current_span(&self) -> Current {
        self.0.current_span()
    }
}

impl<'a, S: LookupSpan<'a>> LookupSpan<'a> for Wrapped<S> {
    type Data = S::Data;

    fn span_data(&'a self, id: &Id) -> Option<Self::Data> {
        self.0.span_data(id)
    }
}

/// Runs the same with the layer, and without it: a subscriber that gives no ids to
/// filters measures what it wants, and writes the lines that it would write.
fn emit_under_what_gives_no_ids<S>(what: &str, build: impl Fn(Lines) -> S)
where
    S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync + 'static,
{
    let emit = || {
        let job = info_span!("job", in_flight.jobs = Empty, calls.done = Empty);
        job.in_scope(|| info!(monotonic_counter.n = 1));
        debug!(monotonic_counter.too_quiet = 1);
        info!("not measured");
    };
    let (alone, beside) = (Lines::default(), Lines::default());
    under(build(alone.clone()), emit);
    let memory = MemorySink::new();
    let layers = layer(&memory).and_then(Identity::new());
    under(
        build(beside.clone()).with(Identity::new()).with(layers),
        emit,
    );
    assert_eq!(count(&memory, "n"), Some(1.0), "{what}");
    assert_eq!(count(&memory, "too_quiet"), None, "{what}");
    assert_eq!(memory.snapshot().samples("jobs", &[]), [1.0, -1.0]);
    let done = memory.snapshot().value("done", &[("outcome", "ok")]);
    assert_eq!(done, Some(1.0), "{what}");
    assert_eq!(alone.all().len(), 2, "{what}");
    assert_eq!(alone.all(), beside.all(), "{what}");
}

#[test]
fn a_subscriber_that_gives_no_ids_to_filters_is_measured_and_not_disturbed() {
    let fmt = |lines| {
        let fmt = tracing_subscriber::fmt().with_writer(lines);
        fmt.without_time().with_ansi(false)
    };
    emit_under_what_gives_no_ids("fmt", |lines| fmt(lines).finish());
    let at_info = |lines| fmt(lines).with_max_level(Level::INFO).json().finish();
    emit_under_what_gives_no_ids("fmt at info", at_info);
    let filtered = |lines| fmt(lines).with_env_filter("info").finish();
    emit_under_what_gives_no_ids("fmt with a filter", filtered);
    emit_under_what_gives_no_ids("another type", |lines| {
        let fmt = tracing_subscriber::fmt::layer().with_writer(lines);
        let fmt = fmt.without_time().with_ansi(false);
        Wrapped(Registry::default().with(fmt).with(LevelFilter::INFO))
    });
    emit_under_what_gives_no_ids("another type around a filter", |lines| {
        let fmt = tracing_subscriber::fmt::layer().with_writer(lines);
        let fmt = fmt.without_time().with_ansi(false);
        let registry = Registry::default().with(fmt.with_filter(LevelFilter::INFO));
        Wrapped(registry.with(LevelFilter::INFO))
    });
}

#[test]
fn an_event_counts_before_its_callsite_was_registered() {
    let memory = MemorySink::new();
    let unregistered = Registry::default().with(layer(&memory));
    under(Registry::default().with(PassOn(unregistered)), || {
        info!(monotonic_counter.n = 1);
        info!(unmeasured = 1);
    });
    assert_eq!(count(&memory, "n"), Some(1.0));
}

#[test]
fn registering_a_callsite_again_changes_nothing() {
    let memory = MemorySink::new();
    let layer = layer(&memory);
    let handle = layer.handle();
    under(Registry::default().with(layer), || {
        for _ in 0..3 {
            info!(monotonic_counter.n = 1);
            tracing::callsite::rebuild_interest_cache();
        }
    });
    assert_eq!(count(&memory, "n"), Some(3.0));
    assert!(handle.problems().is_empty());
    let named_n = |entry: &&tracing_meter::CatalogEntry| entry.name() == "n";
    assert_eq!(handle.catalog().iter().filter(named_n).count(), 1);
}

#[test]
fn the_layer_hints_at_the_most_verbose_level_of_its_directives() {
    for (directives, hint) in [
        ("off", LevelFilter::OFF),
        ("info", LevelFilter::INFO),
        ("warn,chosen=debug", LevelFilter::DEBUG),
        ("chosen", LevelFilter::TRACE),
    ] {
        let builder = tracing_meter::builder().sink(MemorySink::new());
        let layer = builder.directives(directives).build().unwrap();
        let subscriber = Registry::default().with(layer);
        assert_eq!(
            Subscriber::max_level_hint(&subscriber),
            Some(hint),
            "{directives}"
        );
    }
}

#[test]
fn directives_choose_targets_and_levels() {
    let measured = support::measure_with(
        |builder| builder.directives("warn, my_app=debug , my_app::noisy=off"),
        || {
            info!(monotonic_counter.n = 1, at = "elsewhere");
            error!(monotonic_counter.n = 1, at = "elsewhere");
            event!(target: "my_app::db", Level::DEBUG, monotonic_counter.n = 1, at = "my_app");
            event!(target: "my_app", Level::TRACE, monotonic_counter.n = 1, at = "my_app");
            event!(target: "my_app::noisy", Level::ERROR, monotonic_counter.n = 1, at = "noisy");
        },
    );
    let at = |place| measured.value("n", &[("at", place)]);
    assert_eq!(at("elsewhere"), Some(1.0));
    assert_eq!(at("my_app"), Some(1.0));
    assert_eq!(at("noisy"), None);
}

#[test]
fn two_subscribers_on_two_threads_do_not_disturb_each_other() {
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let memory = MemorySink::new();
                let subscriber = Registry::default()
                    .with(layer(&memory))
                    .with(quiet_fmt("info"));
                under(subscriber, || {
                    for _ in 0..200 {
                        info!(monotonic_counter.n = 1);
                        drop(info_span!("job", in_flight.jobs = Empty).entered());
                    }
                });
                assert_eq!(count(&memory, "n"), Some(200.0));
                assert_eq!(memory.snapshot().value("jobs", &[]), Some(0.0));
            });
        }
    });
}
