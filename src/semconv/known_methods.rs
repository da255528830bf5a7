//! The methods that are called by their names.

use std::sync::Arc;

use super::OTHER;

/// Those of HTTP: of RFC 9110, PATCH of RFC 5789 and QUERY.
pub(crate) const KNOWN: [&str; 10] = [
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE",
];

/// The methods that spans and metrics may name: there is no bound to what clients send. By
/// default those of HTTP.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KnownMethods(Option<Arc<[String]>>);

impl KnownMethods {
    /// These, instead of the default ones. Their case matters.
    pub(crate) fn new(methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(Some(methods.into_iter().map(Into::into).collect()))
    }

    /// The method, or `_OTHER`.
    pub(crate) fn name<'m>(&self, method: &'m str) -> &'m str {
        self.name_and_original(method).0
    }

    /// The same, and the method itself where it is not known.
    pub(crate) fn name_and_original<'m>(&self, method: &'m str) -> (&'m str, Option<&'m str>) {
        if self.has(method) {
            (method, None)
        } else {
            (OTHER, Some(method))
        }
    }

    fn has(&self, method: &str) -> bool {
        match &self.0 {
            Some(methods) => methods.iter().any(|known| known == method),
            None => KNOWN.contains(&method),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_known_by_their_exact_names() {
        let known = KnownMethods::default();
        for method in KNOWN {
            assert_eq!(known.name(method), method);
        }
        for other in ["get", "PROPFIND", "", "_OTHER"] {
            assert_eq!(known.name(other), "_OTHER");
        }
    }

    #[test]
    fn a_list_of_known_methods_replaces_the_defaults() {
        let known = KnownMethods::new(["PROPFIND"]);
        assert_eq!(known.name("PROPFIND"), "PROPFIND");
        assert_eq!(known.name("GET"), "_OTHER");
    }
}
