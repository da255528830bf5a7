//! Callsites that only ask whether something would be heard.

use tracing_core::Metadata;

/// Whether it is one of `enabled!`, `event_enabled!` or `span_enabled!`, where nothing is
/// ever emitted.
///
/// The metadata does not give its kind away: all three macros name their callsites so.
pub(super) fn is_hint(callsite: &Metadata<'_>) -> bool {
    let is_either = callsite.is_span() || callsite.is_event();
    !is_either || callsite.name().starts_with("enabled ")
}
