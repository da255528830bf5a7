//! Why a member is refused.

use std::error::Error;
use std::fmt;

/// Why a member is not in a [`Baggage`](super::Baggage).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BaggageError(pub(super) Problem);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Problem {
    Key,
    Properties,
    Limit,
}

impl BaggageError {
    /// The key is not a token.
    #[must_use]
    pub fn is_key(&self) -> bool {
        self.0 == Problem::Key
    }

    /// The properties are not valid.
    #[must_use]
    pub fn is_properties(&self) -> bool {
        self.0 == Problem::Properties
    }

    /// There would be more than 64 members, or more than 8192 bytes.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        self.0 == Problem::Limit
    }
}

impl fmt::Display for BaggageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Problem::Key => "invalid baggage: a key that is no token",
            Problem::Properties => "invalid baggage: properties that no member can have",
            Problem::Limit => "invalid baggage: more than 64 members or 8192 bytes",
        })
    }
}

impl fmt::Debug for BaggageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for BaggageError {}
