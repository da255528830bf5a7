//! What is not measured as usual: refused, over the limit, seen for the first time, or
//! not for long.

use super::{Who, rung};
use crate::run::harness::Case;
use crate::run::operations::{
    COUNTER_2, FIRST_SIGHT, MACRO_ROTATING_64_AFTER_1_MS, MACRO_ROTATING_64_AFTER_11_MS,
    NEW_OVER_THE_LIMIT, OVER_THE_LIMIT, REJECTED, ROTATING_64, ROTATING_64_AFTER_1_MS,
    ROTATING_64_AFTER_11_MS,
};
use crate::run::peers::metrics_macro;
use crate::run::stacks::{
    debug_and_ours_at_info, ours, ours_at_info, ours_facade, ours_limited_to_one,
};

pub(super) fn all() -> Vec<Case> {
    let ours: [Who; 1] = [("ours", ours)];
    let limited: [Who; 1] = [("ours", ours_limited_to_one)];
    let mut cases = rung("edge/known_2", COUNTER_2, ours);
    cases.extend(rung("edge/rejected", REJECTED, ours));
    cases.extend(rung("edge/known_id", ROTATING_64, ours));
    cases.extend(rung("edge/over_the_limit", OVER_THE_LIMIT, limited));
    cases.extend(rung("edge/new_over_the_limit", NEW_OVER_THE_LIMIT, limited));
    cases.extend(first_sight());
    cases.extend(idle());
    cases
}

fn first_sight() -> Vec<Case> {
    let stacks: [Who; 2] = [
        ("ours", ours_at_info),
        ("debug_and_ours", debug_and_ours_at_info),
    ];
    let cases = rung("edge/first_sight", FIRST_SIGHT, stacks);
    cases.into_iter().map(|case| case.every(5)).collect()
}

fn idle() -> Vec<Case> {
    let facade: [Who; 1] = [("ours_facade", ours_facade)];
    let by_macro: [Who; 1] = [("metrics_macro", metrics_macro)];
    let mut cases = rung("edge/after_1_ms", ROTATING_64_AFTER_1_MS, facade);
    cases.extend(rung(
        "edge/after_1_ms",
        MACRO_ROTATING_64_AFTER_1_MS,
        by_macro,
    ));
    cases.extend(rung("edge/after_11_ms", ROTATING_64_AFTER_11_MS, facade));
    cases.extend(rung(
        "edge/after_11_ms",
        MACRO_ROTATING_64_AFTER_11_MS,
        by_macro,
    ));
    cases.into_iter().map(|case| case.every(5)).collect()
}
