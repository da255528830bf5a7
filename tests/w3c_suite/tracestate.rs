//! The cases of `tracestate`. Whatever is wrong with it, the trace goes on.

use super::{Exchange, PARENT_ID, TRACE_ID};

fn sent<const N: usize>(values: [&str; N]) -> Exchange {
    Exchange::of_tracestate(values)
}

fn named(name: &str) -> Exchange {
    let valid = format!("00-{TRACE_ID}-{PARENT_ID}-01");
    Exchange::of([("traceparent", &valid), (name, "foo=1")]).continues()
}

/// Section 3.3: without a trace the list means nothing.
pub(crate) fn tracestate_included_traceparent_missing() -> Vec<Exchange> {
    ["foo=1", "foo=1,bar=2"]
        .map(|list| Exchange::of([("tracestate", list)]).carries_nothing())
        .into()
}

pub(crate) fn tracestate_included_traceparent_included() -> Vec<Exchange> {
    vec![sent(["foo=1,bar=2"]).carries("foo=1,bar=2")]
}

pub(crate) fn tracestate_header_name() -> Vec<Exchange> {
    ["trace-state", "trace.state"]
        .map(|name| named(name).carries_nothing())
        .into()
}

pub(crate) fn tracestate_header_name_valid_casing() -> Vec<Exchange> {
    ["TraceState", "TrAcEsTaTe", "TRACESTATE"]
        .map(|name| named(name).carries("foo=1"))
        .into()
}

pub(crate) fn tracestate_empty_header() -> Vec<Exchange> {
    vec![
        sent([""]).carries_nothing(),
        sent(["foo=1", ""]).carries("foo=1"),
        sent(["", "foo=1"]).carries("foo=1"),
    ]
}

/// RFC 9110, section 5.3: they are one list.
pub(crate) fn tracestate_multiple_headers_different_keys() -> Vec<Exchange> {
    let headers = ["foo=1,bar=2", "rojo=1,congo=2", "baz=3"];
    vec![sent(headers).carries("foo=1,bar=2,rojo=1,congo=2,baz=3")]
}

/// Both are passed on, or one of them.
pub(crate) fn tracestate_duplicated_keys() -> Vec<Exchange> {
    let same = ["foo=1,foo=1", "foo=1"];
    let differing = ["foo=1,foo=2", "foo=1", "foo=2"];
    vec![
        sent(["foo=1,foo=1"]).carries_one_of(same),
        sent(["foo=1,foo=2"]).carries_one_of(differing),
        sent(["foo=1", "foo=1"]).carries_one_of(same),
        sent(["foo=1", "foo=2"]).carries_one_of(differing),
    ]
}

pub(crate) fn tracestate_all_allowed_characters() -> Vec<Exchange> {
    let key: String = ('a'..='z').chain('0'..='9').chain("_-*/".chars()).collect();
    let value: String = (' '..='~').filter(|c| !",=".contains(*c)).collect();
    [key.clone(), format!("{key}@a-z0-9_-*/")]
        .map(|key| format!("{key}={value}"))
        .map(|member| sent([&member]).carries(&member))
        .into()
}

pub(crate) fn tracestate_ows_handling() -> Vec<Exchange> {
    let between = [
        "foo=1 \t , \t bar=2, \t baz=3",
        "foo=1\t \t,\t \tbar=2,\t \tbaz=3",
    ];
    let around = [" foo=1", "\tfoo=1", "foo=1 ", "foo=1\t", "\t foo=1 \t"];
    let between = between.map(|list| sent([list]).carries("foo=1,bar=2,baz=3"));
    let around = around.map(|list| sent([list]).carries("foo=1"));
    between.into_iter().chain(around).collect()
}

/// Section 3.3.1.3.1. One bad member makes the list a bad one: the strict reading.
pub(crate) fn tracestate_key_illegal_characters() -> Vec<Exchange> {
    ["foo =1", "FOO=1", "foo.bar=1"]
        .map(|list| sent([list]).carries_nothing())
        .into()
}

/// In level 2 an `@` is a character like others, but for the first.
pub(crate) fn tracestate_key_illegal_vendor_format() -> Vec<Exchange> {
    let good = ["foo@=1,bar=2", "foo@@bar=1,bar=2", "foo@bar@baz=1,bar=2"];
    let mut exchanges = vec![sent(["@foo=1,bar=2"]).carries_nothing()];
    exchanges.extend(good.map(|list| sent([list]).carries(list)));
    exchanges
}

/// Section 3.3.1.1: 32 of them.
pub(crate) fn tracestate_member_count_limit() -> Vec<Exchange> {
    let members = |from, to| {
        let members = (from..=to).map(|n| format!("bar{n:02}={n:02}"));
        members.collect::<Vec<_>>().join(",")
    };
    let [first, second, third] = [members(1, 10), members(11, 20), members(21, 30)];
    let full = [&*first, &second, &third, &members(31, 32)];
    let one_more = [&*first, &second, &third, &members(31, 33)];
    vec![
        sent(full).carries(&members(1, 32)),
        sent(one_more).carries_nothing(),
    ]
}

/// Section 3.3.1.3.1. Level 2 counts the characters of the whole key.
pub(crate) fn tracestate_key_length_limit() -> Vec<Exchange> {
    let (t, v) = ("t".repeat(256), "v".repeat(256));
    let good = [
        "z".repeat(256),
        format!("{}@{}", &t[..241], &v[..14]),
        format!("{}@v", &t[..242]),
        format!("t@{}", &v[..15]),
    ];
    let bad = ["z".repeat(257), format!("{}@{}", &t[..242], &v[..14])];
    let good = good.map(|key| format!("foo=1,{key}=1"));
    let bad = bad.map(|key| format!("foo=1,{key}=1"));
    let good = good.iter().map(|list| sent([list]).carries(list));
    let bad = bad.iter().map(|list| sent([list]).carries_nothing());
    good.chain(bad).collect()
}

/// Section 3.3.1.3.2: no `=`, and one character at least.
pub(crate) fn tracestate_value_illegal_characters() -> Vec<Exchange> {
    ["foo=bar=baz", "foo=,bar=3"]
        .map(|list| sent([list]).carries_nothing())
        .into()
}
