//! The names that Prometheus gives to OpenTelemetry metrics and attributes.
//!
//! One translation for the scrape and for OTLP: the rules are those of
//! "Prometheus and OpenMetrics Compatibility" in the OpenTelemetry
//! specification, as the collector and Prometheus' own OTLP receiver carry them
//! out: words joined by `_`, then the unit's word, then `total` for a counter,
//! each of them only if it is not there already.

use crate::kind::Kind;

/// The name of a metric on a scrape.
pub(crate) fn of_metric(name: &str, kind: Kind, unit: Option<&str>) -> String {
    let mut words: Vec<String> = name
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == ':'))
        .filter(|word| !word.is_empty())
        .map(str::to_owned)
        .collect();
    let (main, per) = unit.map(unit_words).unwrap_or_default();
    if let Some(main) = main.filter(|main| !words.contains(main)) {
        words.push(main);
    }
    if let Some(per) = per.filter(|per| !words.contains(per)) {
        words.extend(["per".to_owned(), per]);
    }
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

/// The name of a label on a scrape.
#[cfg_attr(
    not(feature = "metrics"),
    allow(dead_code, reason = "labels are also checked without an exporter")
)]
pub(crate) fn of_label(key: &str) -> String {
    let translated: String = key
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect();
    if translated.starts_with(|c: char| c.is_ascii_digit()) {
        return format!("key_{translated}");
    }
    translated
}

/// `By/s` is `bytes` and `second`; `{request}` and `1` are nothing.
fn unit_words(unit: &str) -> (Option<String>, Option<String>) {
    let (main, per) = match unit.split_once('/') {
        Some((main, per)) => (main, Some(per)),
        None => (unit, None),
    };
    let main = Some(main).filter(|main| !main.contains('{') && *main != "1");
    let per = per.filter(|per| !per.contains('{'));
    (
        main.map(main_word).and_then(word),
        per.map(per_word).and_then(word),
    )
}

/// A unit without a word of its own is used as it is, cleaned.
fn word(unit: &str) -> Option<String> {
    let clean = unit
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join("_");
    Some(clean).filter(|clean| !clean.is_empty())
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
            (
                "rate_per_second",
                Kind::Gauge,
                Some("By/s"),
                "rate_per_second_bytes",
            ),
            (
                "disk.bytes_per_second",
                Kind::Gauge,
                Some("By/s"),
                "disk_bytes_per_second",
            ),
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
    fn labels_keep_their_length_and_never_start_with_a_digit() {
        assert_eq!(of_label("chain.name"), "chain_name");
        assert_eq!(of_label("9lives"), "key_9lives");
        assert_eq!(of_label("größe"), "gr__e");
    }
}
