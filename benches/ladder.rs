//! What measuring costs, beside what it costs otherwise.
//!
//! `cargo bench --bench ladder` prints, by one process in which all cases take
//! turns:
//!
//! - `profile NAME`: how it was built, `bench` or `without-lto`, which have limits each;
//! - `case NAME ns allocations`: one operation;
//! - `bytes NAME bytes`: one series;
//! - `report NAME VALUE`: what has no limit, or one that does not hold on this processor;
//! - `ratio NAME VALUE LIMIT ok`, or `over`: one target.
//!
//! With `-- FILTER` it is what holds FILTER in its name, and the targets whose cases
//! were run; with `-- --repeat CASE TIMES` one case, for `benches/count`.
#![allow(missing_docs, reason = "a program")]

#[path = "ladder/profile.rs"]
mod profile;
#[cfg(not(all(feature = "otel", feature = "prometheus", feature = "http")))]
#[path = "ladder/again.rs"]
mod run;
#[cfg(all(feature = "otel", feature = "prometheus", feature = "http"))]
#[path = "ladder/run.rs"]
mod run;

fn main() -> std::process::ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    run::run(&arguments)
}
