//! What has to be reached: one table for each kind of target.

/// Target, case, reference, limit: the share of the reference that the case may
/// cost, or with a sign how many nanoseconds more; and the limit without link-time
/// optimisation, where it is another one.
pub(crate) const TIMES: &str = "
counter_2/metrics_layer             event/counter_2/ours                       event/counter_2/metrics_layer             0.20  0.29
counter_2/sdk                       event/counter_2/ours                       call/counter_2/sdk                        0.48  0.75
histogram_2/metrics_layer           event/histogram_2/ours                     event/histogram_2/metrics_layer           0.30  0.39
three_metrics/metrics_layer         event/three/ours                           event/three/metrics_layer                 0.20  0.29
series_10k/metrics_layer            event/series_10k/ours                      event/series_10k/metrics_layer            0.50  =
two_threads/metrics_layer           event/two_threads/ours                     event/two_threads/metrics_layer           0.25  =
ordinary_event/metrics_layer        event/ordinary/ours                        event/ordinary/metrics_layer              +0.5  =
ordinary_span/no_op                 span/ordinary/ours                         span/ordinary/no_op                       +8    +10
disabled_debug/fmt                  event/disabled/fmt_and_ours                event/disabled/fmt                        +0.5  =
disabled_span/fmt                   span/disabled/fmt_and_ours                 span/disabled/fmt                         +0.5  =
span/hand_written                   span/measured/ours                         span/measured/hand_written                0.75  1.05
facade_counter_2/metrics_macro      event/counter_2/ours_facade                call/counter_2/metrics_macro              0.85  1.10
propagating_span/opentelemetry      span/measured/opentelemetry_layer_and_ours span/measured/opentelemetry_layer         +20   =
facade_span/manual_macros           span/measured/ours_facade                  span/measured/manual_macros               0.78  =
series_50k/metrics_layer_with_room  event/series_50k/ours                      event/series_50k/metrics_layer_with_room  0.80  =
series_100k/metrics_layer_with_room event/series_100k/ours                     event/series_100k/metrics_layer_with_room 0.80  =
entered_after_1m/after_1            span/entered/after_1m                      span/entered/after_1                      1.20  =
entered_after_10k_of_640k/after_1   span/entered/after_10k_of_640k             span/entered/after_1                      1.20  =
none_of_10_spans/outside            nested/none_of_10/ours                     nested/0/ours                             +50   =
outermost_of_10_spans/outside       nested/outermost_of_10/ours                nested/0/ours                             +50   =
innermost_of_10_spans/outside       nested/innermost_of_10/ours                nested/0/ours                             +50   =
innermost_of_10_spans/of_1          nested/innermost_of_10/ours                nested/innermost_of_1/ours                +5    =
facade_after_11_ms/metrics_macro    edge/after_11_ms/ours_facade               edge/after_11_ms/metrics_macro            1.30  =
facade_after_11_ms/after_1_ms       edge/after_11_ms/ours_facade               edge/after_1_ms/ours_facade               1.30  =
rejected/known                      edge/rejected/ours                         edge/known_2/ours                         3.00  =
over_the_limit/known                edge/over_the_limit/ours                   edge/known_id/ours                        2.50  =
new_over_the_limit/known            edge/new_over_the_limit/ours               edge/known_id/ours                        2.50  =
first_sight/known                   edge/first_sight/ours                      edge/known_id/ours                        80    =
first_sight_beside_debug/known      edge/first_sight/debug_and_ours            edge/known_id/ours                        80    =
late_label/measured                 span/late_label/ours                       span/measured/ours                        1.50  =
semantic_request/fields             request/semantic/ours                      request/fields/ours                       1.25  =
request_after_unknown_methods/known request/after_unknown_methods/ours         request/semantic/ours                     1.10  =
unknown_method/known                request/unknown_method/ours                request/semantic/ours                     2.50  =
plain_request/no_op                 request/plain/no_op_and_ours               request/plain/no_op                       +12   =
span_by_directive/fields            span/by_directive/ours                     span/same_by_fields/ours                  1.10  =
";

