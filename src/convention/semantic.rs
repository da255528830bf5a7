//! OpenTelemetry's semantic conventions: the metrics of spans that follow them.

use std::any::Any;

use tracing_core::Metadata;

use super::{Convention, Feed, LabelRule, Recipe};
use crate::semconv::KnownMethods;

mod attribute;
mod callsite;
mod database;
mod http;
mod messaging;
mod opt_in;
mod rpc;

use callsite::Callsite;
pub use opt_in::OptIn;

/// Measures spans that have the fields of the [semantic conventions][spec] 1.44: those of
/// this crate's layers for HTTP and gRPC, of other crates, or of `info_span!`.
///
/// | fields of the span | metrics |
/// |---|---|
/// | `http.request.method`, of a server | `http.server.request.duration`, `http.server.active_requests`, `http.server.request.body.size`, `http.server.response.body.size` |
/// | `http.request.method`, of a client | `http.client.request.duration`, `http.client.active_requests`, `http.client.request.body.size`, `http.client.response.body.size` |
/// | `rpc.system.name` | `rpc.server.call.duration`, `rpc.client.call.duration` |
/// | `db.system.name` | `db.client.operation.duration`, `db.client.response.returned_rows` |
/// | `messaging.system` | `messaging.client.operation.duration`, `messaging.process.duration`, `messaging.client.sent.messages`, `messaging.client.consumed.messages` |
///
/// Sizes, rows and numbers of messages are the fields `http.request.body.size`,
/// `http.response.body.size`, `db.response.returned_rows` and
/// `messaging.batch.message_count`. A span without the last of them is one message.
///
/// Units, attributes and their types are those of the model; a span's other fields are no
/// attributes. A span that lacks the field of a required attribute is measured without it,
/// and listed as [`MissingField`](crate::Reason::MissingField).
///
/// ```
/// use tracing::{field::Empty, info_span};
/// use tracing_meter::{MemorySink, SemanticConventions};
/// use tracing_subscriber::prelude::*;
///
/// let memory = MemorySink::new();
/// let builder = tracing_meter::builder().sink(memory.clone());
/// let meter = builder.convention(SemanticConventions::new()).build()?;
/// let subscriber = tracing_subscriber::registry().with(meter);
///
/// tracing::subscriber::with_default(subscriber, || {
///     let request = info_span!(
///         "request",
///         otel.kind = "server",
///         http.request.method = "GET",
///         http.route = "/kv/{key}",
///         http.response.status_code = Empty,
///         url.scheme = "https",
///     );
///     request.record("http.response.status_code", 503);
/// });
///
/// let failed = [
///     ("http.request.method", "GET"),
///     ("http.route", "/kv/{key}"),
///     ("http.response.status_code", "503"),
///     ("url.scheme", "https"),
///     ("error.type", "503"),
/// ];
/// let measured = memory.snapshot();
/// assert_eq!(measured.samples("http.server.request.duration", &failed).len(), 1);
/// # Ok::<(), tracing_meter::BuildError>(())
/// ```
///
/// # Server or client
///
/// `otel.kind` says it: `server` or `client`, in lower case, in upper case or capitalised.
/// Without this field an HTTP span is a server's if it has `http.route`, `url.path` or
/// `client.address`, and a client's if it has `url.full`, `url.template` or
/// `http.request.resend_count`. Any other span of HTTP or RPC without `otel.kind` is not
/// measured, and is listed as [`MissingField`](crate::Reason::MissingField). A span with `db.system.name` is a
/// database call, of whatever kind it is.
///
/// What a messaging span is says `messaging.operation.type`, or without this field
/// `messaging.operation.name`: `send`, `publish`, `schedule`, `enqueue`; `receive`, `poll`,
/// `peek`, `pull`; `process`, `consume`, `handle`; `settle`, `ack`, `nack`. Messages are
/// counted as consumed where they are received, and not again where they are processed:
/// see [`count_processed`](Self::count_processed). A destination is called by its template
/// where the span has one, because its name has no bound then.
///
/// # Errors
///
/// `error.type` is what the span recorded there. Else it is the status where that is an error:
/// 5xx of an HTTP server, 4xx and 5xx of a client; of RPC whatever is not `OK` for a client,
/// and what the RPC system calls the server's error for a server; of databases an
/// error code. Else it is `_OTHER`, if the span has failed or panicked. There is no label
/// `outcome`.
///
/// A status of a database is no error if it is empty, `0`, `OK`, an SQLSTATE of the classes
/// 00 and 01, or a number from 200 to 399, as databases over HTTP have it.
///
/// [spec]: https://opentelemetry.io/docs/specs/semconv/
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub struct SemanticConventions {
    groups: Vec<Group>,
    counts_processed: bool,
    opted_in: Vec<OptIn>,
    method: LabelRule,
}

