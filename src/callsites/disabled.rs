//! What conventions were asked for, and the layer's directives disable.

use tracing_core::{LevelFilter, Metadata};
use tracing_subscriber::filter::Targets;

use super::configuration::{Configuration, guarded};
use crate::problem::{Location, Problem, Problems, Reason};
use crate::sync::Mutex;

/// What the current configuration disables, as far as it is known.
#[derive(Default)]
pub(crate) struct Disabled(Mutex<Vec<Problem>>);

impl Disabled {
    pub(crate) fn problems(&self) -> Vec<Problem> {
        self.0.lock().clone()
    }

    /// Forgets what another configuration has disabled.
    pub(super) fn set(&self, problems: Vec<Problem>) {
        *self.0.lock() = problems;
    }

    pub(super) fn add(&self, problems: Vec<Problem>) {
        let mut known = self.0.lock();
        for problem in problems {
            if known.iter().all(|other| other.key() != problem.key()) {
                known.push(problem);
            }
        }
    }
}

impl Configuration {
    /// Whole targets. Their callsites may be too verbose to be ever seen.
    pub(super) fn disabled(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for convention in &self.added {
            let disabled = disabled(&convention.asked(), &self.directives);
            if !disabled.is_empty() {
                let detail = format!("the layer's directives disable {}", disabled.join(", "));
                let (name, location) = (convention.name(), Location::OWN);
                problems.push(Problem::new(Reason::Disabled, name, location, detail));
            }
        }
        problems
    }

    /// A callsite, if a convention was asked for it.
    pub(super) fn disabled_callsite(
        &self,
        metadata: &'static Metadata<'static>,
        problems: &Problems,
    ) -> Vec<Problem> {
        let (target, level) = (metadata.target(), metadata.level());
        if self.directives.would_enable(target, level) {
            return Vec::new();
        }
        let asked = self
            .added
            .iter()
            .filter(|it| it.asked().would_enable(target, level));
        let recipes = asked.filter_map(|convention| {
            guarded(convention, metadata, problems, || {
                convention.recognise(metadata)
            })
        });
        let listed = recipes.filter_map(|recipe| {
            let metric = &recipe.measures().next()?.metric;
            let detail = format!("the layer's directives disable {target}={level}");
            let location = Location::of(metadata);
            Some(Problem::new(Reason::Disabled, metric, location, detail))
        });
        listed.collect()
    }
}

fn disabled(asked: &Targets, directives: &Targets) -> Vec<String> {
    let default = asked.default_level().map(|level| ("", level));
    let asked = asked.iter().chain(default);
    let disabled = asked.filter(|(target, level): &(&str, LevelFilter)| {
        level
            .into_level()
            .is_some_and(|level| !directives.would_enable(target, &level))
    });
    disabled
        .map(|(target, level)| match target {
            "" => format!("`{level}`"),
            _ => format!("`{target}={level}`"),
        })
        .collect()
}
