//! Methods as the convention has them.

use std::fmt;
use std::sync::Arc;

use http::Method;

use super::OTHER;

/// Those of RFC 9110, PATCH of RFC 5789 and QUERY.
const KNOWN: [&str; 10] = [
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE",
];

/// The methods that fields and names of spans may have: there is no bound to what
/// clients send.
#[derive(Clone, Debug, Default)]
pub(super) struct KnownMethods(Option<Arc<[String]>>);

impl KnownMethods {
    pub(super) fn new(methods: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(Some(methods.into_iter().map(Into::into).collect()))
    }

    fn has(&self, method: &str) -> bool {
        match &self.0 {
            Some(methods) => methods.iter().any(|known| known == method),
            None => KNOWN.contains(&method),
        }
    }

    /// What a span says of a method.
    pub(super) fn fields<'m>(&self, method: &'m Method) -> MethodFields<'m> {
        let method = method.as_str();
        if self.has(method) {
            MethodFields {
                method,
                original: None,
            }
        } else {
            MethodFields {
                method: OTHER,
                original: Some(method),
            }
        }
    }
}

#[derive(Clone, Copy)]
pub(super) struct MethodFields<'m> {
    /// `http.request.method`
    pub(super) method: &'m str,
    /// `http.request.method_original`, of a method that is not known.
    pub(super) original: Option<&'m str>,
}

/// The name of a span: `GET /kv/{key}`, `GET`, or `HTTP` for other methods.
pub(super) struct SpanName<'m>(pub(super) MethodFields<'m>, pub(super) Option<&'m str>);

impl fmt::Display for SpanName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0.original {
            Some(_) => "HTTP",
            None => self.0.method,
        })?;
        match self.1 {
            Some(target) => write!(f, " {target}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(methods: &KnownMethods, method: &[u8]) -> (String, String) {
        let method = Method::from_bytes(method).unwrap();
        let fields = methods.fields(&method);
        (
            fields.method.to_owned(),
            SpanName(fields, Some("/kv")).to_string(),
        )
    }

    #[test]
    fn methods_are_known_by_their_exact_names() {
        let known = KnownMethods::default();
        for method in [
            "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE",
        ] {
            let expected = (method.to_owned(), format!("{method} /kv"));
            assert_eq!(name(&known, method.as_bytes()), expected);
        }
        for other in [&b"get"[..], b"PROPFIND", b"_OTHER"] {
            assert_eq!(name(&known, other).0, "_OTHER");
            assert_eq!(name(&known, other).1, "HTTP /kv");
        }
    }

    #[test]
    fn a_list_of_known_methods_replaces_the_defaults() {
        let known = KnownMethods::new(["PROPFIND"]);
        assert_eq!(name(&known, b"PROPFIND").0, "PROPFIND");
        assert_eq!(name(&known, b"GET").0, "_OTHER");
    }
}