/// On known series none of them may allocate, beyond what a handle of the exporter
/// does in the second column: it keeps a histogram's measurements until a scrape.
pub(crate) const ALLOCATIONS: &str = "
event/counter_0/ours         call/nothing
event/counter_2/ours         call/nothing
event/counter_2/ours_facade  call/nothing
event/counter_5/ours         call/nothing
event/integers_2/ours        call/nothing
event/bools_2/ours           call/nothing
event/displays_2/ours        call/nothing
event/histogram_2/ours       call/nothing
event/histogram_2/ours_facade call/histogram_2/metrics_handle
event/gauge_2/ours           call/nothing
event/gauge_2/ours_facade    call/nothing
event/three/ours             call/nothing
event/three/ours_facade      call/histogram_2/metrics_handle
event/rotating_64/ours       call/nothing
event/rotating_64/ours_facade call/nothing
event/inherited_2/ours       call/nothing
event/inherited_2/ours_facade call/nothing
event/two_threads/ours       call/nothing
event/two_threads/ours_facade call/nothing
event/series_1/ours          call/nothing
event/series_100/ours        call/nothing
event/series_10k/ours        call/nothing
event/series_100k/ours       call/nothing
event/ordinary/ours          call/nothing
span/ordinary/ours           call/nothing
span/measured/ours           call/nothing
span/measured/ours_facade    call/histogram_2/metrics_handle
span/inherited_2/ours        call/nothing
span/late_label/ours         call/nothing
request/semantic/ours        call/nothing
request/failed/ours          call/nothing
request/after_unknown_methods/ours call/nothing
request/two_threads/ours     call/nothing
span/by_directive/ours       call/nothing
nested/none_of_10/ours       nested/0/ours
nested/outermost_of_10/ours  nested/0/ours
nested/innermost_of_10/ours  nested/0/ours
edge/rejected/ours           edge/known_2/ours
edge/over_the_limit/ours     edge/known_id/ours
edge/new_over_the_limit/ours edge/known_id/ours
edge/after_11_ms/ours_facade edge/after_1_ms/ours_facade
span/inherited_2/ours_facade call/nothing
";

/// What a message may hold of a trace, and what reading it may cost of the SDK's time, and
/// in allocations beyond the SDK's: that a peer of Level 1 has not set the random flag must
/// stay known, and baggage is checked more strictly. Writing it, and both, as each hop does,
/// may never cost more than with the SDK's propagators.
pub(crate) const MESSAGES: &str = "
traceparent         1.00 0
level_1             1.15 3
one_member          1.00 0
one_member_level_1  1.15 3
two_members         1.00 0
two_members_level_1 1.15 3
baggage             1.06 0
all                 1.00 0
";

/// Who counts one hot series, on two threads and on one.
pub(crate) const THROUGHPUTS: &str = "
ours          event/two_threads/ours          event/counter_2/ours
ours_facade   event/two_threads/ours_facade   event/counter_2/ours_facade
metrics_layer event/two_threads/metrics_layer event/counter_2/metrics_layer
sdk           call/two_threads/sdk            call/counter_2/sdk
sdk_bound     call/two_threads/sdk_bound      call/counter_2/sdk_bound
";

/// Limits that hold on some processors only: a target, and two cases of which the first one
/// takes at least so many times the second one's time there. Elsewhere it is a report.
///
/// Where they were set, a call of the SDK took 11 to 16 times a bare event, and the facade's
/// macro 13 to 15 times. An event of ours is a bare one first: where calls are cheaper beside
/// that, no work of ours reaches the same share of them. A series after a pause is held against
/// a hot one where the macro shows that the pause alone costs less than the limit.
pub(crate) const WHERE_THEY_HOLD: &str = "
counter_2/sdk                  call/counter_2/sdk            event/counter_2/registry       10
facade_counter_2/metrics_macro call/counter_2/metrics_macro  event/counter_2/registry       10
facade_after_11_ms/after_1_ms  edge/after_1_ms/metrics_macro edge/after_11_ms/metrics_macro 0.77
";

/// The bytes of one series: who keeps how many of them, and how much each may take in all.
pub(crate) const BYTES: &str = "
series_10k/ours 650
";

/// How many megabytes may be kept when spans have closed: a few.
pub(crate) const KEPT: f64 = 8.0;

/// Report, case and reference: the share of the reference that the case costs.
pub(crate) const SHARES: &str = "
series_10k_facade/metrics_macro     event/series_10k/ours_facade  call/series_10k/metrics_macro
macro_after_11_ms/after_1_ms        edge/after_11_ms/metrics_macro edge/after_1_ms/metrics_macro
failed_request/request              request/failed/ours           request/semantic/ours
two_threads_of_requests/one         request/two_threads/ours      request/semantic/ours
";
