//! Directives and conventions that change while spans are open. Levels and interests are
//! those of the process: the tests take turns.

mod support;

use std::any::Any;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use tracing::field::Empty;
use tracing::level_filters::LevelFilter;
use tracing::{
    Dispatch, Event, Level, Metadata, Span, Subscriber, debug, debug_span, dispatcher, event, info,
    info_span, instrument,
};
use tracing_meter::{
    Convention, Feed, Handle, Instrument, Kind, Labels, Measure, MemorySink, MeterHandle,
    MeterLayerBuilder, Recipe, Reconfiguration, Sink,
};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::{Layer, Registry, reload};

const PATIENCE: Duration = Duration::from_secs(30);

/// One test at a time.
fn in_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs code under a layer that measures into the sink.
fn under(
    configure: impl FnOnce(MeterLayerBuilder) -> MeterLayerBuilder,
    code: impl FnOnce(&MeterHandle, &MemorySink),
) {
    let _in_turn = in_turn();
    let memory = MemorySink::new();
    let builder = configure(tracing_meter::builder().sink(memory.clone()));
    let layer = builder.build().unwrap();
    let handle = layer.handle();
    support::under(Registry::default().with(layer), || code(&handle, &memory));
}

fn set_directives(handle: &MeterHandle, directives: &str) {
    let new = Reconfiguration::new().directives(directives);
    handle.reconfigure(new).unwrap();
}

/// Counts the events of one target.
#[derive(Debug, PartialEq)]
struct Events {
    target: &'static str,
    metric: &'static str,
    kind: Kind,
}

impl Events {
    const fn of(target: &'static str, metric: &'static str) -> Self {
        let kind = Kind::Counter;
        Self {
            target,
            metric,
            kind,
        }
    }
}

impl Convention for Events {
    fn recognise(&self, callsite: &Metadata<'static>) -> Option<Recipe> {
        let measure = Measure::field(self.kind, self.metric, "n");
        let is_one = callsite.is_event() && callsite.target() == self.target;
        is_one.then(|| Feed::new().measure(measure).into())
    }

