//! The names that Prometheus gives to OpenTelemetry metrics and attributes.
//!
//! One translation for the scrape and for OTLP: that of `otlptranslator` 1.0, by which
//! Prometheus' own OTLP receiver and the collector's exporters name metrics. The words
//! of a name are joined by `_`; then comes the unit's word, unless it is there already,
//! then `per` and a word, whatever is there, then `total` for a counter.

use crate::kind::Kind;

mod labels;
mod units;

#[cfg(feature = "metrics")]
pub(crate) use labels::of_labels;
pub(crate) use labels::{Unusable, check_label, of_label, same_label};
pub(crate) use units::likely_units;
#[cfg(feature = "metrics")]
pub(crate) use units::word_for_unit;
use units::words_for_unit;

/// How the lines of a histogram end, after an underscore.
pub(crate) const HISTOGRAM_LINES: [&str; 3] = ["bucket", "sum", "count"];

/// The name of a metric on a scrape.
pub(crate) fn of_metric(name: &str, kind: Kind, unit: Option<&str>) -> String {
    let mut words = words(name);
    let (main, per) = unit.map(words_for_unit).unwrap_or_default();
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

/// The names of a metric's lines on a scrape, all of which no other metric may have.
pub(crate) fn of_lines(metric: &str, kind: Kind) -> Vec<String> {
    let mut names = vec![metric.to_owned()];
    if kind == Kind::Histogram {
        names.extend(HISTOGRAM_LINES.map(|line| format!("{metric}_{line}")));
    }
    names
}

/// How the names on a scrape start of metrics whose names start so.
pub(crate) fn of_prefix(prefix: &str) -> String {
    prefix.replace(|c| !is_valid(c), "_")
}

fn words(name: &str) -> Vec<String> {
    name.split(|c| !is_valid(c)).map(str::to_owned).collect()
}

fn is_valid(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == ':'
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
}
