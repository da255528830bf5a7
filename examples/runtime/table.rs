//! Every series three times: as it was counted by hand, scraped, and received by OTLP.

use std::collections::BTreeSet;
use std::fmt;

use super::ledger::{Series, Values};

pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
}

pub(crate) struct Row {
    pub(crate) series: Series,
    pub(crate) own: Column,
    pub(crate) scraped: Column,
    pub(crate) received: Column,
}

/// What one of them says of a series, if it is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    NotAsked,
    Missing,
    Is(f64),
}

impl Table {
    /// Who is not there is not asked.
    pub(crate) fn new(own: Option<&Values>, scraped: &Values, received: Option<&Values>) -> Self {
        let all = [own, Some(scraped), received];
        let series: BTreeSet<_> = all
            .into_iter()
            .flatten()
            .flat_map(Values::keys)
            .filter(|series| is_of_the_program(series))
            .collect();
        let row = |series: &Series| Row {
            series: series.clone(),
            // Time cannot be counted twice.
            own: Column::of(own.filter(|_| !is_timed(series)), series),
            scraped: Column::of(Some(scraped), series),
            received: Column::of(received, series),
        };
        Self {
            rows: series.into_iter().map(row).collect(),
        }
    }

    pub(crate) fn different(&self) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(|row| row.differs())
    }
}

impl Row {
    pub(crate) fn differs(&self) -> bool {
        !(self.own.agrees(self.scraped) && self.scraped.agrees(self.received))
    }
}

impl Column {
    fn of(values: Option<&Values>, series: &Series) -> Self {
        match values.map(|values| values.get(series)) {
            None => Self::NotAsked,
            Some(None) => Self::Missing,
            Some(Some(value)) => Self::Is(*value),
        }
    }

    /// Sums of times are added up in another order by each of them.
    fn agrees(self, other: Self) -> bool {
        match (self, other) {
            (Self::NotAsked, _) | (_, Self::NotAsked) | (Self::Missing, Self::Missing) => true,
            (Self::Is(one), Self::Is(other)) => (one - other).abs() <= 1e-9 * one.abs(),
            _ => false,
        }
    }
}

/// The buckets are shown where they differ.
impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |row: &&Row| row.differs() || !row.series.name.ends_with("_bucket");
        let shown: Vec<_> = self.rows.iter().filter(shown).collect();
        let (own, scraped, received) = ("own count", "scraped", "OTLP");
        writeln!(f, "{own:>12} {scraped:>12} {received:>12}")?;
        for row in shown {
            let (own, scraped, received) = (row.own, row.scraped, row.received);
            write!(f, "{own:>12} {scraped:>12} {received:>12}  {}", row.series)?;
            writeln!(f, "{}", if row.differs() { "  DIFFERS" } else { "" })?;
        }
        let (all, different) = (self.rows.len(), self.different().count());
        write!(f, "{all} rows with those of buckets, {different} differ")
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotAsked => f.pad(""),
            Self::Missing => f.pad("missing"),
            Self::Is(value) if value.fract() == 0.0 => f.pad(&value.to_string()),
            Self::Is(value) => f.pad(&format!("{value:.6}")),
        }
    }
}

fn is_timed(series: &Series) -> bool {
    series.name.ends_with("_sum") || series.name.ends_with("_bucket")
}

/// The layer measures itself, too, and a scrape says what it is of.
fn is_of_the_program(series: &Series) -> bool {
    !series.name.starts_with("tracing_meter_") && series.name != "target_info"
}
