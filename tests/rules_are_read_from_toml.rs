//! Rules in TOML: they are those that code writes, and what is wrong is named with its place.

#![cfg(feature = "toml")]

use std::io::Write as _;

use tracing::{Level, info};
use tracing_meter::{
    Condition, Kind, Measure, OutcomeRule, Rule, RuleLabel, Rules, TextValue, ValueUnit,
};

mod support;

use support::measure_with;

/// Each key once.
const ALL_KEYS: &str = r#"
[[rule]]
name = "jobs"
select = { kind = "span", target = "jobs", name = "job", level = "info", fields = ["queue"] }
when = [
    { field = "queue", one_of = ["low", 3, true] },
    { field = "tenant", equals = "acme" },
    { field = "size", at_least = 1 },
    { field = "size", below = 2.5 },
    { field = "id", present = true },
    { field = "test", absent = true },
]
outcome = { key = "result", ok = "done", error = "failed", panic = "crashed" }

[[rule.measure]]
metric = "jobs.started"
of = "starts"

[[rule.measure]]
metric = "jobs.done"
of = "calls"
unit = "{job}"
help = "Jobs that were done."

[[rule.measure]]
metric = "jobs.open"
of = "in_flight"

[[rule.measure]]
metric = "jobs.duration"
of = "duration"

[[rule.measure]]
metric = "jobs.size"
field = "size"
kind = "histogram"
in = "KiB"
at_close = true
default = 0

[[rule.label]]
key = "job.queue"
field = "queue"

[[rule.label]]
key = "class"
field = "status"
map = { "404" = "missing", "400..=499" = "4xx", "*" = "{}" }
type = "integer"
default = 0
optional = true

[[rule.label]]
key = "error.type"
failure = "_OTHER"

[[rule.label]]
key = "shard"
value = 7

[[rule]]
name = "levels"
select = { kind = "event" }
outcome = {}

[[rule.measure]]
metric = "level.rises"
field = "level"
kind = "increase"
scale = 10

[[rule.measure]]
metric = "level.falls"
field = "level"
kind = "decrease"
text = "number"

[[rule.measure]]
metric = "level.events"
of = "events"

[[rule]]
name = "names"
select = { target = "pool" }
drop = ["pool.waiting"]
keep = ["pool.*"]
rename = { "pool.*" = "db.pool.*", "made" = "db.made" }
"#;

#[test]
fn whatever_code_may_say_toml_may_say() {
    let rules = Rules::from_toml(ALL_KEYS).unwrap();

    let mut expected = Rules::new();
    for rule in [jobs(), levels(), names()] {
        expected = expected.rule(rule).unwrap();
    }
    assert_eq!(rules, expected);
}

fn jobs() -> Rule {
    let size = Measure::field_at_close(Kind::Histogram, "jobs.size", "size").or(0.0);
    Rule::spans("jobs")
        .target("jobs")
        .named("job")
        .up_to(Level::INFO)
        .with_field("queue")
        .when(Condition::one_of(
            "queue",
            [
                "low".into(),
                3.into(),
                tracing_meter::LabelValue::Bool(true),
            ],
        ))
        .when(Condition::equals("tenant", "acme"))
        .when(Condition::at_least("size", 1.0))
        .when(Condition::below("size", 2.5))
        .when(Condition::present("id"))
        .when(Condition::absent("test"))
        .measure(Measure::opened("jobs.started"))
        .measure(
            Measure::closed("jobs.done")
                .unit("{job}")
                .help("Jobs that were done."),
        )
        .measure(Measure::in_flight("jobs.open"))
        .measure(Measure::duration("jobs.duration"))
        .measure(size.written_in(ValueUnit::Kibibytes))
        .label("queue", "job.queue")
        .label_rule(
            RuleLabel::new("class")
                .field("status")
                .map("404", "missing")
                .map("400..=499", "4xx")
                .map("*", "{}")
                .integer()
                .default(0)
                .optional(),
        )
        .label_rule(RuleLabel::new("error.type").failure("_OTHER"))
        .constant("shard", 7)
        .outcome(
            OutcomeRule::new("result")
                .ok("done")
                .error("failed")
                .panic("crashed"),
        )
}

fn levels() -> Rule {
    Rule::events("levels")
        .measure(Measure::rise("level.rises", "level").scale(10.0))
        .measure(Measure::fall("level.falls", "level").parse(TextValue::Number))
        .measure(Measure::happened("level.events"))
        .without_outcome()
}

fn names() -> Rule {
    Rule::callsites("names")
        .target("pool")
        .drop("pool.waiting")
        .keep("pool.*")
        .rename("pool.*", "db.pool.*")
        .rename("made", "db.made")
}

