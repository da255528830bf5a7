//! How the ladder was built.

use std::path::Path;

/// Cargo's ordinary release profile, under a name that differs from `bench`.
pub(crate) const WITHOUT_LTO: &str = "without-lto";

/// Cargo says it by the folder of what it built alone: `PROFILE/deps/ladder-HASH`.
pub(crate) fn is_without_lto() -> bool {
    let program = std::env::current_exe().expect("the system knows what it started");
    let profile = program.ancestors().nth(2).and_then(Path::file_name);
    profile.is_some_and(|profile| profile == WITHOUT_LTO)
}
