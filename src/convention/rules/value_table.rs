//! What a label says instead of what a field says.

use crate::labels::LabelValue;

/// Texts for values: the first entry counts whose pattern a value matches.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ValueTable(Vec<(Pattern, String)>);

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Pattern {
    Any,
    Text(String),
    Prefix(String),
    Numbers(Numbers),
}

/// A range of numbers, of which each end may be open.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Numbers {
    from: Option<f64>,
    to: Option<f64>,
    with_end: bool,
}

impl ValueTable {
    pub(super) fn parse(entries: &[(String, String)]) -> Result<Self, String> {
        let parse = |(pattern, text): &(String, String)| {
            Ok::<_, String>((Pattern::parse(pattern)?, text.clone()))
        };
        entries
            .iter()
            .map(parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(super) fn text_for(&self, value: &LabelValue) -> Option<String> {
        let written = value.to_string();
        let mut entries = self.0.iter();
        let (_, text) = entries.find(|(pattern, _)| pattern.matches(value, &written))?;
        Some(text.replace("{}", &written))
    }
}

impl Pattern {
    pub(super) fn parse(pattern: &str) -> Result<Self, String> {
        if let Some(numbers) = Numbers::parse(pattern) {
            return match (numbers.from, numbers.to) {
                (Some(from), Some(to)) if from > to => {
                    Err(format!("the range `{pattern}` has no number"))
                }
                _ => Ok(Self::Numbers(numbers)),
            };
        }
        Ok(match pattern.strip_suffix('*') {
            Some("") => Self::Any,
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Text(pattern.to_owned()),
        })
    }

    fn matches(&self, value: &LabelValue, written: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Text(text) => text == written,
            Self::Prefix(prefix) => written.starts_with(prefix),
            Self::Numbers(numbers) => number(value, written).is_some_and(|it| numbers.has(it)),
        }
    }
}

impl Numbers {
    /// `200..=299`, `200..300`, `500..` or `..100`.
    fn parse(range: &str) -> Option<Self> {
        let (from, to) = range.split_once("..")?;
        let with_end = to.starts_with('=');
        let to = to.strip_prefix('=').unwrap_or(to);
        let end = |text: &str| match text {
            "" => Some(None),
            text => text
                .parse::<f64>()
                .ok()
                .filter(|it| it.is_finite())
                .map(Some),
        };
        let (from, to) = (end(from)?, end(to)?);
        (from.is_some() || to.is_some()).then_some(Self { from, to, with_end })
    }

    fn has(&self, number: f64) -> bool {
        let ends = |to| number < to || self.with_end && number <= to;
        self.from.is_none_or(|from| from <= number) && self.to.is_none_or(ends)
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "ends of ranges are not beyond 2^53"
)]
fn number(value: &LabelValue, written: &str) -> Option<f64> {
    match value {
        LabelValue::I64(number) => Some(*number as f64),
        LabelValue::F64(number) => Some(*number),
        LabelValue::Str(_) => written.parse().ok(),
        LabelValue::Bool(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(entries: &[(&str, &str)], value: impl Into<LabelValue>) -> Option<String> {
        let entries = entries.iter();
        let entries: Vec<_> = entries
            .map(|(pattern, text)| ((*pattern).to_owned(), (*text).to_owned()))
            .collect();
        ValueTable::parse(&entries).unwrap().text_for(&value.into())
    }

    #[test]
    fn the_first_pattern_that_matches_counts() {
        let classes = [
            ("404", "missing"),
            ("400..=499", "4xx"),
            ("500..", "5xx"),
            ("..100", "odd"),
            ("GET*", "read"),
            ("true", "yes"),
        ];
        for (status, class) in [(404, "missing"), (400, "4xx"), (499, "4xx"), (500, "5xx")] {
            assert_eq!(mapped(&classes, status).as_deref(), Some(class));
        }
        assert_eq!(mapped(&classes, 200), None);
        assert_eq!(mapped(&classes, 99.5).as_deref(), Some("odd"));
        assert_eq!(mapped(&classes, "403").as_deref(), Some("4xx"));
        assert_eq!(mapped(&classes, "GET /").as_deref(), Some("read"));
        assert_eq!(mapped(&classes, true).as_deref(), Some("yes"));
        assert_eq!(mapped(&classes, false), None);
    }

    #[test]
    fn a_range_leaves_its_end_out_unless_it_says_so() {
        assert_eq!(mapped(&[("1..2", "in")], 2), None);
        assert_eq!(mapped(&[("1..=2", "in")], 2).as_deref(), Some("in"));
        assert_eq!(mapped(&[("..=2", "in")], -7).as_deref(), Some("in"));
        assert!(Pattern::parse("3..2").is_err());
        // No range: text.
        assert_eq!(mapped(&[("a..b", "text")], "a..b").as_deref(), Some("text"));
        assert_eq!(mapped(&[("..", "text")], "..").as_deref(), Some("text"));
    }

    #[test]
    fn braces_stand_for_what_was_recorded() {
        let errors = [("400..", "{}"), ("*", "other {}")];
        assert_eq!(mapped(&errors, 503).as_deref(), Some("503"));
        assert_eq!(mapped(&errors, "x").as_deref(), Some("other x"));
    }
}
