//! Attributes that metrics have only if they are asked for.

/// Attributes that the model leaves out unless they are asked for, by
/// [`SemanticConventions::opt_in`](crate::SemanticConventions::opt_in).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum OptIn {
    /// `server.address` of HTTP and RPC servers. It comes from the client's headers: a
    /// client decides how many series there are, up to the limit.
    ServerAddress,
    /// `server.port` of HTTP and RPC servers, with the same warning.
    ServerPort,
    /// `user_agent.synthetic.type` of HTTP servers.
    SyntheticUserAgent,
    /// `url.scheme` of HTTP clients.
    UrlScheme,
    /// `url.template` of `http.client.request.duration`. The other metrics of clients have
    /// it anyway.
    UrlTemplate,
    /// `db.query.text` of database clients.
    QueryText,
}

impl OptIn {
    /// All of them.
    ///
    /// ```
    /// use tracing_meter::{OptIn, SemanticConventions};
    ///
    /// let everything = SemanticConventions::new().opt_in(OptIn::ALL);
    /// assert!(OptIn::ALL.contains(&OptIn::QueryText));
    /// ```
    pub const ALL: [Self; 6] = [
        Self::ServerAddress,
        Self::ServerPort,
        Self::SyntheticUserAgent,
        Self::UrlScheme,
        Self::UrlTemplate,
        Self::QueryText,
    ];
}
