//! The cases of `traceparent`, and those of several calls for one request.

use super::{Exchange, PARENT_ID, TRACE_ID};

const ZERO_TRACE_ID: &str = "00000000000000000000000000000000";
const ZERO_PARENT_ID: &str = "0000000000000000";

fn version(version: &str) -> Exchange {
    Exchange::of_parts(version, TRACE_ID, PARENT_ID, "01")
}

fn trace_id(trace_id: &str) -> Exchange {
    Exchange::of_parts("00", trace_id, PARENT_ID, "01")
}

fn parent_id(parent_id: &str) -> Exchange {
    Exchange::of_parts("00", TRACE_ID, parent_id, "01")
}

/// Or what else stands behind the ids.
fn flags(flags: &str) -> Exchange {
    Exchange::of_parts("00", TRACE_ID, PARENT_ID, flags)
}

fn all_start_anew<const N: usize>(exchanges: [Exchange; N]) -> Vec<Exchange> {
    exchanges.map(Exchange::starts_anew).into()
}

fn valid() -> String {
    format!("00-{TRACE_ID}-{PARENT_ID}-01")
}

pub(crate) fn both_traceparent_and_tracestate_missing() -> Vec<Exchange> {
    vec![Exchange::of([])]
}

pub(crate) fn traceparent_included_tracestate_missing() -> Vec<Exchange> {
    vec![Exchange::of([("traceparent", &valid())]).continues()]
}

/// Which of the two is right cannot be known.
pub(crate) fn traceparent_duplicated() -> Vec<Exchange> {
    let other = format!("00-{}-{PARENT_ID}-01", TRACE_ID.replace("9c", "9d"));
    let both = [("traceparent", &*other), ("traceparent", &valid())];
    all_start_anew([Exchange::of(both)])
}

/// Section 3.2.1.
pub(crate) fn traceparent_header_name() -> Vec<Exchange> {
    all_start_anew(["trace-parent", "trace.parent"].map(|name| Exchange::of([(name, &valid())])))
}

pub(crate) fn traceparent_header_name_valid_casing() -> Vec<Exchange> {
    ["TraceParent", "TrAcEpArEnT", "TRACEPARENT"]
        .map(|name| Exchange::of([(name, &valid())]).continues())
        .into()
}

/// Section 3.2.2.1: this version ends with its flags.
pub(crate) fn traceparent_version_0x00() -> Vec<Exchange> {
    all_start_anew(["01.", "01-what-the-future-will-be-like"].map(flags))
}

/// Section 3.2.4: versions of the future go on after a dash, if they do.
pub(crate) fn traceparent_version_0xcc() -> Vec<Exchange> {
    let future = |flags| Exchange::of_parts("cc", TRACE_ID, PARENT_ID, flags);
    vec![
        future("01").continues(),
        future("01-what-the-future-will-be-like").continues(),
        future("01.what-the-future-will-not-be-like").starts_anew(),
    ]
}

pub(crate) fn traceparent_version_0xff() -> Vec<Exchange> {
    all_start_anew([version("ff")])
}

pub(crate) fn traceparent_version_illegal_characters() -> Vec<Exchange> {
    all_start_anew([".0", "0."].map(version))
}

pub(crate) fn traceparent_version_too_long() -> Vec<Exchange> {
    all_start_anew(["000", "0000"].map(version))
}

pub(crate) fn traceparent_version_too_short() -> Vec<Exchange> {
    all_start_anew([version("0")])
}

/// Section 3.2.2.3.
pub(crate) fn traceparent_trace_id_all_zero() -> Vec<Exchange> {
    all_start_anew([trace_id(ZERO_TRACE_ID)])
}

pub(crate) fn traceparent_trace_id_illegal_characters() -> Vec<Exchange> {
    let first = format!(".{}", &TRACE_ID[1..]);
    let last = format!("{}.", &TRACE_ID[..31]);
    all_start_anew([trace_id(&first), trace_id(&last)])
}

pub(crate) fn traceparent_trace_id_too_long() -> Vec<Exchange> {
    all_start_anew([trace_id(&format!("{TRACE_ID}3"))])
}

pub(crate) fn traceparent_trace_id_too_short() -> Vec<Exchange> {
    all_start_anew([trace_id(&TRACE_ID[..31])])
}

/// Section 3.2.2.4.
pub(crate) fn traceparent_parent_id_all_zero() -> Vec<Exchange> {
    all_start_anew([parent_id(ZERO_PARENT_ID)])
}

pub(crate) fn traceparent_parent_id_illegal_characters() -> Vec<Exchange> {
    let first = format!(".{}", &PARENT_ID[1..]);
    let last = format!("{}.", &PARENT_ID[..15]);
    all_start_anew([parent_id(&first), parent_id(&last)])
}

pub(crate) fn traceparent_parent_id_too_long() -> Vec<Exchange> {
    all_start_anew([parent_id(&format!("{PARENT_ID}7"))])
}

pub(crate) fn traceparent_parent_id_too_short() -> Vec<Exchange> {
    all_start_anew([parent_id(&PARENT_ID[..15])])
}

/// Section 3.2.2.5.
pub(crate) fn traceparent_trace_flags_illegal_characters() -> Vec<Exchange> {
    all_start_anew([".0", "0."].map(flags))
}

pub(crate) fn traceparent_trace_flags_too_long() -> Vec<Exchange> {
    all_start_anew([flags("001")])
}

pub(crate) fn traceparent_trace_flags_too_short() -> Vec<Exchange> {
    all_start_anew([flags("1")])
}

/// Section 3.2.2.5.2, which is new in level 2: the flag belongs to the trace.
pub(crate) fn traceparent_trace_flags_random() -> Vec<Exchange> {
    let cases = [("00", false), ("01", false), ("02", true), ("03", true)];
    cases
        .map(|(text, random)| flags(text).continues().with_random_flag(random))
        .into()
}

/// RFC 9110, section 5.5: what is around a header's value is none of it.
pub(crate) fn traceparent_ows_handling() -> Vec<Exchange> {
    [(" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t")]
        .map(|(before, after)| format!("{before}{}{after}", valid()))
        .map(|value| Exchange::of([("traceparent", &value)]).continues())
        .into()
}

pub(crate) fn multiple_requests_with_valid_traceparent() -> Vec<Exchange> {
    vec![flags("01").calls(3).continues()]
}

pub(crate) fn multiple_requests_without_traceparent() -> Vec<Exchange> {
    vec![Exchange::of([]).calls(3)]
}

pub(crate) fn multiple_requests_with_illegal_traceparent() -> Vec<Exchange> {
    all_start_anew([trace_id(ZERO_TRACE_ID).calls(3)])
}
