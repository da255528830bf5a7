//! Which spans are measured, in the grammar of `RUST_LOG`.

use tracing_core::{LevelFilter, Metadata};
use tracing_subscriber::filter::Targets;

use crate::directives::{check_target, each};
use crate::error::{BuildError, ErrorKind};

/// One directive at least.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Directives(Vec<Directive>);

/// `target[span]=level`
#[derive(Clone, Debug, PartialEq, Eq)]
struct Directive {
    /// Empty for every target.
    target: String,
    span: Option<String>,
    level: LevelFilter,
}

impl Directives {
    pub(super) fn parse(directives: &str) -> Result<Self, BuildError> {
        let parsed: Result<Vec<_>, _> = each(directives)
            .map(|directive| Directive::parse(directive).map_err(|why| error(directive, why)))
            .collect();
        match parsed? {
            none if none.is_empty() => Err(error(directives, "there is no directive")),
            some => Ok(Self(some)),
        }
    }

    /// Of two that are equally specific the later counts.
    pub(super) fn choose(&self, span: &Metadata<'_>) -> bool {
        let of_the_span = self.0.iter().filter(|it| it.speaks_of(span));
        let decides = of_the_span.max_by_key(|it| (it.target.len(), it.span.is_some()));
        decides.is_some_and(|it| it.level >= *span.level())
    }

    /// All targets, and the most verbose level that is asked of each.
    pub(super) fn targets(&self) -> Targets {
        let mut asked: Vec<(&str, LevelFilter)> = Vec::new();
        for directive in &self.0 {
            match asked
                .iter_mut()
                .find(|(target, _)| *target == directive.target)
            {
                Some((_, level)) => *level = directive.level.max(*level),
                None => asked.push((&directive.target, directive.level)),
            }
        }
        asked
            .into_iter()
            .fold(Targets::new(), |targets, (target, level)| match target {
                "" => targets.with_default(level),
                _ => targets.with_target(target, level),
            })
    }
}

impl Directive {
    fn parse(directive: &str) -> Result<Self, &'static str> {
        if directive.contains(['{', '}']) {
            return Err("a span is chosen by its name, not by its fields");
        }
        let (span, level) = match directive.split_once('=') {
            Some((_, "")) => return Err("the level is missing"),
            Some(("", _)) => return Err("the target is missing"),
            Some((span, level)) => (span, level.parse().map_err(|_| "its level is none")?),
            // A word alone is a level, or else a target.
            None => match directive.parse() {
                Ok(level) => ("", level),
                Err(_) => (directive, LevelFilter::TRACE),
            },
        };
        let (target, span) = match span.split_once('[') {
            None => (span, None),
            Some((target, span)) => (target, Some(span)),
        };
        let span = match span.map(|span| span.strip_suffix(']')) {
            None => None,
            Some(None) => return Err("its `[` is not closed at the end"),
            Some(Some(span)) if span.is_empty() || span.contains(['[', ']']) => {
                return Err("the name of the span is missing");
            }
            Some(Some(span)) => Some(span.to_owned()),
        };
        check_target(target)?;
        let target = target.to_owned();
        Ok(Self {
            target,
            span,
            level,
        })
    }

    fn speaks_of(&self, span: &Metadata<'_>) -> bool {
        let is_named = |name: &String| name == span.name();
        span.target().starts_with(&self.target) && self.span.as_ref().is_none_or(is_named)
    }
}

fn error(directive: &str, why: &str) -> BuildError {
    BuildError::new(
        ErrorKind::Directives,
        format!("`{directive}` for spans"),
        why,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(directive: &str) -> (String, Option<String>, LevelFilter) {
        let parsed = Directive::parse(directive).unwrap();
        (parsed.target, parsed.span, parsed.level)
    }

    #[test]
    fn a_directive_has_a_target_a_span_and_a_level_or_some_of_them() {
        let span = Some("query".to_owned());
        let db = "my_app::db".to_owned();
        let (debug, trace) = (LevelFilter::DEBUG, LevelFilter::TRACE);
        for (directive, expected) in [
            ("debug", (String::new(), None, debug)),
            ("my_app::db", (db.clone(), None, trace)),
            ("my_app::db=DEBUG", (db.clone(), None, debug)),
            ("my_app::db[query]=debug", (db.clone(), span.clone(), debug)),
            ("my_app::db[query]", (db, span.clone(), trace)),
            ("[query]=off", (String::new(), span, LevelFilter::OFF)),
        ] {
            assert_eq!(parsed(directive), expected, "{directive}");
        }
    }

    #[test]
    fn a_directive_that_cannot_be_read_is_named() {
        for bad in [
            "my_app=",
            "=info",
            "my_app=loud",
            "a b=info",
            "a:b=info",
            "a[b",
            "a[]=info",
            "a[b]c=info",
            "a]=info",
            "a[b{c}]=info",
            "a/b",
        ] {
            let error = Directives::parse(&format!("info, {bad}")).unwrap_err();
            assert!(error.is_directives(), "{bad}");
            assert!(error.to_string().contains(&format!("`{bad}`")), "{error}");
        }
        for none in ["", " , "] {
            assert!(Directives::parse(none).unwrap_err().is_directives());
        }
    }
}
