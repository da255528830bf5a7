//! What a rule changes of what other conventions measure.

use super::metric_pattern::{MetricPattern, Renaming};
use super::rule::Rule;
use crate::convention::Recipe;

/// Leaves metrics of a recipe out, or gives them other names.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Amendment {
    dropped: Vec<MetricPattern>,
    kept: Vec<MetricPattern>,
    renamed: Vec<Renaming>,
}

impl Amendment {
    pub(super) fn parse(rule: &Rule) -> Result<Self, String> {
        let renamed = rule.renamed.iter();
        let renamed = renamed.map(|(from, to)| Renaming::parse(from, to));
        Ok(Self {
            dropped: patterns(&rule.dropped)?,
            kept: patterns(&rule.kept)?,
            renamed: renamed.collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The new names are given to what is left.
    pub(super) fn apply(&self, recipe: Recipe) -> Recipe {
        let renamed = |metric: &str| self.renamed.iter().find_map(|it| it.new_name(metric));
        recipe
            .retain_measures(|metric| self.leaves(metric))
            .rename_metrics(renamed)
    }

    fn leaves(&self, metric: &str) -> bool {
        let has = |patterns: &[MetricPattern]| patterns.iter().any(|it| it.matches(metric));
        (self.kept.is_empty() || has(&self.kept)) && !has(&self.dropped)
    }
}

fn patterns(written: &[String]) -> Result<Vec<MetricPattern>, String> {
    let patterns = written.iter().map(|it| MetricPattern::parse(it));
    patterns.collect()
}
