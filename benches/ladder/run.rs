//! The program: what is asked for, and the lines that it prints.
#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use std::process::ExitCode;

use crate::profile;

mod allocator;
mod cases;
mod exporters;
mod harness;
mod layers;
mod limits;
mod memory;
mod operations;
mod peers;
mod results;
mod stacks;
mod targets;

pub(crate) fn run(arguments: &[String]) -> ExitCode {
    if let [flag, name, times, ..] = arguments
        && flag == "--repeat"
    {
        let case = cases::all().into_iter().find(|case| case.name == *name);
        let times = times.parse().expect("--repeat CASE TIMES");
        harness::repeat(&case.expect("the case exists"), times);
        return ExitCode::SUCCESS;
    }
    let filter = arguments.iter().find(|arg| !arg.starts_with('-'));
    measure(filter.map_or("", String::as_str));
    ExitCode::SUCCESS
}

fn measure(filter: &str) {
    let profile = if profile::is_without_lto() {
        profile::WITHOUT_LTO
    } else {
        "bench"
    };
    println!("profile {profile}");
    let targets = targets::all();
    let mut cases = cases::all();
    for name in targets.iter().flat_map(targets::Target::cases) {
        let is_case = cases.iter().any(|case| case.name == name);
        assert!(is_case, "a target needs the case {name}");
    }
    cases.retain(|case| case.name.contains(filter));
    let results = harness::take_turns(&cases);
    for case in &cases {
        let name = &case.name;
        let nanos = results.median(name, |cost| cost.nanos);
        let allocations = results.median(name, |cost| cost.allocations);
        if let (Some(nanos), Some(allocations)) = (nanos, allocations) {
            println!("case {name} {nanos:.1} {allocations:.2}");
        }
    }
    let (series, kept) = (memory::by_series(filter), memory::after_spans(filter));
    for (name, bytes) in series.iter().chain(&kept) {
        println!("bytes {name} {bytes:.0}");
    }
    for line in targets::reports(&results) {
        println!("{line}");
    }
    for line in targets.iter().filter_map(|target| target.line(&results)) {
        println!("{line}");
    }
    let bytes = series.iter().filter_map(targets::series);
    for line in bytes.chain(kept.iter().map(targets::kept)) {
        println!("{line}");
    }
}