    fn is_same(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}

/// Counts the spans of a name.
struct Spans(&'static str);

impl Convention for Spans {
    fn recognise(&self, callsite: &Metadata<'static>) -> Option<Recipe> {
        let spans = Feed::new()
            .measure(Measure::in_flight("spans.open"))
            .measure(Measure::closed("spans"));
        (callsite.is_span() && callsite.name() == self.0).then(|| spans.into())
    }
}

fn emit() {
    info!(target: "app::shop", n = 1, "sold");
}

#[test]
fn directives_count_from_the_next_event_and_the_next_span() {
    fn work() {
        info!(monotonic_counter.at_info = 1);
        debug!(monotonic_counter.at_debug = 1);
        drop(debug_span!("job", started.jobs = Empty));
    }
    under(
        |builder| builder.directives("info"),
        |handle, memory| {
            for directives in ["debug", "info", "off", "warn", "trace", "info"] {
                work();
                set_directives(handle, directives);
            }
            work();
            let measured = memory.snapshot();
            assert_eq!(measured.value("at_info", &[]), Some(5.0));
            assert_eq!(measured.value("at_debug", &[]), Some(2.0));
            assert_eq!(measured.value("jobs", &[]), Some(2.0));
        },
    );
}

#[test]
fn the_level_of_the_process_follows_the_directives() {
    under(
        |builder| builder.directives("info"),
        |handle, _| {
            assert_eq!(LevelFilter::current(), LevelFilter::INFO);
            for (directives, level) in [
                ("app=debug,warn", LevelFilter::DEBUG),
                ("off", LevelFilter::OFF),
                ("trace", LevelFilter::TRACE),
                ("warn", LevelFilter::WARN),
            ] {
                set_directives(handle, directives);
                assert_eq!(LevelFilter::current(), level, "{directives}");
            }
        },
    );
}

#[test]
fn directives_that_are_not_valid_change_nothing() {
    under(
        |builder| builder.directives("info"),
        |handle, memory| {
            let new = Reconfiguration::new()
                .directives("debug,my_app=loud")
                .convention(Events::of("app::shop", "sold"));
            let error = handle.reconfigure(new).unwrap_err();
            assert!(error.is_directives());
            assert!(
                error
                    .to_string()
                    .starts_with("invalid directives `my_app=loud` of the reconfiguration: "),
                "{error}"
            );
            emit();
            debug!(monotonic_counter.at_debug = 1);
            let measured = memory.snapshot();
            assert_eq!(measured.value("at_debug", &[]), None);
            assert_eq!(measured.value("sold", &[]), None);
        },
    );
}

#[test]
fn without_a_directive_those_count_that_the_layer_was_built_with() {
    under(
        |builder| builder.directives("info"),
        |handle, _| {
            set_directives(handle, "off");
            set_directives(handle, " ");
            assert_eq!(LevelFilter::current(), LevelFilter::INFO);
        },
    );
}

#[test]
fn what_is_not_mentioned_stays() {
    under(
        |builder| builder.convention(Events::of("app::shop", "sold")),
        |handle, memory| {
            set_directives(handle, "info");
            emit();
            debug!(target: "app::shop", n = 1);
            let new = Reconfiguration::new().convention(Events::of("app::shop", "bought"));
            handle.reconfigure(new).unwrap();
            emit();
            debug!(target: "app::shop", n = 1);
            let measured = memory.snapshot();
            assert_eq!(measured.value("sold", &[]), Some(1.0));
            assert_eq!(measured.value("bought", &[]), Some(1.0));
        },
    );
}

#[test]
fn conventions_come_are_replaced_and_go() {
    under(
        |builder| builder.convention(Events::of("app::shop", "sold")),
        |handle, memory| {
            let change = |new| {
                handle.reconfigure(new).unwrap();
                emit();
                event!(target: "app::other", Level::INFO, monotonic_counter.by_field = 1, n = 1);
            };
            change(Reconfiguration::new());
            change(Reconfiguration::new().convention(Events::of("app::shop", "bought")));
            change(Reconfiguration::new().conventions(|all| {
                all.insert(0, Arc::new(Events::of("app::other", "others")));
            }));
            change(Reconfiguration::new().without::<Events>());
            change(Reconfiguration::new().convention(Spans("nothing")));
            let measured = memory.snapshot();
            assert_eq!(measured.value("sold", &[]), Some(1.0));
            assert_eq!(measured.value("bought", &[]), Some(2.0));
            assert_eq!(measured.value("others", &[]), Some(1.0));
            assert_eq!(measured.value("by_field", &[("n", "1")]), Some(5.0));
        },
    );
}

#[test]
fn a_convention_takes_the_place_of_the_first_of_its_type() {
    under(
        |builder| {
            builder
                .convention(Events::of("app::shop", "first"))
                .convention(Spans("request"))
                .convention(Events::of("app::shop", "second"))
        },
        |handle, _| {
            let new = Reconfiguration::new().convention(Events::of("app::shop", "third"));
            handle.reconfigure(new).unwrap();
            let seen = Arc::new(Mutex::new(Vec::new()));
            let see = Arc::clone(&seen);
            let look = Reconfiguration::new().conventions(move |all| {
                let describe = |it: &Arc<dyn Convention>| match (&**it as &dyn Any).downcast_ref() {
                    Some(Events { metric, .. }) => (*metric).to_owned(),
                    None => it.name().to_owned(),
                };
                *see.lock().unwrap() = all.iter().map(describe).collect();
            });
            handle.reconfigure(look).unwrap();
            assert_eq!(*seen.lock().unwrap(), ["third", "Spans"]);
        },
    );
}

#[test]
fn a_span_is_measured_to_its_end_as_it_was_opened() {
    fn open() -> Span {
        info_span!(
            "request",
            in_flight.requests = Empty,
            duration.request = Empty,
            monotonic_counter.bytes = Empty,
            label.tenant = "acme",
            label.status = Empty,
        )
    }
    under(
        |builder| builder,
        |handle, memory| {
            let by_fields = open();
            set_directives(handle, "off");
            let unseen = open();
            handle
                .reconfigure(
                    Reconfiguration::new()
                        .convention(Spans("request"))
                        .directives("info"),
                )
                .unwrap();
            let by_both = open();
            handle
                .reconfigure(Reconfiguration::new().without::<Spans>())
                .unwrap();

            let requests = [("tenant", "acme")];
            assert_eq!(memory.snapshot().value("requests", &requests), Some(2.0));
            assert_eq!(memory.snapshot().value("spans.open", &[]), Some(1.0));
            for (span, status) in [(by_fields, 200), (unseen, 300), (by_both, 400)] {
                span.record("monotonic_counter.bytes", 10);
                span.record("label.status", status);
                span.in_scope(|| {});
                drop(span);
            }
            let measured = memory.snapshot();
            assert_eq!(measured.value("requests", &requests), Some(0.0));
            assert_eq!(measured.value("spans.open", &[]), Some(0.0));
            assert_eq!(measured.value("spans", &[("outcome", "ok")]), Some(1.0));
            assert_eq!(measured.value("bytes", &requests), Some(20.0));
            for (status, spans) in [("200", 1), ("300", 0), ("400", 1)] {
                let labels = [("outcome", "ok"), ("status", status), ("tenant", "acme")];
                let durations = measured.samples("request", &labels);
                assert_eq!(durations.len(), spans, "{status}");
            }
        },
    );
}

#[test]
fn an_open_span_gives_its_labels_to_what_an_other_configuration_measures() {
    under(
        |builder| builder.inherited_labels(["tenant"]),
        |handle, memory| {
            let request = info_span!("request", tenant = "acme", in_flight.requests = Empty);
            let _request = request.entered();
            let new = Reconfiguration::new().convention(Events::of("app::shop", "sold"));
            handle.reconfigure(new.directives("app=info")).unwrap();
            emit();
            let sold = memory.snapshot().value("sold", &[("tenant", "acme")]);
            assert_eq!(sold, Some(1.0));
        },
    );
}

#[test]
fn an_open_span_hears_its_outcome_below_the_new_directives() {
    #[instrument(err(level = "trace"), skip_all, fields(calls.work))]
    fn work(inside: impl FnOnce()) -> Result<(), &'static str> {
        inside();
        Err("boom")
    }
    under(
        |builder| builder.directives("info"),
        |handle, memory| {
            work(|| set_directives(handle, "off")).unwrap_err();
            work(|| set_directives(handle, "warn")).unwrap_err();
            work(|| set_directives(handle, "info")).unwrap_err();
            work(|| {}).unwrap_err();
            let measured = memory.snapshot();
            assert_eq!(measured.value("work", &[("outcome", "error")]), Some(2.0));
            assert_eq!(measured.value("work", &[("outcome", "ok")]), None);
        },
    );
}

#[test]
fn an_error_that_was_handled_is_none_of_an_older_span_of_the_same_function() {
    #[instrument(err, skip_all, fields(calls.work))]
    fn work(depth: u32, inside: &mut dyn FnMut()) -> Result<(), &'static str> {
        if depth == 0 {
            return Err("too deep");
        }
        inside();
        let _ = work(depth - 1, inside);
        Ok(())
    }
    under(
        |builder| builder,
        |handle, memory| {
            work(1, &mut || set_directives(handle, "off")).unwrap();
            let measured = memory.snapshot();
            assert_eq!(measured.value("work", &[("outcome", "ok")]), Some(1.0));
            assert_eq!(measured.value("work", &[("outcome", "error")]), None);
        },
    );
}

