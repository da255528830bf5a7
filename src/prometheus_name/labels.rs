//! Labels on a scrape: their names, and what Prometheus refuses.

#[cfg(feature = "metrics")]
use std::collections::BTreeMap;

/// The name of a label on a scrape; `None` if nothing valid is left of the key.
pub(crate) fn of_label(key: &str) -> Option<String> {
    let mut translated = String::with_capacity(key.len());
    for c in key.chars() {
        if c.is_ascii_alphanumeric() {
            translated.push(c);
        } else if !translated.ends_with('_') {
            translated.push('_');
        }
    }
    match translated.bytes().next()? {
        b'0'..=b'9' => Some(format!("key_{translated}")),
        b'_' if translated.len() == 1 => None,
        b'_' => Some(format!("key{translated}")),
        _ => Some(translated),
    }
}

/// Why a label cannot be on a scrape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// Prometheus keeps the key to itself.
    Reserved,
    /// It does so in histograms and summaries.
    ReservedForBuckets,
    /// Nothing of the key may be a label's name.
    Nameless,
}

impl Unusable {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Reserved | Self::ReservedForBuckets => "Prometheus reserves the key",
            Self::Nameless => "nothing of the key may be a label's name on a scrape",
        }
    }
}

/// Refuses a key under which no label can be on a scrape.
pub(crate) fn check_label(key: &str) -> Result<(), Unusable> {
    match of_label(key).as_deref() {
        _ if key.starts_with("__") => Err(Unusable::Reserved),
        Some("le" | "quantile") => Err(Unusable::ReservedForBuckets),
        Some(_) => Ok(()),
        None => Err(Unusable::Nameless),
    }
}

/// The first of these keys that is another one, but the same label on a scrape.
pub(crate) fn same_label<'k>(
    key: &str,
    others: impl IntoIterator<Item = &'k str>,
) -> Option<&'k str> {
    let scraped = of_label(key)?;
    let is_same = |other: &&str| *other != key && of_label(other).as_ref() == Some(&scraped);
    others.into_iter().find(is_same)
}

/// Labels under their names on a scrape, from keys in their order.
///
/// Prometheus refuses a scrape with a label twice: the values of keys that become one are
/// joined, as OpenTelemetry's compatibility rules say. A key without a name is left out.
#[cfg(feature = "metrics")]
pub(crate) fn of_labels<'k>(
    labels: impl IntoIterator<Item = (&'k str, String)>,
) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (key, value) in labels {
        let Some(key) = of_label(key) else { continue };
        joined
            .entry(key)
            .and_modify(|before| *before = format!("{before};{value}"))
            .or_insert(value);
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_the_rules_of_prometheus_own_translation() {
        for (key, expected) in [
            ("chain.name", "chain_name"),
            ("label:with:colons", "label_with_colons"),
            ("CapitalLetters", "CapitalLetters"),
            ("with&special$chars)", "with_special_chars_"),
            ("a__b", "a_b"),
            ("a.-.b", "a_b"),
            ("größe", "gr_e"),
            ("字符x", "key_x"),
            ("9lives", "key_9lives"),
            ("_private", "key_private"),
            ("..hidden", "key_hidden"),
        ] {
            assert_eq!(of_label(key).as_deref(), Some(expected), "{key}");
        }
        for nothing in ["", "_", "___", "..", "字符"] {
            assert_eq!(of_label(nothing), None, "{nothing}");
        }
    }
}
