//! What everybody else pays: those who measure nothing, and whom nobody wants.

use super::{Who, rung};
use crate::run::harness::Case;
use crate::run::operations::{DISABLED_EVENT, DISABLED_SPAN, ORDINARY_EVENT, ORDINARY_SPAN};
use crate::run::peers::no_op_and_metrics_layer;
use crate::run::stacks::{fmt_alone, fmt_and_ours, no_op, no_op_and_ours, no_subscriber, registry};

pub(super) fn all() -> Vec<Case> {
    let stacks: [Who; 6] = [
        ("no_op", no_op),
        ("ours", no_op_and_ours),
        ("metrics_layer", no_op_and_metrics_layer),
        ("no_subscriber", no_subscriber),
        ("fmt", fmt_alone),
        ("fmt_and_ours", fmt_and_ours),
    ];
    let beside_fmt: [Who; 2] = [("fmt", fmt_alone), ("fmt_and_ours", fmt_and_ours)];
    let bare: [Who; 1] = [("registry", registry)];
    let mut cases = rung("event/ordinary", ORDINARY_EVENT, stacks);
    cases.extend(rung("event/ordinary", ORDINARY_EVENT, bare));
    cases.extend(rung("span/ordinary", ORDINARY_SPAN, stacks));
    cases.extend(rung("event/disabled", DISABLED_EVENT, beside_fmt));
    cases.extend(rung("span/disabled", DISABLED_SPAN, beside_fmt));
    cases
}
