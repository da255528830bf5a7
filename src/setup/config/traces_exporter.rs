//! Where traces go to.

use super::Result;
use crate::setup::environment::Environment;
use crate::setup::otlp::Otlp;
use crate::setup::variables::{Signal, TRACES_EXPORTER};

/// What exports traces, with what it has to know.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::setup) enum TracesExporter {
    Otlp(Otlp),
    Console,
}

#[derive(Clone, Copy, PartialEq)]
enum Chosen {
    Otlp,
    Console,
}

const KNOWN: [(&str, Chosen); 2] = [("otlp", Chosen::Otlp), ("console", Chosen::Console)];

/// What the environment says, or else the code.
pub(super) fn read(env: &Environment<'_>, code: &str) -> Result<Vec<TracesExporter>> {
    let read = |chosen| {
        Ok(match chosen {
            Chosen::Otlp => TracesExporter::Otlp(Otlp::read(env, Signal::Traces)?),
            Chosen::Console => TracesExporter::Console,
        })
    };
    let chosen = env.choices(&TRACES_EXPORTER, code, &KNOWN)?;
    chosen.into_iter().map(read).collect()
}
