//! Where a sink lists what it finds wrong.

use std::sync::Arc;

use crate::instrument::Instrument;
use crate::problem::{Location, Problems, Reason, Tally};

/// The problems of a layer, for a sink to add to.
///
/// A sink gets it from the layer, in [`Sink::report_to`](crate::Sink::report_to).
/// What it lists is among [`MeterHandle::problems`](crate::MeterHandle::problems), with
/// the location `tracing_meter`: a sink does not know callsites.
#[derive(Clone, Debug, Default)]
pub struct SinkProblems(Arc<Problems>);

impl SinkProblems {
    pub(super) const fn new(problems: Arc<Problems>) -> Self {
        Self(problems)
    }

    /// Lists what is wrong with an instrument, with the first detail. Nothing is rejected.
    pub fn list(&self, reason: Reason, instrument: &Instrument, detail: &str) {
        self.tally(reason, instrument, detail);
    }

    /// Counts a measurement that the sink could not take, and lists why.
    pub fn reject(&self, reason: Reason, instrument: &Instrument, detail: &str) {
        self.tally(reason, instrument, detail).add_one();
    }

    fn tally(&self, reason: Reason, instrument: &Instrument, detail: &str) -> Arc<Tally> {
        let (name, detail) = (instrument.name(), || detail.to_owned());
        self.0.list(reason, name, Location::OWN, detail)
    }
}