impl SemanticConventions {
    /// HTTP, RPC, databases and messaging, without attributes that are opt-in.
    pub fn new() -> Self {
        Self {
            groups: Group::ALL.into(),
            counts_processed: false,
            opted_in: Vec::new(),
            method: attribute::method(KnownMethods::default()),
        }
    }

    /// Whether spans of HTTP are measured.
    ///
    /// ```
    /// # use tracing::info_span;
    /// # use tracing_meter::{MemorySink, SemanticConventions};
    /// # use tracing_subscriber::prelude::*;
    /// # let memory = MemorySink::new();
    /// # let builder = tracing_meter::builder().sink(memory.clone());
    /// let conventions = SemanticConventions::new().http(false);
    /// # let meter = builder.convention(conventions).build()?;
    /// # let subscriber = tracing_subscriber::registry().with(meter);
    /// tracing::subscriber::with_default(subscriber, || {
    ///     drop(info_span!("request", http.request.method = "GET", url.path = "/"));
    /// });
    /// assert_eq!(memory.snapshot().label_sets("http.server.request.duration").count(), 0);
    /// # Ok::<(), tracing_meter::BuildError>(())
    /// ```
    pub fn http(self, enabled: bool) -> Self {
        self.group(Group::Http, enabled)
    }

    /// Whether spans of RPC are measured: gRPC, Connect, JSON-RPC, Dubbo.
    pub fn rpc(self, enabled: bool) -> Self {
        self.group(Group::Rpc, enabled)
    }

    /// Whether spans of database clients are measured.
    pub fn database(self, enabled: bool) -> Self {
        self.group(Group::Database, enabled)
    }

    /// Whether spans of messaging are measured.
    pub fn messaging(self, enabled: bool) -> Self {
        self.group(Group::Messaging, enabled)
    }

    /// Adds attributes that are opt-in.
    ///
    /// ```
    /// # use tracing::info_span;
    /// # use tracing_meter::{MemorySink, OptIn, SemanticConventions};
    /// # use tracing_subscriber::prelude::*;
    /// # let memory = MemorySink::new();
    /// # let builder = tracing_meter::builder().sink(memory.clone());
    /// let conventions = SemanticConventions::new().opt_in([OptIn::QueryText]);
    /// # let meter = builder.convention(conventions).build()?;
    /// # let subscriber = tracing_subscriber::registry().with(meter);
    /// tracing::subscriber::with_default(subscriber, || {
    ///     drop(info_span!("query", db.system.name = "sqlite", db.query.text = "SELECT 1"));
    /// });
    /// let query = [("db.system.name", "sqlite"), ("db.query.text", "SELECT 1")];
    /// let queries = memory.snapshot().samples("db.client.operation.duration", &query).len();
    /// assert_eq!(queries, 1);
    /// # Ok::<(), tracing_meter::BuildError>(())
    /// ```
    pub fn opt_in(mut self, attributes: impl IntoIterator<Item = OptIn>) -> Self {
        self.opted_in.extend(attributes);
        self
    }

