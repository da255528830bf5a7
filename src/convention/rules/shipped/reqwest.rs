//! What `reqwest-tracing` says of requests.

use super::method;
use crate::convention::Measure;
use crate::convention::rules::{Rule, RuleLabel, Rules};

impl Rules {
    /// Requests of a client with the spans of `reqwest-tracing` 0.7, its middleware or its
    /// macro `reqwest_otel_span!`, where the semantic conventions are not on. They measure
    /// these spans, too; then the second is listed as [hidden](crate::Reason::Hidden).
    ///
    /// | metric | kind | unit |
    /// |---|---|---|
    /// | `http.client.request.duration` | histogram | `s` |
    ///
    /// Labels are `http.request.method`, `url.scheme`, `server.address`, `server.port`,
    /// `http.response.status_code` and `error.type`: the status from 400, or `_OTHER` without
    /// a response. The duration is that until the head of the response. `reqwest` itself
    /// emits records of the `log` crate only.
    ///
    /// ```
    /// use tracing_meter::{MemorySink, Rules};
    /// use tracing_subscriber::prelude::*;
    ///
    /// let memory = MemorySink::new();
    /// let layer = tracing_meter::builder().sink(memory.clone()).convention(Rules::reqwest()).build()?;
    /// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
    ///     // As `reqwest-tracing` does:
    ///     let request = tracing::info_span!(
    ///         "HTTP request",
    ///         http.request.method = %"GET", url.scheme = %"http", server.address = %"localhost",
    ///         server.port = %80, http.response.status_code = tracing::field::Empty,
    ///         error.cause_chain = tracing::field::Empty,
    ///     );
    ///     request.record("http.response.status_code", 404);
    /// });
    /// let labels = [
    ///     ("error.type", "404"),
    ///     ("http.request.method", "GET"),
    ///     ("http.response.status_code", "404"),
    ///     ("server.address", "localhost"),
    ///     ("server.port", "80"),
    ///     ("url.scheme", "http"),
    /// ];
    /// assert_eq!(memory.snapshot().samples("http.client.request.duration", &labels).len(), 1);
    /// # Ok::<(), tracing_meter::BuildError>(())
    /// ```
    pub fn reqwest() -> Self {
        let duration = Measure::duration("http.client.request.duration")
            .help("Duration of HTTP client requests.");
        let error = RuleLabel::new("error.type")
            .field("http.response.status_code")
            .map("400..", "{}")
            .failure("_OTHER");
        Self::of([Rule::spans("reqwest-tracing requests")
            .named("HTTP request")
            .with_field("error.cause_chain")
            .measure(duration)
            .label_rule(method("http.request.method"))
            .label("url.scheme", "url.scheme")
            .label("server.address", "server.address")
            // The port is recorded as text.
            .label_rule(RuleLabel::new("server.port").field("server.port").integer())
            .label("http.response.status_code", "http.response.status_code")
            .label_rule(error)
            .without_outcome()])
    }
}