#[test]
fn functions_of_one_macro_are_told_apart_by_every_configuration() {
    macro_rules! functions {
        ($($name:ident $target:literal)*) => {
            $(#[instrument(target = $target, err, skip_all)]
            fn $name(inside: &dyn Fn() -> Result<(), &'static str>) -> Result<(), &'static str> {
                inside()
            })*
        };
    }
    functions!(outer "outer" inner "inner");

    /// Counts the spans of a target.
    struct Calls(&'static str);

    impl Convention for Calls {
        fn recognise(&self, callsite: &Metadata<'static>) -> Option<Recipe> {
            let calls = Feed::new().measure(Measure::closed(self.0));
            (callsite.is_span() && callsite.target() == self.0).then(|| calls.into())
        }
    }

    fn work() {
        outer(&|| inner(&|| Err("boom")).or(Ok(()))).unwrap();
    }
    under(
        |builder| builder,
        |handle, memory| {
            work();
            for measured in ["outer", "inner", "outer"] {
                let new = Reconfiguration::new().convention(Calls(measured));
                handle.reconfigure(new).unwrap();
                work();
            }
            let measured = memory.snapshot();
            assert_eq!(measured.value("outer", &[("outcome", "ok")]), Some(2.0));
            assert_eq!(measured.value("outer", &[("outcome", "error")]), None);
            assert_eq!(measured.value("inner", &[("outcome", "error")]), Some(1.0));
            assert_eq!(measured.value("inner", &[("outcome", "ok")]), None);
        },
    );
}

#[test]
fn a_name_keeps_its_kind_and_stays_in_the_catalog() {
    under(
        |builder| builder.convention(Events::of("app::shop", "sold")),
        |handle, memory| {
            emit();
            let as_histogram = Events {
                kind: Kind::Histogram,
                ..Events::of("app::shop", "sold")
            };
            let new = Reconfiguration::new().convention(as_histogram);
            handle.reconfigure(new).unwrap();
            emit();
            assert_eq!(memory.snapshot().value("sold", &[]), Some(1.0));
            let problems = handle.problems();
            let problem = problems.iter().find(|problem| problem.metric() == "sold");
            assert_eq!(
                problem.unwrap().reason(),
                tracing_meter::Reason::KindConflict
            );
            handle
                .reconfigure(Reconfiguration::new().without::<Events>())
                .unwrap();
            let catalog = handle.catalog();
            assert!(catalog.iter().any(|entry| entry.name() == "sold"));
        },
    );
}

#[test]
fn an_event_that_is_no_longer_measured_evaluates_none_of_its_fields() {
    let evaluated = std::cell::Cell::new(0);
    let value = || {
        evaluated.set(evaluated.get() + 1);
        1
    };
    let emit = || info!(monotonic_counter.lookups = value());
    under(
        |builder| builder,
        |handle, _| {
            for directives in ["info", "hyper=trace", "info", "off"] {
                set_directives(handle, directives);
                emit();
            }
            assert_eq!(evaluated.get(), 2);
        },
    );
}

/// Sees every event, and does something once.
struct OnEvent<F>(F, Arc<Mutex<u64>>);

impl<S: Subscriber, F: Fn() + 'static> Layer<S> for OnEvent<F> {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        *self.1.lock().unwrap() += 1;
        (self.0)();
    }
}

