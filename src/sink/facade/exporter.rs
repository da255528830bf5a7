//! What `metrics-exporter-prometheus` 0.18 makes of names and texts.

use crate::kind::Kind;
use crate::prometheus_name::HISTOGRAM_LINES;

/// The text that the exporter writes as this one.
///
/// It takes a backslash before another one, a quote or a line break as an escape that was
/// written already, and doubles every other one.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    let mut follows_backslash = false;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let is_backslash = c == '\\';
        let is_misread = follows_backslash || matches!(rest.peek(), Some('\\' | '"' | '\n'));
        if is_backslash && is_misread {
            escaped.push('\\');
        }
        escaped.push(c);
        follows_backslash = is_backslash;
    }
    escaped
}

/// The suffix that the exporter leaves out on a line of this histogram, because the
/// name ends like it.
pub(super) fn left_out_suffix(name: &str, kind: Kind) -> Option<&'static str> {
    let mut suffixes = HISTOGRAM_LINES.into_iter();
    suffixes.find(|suffix| kind == Kind::Histogram && name.ends_with(suffix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_backslashes_that_are_misread_are_doubled() {
        for (text, expected) in [
            ("", ""),
            (r"C:\dir\", r"C:\dir\"),
            (r"\\", r"\\\\"),
            (r"a\\\b", r"a\\\\\\b"),
            ("\\\"", "\\\\\""),
            ("\\\n", "\\\\\n"),
            ("\"\n", "\"\n"),
        ] {
            assert_eq!(escaped(text), expected, "{text:?}");
        }
    }
}
