//! `#[instrument(err)]` says what a function returned. Its event is told from all others
//! by its place in the source.

mod support;

use async_trait::async_trait;
use support::{Measured, measure, measure_with, under};
use tracing::field::Empty;
use tracing::{Instrument as _, debug_span, error, info_span, instrument, warn};
use tracing_meter::MemorySink;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::{Registry, reload};

type Returned = Result<(), &'static str>;

struct Service(Returned);

#[async_trait]
trait Job {
    async fn in_a_trait(&self, returned: Returned) -> Returned;
}

#[async_trait]
impl Job for Service {
    #[instrument(skip_all, err, fields(calls.work))]
    async fn in_a_trait(&self, returned: Returned) -> Returned {
        tokio::task::yield_now().await;
        returned
    }
}

impl Service {
    #[instrument(skip_all, err(Debug), fields(calls.work))]
    fn method(&self) -> Returned {
        self.0
    }

    #[instrument(skip_all, err(level = "trace"), fields(calls.work))]
    async fn asynchronous_method(&self, returned: Returned) -> Returned {
        tokio::task::yield_now().await;
        returned
    }
}

#[instrument(err, fields(calls.work))]
fn function(returned: Returned) -> Returned {
    returned
}

#[instrument(err(level = "warn"), fields(calls.work))]
fn warns(returned: Returned) -> Returned {
    returned
}

#[instrument(err(level = "debug", Debug), fields(calls.work))]
fn debugs(returned: Returned) -> Returned {
    returned
}

#[instrument(target = "another", name = "another", level = "debug", err, ret, fields(calls.work))]
async fn asynchronous(returned: Returned) -> Returned {
    tokio::task::yield_now().await;
    returned
}

#[instrument(err)]
fn unmeasured(returned: Returned) -> Returned {
    returned
}

/// Calls each of them, and says how many there are.
fn call_all(returned: Returned) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    let service = Service(returned);
    let all = [
        function(returned),
        warns(returned),
        debugs(returned),
        service.method(),
        runtime.block_on(asynchronous(returned)),
        runtime.block_on(service.asynchronous_method(returned)),
        runtime.block_on(service.in_a_trait(returned)),
    ];
    assert!(all.iter().all(|it| *it == returned));
    7.0
}

fn outcomes(measured: &Measured, metric: &str) -> [Option<f64>; 2] {
    ["ok", "error"].map(|outcome| measured.value(metric, &[("outcome", outcome)]))
}

#[test]
fn each_form_of_instrument_err_fails_its_own_span() {
    let mut calls = 0.0;
    let measured = measure(|| {
        calls = call_all(Err("boom"));
        call_all(Ok(()));
    });
    assert_eq!(outcomes(&measured, "work"), [Some(calls), Some(calls)]);
}

#[test]
fn no_directive_of_ours_hides_what_a_function_returned() {
    let memory = MemorySink::new();
    let builder = tracing_meter::builder().sink(memory.clone());
    // Spans of DEBUG are measured in one target only, events below WARN nowhere.
    let meter = builder
        .directives("warn,an_outcome_is_what_the_function_returned=info,another=debug")
        .build()
        .unwrap();
    under(Registry::default().with(meter), || {
        let _enclosing = info_span!("enclosing", calls.enclosing = Empty).entered();
        call_all(Err("boom"));
    });
    let failed = memory.snapshot().value("work", &[("outcome", "error")]);
    assert_eq!(failed, Some(7.0));
}

#[test]
fn a_layer_that_is_reloaded_sees_it_too() {
    let memory = MemorySink::new();
    let builder = tracing_meter::builder().sink(memory.clone());
    let meter = builder.directives("info,another=debug").build().unwrap();
    let (meter, _handle) = reload::Layer::new(meter);
    under(Registry::default().with(meter), || {
        call_all(Err("boom"));
    });
    let failed = memory.snapshot().value("work", &[("outcome", "error")]);
    assert_eq!(failed, Some(7.0));
}

#[test]
fn an_error_that_was_handled_inside_fails_nothing() {
    for others in [LevelFilter::OFF, LevelFilter::TRACE] {
        let memory = MemorySink::new();
        let builder = tracing_meter::builder().sink(memory.clone());
        let fmt = tracing_subscriber::fmt::layer().with_writer(std::io::sink);
        let subscriber = Registry::default()
            .with(builder.build().unwrap())
            .with(fmt.with_filter(others));
        under(subscriber, || {
            let _outer = info_span!("outer", calls.outer = Empty).entered();
            unmeasured(Err("handled")).unwrap_err();
            function(Err("handled")).unwrap_err();
            error!(error = "handled");
            warn!(error = %"handled", "with a message");
            debug_span!("detail").in_scope(|| error!(error = "handled"));
        });
        let measured = memory.snapshot();
        let ok = measured.value("outer", &[("outcome", "ok")]);
        assert_eq!(ok, Some(1.0), "{others}");
        let failed = measured.value("work", &[("outcome", "error")]);
        assert_eq!(failed, Some(1.0), "{others}");
    }
}

#[test]
fn only_the_span_of_the_call_that_failed_has_failed() {
    #[instrument(err, fields(calls.recursive))]
    fn recursive(depth: u32) -> Returned {
        if depth == 0 {
            return Err("the innermost");
        }
        let _handled = recursive(depth - 1);
        Ok(())
    }
    let measured = measure(|| recursive(3).unwrap());
    assert_eq!(outcomes(&measured, "recursive"), [Some(3.0), Some(1.0)]);
}

#[test]
fn of_functions_that_share_a_line_the_nearest_fails() {
    macro_rules! functions {
        ($inner:ident, $outer:ident, $unmeasured:ident) => {
            #[instrument(err, fields(calls.inner))]
            fn $inner() -> Returned {
                Err("inner")
            }
            #[instrument(err, fields(calls.outer))]
            fn $outer() -> Returned {
                let _handled = ($inner(), $unmeasured());
                Ok(())
            }
            #[instrument(err)]
            fn $unmeasured() -> Returned {
                Err("unmeasured")
            }
        };
    }
    functions!(inner, outer, in_between);
    let measured = measure(|| {
        // Seen before anything that it could be taken for.
        in_between().unwrap_err();
        outer().unwrap();
        outer().unwrap();
    });
    assert_eq!(outcomes(&measured, "inner"), [None, Some(2.0)]);
    assert_eq!(outcomes(&measured, "outer"), [Some(2.0), None]);
}

#[test]
fn a_span_in_between_hides_no_failure() {
    #[instrument(err, fields(calls.work))]
    fn leaves_a_span_entered(entered: &mut Option<tracing::span::EnteredSpan>) -> Returned {
        *entered = Some(info_span!("left", calls.left = Empty).entered());
        Err("boom")
    }
    let measured = measure_with(
        |builder| builder.inherited_labels(["tenant"]),
        || {
            let mut entered = None;
            leaves_a_span_entered(&mut entered).unwrap_err();
        },
    );
    assert_eq!(outcomes(&measured, "work"), [None, Some(1.0)]);
    assert_eq!(outcomes(&measured, "left"), [Some(1.0), None]);
}

#[test]
fn what_a_span_records_of_itself_counts_as_before() {
    let measured = measure(|| {
        let span = info_span!("s", calls.s = Empty, error = Empty);
        let future = async {
            tracing::Span::current().record("error", "boom");
        };
        futures_util::FutureExt::now_or_never(future.instrument(span));
    });
    assert_eq!(outcomes(&measured, "s"), [None, Some(1.0)]);
}
