//! The recorder of a sink, which may not be installed yet.

use std::sync::OnceLock;

use metrics::Recorder;

use super::early_series::EarlySeries;
use crate::sink::problems::SinkProblems;

/// A recorder, and what its series share.
pub(super) struct SharedRecorder {
    target: Target,
    problems: OnceLock<SinkProblems>,
    pub(super) early: EarlySeries,
}

enum Target {
    Own(Box<dyn Recorder + Send + Sync>),
    Global,
}

impl SharedRecorder {
    pub(super) fn own(recorder: impl Recorder + Send + Sync + 'static) -> Self {
        Self::of(Target::Own(Box::new(recorder)))
    }

    pub(super) fn global() -> Self {
        Self::of(Target::Global)
    }

    fn of(target: Target) -> Self {
        Self {
            target,
            problems: OnceLock::new(),
            early: EarlySeries::default(),
        }
    }

    pub(super) fn report_to(&self, problems: SinkProblems) {
        // A sink has one layer: it was moved into it.
        let _ = self.problems.set(problems);
    }

    /// Without a layer they are for no reader.
    pub(super) fn problems(&self) -> &SinkProblems {
        self.problems.get_or_init(SinkProblems::default)
    }

    /// Calls with the recorder, and whether it is one that may be kept to.
    ///
    /// Before a global recorder is installed, the facade passes its no-op
    /// recorder, which it does not say. That has no size. A real recorder without a size,
    /// of which there are few, is asked for its handle each time.
    pub(super) fn with<R>(&self, call: impl FnOnce(&dyn Recorder, bool) -> R) -> R {
        match &self.target {
            Target::Own(recorder) => call(recorder, true),
            Target::Global => metrics::with_recorder(|recorder| {
                let installed = size_of_val(recorder) != 0;
                call(recorder, installed)
            }),
        }
    }

    pub(super) fn is_installed(&self) -> bool {
        self.with(|_, installed| installed)
    }
}
