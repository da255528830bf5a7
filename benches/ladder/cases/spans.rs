//! Spans: what is measured of one, and what the peers do around or with one.

use super::{Who, rung};
use crate::run::harness::Case;
use crate::run::operations::{
    INHERITED_SPAN, LATE_LABEL, MACRO_INHERITED_SPAN, MEASURED_SPAN, PLAIN_SPAN,
};
use crate::run::peers::{
    hand_written, manual_macros, manual_sdk, metrics_tracing_context, opentelemetry_layer,
    opentelemetry_layer_and_ours,
};
use crate::run::stacks::{
    fmt_alone, fmt_and_ours, no_op, no_subscriber, ours, ours_facade, ours_facade_inheriting,
    ours_inheriting,
};

pub(super) fn all() -> Vec<Case> {
    let ours_first: [Who; 8] = [
        ("ours", ours),
        ("ours_facade", ours_facade),
        ("manual_macros", manual_macros),
        ("no_op", no_op),
        ("no_subscriber", no_subscriber),
        ("fmt", fmt_alone),
        ("fmt_and_ours", fmt_and_ours),
        ("manual_sdk", manual_sdk),
    ];
    let plain: [Who; 3] = [
        ("opentelemetry_layer_and_ours", opentelemetry_layer_and_ours),
        ("opentelemetry_layer", opentelemetry_layer),
        ("hand_written", hand_written),
    ];
    let mut cases = rung("span/measured", PLAIN_SPAN, plain);
    cases.extend(rung("span/measured", MEASURED_SPAN, ours_first));
    let late: [Who; 1] = [("ours", ours)];
    cases.extend(rung("span/late_label", LATE_LABEL, late));
    let peer: [Who; 1] = [("metrics_tracing_context", metrics_tracing_context)];
    cases.extend(rung("span/inherited_2", MACRO_INHERITED_SPAN, peer));
    let stacks: [Who; 2] = [
        ("ours", ours_inheriting),
        ("ours_facade", ours_facade_inheriting),
    ];
    cases.extend(rung("span/inherited_2", INHERITED_SPAN, stacks));
    cases
}
