//! Rules from TOML.

use std::path::Path;

use toml::de::DeTable;

use super::Rules;
use crate::error::{BuildError, ErrorKind};

mod condition;
mod fault;
mod label;
mod measure;
mod rule;
mod table;

use fault::Fault;
use table::Table;

impl Rules {
    /// Rules that are written in TOML, as
    /// [the guide](https://docs.rs/crate/tracing-meter/latest/source/docs/rules.md) says.
    ///
    /// # Errors
    ///
    /// If the text is no TOML, has a key that rules do not have, or a rule that is not
    /// valid. The error names the line, the column and the reason.
    ///
    /// ```
    /// use tracing_meter::{Kind, Measure, Rule, Rules, ValueUnit};
    ///
    /// let rules = Rules::from_toml(
    ///     r#"
    /// [[rule]]
    /// name = "job waits"
    /// select = { kind = "event", target = "jobs", fields = ["waited"] }
    ///
    /// [[rule.measure]]
    /// metric = "job.wait"
    /// kind = "histogram"
    /// field = "waited"
    /// in = "ms"
    ///
    /// [[rule.label]]
    /// key = "job.queue"
    /// field = "queue"
    /// "#,
    /// )?;
    ///
    /// let wait = Measure::field(Kind::Histogram, "job.wait", "waited");
    /// let the_same = Rule::events("job waits")
    ///     .target("jobs")
    ///     .with_field("waited")
    ///     .measure(wait.written_in(ValueUnit::Milliseconds))
    ///     .label("queue", "job.queue");
    /// assert_eq!(rules, Rules::new().rule(the_same)?);
    ///
    /// let error = Rules::from_toml("[[rule]]\nname = \"waits\"\ntagret = \"jobs\"").unwrap_err();
    /// assert!(error.is_rule());
    /// assert_eq!(
    ///     error.to_string(),
    ///     "invalid rule in line 3, column 1: unknown key `tagret`, expected one of `name`, \
    ///      `select`, `when`, `measure`, `label`, `outcome`, `drop`, `keep`, `rename`",
    /// );
    /// # Ok::<(), tracing_meter::BuildError>(())
    /// ```
    pub fn from_toml(text: &str) -> Result<Self, BuildError> {
        parse(text).map_err(|fault| {
            let (line, column) = fault.location_in(text);
            let culprit = format!("in line {line}, column {column}");
            BuildError::new(ErrorKind::Rule, culprit, fault.why)
        })
    }

    /// Rules from a file in TOML, as [`from_toml`](Self::from_toml) takes them.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or its text is not valid. The error names the file.
    ///
    /// ```
    /// use tracing_meter::Rules;
    ///
    /// let error = Rules::from_file("/no/such/rules.toml").unwrap_err();
    /// assert!(error.to_string().starts_with("invalid rule file `/no/such/rules.toml`: "));
    /// ```
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, BuildError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| {
            let culprit = format!("file `{}`", path.display());
            BuildError::new(ErrorKind::Rule, culprit, "it cannot be read").with_source(error)
        })?;
        parse(&text).map_err(|fault| {
            let (line, column) = fault.location_in(&text);
            let culprit = format!("in `{}`, line {line}, column {column}", path.display());
            BuildError::new(ErrorKind::Rule, culprit, fault.why)
        })
    }
}

fn parse(text: &str) -> Result<Rules, Fault> {
    let document = DeTable::parse(text).map_err(|error| Fault {
        at: error.span().unwrap_or_default(),
        why: error.message().to_owned(),
    })?;
    let table = Table::of_document(&document, &["rule"])?;
    let mut rules = Rules::new();
    for table in table.tables("rule", rule::KEYS)? {
        let (rule, name) = (rule::read(&table)?, table.required_text("name")?.value);
        let fault = |why| table.fault(format!("`{name}`: {why}"));
        rules.add(rule).map_err(fault)?;
    }
    Ok(rules)
}
