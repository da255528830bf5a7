//! What was measured, held against the limits.

use crate::profile;
use crate::run::harness::Cost;
use crate::run::limits::{
    ALLOCATIONS, BYTES, KEPT, MESSAGES, SHARES, THROUGHPUTS, TIMES, WHERE_THEY_HOLD,
};
use crate::run::results::Results;

/// A case, held against another one.
pub(crate) struct Target {
    name: String,
    case: String,
    reference: String,
    compare: fn(&Cost, &Cost) -> f64,
    limit: f64,
    holds: Option<Holds>,
}

/// Where a limit holds: the costs of two cases are at least so far from each other.
struct Holds {
    case: &'static str,
    reference: &'static str,
    at_least: f64,
}

impl Target {
    pub(crate) fn cases(&self) -> impl Iterator<Item = &str> {
        let of_limit = self.holds.iter().flat_map(|it| [it.case, it.reference]);
        [&*self.case, &*self.reference].into_iter().chain(of_limit)
    }

    /// The target's line, if its cases were run.
    pub(crate) fn line(&self, results: &Results) -> Option<String> {
        let value = results.paired(&self.case, &self.reference, self.compare)?;
        let line = judged(&self.name, value, self.limit);
        let Some(Holds {
            case,
            reference,
            at_least,
        }) = &self.holds
        else {
            return Some(line);
        };
        let here = results.paired(case, reference, share)?;
        if here >= *at_least {
            return Some(line);
        }
        let (name, limit) = (&self.name, self.limit);
        Some(format!(
            "report {name} {value:.2} (limit {limit:.2} where {case} takes {at_least:.2} times {reference}: here {here:.2})"
        ))
    }
}

/// All targets.
pub(crate) fn all() -> Vec<Target> {
    let without_lto = profile::is_without_lto();
    let times = rows(TIMES).map(|[name, case, reference, with_lto, without]| {
        let own = without_lto && without != "=";
        let limit = if own { without } else { with_lto };
        Target {
            name: name.to_owned(),
            case: case.to_owned(),
            reference: reference.to_owned(),
            compare: if limit.starts_with('+') {
                difference
            } else {
                share
            },
            limit: number(limit),
            holds: holds(name),
        }
    });
    let on_known_series = rows(ALLOCATIONS);
    let on_known_series =
        on_known_series.map(|[case, reference]| allocations(case, reference, 0.0));
    let mut all: Vec<_> = times.chain(on_known_series).collect();
    for [message, time, more] in rows(MESSAGES) {
        for (what, limit, more) in [
            ("extract", number(time), number(more)),
            ("inject", 1.0, 0.0),
            ("hop", 1.0, 0.0),
        ] {
            let [case, reference] = ["ours", "sdk"].map(|who| format!("{what}/{message}/{who}"));
            all.push(allocations(&case, &reference, more));
            all.push(Target {
                name: format!("{what}_{message}/sdk"),
                case,
                reference,
                compare: share,
                limit,
                holds: None,
            });
        }
    }
    all
}

fn allocations(case: &str, reference: &str, limit: f64) -> Target {
    Target {
        name: format!("allocations/{case}"),
        case: case.to_owned(),
        reference: reference.to_owned(),
        compare: |case, reference| case.allocations - reference.allocations,
        limit,
        holds: None,
    }
}

fn holds(target: &str) -> Option<Holds> {
    let row = rows(WHERE_THEY_HOLD).find(|[name, _, _, _]| *name == target)?;
    let [_, case, reference, at_least] = row;
    let at_least = number(at_least);
    Some(Holds {
        case,
        reference,
        at_least,
    })
}

fn share(case: &Cost, reference: &Cost) -> f64 {
    case.nanos / reference.nanos
}

fn difference(case: &Cost, reference: &Cost) -> f64 {
    case.nanos - reference.nanos
}

/// What has no limit.
pub(crate) fn reports(results: &Results) -> Vec<String> {
    let how_much = |[name, case, reference]: [&str; 3]| {
        let share = results.paired(case, reference, share)?;
        Some(format!("report {name} {share:.2}"))
    };
    // How much more two threads count than one: 2 where they do not meet.
    let more = |[who, two, one]: [&str; 3]| {
        let more = results.paired(two, one, |two, one| 2.0 * one.nanos / two.nanos)?;
        Some(format!("report two_threads/throughput/{who} {more:.2}"))
    };
    let shares = rows(SHARES).filter_map(how_much);
    shares.chain(rows(THROUGHPUTS).filter_map(more)).collect()
}

/// The target of one series' bytes, if they have one.
pub(crate) fn series((name, bytes): &(String, f64)) -> Option<String> {
    let [_, limit] = rows(BYTES).find(|[series, _]| series == name)?;
    Some(judged(&format!("bytes/{name}"), *bytes, number(limit)))
}

/// The target of what spans leave.
pub(crate) fn kept((name, bytes): &(String, f64)) -> String {
    judged(&format!("megabytes/{name}"), bytes / 1e6, KEPT)
}

/// What is printed is judged, and no zero has a sign.
fn judged(name: &str, value: f64, limit: f64) -> String {
    let value = (value * 100.0).round() / 100.0 + 0.0;
    let verdict = if value <= limit { "ok" } else { "over" };
    format!("ratio {name} {value:.2} {limit:.2} {verdict}")
}

fn number(limit: &str) -> f64 {
    limit.parse().expect("a limit is a number")
}

fn rows<const N: usize>(table: &'static str) -> impl Iterator<Item = [&'static str; N]> {
    let lines = table.lines().filter(|line| !line.is_empty());
    lines.map(|line| {
        let row: Vec<_> = line.split_whitespace().collect();
        row.try_into().expect("a row has all its columns")
    })
}
