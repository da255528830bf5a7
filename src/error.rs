//! The error of a configuration that cannot be right.

use std::error::Error;
use std::fmt;

/// Why [`MeterLayerBuilder::build`](crate::MeterLayerBuilder::build) or
/// [`MeterHandle::reconfigure`](crate::MeterHandle::reconfigure) refused a configuration.
/// Its text names what is wrong.
///
/// ```
/// let error = tracing_meter::builder()
///     .unit("jobs", "two words")
///     .build::<tracing_subscriber::Registry>()
///     .unwrap_err();
/// assert!(error.is_unit());
/// assert_eq!(
///     error.to_string(),
///     "invalid unit `two words` of `jobs`: it holds something else than \
///      printable ASCII characters without blanks",
/// );
/// ```
pub struct BuildError {
    kind: ErrorKind,
    culprit: String,
    why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ErrorKind {
    Name,
    Unit,
    Label,
    Boundaries,
    Directives,
    Limit,
    Rule,
}

impl BuildError {
    pub(crate) fn new(kind: ErrorKind, culprit: impl Into<String>, why: impl Into<String>) -> Self {
        Self {
            kind,
            culprit: culprit.into(),
            why: why.into(),
        }
    }

    pub(crate) fn of_rule(name: &str, why: impl Into<String>) -> Self {
        Self::new(ErrorKind::Rule, format!("`{name}`"), why)
    }

    /// Whether a metric name is not valid.
    #[must_use]
    pub fn is_name(&self) -> bool {
        self.kind == ErrorKind::Name
    }

    /// Whether a unit is not valid.
    #[must_use]
    pub fn is_unit(&self) -> bool {
        self.kind == ErrorKind::Unit
    }

    /// Whether a label key of an allow-list is not valid.
    #[must_use]
    pub fn is_label(&self) -> bool {
        self.kind == ErrorKind::Label
    }

    /// Whether bucket boundaries are not valid, or would never be used.
    #[must_use]
    pub fn is_boundaries(&self) -> bool {
        self.kind == ErrorKind::Boundaries
    }

    /// Whether filter directives cannot be parsed.
    #[must_use]
    pub fn is_directives(&self) -> bool {
        self.kind == ErrorKind::Directives
    }

    /// Whether a rule is not valid, or a file of rules.
    #[must_use]
    pub fn is_rule(&self) -> bool {
        self.kind == ErrorKind::Rule
    }

    /// Whether a limit is out of its range.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        self.kind == ErrorKind::Limit
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            ErrorKind::Name => "metric name",
            ErrorKind::Unit => "unit",
            ErrorKind::Label => "label",
            ErrorKind::Boundaries => "boundaries",
            ErrorKind::Directives => "directives",
            ErrorKind::Limit => "limit",
            ErrorKind::Rule => "rule",
        };
        write!(f, "invalid {what} {}: {}", self.culprit, self.why)
    }
}

/// As `Display`: it is what a `main` that returns the error prints.
impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for BuildError {}
