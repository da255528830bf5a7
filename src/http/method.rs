//! Methods as the convention has them.

use std::fmt;

use http::Method;

use crate::semconv::KnownMethods;

#[derive(Clone, Copy)]
pub(super) struct MethodFields<'m> {
    /// `http.request.method`
    pub(super) method: &'m str,
    /// `http.request.method_original`, of a method that is not known.
    pub(super) original: Option<&'m str>,
}

impl<'m> MethodFields<'m> {
    /// What a span says of a method.
    pub(super) fn new(known: &KnownMethods, method: &'m Method) -> Self {
        let (method, original) = known.name_and_original(method.as_str());
        Self { method, original }
    }
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
        let fields = MethodFields::new(methods, &method);
        (
            fields.method.to_owned(),
            SpanName(fields, Some("/kv")).to_string(),
        )
    }

    #[test]
    fn a_span_is_named_by_a_known_method() {
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
}
