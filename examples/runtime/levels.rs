//! What is in flight while something of everything goes on. At the end all of it is 0,
//! and so it would be if nothing ever went up.

use std::time::Duration;

use tokio::time::sleep;

use super::Result;
use super::ledger::{Series, Values};
use super::scrape;

/// Within a minute.
const LOOKS: usize = 600;
const PAUSE: Duration = Duration::from_millis(100);

/// Scrapes until these are in flight, and nothing else. What was given up before may take
/// a moment until it has ended.
pub(crate) async fn are(expected: &Values, metrics: &str) -> Result<()> {
    let mut wrong = String::new();
    for _ in 0..LOOKS {
        let scraped = scrape::parse(&scrape::scrape(metrics).await?)?;
        match first_wrong(expected, &scraped) {
            None => return Ok(()),
            Some(series) => {
                let (expected, scraped) = (expected.get(series), scraped.get(series));
                wrong = format!("{series}: {expected:?} go on, and {scraped:?} are scraped");
            }
        }
        sleep(PAUSE).await;
    }
    Err(wrong.into())
}

#[allow(clippy::float_cmp, reason = "levels are whole numbers")]
pub(crate) fn first_wrong<'v>(expected: &'v Values, scraped: &'v Values) -> Option<&'v Series> {
    let level = |values: &Values, series| values.get(series).copied().unwrap_or_default();
    let mut all = expected.keys().chain(scraped.keys());
    all.find(|series| is_level(series) && level(expected, series) != level(scraped, series))
}

pub(crate) fn is_level(series: &Series) -> bool {
    let ends = ["_in_flight", "_active", "_active_requests"];
    ends.iter().any(|end| series.name.ends_with(end))
}
