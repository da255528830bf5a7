//! What is wrong in a text, and where.

use std::ops::Range;

/// What is wrong with the bytes there.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: Range<usize>,
    pub(super) why: String,
}

impl Fault {
    pub(super) fn new(at: &Range<usize>, why: impl Into<String>) -> Self {
        let (at, why) = (at.clone(), why.into());
        Self { at, why }
    }

    /// The line, and the column in characters, both from 1.
    pub(super) fn location_in(&self, text: &str) -> (usize, usize) {
        let before = text.get(..self.at.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        (line, before[start..].chars().count() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_in_characters() {
        let fault = |start| Fault::new(&(start..start), "");
        let text = "a\n\u{e4}b\n";
        assert_eq!(fault(0).location_in(text), (1, 1));
        assert_eq!(fault(4).location_in(text), (2, 2));
        assert_eq!(fault(6).location_in(text), (3, 1));
        assert_eq!(fault(99).location_in(text), (3, 1));
    }
}
