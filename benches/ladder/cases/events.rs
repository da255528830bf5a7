//! Events: by kind, by label, on one thread and on two.

use super::{Who, rung};
use crate::run::harness::Case;
use crate::run::operations::{
    BOOLS_2, COUNTER_0, COUNTER_2, COUNTER_5, DISPLAYS_2, GAUGE_2, HISTOGRAM_2, INHERITED_2,
    INNERMOST_OF_10, INTEGERS_2, MACRO_INHERITED_2, NESTED_10, OUTERMOST_OF_10, ROTATING_64, THREE,
    TWO_THREADS,
};
use crate::run::peers::{metrics_layer, metrics_tracing_context};
use crate::run::stacks::{
    fmt_alone, fmt_and_ours, no_op_and_ours, no_op_and_ours_inheriting, no_subscriber, ours,
    ours_facade, ours_facade_inheriting, ours_inheriting, registry,
};

pub(super) fn counters() -> Vec<Case> {
    rung(
        "event/counter_2",
        COUNTER_2,
        [
            ("ours", ours),
            ("metrics_layer", metrics_layer),
            ("ours_facade", ours_facade),
            ("registry", registry),
            ("no_subscriber", no_subscriber),
            ("fmt", fmt_alone),
            ("fmt_and_ours", fmt_and_ours),
        ],
    )
}

/// Others than counters, and several at once.
pub(super) fn others() -> Vec<Case> {
    let stacks: [Who; 3] = [
        ("metrics_layer", metrics_layer),
        ("ours", ours),
        ("ours_facade", ours_facade),
    ];
    let mut cases = rung("event/histogram_2", HISTOGRAM_2, stacks);
    cases.extend(rung("event/gauge_2", GAUGE_2, stacks));
    cases.extend(rung("event/three", THREE, stacks));
    cases
}

/// None, many, of other types, changing ones, and those of the span around.
pub(super) fn labels() -> Vec<Case> {
    let stacks: [Who; 2] = [("metrics_layer", metrics_layer), ("ours", ours)];
    let mut cases = rung("event/counter_0", COUNTER_0, stacks);
    cases.extend(rung("event/counter_5", COUNTER_5, stacks));
    cases.extend(rung("event/integers_2", INTEGERS_2, stacks));
    cases.extend(rung("event/bools_2", BOOLS_2, stacks));
    cases.extend(rung("event/displays_2", DISPLAYS_2, stacks));
    cases.extend(rung("event/rotating_64", ROTATING_64, stacks));
    let facade: [Who; 1] = [("ours_facade", ours_facade)];
    cases.extend(rung("event/rotating_64", ROTATING_64, facade));
    let peer: [Who; 1] = [("metrics_tracing_context", metrics_tracing_context)];
    cases.extend(rung("event/inherited_2", MACRO_INHERITED_2, peer));
    let stacks: [Who; 2] = [
        ("ours", ours_inheriting),
        ("ours_facade", ours_facade_inheriting),
    ];
    cases.extend(rung("event/inherited_2", INHERITED_2, stacks));
    cases
}

/// Deep inside of spans, beside outside of all.
pub(super) fn nested() -> Vec<Case> {
    let outside: [Who; 1] = [("ours", no_op_and_ours)];
    let inside: [Who; 1] = [("ours", no_op_and_ours_inheriting)];
    let mut cases = rung("nested/none_of_10", NESTED_10, inside);
    cases.extend(rung("nested/0", COUNTER_2, outside));
    cases.extend(rung("nested/outermost_of_10", OUTERMOST_OF_10, inside));
    cases.extend(rung("nested/innermost_of_10", INNERMOST_OF_10, inside));
    cases.extend(rung("nested/innermost_of_1", INHERITED_2, inside));
    cases
}

/// One hot series on both threads: the time is that of an event on each of them.
pub(super) fn threads() -> Vec<Case> {
    rung(
        "event/two_threads",
        TWO_THREADS,
        [
            ("metrics_layer", metrics_layer),
            ("ours", ours),
            ("ours_facade", ours_facade),
        ],
    )
}