#[test]
fn layers_beside_it_see_what_they_saw_before() {
    fn emit_both() {
        info!(monotonic_counter.ours = 1);
        debug!("theirs");
    }
    let _in_turn = in_turn();
    let layer = tracing_meter::builder().sink(MemorySink::new());
    let layer = layer.directives("info").build().unwrap();
    let handle = layer.handle();
    let (all, infos) = (Arc::default(), Arc::default());
    let subscriber = Registry::default()
        .with(OnEvent(|| {}, Arc::clone(&all)))
        .with(OnEvent(|| {}, Arc::clone(&infos)).with_filter(LevelFilter::INFO))
        .with(layer);
    support::under(subscriber, || {
        emit_both();
        for directives in ["trace", "off", "info"] {
            set_directives(&handle, directives);
            emit_both();
        }
    });
    assert_eq!((*all.lock().unwrap(), *infos.lock().unwrap()), (8, 4));
}

/// Runs code under a subscriber, which has to end within the test's patience. So has what asks
/// the subscriber after the code has gone on.
fn ends_under(subscriber: impl Subscriber + Send + Sync, code: impl FnOnce() + Send + 'static) {
    let subscriber = Dispatch::new(subscriber);
    let is_there = subscriber.downgrade();
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        dispatcher::with_default(&subscriber, code);
        drop(subscriber);
        while is_there.upgrade().is_some() {
            thread::yield_now();
        }
        done.send(()).unwrap();
    });
    is_done.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn it_may_be_called_in_a_span_an_event_handler_and_a_sink() {
    /// Reconfigures while it is called.
    struct Reconfigures(Arc<Mutex<Option<MeterHandle>>>);

    impl Sink for Reconfigures {
        fn series(&self, _: &Instrument, _: &Labels) -> Arc<dyn Handle> {
            Arc::new(Self(Arc::clone(&self.0)))
        }
    }

    impl Handle for Reconfigures {
        fn record(&self, _: f64) {
            let handle = self.0.lock().unwrap().take();
            if let Some(handle) = handle {
                set_directives(&handle, "debug");
            }
        }
    }

    let _in_turn = in_turn();
    let of_the_sink = Arc::default();
    let memory = MemorySink::new();
    let layer = tracing_meter::builder()
        .sink(memory.clone())
        .sink(Reconfigures(Arc::clone(&of_the_sink)))
        .directives("info")
        .build()
        .unwrap();
    let handle = layer.handle();
    let of_the_layer = handle.clone();
    let turn_off = move || set_directives(&of_the_layer, "off");
    let subscriber = Registry::default()
        .with(layer)
        .with(OnEvent(turn_off, Arc::default()));
    ends_under(subscriber, move || {
        let span = info_span!("job", in_flight.jobs = Empty).entered();
        set_directives(&handle, "trace");
        assert_eq!(LevelFilter::current(), LevelFilter::TRACE);
        *of_the_sink.lock().unwrap() = Some(handle.clone());
        info!(monotonic_counter.hits = 1);
        // The handler was the last to say what counts.
        info!(monotonic_counter.hits = 1);
        drop(span);
    });
    assert_eq!(memory.snapshot().value("hits", &[]), Some(1.0));
    assert_eq!(memory.snapshot().value("jobs", &[]), Some(0.0));
}

