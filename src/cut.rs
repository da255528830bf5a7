//! Text of a bounded length.

use std::fmt::{self, Write};

/// The text, without what is beyond `limit` bytes and without half a character.
#[inline]
pub(crate) fn cut(text: &str, limit: usize) -> &str {
    if text.len() <= limit {
        return text;
    }
    cut_long(text, limit)
}

/// Formats a value of the user, up to `limit` bytes.
///
/// An error of its `Display` is the end of the text, too: what it wrote until
/// then counts. `to_string` would panic.
pub(crate) fn format_cut(value: impl fmt::Display, limit: usize) -> String {
    let mut text = String::new();
    write_cut(format_args!("{value}"), limit, |part| text.push_str(part));
    text
}

/// Hands on what a value writes, up to `limit` bytes.
pub(crate) fn write_cut(text: fmt::Arguments<'_>, limit: usize, take: impl FnMut(&str)) {
    // The error only says that the text has ended.
    let _ = CutWriter { take, left: limit }.write_fmt(text);
}

struct CutWriter<F> {
    take: F,
    left: usize,
}

impl<F: FnMut(&str)> Write for CutWriter<F> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let kept = cut(text, self.left);
        (self.take)(kept);
        self.left -= kept.len();
        if kept.len() < text.len() {
            self.left = 0;
            return Err(fmt::Error);
        }
        Ok(())
    }
}

#[cold]
fn cut_long(text: &str, limit: usize) -> &str {
    let mut end = limit;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing;

    impl fmt::Display for Failing {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("begun")?;
            Err(fmt::Error)
        }
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("aéé", 4), "aé");
        assert_eq!(format_cut(format_args!("{}{}", "aé", "éb"), 4), "aé");
        assert_eq!(format_cut("short", 99), "short");
    }

    #[test]
    fn a_display_that_fails_ends_the_text() {
        assert_eq!(format_cut(Failing, 99), "begun");
    }
}
