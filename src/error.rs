//! The error of an invalid configuration.

use std::error::Error;
use std::fmt;

/// Why [`MeterLayerBuilder::build`](crate::MeterLayerBuilder::build) or
/// [`MeterHandle::reconfigure`](crate::MeterHandle::reconfigure) refused a configuration.
/// Its text names what is wrong; what a parser or the system said of it is its source.
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
    source: Option<Source>,
}

/// What an error comes from, whatever that is.
pub(crate) type Source = Box<dyn Error + Send + Sync>;

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
            source: None,
        }
    }

    /// The reason says what the source does not.
    pub(crate) fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
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

/// As `Display`, with the sources: it is what a `main` that returns the error prints.
impl fmt::Debug for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}{}", Sources(self))
    }
}

impl Error for BuildError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&**self.source.as_ref()?)
    }
}

/// What an error comes from, each after a colon. Some errors of other crates say what their
/// source says: that is said once.
pub(crate) struct Sources<'e>(pub(crate) &'e dyn Error);

impl fmt::Display for Sources<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut said, mut next) = (self.0.to_string(), self.0.source());
        while let Some(source) = next {
            let text = source.to_string();
            if !said.contains(&text) {
                write!(f, ": {text}")?;
            }
            (said, next) = (text, source.source());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[cfg(feature = "toml")]
    use std::io;

    use tracing_subscriber::Registry;
    use tracing_subscriber::filter::ParseError;

    use super::*;

    /// What an error comes from, which its text does not say, and what is printed of it
    /// does.
    fn source_of(error: &BuildError) -> &(dyn Error + 'static) {
        let source = error.source().unwrap();
        assert!(!error.to_string().contains(&source.to_string()), "{error}");
        assert!(format!("{error:?}").contains(&source.to_string()));
        source
    }

    #[test]
    fn directives_that_cannot_be_parsed_are_refused_with_what_the_parser_says() {
        let meter = crate::builder().directives("my_app=loud");
        let error = meter.build::<Registry>().unwrap_err();
        assert!(source_of(&error).is::<ParseError>());
    }

    #[cfg(feature = "toml")]
    #[test]
    fn a_file_that_cannot_be_read_is_refused_with_what_the_system_says() {
        let error = crate::Rules::from_file("/no/such/rules.toml").unwrap_err();
        let source = source_of(&error).downcast_ref::<io::Error>().unwrap();
        assert_eq!(source.kind(), io::ErrorKind::NotFound);
    }
}
