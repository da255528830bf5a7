//! Directives in `RUST_LOG`'s grammar: those of the layer, and what all of them have.

use std::env::VarError;

use tracing_subscriber::filter::{ParseError, Targets};

use crate::error::{BuildError, ErrorKind};

/// The environment variable that takes precedence over the builder.
pub(crate) const VARIABLE: &str = "TRACING_METER";

const NO_TARGET: &str = "its target is no path of a module";

/// Those of the environment, or else of the builder. Both are checked, whichever counts.
pub(crate) fn resolve(of_the_builder: Option<&str>) -> Result<Option<Targets>, BuildError> {
    let of_the_builder = match of_the_builder {
        Some(directives) => parse(directives, "of the builder")?,
        None => None,
    };
    Ok(of_the_environment()?.or(of_the_builder))
}

/// Each directive by itself, so that the error can name the one that is wrong.
/// `None` if there is no directive.
pub(crate) fn parse(directives: &str, origin: &str) -> Result<Option<Targets>, BuildError> {
    let mut targets = Targets::new();
    let mut found = false;
    for directive in each(directives) {
        let error = |why: String| {
            let culprit = format!("`{directive}` {origin}");
            BuildError::new(ErrorKind::Directives, culprit, why)
        };
        found = true;
        if directive.ends_with('=') {
            return Err(error("the level is missing".to_owned()));
        }
        if directive.contains(['[', '{', ']', '}']) {
            let why = "spans and fields are for an `EnvFilter` on the layer";
            return Err(error(why.to_owned()));
        }
        let target = directive.split('=').next().unwrap_or_default();
        if target.is_empty() {
            return Err(error(NO_TARGET.to_owned()));
        }
        check_target(target).map_err(|why| error(why.to_owned()))?;
        let parsed: Targets = directive
            .parse()
            .map_err(|why: ParseError| error("it cannot be parsed".to_owned()).with_source(why))?;
        if let Some(level) = parsed.default_level() {
            targets = targets.with_default(level);
        }
        targets = targets.with_targets(parsed);
    }
    Ok(found.then_some(targets))
}

/// The directives of a list.
pub(crate) fn each(directives: &str) -> impl Iterator<Item = &str> {
    let trimmed = directives.split(',').map(str::trim);
    trimmed.filter(|directive| !directive.is_empty())
}

/// Refuses what is no path of a module. A path may be empty.
pub(crate) fn check_target(target: &str) -> Result<(), &'static str> {
    if target.replace("::", "").contains([' ', '/', '*', ':', ']']) {
        return Err(NO_TARGET);
    }
    Ok(())
}

fn of_the_environment() -> Result<Option<Targets>, BuildError> {
    let origin = format!("in {VARIABLE}");
    match std::env::var(VARIABLE) {
        Ok(directives) => parse(&directives, &origin),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => {
            Err(BuildError::new(ErrorKind::Directives, origin, "not UTF-8"))
        }
    }
}
