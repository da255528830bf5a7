//! The words that Prometheus has for units.

use super::is_valid;

/// The units that Prometheus has a word for, which is empty where the name says it all.
const WORDS: [(&str, &str); 26] = [
    ("d", "days"),
    ("h", "hours"),
    ("min", "minutes"),
    ("s", "seconds"),
    ("ms", "milliseconds"),
    ("us", "microseconds"),
    ("ns", "nanoseconds"),
    ("By", "bytes"),
    ("KiBy", "kibibytes"),
    ("MiBy", "mebibytes"),
    ("GiBy", "gibibytes"),
    ("TiBy", "tibibytes"),
    ("KBy", "kilobytes"),
    ("MBy", "megabytes"),
    ("GBy", "gigabytes"),
    ("TBy", "terabytes"),
    ("m", "meters"),
    ("V", "volts"),
    ("A", "amperes"),
    ("J", "joules"),
    ("W", "watts"),
    ("g", "grams"),
    ("Cel", "celsius"),
    ("Hz", "hertz"),
    ("%", "percent"),
    ("1", ""),
];

/// The same of what stands after `/`.
const PER_WORDS: [(&str, &str); 7] = [
    ("s", "second"),
    ("m", "minute"),
    ("h", "hour"),
    ("d", "day"),
    ("w", "week"),
    ("mo", "month"),
    ("y", "year"),
];

/// The rates that a name in a rule may turn out to have.
const RATES: [&str; 3] = ["By/s", "KiBy/s", "MiBy/s"];

/// The units that a metric is likely to have.
pub(crate) fn likely_units() -> impl Iterator<Item = &'static str> {
    WORDS.iter().map(|(unit, _)| *unit).chain(RATES)
}

/// The word for a unit, if there is one.
#[cfg(feature = "metrics")]
pub(crate) fn word_for_unit(unit: &str) -> Option<&'static str> {
    find(&WORDS, unit)
}

/// What a unit adds to a name: `By/s` is `bytes` and `per_second`; `{request}` and `1` are
/// nothing.
pub(super) fn words_for_unit(unit: &str) -> (String, String) {
    let (main, per) = unit.split_once('/').unwrap_or((unit, ""));
    let named = |unit: &str| !unit.contains(['{', '}']) && !unit.is_empty();
    let per = match clean(if named(per) {
        word(&PER_WORDS, per)
    } else {
        ""
    }) {
        per if per.is_empty() => per,
        per => format!("per_{}", without_end(&per)),
    };
    let main = clean(if named(main) { word(&WORDS, main) } else { "" });
    if per.is_empty() {
        (main, per)
    } else {
        (without_end(&main).to_owned(), per)
    }
}

/// A unit without a word stands for itself.
fn word<'u>(words: &[(&str, &'static str)], unit: &'u str) -> &'u str {
    find(words, unit).unwrap_or(unit)
}

fn find(words: &[(&str, &'static str)], unit: &str) -> Option<&'static str> {
    let mut words = words.iter();
    words.find(|(known, _)| *known == unit).map(|it| it.1)
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
