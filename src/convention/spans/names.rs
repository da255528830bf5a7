//! What the metrics of spans and their labels are called.

use crate::convention::Measure;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Names {
    calls: &'static str,
    duration: &'static str,
    in_flight: &'static str,
    /// Whether the unit is told, which becomes a part of the name on a scrape.
    has_unit: bool,
    pub(super) span_name: &'static str,
    pub(super) span_kind: &'static str,
    pub(super) status_code: &'static str,
    pub(super) service: &'static str,
}

impl Names {
    /// Those of the collector's `spanmetrics` connector.
    pub(super) const CURRENT: Self = Self {
        calls: "traces.span.metrics.calls",
        duration: "traces.span.metrics.duration",
        in_flight: "traces.span.metrics.in_flight",
        has_unit: true,
        span_name: "span.name",
        span_kind: "span.kind",
        status_code: "status.code",
        service: "service.name",
    };

    /// Those of Tempo's metrics generator.
    pub(super) const LEGACY: Self = Self {
        calls: "traces_spanmetrics_calls",
        duration: "traces_spanmetrics_latency",
        in_flight: "traces_spanmetrics_in_flight",
        has_unit: false,
        span_name: "span_name",
        span_kind: "span_kind",
        status_code: "status_code",
        service: "service",
    };

    pub(super) fn calls(&self) -> Measure {
        Measure::closed(self.calls).help("Number of spans that have ended.")
    }

    pub(super) fn duration(&self) -> Measure {
        let mut duration = Measure::duration(self.duration).help("Duration of spans in seconds.");
        if !self.has_unit {
            duration.unit = None;
        }
        duration
    }

    pub(super) fn in_flight(&self) -> Measure {
        Measure::in_flight(self.in_flight).help("Number of spans that are open.")
    }
}
