//! How a span ends.

/// How a span ended, unless it says so itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    Error,
    Panic,
}

impl Outcome {
    pub(super) const COUNT: usize = 3;
}
