//! The boundaries that OpenTelemetry prescribes.

/// The boundaries that the semantic conventions give to durations in seconds.
pub(super) const SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// The boundaries that OpenTelemetry gives to every other histogram.
pub(super) const OTHERWISE: [f64; 15] = [
    0.0, 5.0, 10.0, 25.0, 50.0, 75.0, 100.0, 250.0, 500.0, 750.0, 1000.0, 2500.0, 5000.0, 7500.0,
    10000.0,
];

/// The boundaries that the semantic conventions give to some metrics, by their names on a
/// scrape.
pub(super) const PRESETS: [(&str, Preset); 4] = [
    (
        "db_client_operation_duration_seconds",
        Preset::Bounds(&[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0]),
    ),
    (
        "db_client_response_returned_rows",
        Preset::Bounds(&[
            1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0,
        ]),
    ),
    (
        "http_client_connection_duration_seconds",
        Preset::Bounds(&[
            0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0,
        ]),
    ),
    ("traces_spanmetrics_latency", Preset::Seconds),
];

#[derive(Clone, Copy)]
pub(super) enum Preset {
    Bounds(&'static [f64]),
    /// Seconds, although the name does not say so.
    Seconds,
}
