//! Many series at random, each of them known.

use super::{Who, rung};
use crate::run::harness::Case;
use crate::run::operations::{Operation, among};
use crate::run::peers::{metrics_layer, metrics_layer_with_room};
use crate::run::stacks::ours;

pub(super) fn all() -> Vec<Case> {
    let mut cases = few("event/series_1", among::<1>());
    cases.extend(few("event/series_100", among::<100>()));
    cases.extend(many("event/series_10k", among::<10_000>(), 5));
    cases.extend(many("event/series_100k", among::<100_000>(), 31));
    cases
}

fn few(name: &str, operation: Operation) -> Vec<Case> {
    let stacks: [Who; 2] = [("metrics_layer", metrics_layer), ("ours", ours)];
    let cases = rung(name, operation, stacks);
    cases.into_iter().map(|case| case.every(3)).collect()
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
