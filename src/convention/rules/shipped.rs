//! Rules for crates that many services stand on.

use super::Rules;

mod h2;
mod reqwest;
mod sqlx;
mod tower_http;

use super::{Rule, RuleLabel};
use crate::semconv::{KNOWN_METHODS, OTHER};

impl Rules {
    /// The rules for `sqlx`, `tower-http` and `h2`, with their defaults.
    ///
    /// ```
    /// use tracing_meter::{MemorySink, Rules};
    /// use tracing_subscriber::prelude::*;
    ///
    /// let memory = MemorySink::new();
    /// let layer = tracing_meter::builder().sink(memory.clone()).convention(Rules::shipped()).build()?;
    /// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
    ///     // As `h2` does:
    ///     tracing::debug_span!(target: "h2::proto::connection", "Connection", peer = %"Server");
    /// });
    /// let server = [("h2.role", "server")];
    /// assert_eq!(memory.snapshot().value("h2.connections", &server), Some(0.0));
    /// # Ok::<(), tracing_meter::BuildError>(())
    /// ```
    pub fn shipped() -> Self {
        let mut all = Self::sqlx("other_sql");
        for rules in [Self::tower_http("http"), Self::h2()] {
            all.rules.extend(rules.rules);
        }
        all
    }

    fn of(rules: impl IntoIterator<Item = Rule>) -> Self {
        let mut all = Self::new();
        for rule in rules {
            all.add(rule).expect("a test adds all shipped rules");
        }
        all
    }
}

/// The methods that the conventions know, else `_OTHER`, which bounds them.
fn method(field: &str) -> RuleLabel {
    let label = RuleLabel::new("http.request.method").field(field);
    let known = KNOWN_METHODS
        .iter()
        .fold(label, |label, it| label.map(*it, *it));
    known.default(OTHER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shipped_rules_are_valid() {
        assert_ne!(Rules::shipped(), Rules::new());
        assert_ne!(Rules::reqwest(), Rules::new());
    }
}