#[test]
fn a_file_of_rules_is_a_convention() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let rules = r#"
[[rule]]
name = "waits"
select = { target = "jobs", fields = ["waited_us"] }
measure = [{ metric = "wait", field = "waited_us", kind = "histogram", in = "us" }]
"#;
    file.write_all(rules.as_bytes()).unwrap();

    let read = Rules::from_file(file.path()).unwrap();
    assert_eq!(read, Rules::from_toml(rules).unwrap());
    let measured = measure_with(
        |builder| builder.convention(read),
        || info!(target: "jobs", waited_us = 1_500_000, "starts"),
    );
    assert_eq!(measured.snapshot.samples("wait", &[]), [1.5]);

    file.write_all(b"\n[[rule]]\nname = 3\n").unwrap();
    let error = Rules::from_file(file.path()).unwrap_err();
    let path = file.path().display();
    assert_eq!(
        error.to_string(),
        format!(
            "invalid rule in `{path}`, line 8, column 8: `name` takes a string, not a value of type integer"
        ),
    );
}

const RULE: &str = "[[rule]]\nname = \"r\"\n";
const MEASURE: &str = "[[rule]]\nname = \"r\"\n[[rule.measure]]\nmetric = \"m\"\n";
const LABEL: &str = "[[rule]]\nname = \"r\"\n[[rule.label]]\n";

