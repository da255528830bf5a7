//! How the outcome of a span becomes a label.

use std::borrow::Cow;

/// The key and the texts of the label that says how a span ended. A text that is not set
/// gives no label.
///
/// ```
/// use tracing_meter::{Feed, Measure, OutcomeRule};
///
/// let result = OutcomeRule::new("result").ok("completed").error("error").panic("error");
/// let jobs = Feed::new().measure(Measure::closed("jobs")).outcome(result);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct OutcomeRule {
    pub(crate) key: Option<Cow<'static, str>>,
    /// For a span that went well, failed or panicked.
    pub(crate) texts: [Option<Cow<'static, str>>; 3],
}

impl OutcomeRule {
    pub(crate) const NONE: Self = Self {
        key: None,
        texts: [const { None }; 3],
    };

    /// A label under this key, which has no text yet.
    ///
    /// A span that records a field `outcome` has its value instead of the texts.
    pub fn new(key: impl Into<Cow<'static, str>>) -> Self {
        Self {
            key: Some(key.into()),
            ..Self::NONE
        }
    }

    /// The text for a span that went well.
    pub fn ok(self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text(0, text.into())
    }

    /// The text for a span that failed.
    pub fn error(self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text(1, text.into())
    }

    /// The text for a span that a panic left.
    pub fn panic(self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text(2, text.into())
    }

    fn text(mut self, at: usize, text: Cow<'static, str>) -> Self {
        self.texts[at] = Some(text);
        self
    }
}

impl Default for OutcomeRule {
    fn default() -> Self {
        Self::new("outcome").ok("ok").error("error").panic("panic")
    }
}
