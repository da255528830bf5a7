//! Where a callsite stands in the source, to tell which span an error is of.

use tracing_core::Metadata;

/// A location that the callsites of one `#[instrument]` share: the attribute's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SourceLocation {
    line: u32,
    file: &'static str,
    module: &'static str,
}

impl SourceLocation {
    pub(crate) fn of(metadata: &Metadata<'static>) -> Option<Self> {
        Some(Self {
            line: metadata.line()?,
            file: metadata.file()?,
            module: metadata.module_path()?,
        })
    }

    /// The location of the span that failed, if an event is what `#[instrument(err)]` emits
    /// when a function returns an error: `error` is its only field.
    pub(crate) fn of_failed_span(metadata: &Metadata<'static>) -> Option<Self> {
        let mut fields = metadata.fields().iter().map(|field| field.name());
        let is_only_field = fields.next() == Some("error") && fields.next().is_none();
        (metadata.is_event() && is_only_field).then(|| Self::of(metadata))?
    }
}
