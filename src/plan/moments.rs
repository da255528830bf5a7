//! What is due when.

/// Which measures are due when, by their indices.
#[derive(Default)]
pub(crate) struct Moments {
    /// When an event happens.
    pub(super) happened: Vec<u8>,
    pub(super) opened: Vec<u8>,
    pub(super) in_flight: Vec<u8>,
    pub(super) closed: Vec<u8>,
    pub(super) duration: Vec<u8>,
    /// What a span recorded before it closes, and what counts if it did not.
    pub(super) held: Vec<(u8, Option<f64>)>,
}

impl Moments {
    /// Whether anything is due when a span closes, which its outcome may label.
    pub(crate) fn have_outcome(&self) -> bool {
        !(self.closed.is_empty() && self.duration.is_empty() && self.held.is_empty())
    }

    pub(crate) fn are_timed(&self) -> bool {
        !self.duration.is_empty()
    }
}
