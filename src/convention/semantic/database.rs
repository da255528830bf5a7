//! Calls of database clients.

use super::OptIn;
use super::attribute::{Attribute, error_type, status_if};
use super::callsite::Callsite;
use crate::convention::{Feed, Measure};
use crate::kind::Kind;
use crate::semconv::OTHER;

const SYSTEM: &str = "db.system.name";
const STATUS: &str = "db.response.status_code";

const OF_ROWS: [Attribute; 11] = [
    Attribute::text(SYSTEM).required(),
    Attribute::text("db.namespace"),
    Attribute::text("db.collection.name"),
    Attribute::text("db.operation.name"),
    Attribute::text("db.query.summary"),
    Attribute::text(STATUS),
    Attribute::text("server.address"),
    Attribute::int("server.port"),
    Attribute::text("network.peer.address"),
    Attribute::int("network.peer.port"),
    Attribute::text("db.query.text").opt_in(OptIn::QueryText),
];

/// What the duration has beyond that.
const PROCEDURE: Attribute = Attribute::text("db.stored_procedure.name");

pub(super) fn feeds(callsite: &Callsite<'_>) -> Vec<Feed> {
    if !callsite.has(SYSTEM) {
        return Vec::new();
    }
    let duration = Measure::duration("db.client.operation.duration")
        .help("Duration of database client operations.");
    let attributes = [&OF_ROWS[..], &[PROCEDURE]].concat();
    let durations = operations(callsite, &attributes).measure(duration);
    let returned = callsite.value(
        Kind::Histogram,
        "db.client.response.returned_rows",
        "db.response.returned_rows",
    );
    let rows = returned.map(|rows| {
        let help = "The actual number of records returned by the database operation.";
        operations(callsite, &OF_ROWS).measure(rows.unit("{row}").help(help))
    });
    [durations].into_iter().chain(rows).collect()
}

fn operations(callsite: &Callsite<'_>, attributes: &[Attribute]) -> Feed {
    let error = error_type().map(STATUS, status_if(is_error));
    let operations = callsite.feed(SYSTEM, attributes);
    operations.label_rule(error.failure(OTHER).optional())
}

/// The database is not known here. What may be a success with one is none, and what is an
/// error then is one by the span's outcome.
fn is_error(status: &str) -> bool {
    let is_sqlstate = status.len() == 5 && status.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let is_good_sqlstate = is_sqlstate && (status.starts_with("00") || status.starts_with("01"));
    let is_good_over_http = status
        .parse()
        .is_ok_and(|code: u16| matches!(code, 200..400));
    let is_ok = matches!(status, "" | "0") || status.eq_ignore_ascii_case("ok");
    !(is_ok || is_good_sqlstate || is_good_over_http)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_errors_unless_a_database_may_mean_success() {
        for good in ["", "0", "OK", "00000", "01000", "200", "304"] {
            assert!(!is_error(good), "{good}");
        }
        for bad in [
            "42P01",
            "02000",
            "1064",
            "404",
            "ORA-17002",
            "WRONGTYPE",
            "11602",
        ] {
            assert!(is_error(bad), "{bad}");
        }
    }
}
