//! Rules: callsites of other people's crates, measured without touching those crates.

use std::any::Any;

use tracing_core::Metadata;
use tracing_subscriber::filter::Targets;

use super::hint::is_hint;
use super::{Convention, Feed, Measure, Recipe};
use crate::error::BuildError;

mod amendment;
#[cfg(feature = "toml")]
mod file;
mod metric_pattern;
mod parsed_rule;
mod rule;
mod rule_label;
mod selector;
mod shipped;
mod value_table;

pub use rule::Rule;
pub use rule_label::RuleLabel;

use parsed_rule::ParsedRule;

/// A convention that is data: which callsites of any crate feed which instruments.
///
/// Each [`Rule`] selects callsites and says what they feed. Rules stand in code or, with
/// the feature `toml`, in a file. Some are there already: [`shipped`](Self::shipped).
///
/// ```
/// use tracing_meter::{Kind, Measure, MemorySink, Rule, Rules, ValueUnit};
/// use tracing_subscriber::prelude::*;
///
/// let waits = Rule::events("job waits")
///     .target("jobs")
///     .measure(Measure::field(Kind::Histogram, "job.wait", "waited").written_in(ValueUnit::Milliseconds))
///     .label("queue", "job.queue");
/// let rules = Rules::new().rule(waits)?;
///
/// let memory = MemorySink::new();
/// let layer = tracing_meter::builder().sink(memory.clone()).convention(rules).build()?;
/// tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
///     tracing::debug!(target: "jobs::runner", waited = 250, queue = "low", user = 17, "job starts");
/// });
/// assert_eq!(memory.snapshot().samples("job.wait", &[("job.queue", "low")]), [0.25]);
/// # Ok::<(), tracing_meter::BuildError>(())
/// ```
///
/// Where several rules select one callsite each of them measures, under its own labels.
/// Rules are equal if they have the same rules in the same order.
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub struct Rules {
    rules: Vec<ParsedRule>,
}

impl Rules {
    /// No rules yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a rule.
    ///
    /// # Errors
    ///
    /// If something of the rule is not valid, if a rule of that name is there already, or if
    /// another rule measures one of its metrics as another kind or in another unit. The error
    /// names the rule.
    ///
    /// ```
    /// use tracing_meter::{Measure, Rule, Rules};
    ///
    /// let jobs = Rule::spans("jobs").target("jobs").measure(Measure::duration("job duration"));
    /// let error = Rules::new().rule(jobs).unwrap_err();
    /// assert!(error.is_rule());
    /// assert_eq!(
    ///     error.to_string(),
    ///     "invalid rule `jobs`: the metric `job duration`: it holds something else than \
    ///      ASCII letters, digits, `_`, `.`, `-` and `/`",
    /// );
    /// ```
    pub fn rule(mut self, rule: Rule) -> Result<Self, BuildError> {
        let name = rule.name().to_owned();
        self.add(rule)
            .map_err(|why| BuildError::of_rule(&name, why))?;
        Ok(self)
    }

    /// Adds all rules of another list behind those of this one.
    ///
    /// Shipped rules and those of a file are one convention then, which can be replaced as one
    /// by [`Reconfiguration::convention`](crate::Reconfiguration::convention).
    ///
    /// # Errors
    ///
    /// If the rules of the two lists do not go together, as in [`rule`](Self::rule).
    ///
    /// ```
    /// use tracing_meter::{Rule, Rules};
    ///
    /// let mine = Rule::spans("short names").rename("h2.*", "http2.*");
    /// let rules = Rules::shipped().and(Rules::new().rule(mine)?)?;
    /// assert_ne!(rules, Rules::shipped());
    /// assert!(rules.and(Rules::h2()).is_err_and(|error| error.is_rule()));
    /// # Ok::<(), tracing_meter::BuildError>(())
    /// ```
    pub fn and(mut self, other: Self) -> Result<Self, BuildError> {
        for rule in other.rules {
            let name = rule.name().to_owned();
            self.push(rule)
                .map_err(|why| BuildError::of_rule(&name, why))?;
        }
        Ok(self)
    }

    fn add(&mut self, rule: Rule) -> Result<(), String> {
        self.push(ParsedRule::parse(rule)?)
    }

    fn push(&mut self, rule: ParsedRule) -> Result<(), String> {
        if self.rules.iter().any(|other| other.name() == rule.name()) {
            return Err("there is another rule of this name".to_owned());
        }
        for measure in rule.measures() {
            self.check_same_instrument(measure)?;
        }
        self.rules.push(rule);
        Ok(())
    }

    fn check_same_instrument(&self, measure: &Measure) -> Result<(), String> {
        for rule in &self.rules {
            let mut measures = rule.measures().iter();
            let Some(other) = measures.find(|other| other.metric == measure.metric) else {
                continue;
            };
            let (metric, name) = (&measure.metric, rule.name());
            if other.kind != measure.kind {
                let (kind, other) = (measure.kind, other.kind);
                return Err(format!(
                    "the metric `{metric}` is a {kind}, but a {other} in the rule `{name}`"
                ));
            }
            if other.unit != measure.unit {
                return Err(format!(
                    "the metric `{metric}` has another unit in the rule `{name}`"
                ));
            }
        }
        Ok(())
    }

    /// Lets code that asks first, `if tracing::enabled!(..)`, emit what is measured.
    fn asked_for(&self, hint: &Metadata<'_>) -> Option<Recipe> {
        let mut rules = self.rules.iter();
        let measure = rules.find_map(|rule| rule.asked_for(hint))?;
        let metric = measure.metric.clone();
        Some(Feed::new().measure(Measure::happened(metric)).into())
    }
}

impl Convention for Rules {
    fn recognise(&self, callsite: &Metadata<'static>) -> Option<Recipe> {
        if is_hint(callsite) {
            return self.asked_for(callsite);
        }
        self.rules.iter().fold(None, |recipe, rule| {
            let before = recipe.map(|recipe| rule.amend(callsite, recipe));
            match rule.feed(callsite) {
                Some(feed) => Some(before.unwrap_or_default().feed(feed)),
                None => before,
            }
        })
    }

    fn amend(&self, callsite: &Metadata<'static>, recipe: Recipe) -> Recipe {
        let rules = self.rules.iter();
        rules.fold(recipe, |recipe, rule| rule.amend(callsite, recipe))
    }

    fn is_same(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }

    fn asked(&self) -> Targets {
        self.rules.iter().filter_map(ParsedRule::asked).collect()
    }
}
