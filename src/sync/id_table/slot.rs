//! What a table holds for an id.

/// What a table makes once, and many ids use one after the other.
pub(crate) trait Slot: Default {
    /// Empties it for the next id.
    fn clear(&self);
}
