//! Open spans by id: what each of them carries, and which measured span is around it.
//!
//! The registry's own extensions would do, but cost a map look-up, a lock and an
//! allocation more for each span, and two layers of one type share them.

use super::open_span::OpenSpan;
use super::outer::Outer;
use crate::sync::id_table::IdTable;

/// The spans that are open and measured. Of ordinary ones it notes what is around them.
pub(in crate::layer) type SpanTable = IdTable<OpenSpan>;

impl SpanTable {
    /// The measured span around this one, if that was looked for before.
    pub(super) fn outer(&self, id: u64) -> Outer {
        let outer = self.with_noted(id, OpenSpan::outer);
        outer.unwrap_or(Outer::Unknown)
    }

    /// Remembers it. What is around a span stays there, and open, as long as the span is.
    pub(super) fn set_outer(&self, id: u64, outer: Outer) {
        self.note(id, |open| open.set_outer(outer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::callsites::PlanPosition;
    use crate::layer::spans::marks::Marks;
    use crate::plan::BindingPosition;

    const POSITION: PlanPosition = PlanPosition::from_bits(0);

    fn insert(table: &SpanTable, id: u64) {
        let fill = |open: &OpenSpan| open.fill(POSITION, BindingPosition::NONE, id, Marks::NONE);
        table.insert(id, fill, |_| {});
    }

    fn close(table: &SpanTable, id: u64) -> Option<u64> {
        table.remove(id, OpenSpan::opened)
    }

    #[test]
    fn a_released_slot_is_empty_for_the_next_span() {
        let table = SpanTable::default();
        let fill = |open: &OpenSpan| {
            open.fill(POSITION, BindingPosition::NONE, 7, Marks::FAILED);
            open.set_outer(Outer::Some(9));
            open.set_last_exit(9);
        };
        table.insert(1, fill, |_| {});
        close(&table, 1);
        insert(&table, 1);
        let again = table.with(1, |open| (open.marks(), open.last_exit(), open.outer()));
        assert_eq!(again, Some((Marks::NONE, None, Outer::Unknown)));
    }

    #[test]
    fn what_is_around_a_span_is_known_until_the_span_closes() {
        // In blocks that stay, and in blocks that are given back.
        for id in [1, 5000] {
            let table = SpanTable::default();
            table.set_outer(id, Outer::Some(4));
            assert_eq!(table.outer(id), Outer::Some(4));
            assert_eq!(close(&table, id), None);
            assert_eq!(table.outer(id), Outer::Unknown);
            insert(&table, id);
            table.set_outer(id, Outer::None);
            assert_eq!(table.outer(id), Outer::None);
            assert_eq!(close(&table, id), Some(id));
            assert_eq!(table.outer(id), Outer::Unknown);
        }
    }
}
