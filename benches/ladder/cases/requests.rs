//! Spans that are measured without a field of ours, and the same by the names of fields.

use super::{Who, rung};
use crate::run::harness::Case;
use crate::run::operations::requests::{
    FAILED_REQUEST, PLAIN_REQUEST, REQUEST, REQUEST_AFTER_UNKNOWN_METHODS, REQUEST_BY_FIELDS,
    REQUEST_OF_UNKNOWN_METHOD, REQUESTS_ON_TWO_THREADS, SPAN_BY_DIRECTIVE, SPAN_BY_FIELDS,
};
use crate::run::stacks::{no_op, no_op_and_ours, ours, ours_by_directive, ours_semantic};

pub(super) fn all() -> Vec<Case> {
    let plain: [Who; 2] = [("no_op_and_ours", no_op_and_ours), ("no_op", no_op)];
    let fields: [Who; 1] = [("ours", ours)];
    let semantic: [Who; 1] = [("ours", ours_semantic)];
    let by_directive: [Who; 1] = [("ours", ours_by_directive)];
    let mut cases = rung("request/plain", PLAIN_REQUEST, plain);
    cases.extend(rung("request/fields", REQUEST_BY_FIELDS, fields));
    for (name, operation) in [
        ("request/semantic", REQUEST),
        ("request/failed", FAILED_REQUEST),
        ("request/unknown_method", REQUEST_OF_UNKNOWN_METHOD),
        (
            "request/after_unknown_methods",
            REQUEST_AFTER_UNKNOWN_METHODS,
        ),
        ("request/two_threads", REQUESTS_ON_TWO_THREADS),
    ] {
        cases.extend(rung(name, operation, semantic));
    }
    cases.extend(rung("span/by_directive", SPAN_BY_DIRECTIVE, by_directive));
    cases.extend(rung("span/same_by_fields", SPAN_BY_FIELDS, fields));
    cases
}
