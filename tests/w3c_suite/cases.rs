//! The names of all cases.

/// Gives a macro the 41 cases, each as the module and the name of its function, which
/// says what is exchanged.
macro_rules! for_each_case {
    ($do:ident) => {
        $do! {
            traceparent::both_traceparent_and_tracestate_missing
            traceparent::traceparent_included_tracestate_missing
            traceparent::traceparent_duplicated
            traceparent::traceparent_header_name
            traceparent::traceparent_header_name_valid_casing
            traceparent::traceparent_version_0x00
            traceparent::traceparent_version_0xcc
            traceparent::traceparent_version_0xff
            traceparent::traceparent_version_illegal_characters
            traceparent::traceparent_version_too_long
            traceparent::traceparent_version_too_short
            traceparent::traceparent_trace_id_all_zero
            traceparent::traceparent_trace_id_illegal_characters
            traceparent::traceparent_trace_id_too_long
            traceparent::traceparent_trace_id_too_short
            traceparent::traceparent_parent_id_all_zero
            traceparent::traceparent_parent_id_illegal_characters
            traceparent::traceparent_parent_id_too_long
            traceparent::traceparent_parent_id_too_short
            traceparent::traceparent_trace_flags_illegal_characters
            traceparent::traceparent_trace_flags_too_long
            traceparent::traceparent_trace_flags_too_short
            traceparent::traceparent_trace_flags_random
            traceparent::traceparent_ows_handling
            tracestate::tracestate_included_traceparent_missing
            tracestate::tracestate_included_traceparent_included
            tracestate::tracestate_header_name
            tracestate::tracestate_header_name_valid_casing
            tracestate::tracestate_empty_header
            tracestate::tracestate_multiple_headers_different_keys
            tracestate::tracestate_duplicated_keys
            tracestate::tracestate_all_allowed_characters
            tracestate::tracestate_ows_handling
            tracestate::tracestate_key_illegal_characters
            tracestate::tracestate_key_illegal_vendor_format
            tracestate::tracestate_member_count_limit
            tracestate::tracestate_key_length_limit
            tracestate::tracestate_value_illegal_characters
            traceparent::multiple_requests_with_valid_traceparent
            traceparent::multiple_requests_without_traceparent
            traceparent::multiple_requests_with_illegal_traceparent
        }
    };
}
pub(crate) use for_each_case;
