//! The ladder needs all features: whoever forgot them gets them.

use std::process::{Command, ExitCode};

use crate::profile;

pub(crate) fn run(arguments: &[String]) -> ExitCode {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
    let mut again = Command::new(cargo);
    again.args(["bench", "--all-features", "--bench", "ladder"]);
    if profile::is_without_lto() {
        again.args(["--profile", profile::WITHOUT_LTO]);
    }
    again.arg("--");
    // Cargo adds its own `--bench` once more.
    again.args(arguments.iter().filter(|argument| *argument != "--bench"));
    let status = again
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo started this");
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}
