//! One trace, as a tree.

use std::fmt;

use super::receiver::Received;

/// The trace that a client of the program starts, and everything that comes of one order.
pub(crate) const TRACE_ID: &str = "0af7651916cd43dd8448eb211c80319c";
/// The client's own span.
pub(crate) const PARENT_ID: &str = "b7ad6b7169203331";

pub(crate) fn traceparent() -> String {
    format!("00-{TRACE_ID}-{PARENT_ID}-01")
}

/// The spans of the trace.
pub(crate) struct Trace<'r>(Vec<&'r Received>);

impl<'r> Trace<'r> {
    pub(crate) fn among(spans: &'r [Received]) -> Self {
        let is_part = |it: &&Received| hex(&it.span.trace_id) == TRACE_ID;
        Self(spans.iter().filter(is_part).collect())
    }

    /// The children of a span, in the order of their names.
    pub(crate) fn children(&self, parent: &str) -> Vec<&'r Received> {
        let is_child = |it: &&Received| hex(&it.span.parent_span_id) == parent;
        let mut children: Vec<_> = self.0.iter().copied().filter(is_child).collect();
        children.sort_by_key(|it| &it.span.name);
        children
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, parent: &str, depth: usize) -> fmt::Result {
        for child in self.children(parent) {
            let (name, kind) = (&child.span.name, child.span.kind());
            writeln!(f, "{:indent$}{name} ({kind:?})", "", indent = 2 * depth)?;
            self.write(f, &hex(&child.span.span_id), depth + 1)?;
        }
        Ok(())
    }
}

impl fmt::Display for Trace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "trace {TRACE_ID}")?;
        self.write(f, PARENT_ID, 1)
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |digits, byte| {
        digits + &format!("{byte:02x}")
    })
}