/// How a text starts and goes on, the place of what is wrong there, and the reason.
const FAULTS: [(&str, &str, &str, &str); 37] = [
    (
        "",
        "[[rules]]",
        "line 1, column 3",
        "unknown key `rules`, expected `rule`",
    ),
    (
        "",
        "[rule]\nname = \"r\"",
        "line 1, column 1",
        "`rule` takes an array of tables, not a value of type table",
    ),
    (
        "",
        "[[rule]]",
        "line 1, column 1",
        "the key `name` is missing",
    ),
    (
        RULE,
        "select = { kind = \"log\" }",
        "line 3, column 19",
        "`log` is none of `event`, `span`",
    ),
    (
        RULE,
        "select = { level = \"INFO\" }",
        "line 3, column 20",
        "`INFO` is none of `error`, `warn`, `info`, `debug`, `trace`",
    ),
    (
        RULE,
        "select = { fields = [\"a\", 2] }",
        "line 3, column 27",
        "`fields` takes strings, not a value of type integer",
    ),
    (
        RULE,
        "select = { target = \"a b\" }",
        "line 3, column 21",
        "the target `a b`: it holds a blank or a control character",
    ),
    (
        RULE,
        "select = \"jobs\"",
        "line 3, column 10",
        "`select` takes a table, not a value of type string",
    ),
    (
        RULE,
        "when = [{ field = \"a\" }]",
        "line 3, column 9",
        "what is asked of the field `a` is missing",
    ),
    (
        RULE,
        "when = [{ field = \"a\", present = false }]",
        "line 3, column 34",
        "`present` takes `true`, not a value of type boolean",
    ),
    (
        RULE,
        "when = [{ field = \"a\", equals = 1, below = 2 }]",
        "line 3, column 44",
        "there is `equals` already: one condition asks one thing",
    ),
    (
        RULE,
        "when = [{ field = \"a\", at_least = \"1\" }]",
        "line 3, column 35",
        "`at_least` takes a decimal number, not a value of type string",
    ),
    (
        RULE,
        "when = [{ field = \"a\", equals = 1979-05-27 }]",
        "line 3, column 33",
        "`equals` takes a string, a decimal number or a boolean, not a value of type datetime",
    ),
    (
        RULE,
        "outcome = { ok = \"ok\" }",
        "line 3, column 18",
        "there is no `key` for this text",
    ),
    (
        RULE,
        "drop = [\"a\", \"9\"]",
        "line 3, column 14",
        "the metric `9`: it does not start with an ASCII letter",
    ),
    (
        RULE,
        "rename = { \"a.*\" = \"b\" }",
        "line 3, column 12",
        "`a.*` may be several metrics, which cannot all be `b`",
    ),
    (
        RULE,
        "",
        "line 1, column 1",
        "`r`: it measures nothing, and changes nothing",
    ),
    (
        RULE,
        "[[rule.measure]]\nmetric = \"9\"\nof = \"calls\"",
        "line 4, column 10",
        "the metric `9`: it does not start with an ASCII letter",
    ),
    (
        MEASURE,
        "",
        "line 3, column 1",
        "the key `field` is missing",
    ),
    (
        MEASURE,
        "of = \"call\"",
        "line 5, column 6",
        "`call` is none of `starts`, `calls`, `in_flight`, `duration`, `events`",
    ),
    (
        MEASURE,
        "of = \"calls\"\nkind = \"gauge\"",
        "line 6, column 8",
        "`kind` is not for `of`",
    ),
    (
        MEASURE,
        "of = \"calls\"\nunit = \"a b\"",
        "line 6, column 8",
        "the metric `m`: the unit `a b`: it holds something else than printable ASCII characters without blanks",
    ),
    (
        MEASURE,
        "field = \"f\"",
        "line 3, column 1",
        "the key `kind` is missing",
    ),
    (
        MEASURE,
        "field = \"f\"\nkind = \"gauge\"\nin = \"sec\"",
        "line 7, column 6",
        "`sec` is none of `s`, `ms`, `us`, `ns`, `B`, `KiB`, `MiB`",
    ),
    (
        MEASURE,
        "field = \"f\"\nkind = \"gauge\"\nin = \"s\"\nunit = \"s\"",
        "line 8, column 8",
        "`in` says the unit already",
    ),
    (
        MEASURE,
        "field = \"f\"\nkind = \"gauge\"\nin = \"s\"\nscale = 2",
        "line 8, column 9",
        "`in` says the scale already",
    ),
    (
        MEASURE,
        "field = \"f\"\nkind = \"gauge\"\nscale = -1",
        "line 7, column 9",
        "the metric `m`: the scale is no number above 0",
    ),
    (
        MEASURE,
        "field = \"f\"\nkind = \"gauge\"\nscale = nan",
        "line 7, column 9",
        "`scale` takes a decimal number, not a value of type float",
    ),
    (
        MEASURE,
        "field = \"f\"\nkind = \"gauge\"\ndefault = 2",
        "line 7, column 11",
        "only a field that is measured at the close of a span has a default",
    ),
    (
        MEASURE,
        "field = \"f\"\nkind = \"increase\"\nat_close = true",
        "line 7, column 12",
        "a level is sampled whenever it is recorded",
    ),
    (
        MEASURE,
        "of = \"calls\"",
        "line 1, column 1",
        "`r`: the metric `m`: only spans are measured so",
    ),
    (
        LABEL,
        "key = \"le\"",
        "line 4, column 7",
        "the label `le`: Prometheus reserves the key",
    ),
    (
        LABEL,
        "key = \"k\"\nvalue = 1\nfield = \"f\"",
        "line 6, column 9",
        "a label with a `value` has only that",
    ),
    (
        LABEL,
        "key = \"k\"\nmap = { \"3..1\" = \"x\" }",
        "line 5, column 9",
        "the range `3..1` has no number",
    ),
    (
        LABEL,
        "key = \"k\"\nmap = { \"3\" = 1 }",
        "line 5, column 15",
        "`map` takes a table of strings, not a value of type integer",
    ),
    (
        LABEL,
        "key = \"k\"\ntype = \"int\"",
        "line 5, column 8",
        "`int` is none of `integer`",
    ),
    (
        LABEL,
        "kee = \"k\"",
        "line 4, column 1",
        "unknown key `kee`, expected one of `key`, `field`, `map`, `type`, `failure`, `default`, `value`, `optional`",
    ),
];

#[test]
fn an_error_names_the_place_the_culprit_and_the_reason() {
    for (start, rest, place, why) in FAULTS {
        let text = format!("{start}{rest}");
        let error = Rules::from_toml(&text).expect_err(&text);
        assert!(error.is_rule());
        assert_eq!(
            error.to_string(),
            format!("invalid rule in {place}: {why}"),
            "{text}"
        );
    }
}

#[test]
fn what_is_no_toml_is_refused_at_its_place() {
    for (text, place) in [
        ("rule = [", "line 1, column 9: "),
        ("[[rule]]\nname = ", "line 2, column 8: "),
        ("[[rule]]\nname = \"a\"\nname = \"b\"", "line 3, column 1: "),
    ] {
        let error = Rules::from_toml(text).unwrap_err().to_string();
        let why = error.strip_prefix(&format!("invalid rule in {place}"));
        assert!(why.is_some_and(|why| !why.is_empty()), "{error}");
    }
}

#[test]
fn a_deep_or_broken_text_is_an_error() {
    for text in [
        "rule = ".to_owned() + &"[".repeat(100_000),
        "\u{0}".to_owned(),
        "\u{feff}[[".to_owned(),
    ] {
        assert!(Rules::from_toml(&text).is_err());
    }
    assert_eq!(Rules::from_toml("").unwrap(), Rules::new());
}
