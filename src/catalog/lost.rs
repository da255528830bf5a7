//! What was measured for a sink that was shut down too early.

use super::Catalog;
use crate::problem::{Location, Problem, Reason};

const CURE: &str = "shut the meter provider down last, when nothing is measured any more, \
                    and keep the guard of `setup` in a variable of `main`";

impl Catalog {
    /// That a sink was shut down, if it lacks anything.
    pub(crate) fn lost(&self) -> Option<Problem> {
        let shut_down = self.sinks.shut_down();
        let since = shut_down
            .into_iter()
            .map(|sink| self.pending().last_collection(sink));
        let since = since.min()?;
        let metrics = self.metrics();
        // Our own metrics come first: any other is a better example.
        let mut metrics = metrics.iter().rev();
        let example = metrics.find(|metric| metric.series.are_measured_since(since))?;
        let detail = format!(
            "a sink was shut down, and `{}` was measured after its last collection, which is \
             lost there: {CURE}",
            example.name()
        );
        Some(Problem::new(Reason::ShutDown, "*", Location::OWN, detail))
    }
}
