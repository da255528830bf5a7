//! What has to be reached, as ratios within one run.

use std::collections::BTreeMap;

/// A case, held against another one.
pub(crate) struct Target {
    name: &'static str,
    case: &'static str,
    reference: &'static str,
    limit: Limit,
}

enum Limit {
    /// The case may cost this much of the reference.
    Ratio(f64),
    /// The case may cost this many nanoseconds more than the reference.
    Above(f64),
}

impl Target {
    /// The target's line, if both its cases were run.
    pub(crate) fn line(&self, nanos: &BTreeMap<&str, f64>) -> Option<String> {
        let (case, reference) = (nanos.get(self.case)?, nanos.get(self.reference)?);
        let (value, limit) = match self.limit {
            Limit::Ratio(limit) => (case / reference, limit),
            Limit::Above(limit) => (case - reference, limit),
        };
        let verdict = if value <= limit { "ok" } else { "over" };
        Some(format!(
            "ratio {} {value:.2} {limit:.2} {verdict}",
            self.name
        ))
    }
}

/// All targets.
pub(crate) fn all() -> Vec<Target> {
    let ratio = |name, case, reference, limit| Target {
        name,
        case,
        reference,
        limit: Limit::Ratio(limit),
    };
    let above = |name, case, reference, limit| Target {
        name,
        case,
        reference,
        limit: Limit::Above(limit),
    };
    vec![
        ratio(
            "counter_2/metrics_layer",
            "event/counter_2/ours",
            "event/counter_2/metrics_layer",
            0.30,
        ),
        ratio(
            "counter_2/sdk",
            "event/counter_2/ours",
            "call/sdk_counter_2",
            0.60,
        ),
        ratio(
            "histogram_2/metrics_layer",
            "event/histogram_2/ours",
            "event/histogram_2/metrics_layer",
            0.35,
        ),
        ratio(
            "three_metrics/metrics_layer",
            "event/three/ours",
            "event/three/metrics_layer",
            0.30,
        ),
        ratio(
            "series_10k/metrics_layer",
            "event/series_10k/ours",
            "event/series_10k/metrics_layer",
            0.50,
        ),
        ratio(
            "two_threads/metrics_layer",
            "event/two_threads/ours",
            "event/two_threads/metrics_layer",
            0.25,
        ),
        above(
            "ordinary_event/metrics_layer",
            "event/ordinary/ours",
            "event/ordinary/metrics_layer",
            0.5,
        ),
        above(
            "ordinary_span/no_op",
            "span/ordinary/ours",
            "span/ordinary/no_op",
            8.0,
        ),
        above(
            "disabled_debug/fmt",
            "event/disabled/fmt_and_ours",
            "event/disabled/fmt",
            0.5,
        ),
        above(
            "disabled_span/fmt",
            "span/disabled/fmt_and_ours",
            "span/disabled/fmt",
            0.5,
        ),
        ratio(
            "span/hand_written",
            "span/measured/ours",
            "span/measured/hand_written",
            0.90,
        ),
    ]
}
