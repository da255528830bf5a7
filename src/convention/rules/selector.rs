//! Which callsites a rule is about.

use tracing_core::{LevelFilter, Metadata};

use crate::convention::hint::is_hint;

/// Selects callsites by what is constant of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Selector {
    pub(super) kind: CallsiteKind,
    pub(super) target: Option<TargetPath>,
    pub(super) name: Option<String>,
    pub(super) level: LevelFilter,
    pub(super) fields: Vec<String>,
}

/// Spans, events or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallsiteKind {
    Any,
    Span,
    Event,
}

/// A path of modules: all targets at or below it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TargetPath(String);

impl Selector {
    pub(super) fn selects(&self, callsite: &Metadata<'_>) -> bool {
        let fields = callsite.fields();
        !is_hint(callsite)
            && self.has_place_of(callsite)
            && self.kind.is_of(callsite)
            && self.name.as_deref().is_none_or(|it| it == callsite.name())
            && self.fields.iter().all(|it| fields.field(it).is_some())
    }

    /// Which target is selected, and up to which level. Without a target, or a level, a rule
    /// takes what there is.
    pub(super) fn asked(&self) -> Option<(&str, LevelFilter)> {
        let TargetPath(target) = self.target.as_ref()?;
        (self.level < LevelFilter::TRACE).then_some((target, self.level))
    }

    /// Whether code that asks here may be about to emit what is selected. It does not say
    /// with which fields, and hardly ever whether a span or an event.
    pub(super) fn may_be_asked_for(&self, hint: &Metadata<'_>) -> bool {
        let kind_is_told = hint.is_span() || hint.is_event();
        self.has_place_of(hint) && (!kind_is_told || self.kind.is_of(hint))
    }

    fn has_place_of(&self, callsite: &Metadata<'_>) -> bool {
        let target = self.target.as_ref();
        *callsite.level() <= self.level && target.is_none_or(|it| it.holds(callsite.target()))
    }
}

impl CallsiteKind {
    fn is_of(self, callsite: &Metadata<'_>) -> bool {
        match self {
            Self::Any => true,
            Self::Span => callsite.is_span(),
            Self::Event => callsite.is_event(),
        }
    }
}

impl TargetPath {
    pub(super) fn parse(path: &str) -> Result<Self, String> {
        let is_blank = |c: char| c.is_whitespace() || c.is_control();
        let why = if path.is_empty() {
            "it is empty"
        } else if path.contains(is_blank) {
            "it holds a blank or a control character"
        } else if path.contains(['*', '=', ',', '[', '{']) {
            "it is a path of modules, without patterns"
        } else {
            return Ok(Self(path.trim_end_matches("::").to_owned()));
        };
        Err(format!("the target `{path}`: {why}"))
    }

    fn holds(&self, target: &str) -> bool {
        let rest = target.strip_prefix(self.0.as_str());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_path_of_modules() {
        let hyper = TargetPath::parse("hyper").unwrap();
        for (target, expected) in [
            ("hyper", true),
            ("hyper::client", true),
            ("hyper_util", false),
            ("my::hyper", false),
            ("hype", false),
        ] {
            assert_eq!(hyper.holds(target), expected, "{target}");
        }
        for bad in ["", "a b", "hyper*", "hyper=debug", "a,b", "a[span]"] {
            assert!(TargetPath::parse(bad).is_err(), "{bad}");
        }
    }
}
