//! `TRACING_METER`, in child processes: the environment belongs to a process.

mod support;

use std::process::Command;

use tracing::{debug, info};
use tracing_meter::{MemorySink, Reconfiguration};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

const CHILD: &str = "TRACING_METER_TEST_CHILD";

/// Runs this very test in a process with the variable set, and gives its output.
fn in_a_child(name: &str, directives: &str) -> String {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .env("TRACING_METER", directives)
        .output()
        .unwrap();
    assert!(child.status.success(), "{child:?}");
    String::from_utf8(child.stdout).unwrap()
}

#[test]
#[allow(clippy::print_stdout, reason = "the child tells its parent")]
fn the_environment_wins_over_the_builder_unless_it_is_empty() {
    const NAME: &str = "the_environment_wins_over_the_builder_unless_it_is_empty";
    if std::env::var_os(CHILD).is_none() {
        assert!(in_a_child(NAME, "debug").contains("info Some(1.0) debug Some(1.0)"));
        assert!(in_a_child(NAME, "off").contains("info None debug None"));
        assert!(in_a_child(NAME, " ").contains("info Some(1.0) debug None"));
        return;
    }
    let measured = support::measure_with(
        |builder| builder.directives("info"),
        || {
            info!(monotonic_counter.info = 1);
            debug!(monotonic_counter.debug = 1);
        },
    );
    let (info, debug) = (measured.value("info", &[]), measured.value("debug", &[]));
    println!("info {info:?} debug {debug:?}");
}

#[test]
#[allow(clippy::print_stdout, reason = "the child tells its parent")]
fn a_bad_directive_in_the_environment_is_an_error_that_names_it() {
    const NAME: &str = "a_bad_directive_in_the_environment_is_an_error_that_names_it";
    if std::env::var_os(CHILD).is_none() {
        let said = in_a_child(NAME, "info,my_app=loud");
        assert!(
            said.contains("invalid directives `my_app=loud` in TRACING_METER"),
            "{said}"
        );
        return;
    }
    let builder = tracing_meter::builder().sink(MemorySink::new());
    let error = builder.build::<Registry>().unwrap_err();
    println!("{error}");
}

#[test]
#[allow(clippy::print_stdout, reason = "the child tells its parent")]
fn what_a_running_process_is_told_wins_over_its_environment() {
    const NAME: &str = "what_a_running_process_is_told_wins_over_its_environment";
    if std::env::var_os(CHILD).is_none() {
        let said = in_a_child(NAME, "warn");
        assert!(
            said.contains("environment None, told Some(1.0), environment Some(1.0)"),
            "{said}"
        );
        return;
    }
    let memory = MemorySink::new();
    let builder = tracing_meter::builder().directives("debug");
    let layer = builder.sink(memory.clone()).build().unwrap();
    let handle = layer.handle();
    support::under(Registry::default().with(layer), || {
        let emit = || {
            info!(monotonic_counter.info = 1);
            memory.snapshot().value("info", &[])
        };
        let tell = |directives: &str| {
            let new = Reconfiguration::new().directives(directives);
            handle.reconfigure(new).unwrap();
        };
        let at_first = emit();
        tell("info");
        let told = emit();
        tell("");
        println!(
            "environment {at_first:?}, told {told:?}, environment {:?}",
            emit()
        );
    });
}
