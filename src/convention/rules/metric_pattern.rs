//! Which metrics a rule drops, keeps or renames.

use crate::instrument::MetricName;

/// A metric's name, or how the names of some metrics start.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum MetricPattern {
    Name(String),
    Prefix(String),
}

/// Other names for metrics.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Renaming {
    from: MetricPattern,
    to: String,
}

impl MetricPattern {
    /// `pool.size`, or `pool.*`.
    pub(super) fn parse(pattern: &str) -> Result<Self, String> {
        let error = |why: &str| format!("the metric `{pattern}`: {why}");
        let prefix = pattern.strip_suffix('*');
        // The prefix of all names is empty.
        if prefix != Some("") {
            MetricName::parse(prefix.unwrap_or(pattern)).map_err(|invalid| error(invalid.0))?;
        }
        Ok(match prefix {
            Some(prefix) => Self::Prefix(prefix.to_owned()),
            None => Self::Name(pattern.to_owned()),
        })
    }

    pub(super) fn matches(&self, metric: &str) -> bool {
        self.rest_of(metric).is_some()
    }

    /// What follows the prefix.
    fn rest_of<'m>(&self, metric: &'m str) -> Option<&'m str> {
        match self {
            Self::Name(name) => (name == metric).then_some(""),
            Self::Prefix(prefix) => metric.strip_prefix(prefix.as_str()),
        }
    }
}

impl Renaming {
    /// A name to a name, or a prefix to a prefix.
    pub(super) fn parse(from: &str, to: &str) -> Result<Self, String> {
        let (from, to) = (MetricPattern::parse(from)?, MetricPattern::parse(to)?);
        match (&from, to) {
            (MetricPattern::Name(_), MetricPattern::Name(to))
            | (MetricPattern::Prefix(_), MetricPattern::Prefix(to)) => Ok(Self { from, to }),
            (MetricPattern::Name(from), MetricPattern::Prefix(to)) => Err(format!(
                "the metric `{from}` is one name, `{to}*` is a prefix"
            )),
            (MetricPattern::Prefix(from), MetricPattern::Name(to)) => Err(format!(
                "`{from}*` may be several metrics, which cannot all be `{to}`"
            )),
        }
    }

    pub(super) fn new_name(&self, metric: &str) -> Option<String> {
        let rest = self.from.rest_of(metric)?;
        Some(format!("{}{rest}", self.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_a_name_or_a_prefix() {
        let matches = |pattern, metric| MetricPattern::parse(pattern).unwrap().matches(metric);
        assert!(matches("pool.size", "pool.size"));
        assert!(!matches("pool.size", "pool.size.max"));
        assert!(matches("pool.*", "pool.size"));
        assert!(!matches("pool.*", "pools"));
        assert!(matches("*", "pool.size"));
        for bad in ["", "9a", "a b", "*.size", "a*b*"] {
            assert!(MetricPattern::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_become_names_and_prefixes_prefixes() {
        let renamed = |from, to, metric| Renaming::parse(from, to).unwrap().new_name(metric);
        assert_eq!(renamed("a", "b", "a"), Some("b".to_owned()));
        assert_eq!(renamed("a", "b", "a.c"), None);
        assert_eq!(renamed("a.*", "b.a.*", "a.c"), Some("b.a.c".to_owned()));
        assert_eq!(renamed("*", "b.*", "a.c"), Some("b.a.c".to_owned()));
        assert!(Renaming::parse("a", "b.*").is_err());
        assert!(Renaming::parse("a.*", "b").is_err());
    }
}
