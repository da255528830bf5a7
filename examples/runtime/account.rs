//! What the program says of itself at its end, as lines that another one can read.

use std::fmt;

use super::Result;
use super::ledger::Values;
use super::scrape;

#[derive(Default)]
pub(crate) struct Account {
    /// What was counted by hand, under a load.
    pub(crate) counted: Option<Values>,
    /// The text of `/metrics`, when all was done.
    pub(crate) scrape: String,
    /// The `traceparent` with which the followed order came to the service downstream.
    pub(crate) delivered: Vec<String>,
    /// What was wrong.
    pub(crate) problems: Vec<String>,
}

impl Account {
    /// Takes a line that is part of an account.
    pub(crate) fn take(&mut self, line: &str) -> Result<bool> {
        match line.split_once(": ") {
            Some(("counted", sample)) => {
                let counted = self.counted.get_or_insert_default();
                counted.extend(scrape::parse(sample)?);
            }
            Some(("scraped", line)) => self.scrape.extend([line, "\n"]),
            Some(("delivered", traceparent)) => self.delivered.push(traceparent.to_owned()),
            Some(("problem", problem)) => self.problems.push(problem.to_owned()),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (series, value) in self.counted.iter().flatten() {
            writeln!(f, "counted: {series} {value}")?;
        }
        for line in self.scrape.lines() {
            writeln!(f, "scraped: {line}")?;
        }
        for traceparent in &self.delivered {
            writeln!(f, "delivered: {traceparent}")?;
        }
        for problem in &self.problems {
            writeln!(f, "problem: {}", problem.replace('\n', " "))?;
        }
        Ok(())
    }
}
