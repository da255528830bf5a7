//! Many series at random, each of them known.

use super::{Who, rung};
use crate::run::harness::Case;
use crate::run::operations::{Operation, among, macro_among};
use crate::run::peers::{metrics_layer, metrics_layer_with_room, metrics_macro};
use crate::run::stacks::{ours, ours_facade};

pub(super) fn all() -> Vec<Case> {
    let mut cases = few("event/series_1", among::<1>());
    cases.extend(few("event/series_100", among::<100>()));
    cases.extend(many("event/series_10k", among::<10_000>(), 5));
    cases.extend(facade());
    cases.extend(with_room("event/series_50k", among::<50_000>(), 31));
    cases.extend(many("event/series_100k", among::<100_000>(), 31));
    cases
}

fn few(name: &str, operation: Operation) -> Vec<Case> {
    let stacks: [Who; 2] = [("metrics_layer", metrics_layer), ("ours", ours)];
    let cases = rung(name, operation, stacks);
    cases.into_iter().map(|case| case.every(3)).collect()
}

/// Through the facade, beside a macro's.
fn facade() -> Vec<Case> {
    let by_macro: [Who; 1] = [("metrics_macro", metrics_macro)];
    let ours: [Who; 1] = [("ours_facade", ours_facade)];
    let mut cases = rung("call/series_10k", macro_among::<10_000>(), by_macro);
    cases.extend(rung("event/series_10k", among::<10_000>(), ours));
    cases.into_iter().map(|case| case.every(5)).collect()
}

fn with_room(name: &str, operation: Operation, every: usize) -> Vec<Case> {
    let stacks: [Who; 2] = [
        ("ours", ours),
        ("metrics_layer_with_room", metrics_layer_with_room),
    ];
    let cases = rung(name, operation, stacks);
    cases.into_iter().map(|case| case.every(every)).collect()
}

fn many(name: &str, operation: Operation, every: usize) -> Vec<Case> {
    let stacks: [Who; 3] = [
        // Most of what it measures is in overflow.
        ("metrics_layer", metrics_layer),
        ("ours", ours),
        ("metrics_layer_with_room", metrics_layer_with_room),
    ];
    let cases = rung(name, operation, stacks);
    cases.into_iter().map(|case| case.every(every)).collect()
}
