//! What measuring costs, beside what it costs otherwise.
//!
//! One process. Each case builds its own subscriber, the only one alive, warms it
//! up and runs for some milliseconds; all cases take turns, several times over,
//! and the median counts. `cargo bench --bench ladder -- FILTER` runs those cases
//! whose name holds FILTER; `-- --repeat CASE TIMES` one case, for `benches/count`.
#![allow(missing_docs, reason = "a program")]
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::collections::BTreeMap;

mod cases;
mod harness;
mod targets;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name, times, ..] = &arguments[..]
        && flag == "--repeat"
    {
        let case = cases::all().into_iter().find(|case| case.name == name);
        let times = times.parse().expect("--repeat CASE TIMES");
        return harness::repeat(&case.expect("the case exists"), times);
    }
    let filter = arguments.into_iter().find(|arg| !arg.starts_with('-'));
    let filter = filter.unwrap_or_default();
    let chosen: Vec<_> = cases::all()
        .into_iter()
        .filter(|case| case.name.contains(&filter))
        .collect();
    let results = harness::take_turns(&chosen);
    for case in &chosen {
        let result = &results[case.name];
        println!(
            "case {} {:.1} {:.2}",
            case.name, result.nanos, result.allocations
        );
    }
    let nanos: BTreeMap<_, _> = results.iter().map(|(name, r)| (*name, r.nanos)).collect();
    for target in targets::all() {
        if let Some(line) = target.line(&nanos) {
            println!("{line}");
        }
    }
}
