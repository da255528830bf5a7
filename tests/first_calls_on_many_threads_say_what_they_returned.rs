//! Events of all levels are wanted from the moment on when a span with an outcome opens for
//! the first time. Alone in its process: the level is that of all subscribers together.

mod support;

use std::sync::Barrier;
use std::thread::scope;

use support::measure_with;
use tracing::{dispatcher, instrument};

type Returned = Result<(), &'static str>;

#[instrument(err(level = "trace"), fields(calls.shared))]
fn shared() -> Returned {
    Err("boom")
}

macro_rules! each_on_its_thread {
    ($($name:ident)*) => {
        $(#[instrument(err(level = "trace"), fields(calls.work))]
        fn $name() -> Returned {
            Err("boom")
        })*
        const EACH: &[fn() -> Returned] = &[$($name),*];
    };
}

each_on_its_thread!(a b c d);

#[test]
fn whichever_thread_is_the_first() {
    for round in 0..20 {
        // Nothing below INFO is measured, so that TRACE is not wanted before.
        let measured = measure_with(
            |builder| builder.directives("info"),
            || {
                let subscriber = dispatcher::get_default(Clone::clone);
                let all_are_there = Barrier::new(2 * EACH.len());
                let call = |function: fn() -> Returned| {
                    dispatcher::with_default(&subscriber, || {
                        all_are_there.wait();
                        function().unwrap_err();
                    });
                };
                scope(|threads| {
                    for function in EACH.iter().flat_map(|own| [*own, shared]) {
                        threads.spawn(move || call(function));
                    }
                });
            },
        );
        for metric in ["work", "shared"] {
            let failed = measured.value(metric, &[("outcome", "error")]);
            assert_eq!(failed, Some(4.0), "{metric} in round {round}");
        }
    }
}
