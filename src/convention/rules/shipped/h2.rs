//! What `h2` says of its connections.

use tracing_core::Level;

use crate::convention::Measure;
use crate::convention::rules::{Rule, RuleLabel, Rules};

impl Rules {
    /// HTTP/2 connections of `h2` 0.4, of servers and clients, under `hyper`, `reqwest`,
    /// `tonic` and `axum`.
    ///
    /// | metric | kind | unit |
    /// |---|---|---|
    /// | `h2.connections` | up-down counter | `{connection}` |
    /// | `h2.connection.duration` | histogram | `s` |
    ///
    /// The label `h2.role` is what this process is: `client` or `server`. They are from the
    /// span `Connection`, at `DEBUG`. Of what else `h2` emits, a dozen spans and events for
    /// each frame at `TRACE`, nothing is touched.
    ///
    /// ```
    /// use tracing_meter::{MemorySink, Rules};
    /// use tracing_subscriber::prelude::*;
    ///
    /// let memory = MemorySink::new();
    /// let layer = tracing_meter::builder().sink(memory.clone()).convention(Rules::h2()).build()?;
    /// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
    ///     // As `h2` does:
    ///     tracing::debug_span!(target: "h2::proto::connection", "Connection", peer = %"Client");
    /// });
    /// let client = [("h2.role", "client")];
    /// assert_eq!(memory.snapshot().value("h2.connections", &client), Some(0.0));
    /// assert_eq!(memory.snapshot().samples("h2.connection.duration", &client).len(), 1);
    /// # Ok::<(), tracing_meter::BuildError>(())
    /// ```
    pub fn h2() -> Self {
        let open = Measure::in_flight("h2.connections")
            .unit("{connection}")
            .help("Open HTTP/2 connections.");
        let duration =
            Measure::duration("h2.connection.duration").help("How long HTTP/2 connections lasted.");
        let role = RuleLabel::new("h2.role")
            .field("peer")
            .map("Client", "client")
            .map("Server", "server");
        Self::of([Rule::spans("h2 connections")
            .target("h2::proto::connection")
            .up_to(Level::DEBUG)
            .named("Connection")
            .with_field("peer")
            .measure(open)
            .measure(duration)
            .label_rule(role)
            .without_outcome()])
    }
}