#[test]
fn it_may_be_called_under_the_lock_of_a_reload_handle() {
    let _in_turn = in_turn();
    let memory = MemorySink::new();
    let builder = tracing_meter::builder().directives("info");
    let layer = builder.sink(memory.clone()).build().unwrap();
    let handle = layer.handle();
    let (layer, reloading) = reload::Layer::new(layer);
    ends_under(Registry::default().with(layer), move || {
        let emit = || debug!(monotonic_counter.hits = 1);
        emit();
        let reconfigure = |_: &mut _| set_directives(&handle, "debug");
        reloading.modify(reconfigure).unwrap();
        emit();
    });
    assert_eq!(memory.snapshot().value("hits", &[]), Some(1.0));
}

#[test]
fn it_may_be_called_by_a_convention() {
    /// Reconfigures while it is asked.
    struct Asks(Mutex<Option<MeterHandle>>);

    impl Convention for Asks {
        fn recognise(&self, _: &Metadata<'static>) -> Option<Recipe> {
            let handle = self.0.lock().unwrap().take();
            if let Some(handle) = handle {
                set_directives(&handle, "warn");
            }
            None
        }
    }

    let _in_turn = in_turn();
    let memory = MemorySink::new();
    let layer = tracing_meter::builder()
        .sink(memory.clone())
        .build()
        .unwrap();
    let handle = layer.handle();
    ends_under(Registry::default().with(layer), move || {
        let asks = Asks(Mutex::new(Some(handle.clone())));
        let new = Reconfiguration::new().convention(asks);
        handle.reconfigure(new).unwrap();
        info!(monotonic_counter.hits = 1);
    });
    assert_eq!(memory.snapshot().value("hits", &[]), None);
}

#[test]
fn another_thread_may_reconfigure_a_scoped_subscriber() {
    under(
        |builder| builder.directives("info"),
        |handle, memory| {
            let emit = || debug!(monotonic_counter.hits = 1);
            emit();
            let elsewhere = handle.clone();
            let reconfigure = move || {
                let nothing = Dispatch::none();
                dispatcher::with_default(&nothing, || set_directives(&elsewhere, "debug"));
            };
            thread::spawn(reconfigure).join().unwrap();
            emit();
            assert_eq!(memory.snapshot().value("hits", &[]), Some(1.0));
        },
    );
}

#[test]
fn a_layer_that_is_gone_has_nothing_to_change() {
    let layer = tracing_meter::builder().build::<Registry>().unwrap();
    let handle = layer.handle();
    drop(layer);
    set_directives(&handle, "debug");
    let wrong = Reconfiguration::new().directives("a=b=c");
    assert!(handle.reconfigure(wrong).unwrap_err().is_directives());
}
