//! What conventions were asked for, and the layer's directives disable.

use tracing_core::{LevelFilter, Metadata};
use tracing_subscriber::filter::Targets;

use crate::convention::Convention;
use crate::problem::{Location, Problems, Reason};

/// What each convention was asked for, in their order.
pub(super) struct Disabled(Vec<Targets>);

impl Disabled {
    /// Lists whole targets. Their callsites may be too verbose to be ever seen.
    pub(super) fn new(
        conventions: &[Box<dyn Convention>],
        directives: &Targets,
        problems: &Problems,
    ) -> Self {
        let asked: Vec<Targets> = conventions.iter().map(|it| it.asked()).collect();
        for (convention, asked) in conventions.iter().zip(&asked) {
            let disabled = disabled(asked, directives);
            if !disabled.is_empty() {
                let detail = || format!("the layer's directives disable {}", disabled.join(", "));
                problems.list(Reason::Disabled, convention.name(), Location::OWN, detail);
            }
        }
        Self(asked)
    }

    /// Lists a callsite that the directives disable, if a convention was asked for it.
    pub(super) fn note(
        &self,
        conventions: &[Box<dyn Convention>],
        metadata: &'static Metadata<'static>,
        problems: &Problems,
    ) {
        for (convention, asked) in conventions.iter().zip(&self.0) {
            if asked.would_enable(metadata.target(), metadata.level())
                && let Some(recipe) = convention.recognise(metadata)
                && let Some(measure) = recipe.measures().next()
            {
                let location = Location::of(metadata);
                let detail = || {
                    let (target, level) = (metadata.target(), metadata.level());
                    format!("the layer's directives disable {target}={level}")
                };
                problems.list(Reason::Disabled, &measure.metric, location, detail);
            }
        }
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
