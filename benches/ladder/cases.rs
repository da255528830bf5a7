//! The cases, in the order of visits: what is compared stands side by side.

use crate::run::harness::Case;
use crate::run::operations::Operation;
use crate::run::stacks::Stack;

mod bystanders;
mod calls;
mod edges;
mod events;
mod history;
mod propagation;
mod requests;
mod series;
mod spans;

/// Every case of the ladder.
pub(crate) fn all() -> Vec<Case> {
    let mut cases = calls::floor();
    cases.extend(calls::counters());
    cases.extend(events::counters());
    cases.extend(calls::others());
    cases.extend(events::others());
    cases.extend(events::labels());
    cases.extend(events::nested());
    cases.extend(events::threads());
    cases.extend(series::all());
    cases.extend(edges::all());
    cases.extend(bystanders::all());
    cases.extend(spans::all());
    cases.extend(requests::all());
    cases.extend(history::all());
    cases.extend(propagation::all());
    cases
}

/// Who measures an operation, and how.
type Who = (&'static str, Stack);

/// One operation under several stacks.
fn rung<const N: usize>(name: &str, operation: Operation, stacks: [Who; N]) -> Vec<Case> {
    let case = |(who, stack): Who| {
        let name = format!("{name}/{who}");
        Case::new(name, move |watch| stack(&operation, watch))
    };
    stacks.into_iter().map(case).collect()
}
