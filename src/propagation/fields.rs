//! The headers of a message in the fields of a span.

use std::fmt::{self, Write as _};

use smallvec::SmallVec;
use tracing_core::Metadata;
use tracing_core::field::{Field, Visit};
use tracing_core::span::Attributes;

use super::carrier::Carrier;
use super::{BAGGAGE, TRACEPARENT, TRACESTATE};

/// More than all headers of a message may have together. What is displayed has no end
/// that could be known before.
const MAX_TEXT: usize = 32 * 1024;

/// Whether a callsite has the fields of a message.
pub(super) fn are_fields_of(metadata: &Metadata<'_>) -> bool {
    metadata.is_span() && metadata.fields().field(TRACEPARENT).is_some()
}

/// The values of a span's fields, as the carrier that they are.
#[derive(Default)]
pub(super) struct ReceivedFields {
    headers: SmallVec<[(&'static str, String); 3]>,
}

impl ReceivedFields {
    pub(super) fn of(attrs: &Attributes<'_>) -> Self {
        let mut fields = Self::default();
        attrs.record(&mut fields);
        fields
    }

    fn is_header(name: &str) -> bool {
        [TRACEPARENT, TRACESTATE, BAGGAGE].contains(&name)
    }
}

impl Carrier for ReceivedFields {
    fn each_header<'c>(&'c self, name: &str, each: &mut dyn FnMut(&'c [u8])) {
        self.headers.as_slice().each_header(name, each);
    }
}

impl Visit for ReceivedFields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if Self::is_header(field.name()) {
            self.headers.push((field.name(), value.to_owned()));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if !Self::is_header(field.name()) {
            return;
        }
        let mut text = BoundedText(String::new());
        // What is cut could be taken for something else.
        if write!(text, "{value:?}").is_ok() {
            self.headers.push((field.name(), text.0));
        }
    }

    fn record_i64(&mut self, _: &Field, _: i64) {}
    fn record_u64(&mut self, _: &Field, _: u64) {}
    fn record_f64(&mut self, _: &Field, _: f64) {}
    fn record_bool(&mut self, _: &Field, _: bool) {}
}

/// Refuses what would make it too long.
struct BoundedText(String);

impl fmt::Write for BoundedText {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.0.len() + text.len() > MAX_TEXT {
            return Err(fmt::Error);
        }
        self.0.push_str(text);
        Ok(())
    }
}