    /// The methods of HTTP that are not `_OTHER`, instead of the default, which are those of
    /// RFC 9110, `PATCH` and `QUERY`. Their case matters.
    ///
    /// ```
    /// # use tracing::info_span;
    /// # use tracing_meter::{MemorySink, SemanticConventions};
    /// # use tracing_subscriber::prelude::*;
    /// # let memory = MemorySink::new();
    /// # let builder = tracing_meter::builder().sink(memory.clone());
    /// let conventions = SemanticConventions::new().known_methods(["GET", "PROPFIND"]);
    /// # let meter = builder.convention(conventions).build()?;
    /// # let subscriber = tracing_subscriber::registry().with(meter);
    /// tracing::subscriber::with_default(subscriber, || {
    ///     for method in ["PROPFIND", "BREW"] {
    ///         drop(info_span!(
    ///             "request",
    ///             otel.kind = "server",
    ///             http.request.method = method,
    ///             http.route = "/",
    ///             url.scheme = "http",
    ///         ));
    ///     }
    /// });
    /// let active = |method| {
    ///     let labels = [("http.request.method", method), ("url.scheme", "http")];
    ///     memory.snapshot().value("http.server.active_requests", &labels)
    /// };
    /// assert_eq!(active("PROPFIND"), Some(0.0));
    /// assert_eq!(active("BREW"), None);
    /// assert_eq!(active("_OTHER"), Some(0.0));
    /// # Ok::<(), tracing_meter::BuildError>(())
    /// ```
    pub fn known_methods(mut self, methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.method = attribute::method(KnownMethods::new(methods));
        self
    }

    /// Whether `messaging.client.consumed.messages` counts the messages of spans that process
    /// them, too: for brokers that push messages, so that no span receives them. By default
    /// it does not, because a message would count twice that was received before.
    ///
    /// ```
    /// # use tracing::info_span;
    /// # use tracing_meter::{MemorySink, SemanticConventions};
    /// # use tracing_subscriber::prelude::*;
    /// # let memory = MemorySink::new();
    /// # let builder = tracing_meter::builder().sink(memory.clone());
    /// let conventions = SemanticConventions::new().count_processed(true);
    /// # let meter = builder.convention(conventions).build()?;
    /// # let subscriber = tracing_subscriber::registry().with(meter);
    /// tracing::subscriber::with_default(subscriber, || {
    ///     drop(info_span!(
    ///         "message",
    ///         messaging.system = "rabbitmq",
    ///         messaging.operation.name = "process",
    ///         messaging.batch.message_count = 3,
    ///     ));
    /// });
    /// let labels = [("messaging.system", "rabbitmq"), ("messaging.operation.name", "process")];
    /// let consumed = memory.snapshot().value("messaging.client.consumed.messages", &labels);
    /// assert_eq!(consumed, Some(3.0));
    /// # Ok::<(), tracing_meter::BuildError>(())
    /// ```
    pub fn count_processed(mut self, enabled: bool) -> Self {
        self.counts_processed = enabled;
        self
    }

    fn group(mut self, group: Group, is_enabled: bool) -> Self {
        self.groups.retain(|enabled| *enabled != group);
        self.groups.extend(is_enabled.then_some(group));
        self
    }
}

impl Default for SemanticConventions {
    fn default() -> Self {
        Self::new()
    }
}

impl Convention for SemanticConventions {
    fn is_same(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }

    fn recognise(&self, metadata: &Metadata<'static>) -> Option<Recipe> {
        if !metadata.is_span() {
            return None;
        }
        let callsite = Callsite::new(metadata, self);
        let groups = self.groups.iter();
        let mut feeds: Vec<Feed> = groups.flat_map(|group| group.feeds(&callsite)).collect();
        feeds.retain(|feed| !feed.measures.is_empty());
        let is_known = !feeds.is_empty();
        let recipe = || feeds.into_iter().fold(Recipe::new(), Recipe::feed);
        is_known.then(recipe)
    }
}

/// What the conventions are divided into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Group {
    Http,
    Rpc,
    Database,
    Messaging,
}

impl Group {
    const ALL: [Self; 4] = [Self::Http, Self::Rpc, Self::Database, Self::Messaging];

    fn feeds(self, callsite: &Callsite<'_>) -> Vec<Feed> {
        match self {
            Self::Http => http::feeds(callsite),
            Self::Rpc => rpc::feeds(callsite),
            Self::Database => database::feeds(callsite),
            Self::Messaging => messaging::feeds(callsite),
        }
    }
}
