//! The names that Prometheus gives to OpenTelemetry metrics and attributes.
//!
//! One translation for the scrape and for OTLP: that of `otlptranslator` 1.0, by which
//! Prometheus' own OTLP receiver and the collector's exporters name metrics. The words
//! of a name are joined by `_`; then comes the unit's word, unless it is there already,
//! then `per` and a word, whatever is there, then `total` for a counter.

#[cfg(feature = "metrics")]
use std::collections::BTreeMap;
#[cfg(feature = "metrics")]
use std::collections::btree_map::Entry;

use crate::kind::Kind;

/// The name of a metric on a scrape.
pub(crate) fn of_metric(name: &str, kind: Kind, unit: Option<&str>) -> String {
    let mut words = words(name);
    let (main, per) = unit.map(unit_words).unwrap_or_default();
    if !words.contains(&main) {
        words.push(main);
    }
    words.push(per);
    words.retain(|word| !word.is_empty());
    match (kind, unit) {
        (Kind::Counter, _) => move_to_end(&mut words, "total"),
        (Kind::Gauge, Some("1")) => move_to_end(&mut words, "ratio"),
        _ => {}
    }
    let mut joined = words.join("_");
    if joined.starts_with(|c: char| c.is_ascii_digit()) {
        joined.insert(0, '_');
    }
    joined
}

/// The name of a label on a scrape; `None` if nothing valid is left of the key.
#[cfg_attr(
    not(feature = "metrics"),
    allow(dead_code, reason = "labels are also checked without an exporter")
)]
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

/// Labels by their keys. The values of keys that have become one are joined, in the order in
/// which they come, as OpenTelemetry's compatibility rules say: Prometheus refuses a scrape
/// with a label twice.
#[cfg(feature = "metrics")]
pub(crate) fn joined(
    labels: impl IntoIterator<Item = (String, String)>,
) -> BTreeMap<String, String> {
    let mut joined = BTreeMap::new();
    for (key, value) in labels {
        match joined.entry(key) {
            Entry::Vacant(entry) => _ = entry.insert(value),
            Entry::Occupied(mut entry) => {
                let before: &mut String = entry.get_mut();
                before.push(';');
                before.push_str(&value);
            }
        }
    }
    joined
}

/// Whether Prometheus keeps a label's key to itself.
pub(crate) fn is_reserved(key: &str) -> bool {
    key.starts_with("__")
}

fn words(name: &str) -> Vec<String> {
    name.split(|c| !is_valid(c)).map(str::to_owned).collect()
}

fn is_valid(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
}

/// `By/s` is `bytes` and `per_second`; `{request}` and `1` are nothing.
fn unit_words(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let named = |unit: &str| !unit.contains(['{', '}']) && !unit.is_empty();
    let per = match clean(if named(per) { per_word(per) } else { "" }) {
        per if per.is_empty() => per,
        per => format!("per_{}", without_end(&per)),
    };
    let main = clean(if named(main) { main_word(main) } else { "" });
    if per.is_empty() {
        (main, per)
    } else {
        (without_end(&main).to_owned(), per)
    }
}

/// Runs of other characters become one underscore, which stays at the end.
fn clean(unit: &str) -> String {
    let mut clean = String::with_capacity(unit.len());
    for c in unit.chars() {
        if is_valid(c) {
            clean.push(c);
        } else if !clean.is_empty() && !clean.ends_with('_') {
            clean.push('_');
        }
    }
    clean
}

fn without_end(word: &str) -> &str {
    word.strip_suffix('_').unwrap_or(word)
}

fn main_word(unit: &str) -> &str {
    match unit {
        "d" => "days",
        "h" => "hours",
        "min" => "minutes",
        "s" => "seconds",
        "ms" => "milliseconds",
        "us" => "microseconds",
        "ns" => "nanoseconds",
        "By" => "bytes",
        "KiBy" => "kibibytes",
        "MiBy" => "mebibytes",
        "GiBy" => "gibibytes",
        "TiBy" => "tibibytes",
        "KBy" => "kilobytes",
        "MBy" => "megabytes",
        "GBy" => "gigabytes",
        "TBy" => "terabytes",
        "m" => "meters",
        "V" => "volts",
        "A" => "amperes",
        "J" => "joules",
        "W" => "watts",
        "g" => "grams",
        "Cel" => "celsius",
        "Hz" => "hertz",
        "%" => "percent",
        "1" => "",
        other => other,
    }
}

fn per_word(unit: &str) -> &str {
    match unit {
        "s" => "second",
        "m" => "minute",
        "h" => "hour",
        "d" => "day",
        "w" => "week",
        "mo" => "month",
        "y" => "year",
        other => other,
    }
}

fn move_to_end(words: &mut Vec<String>, suffix: &str) {
    words.retain(|word| word != suffix);
    words.push(suffix.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_totals_are_appended_once() {
        for (name, kind, unit, expected) in [
            ("uploads", Kind::Counter, None, "uploads_total"),
            ("uploads_total", Kind::Counter, None, "uploads_total"),
            (
                "uploads.total",
                Kind::Counter,
                Some("By"),
                "uploads_bytes_total",
            ),
            ("sent.bytes", Kind::Counter, Some("By"), "sent_bytes_total"),
            ("job", Kind::Histogram, Some("s"), "job_seconds"),
            ("job.seconds", Kind::Histogram, Some("s"), "job_seconds"),
            ("wait", Kind::Histogram, Some("ms"), "wait_milliseconds"),
            ("jobs", Kind::UpDownCounter, Some("{job}"), "jobs"),
            ("cpu.use", Kind::Gauge, Some("1"), "cpu_use_ratio"),
            ("cpu.use", Kind::UpDownCounter, Some("1"), "cpu_use"),
            ("disk", Kind::Gauge, Some("By/s"), "disk_bytes_per_second"),
            ("rate", Kind::Gauge, Some("{request}/s"), "rate_per_second"),
            ("price", Kind::Gauge, Some("EUR"), "price_EUR"),
        ] {
            assert_eq!(of_metric(name, kind, unit), expected, "{name} {unit:?}");
        }
    }

    #[test]
    fn runs_of_other_characters_become_one_underscore() {
        assert_eq!(of_metric("a..b/c-d__e", Kind::Gauge, None), "a_b_c_d_e");
    }

    #[test]
    fn names_follow_the_rules_of_prometheus_own_translation() {
        let table = include_str!("../tests/prometheus_names.txt");
        let rows = table.lines().filter(|line| !line.starts_with('#'));
        let mut differ = Vec::new();
        for row in rows.clone() {
            let [kind, unit, name, expected] = row.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{row} has not four columns");
            };
            let unit = Some(unit).filter(|unit| *unit != "-");
            let kinds: &[Kind] = match kind {
                "counter" => &[Kind::Counter],
                "gauge" => &[Kind::Gauge],
                "histogram" => &[Kind::Histogram, Kind::UpDownCounter],
                other => panic!("no kind: {other}"),
            };
            for kind in kinds {
                let translated = of_metric(name, *kind, unit);
                if translated != expected {
                    differ.push(format!("{row}, not {translated}"));
                }
            }
        }
        assert_eq!(rows.count(), 3 * 18 * 8);
        assert!(differ.is_empty(), "{differ:#?}");
    }

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
