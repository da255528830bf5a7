//! What proxies say of a request that they pass on: `Forwarded` of RFC 7239, and the
//! `X-Forwarded-*` that were there before it.
//!
//! Anybody may send these headers, in any bytes. What is read here is a part of what was
//! sent, of the first element of each list alone, and never more than a bound.

use http::HeaderMap;
use http::header::FORWARDED;

use super::url::{Server, split_port};

/// Longer than the name of any host. What is longer is none.
const MAX_LEN: usize = 255;

/// The scheme that the client used, as the first proxy saw it.
pub(super) fn scheme(headers: &HeaderMap) -> Option<&'static str> {
    let forwarded = first(headers, FORWARDED.as_str())
        .and_then(|element| parameter(element, "proto"))
        .and_then(known_scheme);
    forwarded.or_else(|| known_scheme(first(headers, "x-forwarded-proto")?))
}

/// The host that the client called.
pub(super) fn server(headers: &HeaderMap) -> Option<Server<'_>> {
    let forwarded = first(headers, FORWARDED.as_str())
        .and_then(|element| parameter(element, "host"))
        .and_then(valid);
    let host = forwarded.or_else(|| valid(first(headers, "x-forwarded-host")?))?;
    Server::parse(host)
}

/// `client.address`: an address, or the identifier that stands for it, without a port.
pub(super) fn client(headers: &HeaderMap) -> Option<&str> {
    let forwarded = first(headers, FORWARDED.as_str())
        .and_then(|element| parameter(element, "for"))
        .and_then(node);
    forwarded.or_else(|| node(first(headers, "x-forwarded-for")?))
}

/// Anybody may send a header: there is a bound to what is taken from it.
pub(super) fn known_scheme(scheme: &str) -> Option<&'static str> {
    ["http", "https"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(scheme))
}

/// The first element of a list. Each proxy appends, to the line or as another line, so
/// the first of the first line is what the one next to the client has said.
fn first<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let value = headers.get(name)?.to_str().ok()?;
    Some(until(value, ',').0.trim())
}

/// The value of a parameter of an element of `Forwarded`, without its quotes.
fn parameter<'h>(mut element: &'h str, name: &str) -> Option<&'h str> {
    while !element.is_empty() {
        let (pair, rest) = until(element, ';');
        if let Some((key, value)) = pair.split_once('=')
            && key.trim().eq_ignore_ascii_case(name)
        {
            return Some(unquoted(value.trim()));
        }
        element = rest;
    }
    None
}

/// What is before the first separator that is not quoted, and what is after it.
fn until(text: &str, separator: char) -> (&str, &str) {
    let mut is_quoted = false;
    let is_end = |char: char| {
        is_quoted ^= char == '"';
        char == separator && !is_quoted
    };
    text.split_once(is_end).unwrap_or((text, ""))
}

fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    inner.unwrap_or(value)
}

/// A quote that was opened and not closed takes in all that is after it.
fn valid(value: &str) -> Option<&str> {
    (!value.is_empty() && value.len() <= MAX_LEN && !value.contains('"')).then_some(value)
}

/// A node without its port.
fn node(node: &str) -> Option<&str> {
    let node = unquoted(node);
    valid(split_port(node).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    use http::{HeaderName, HeaderValue};

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let lines = lines.iter().map(|(name, value)| {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            (HeaderName::from_static(name), value)
        });
        // `collect` would keep the last line alone.
        let mut headers = HeaderMap::new();
        lines.for_each(|(name, value)| _ = headers.append(name, value));
        headers
    }

    #[test]
    fn a_client_is_an_address_without_its_port() {
        for (value, address) in [
            ("192.0.2.60", Some("192.0.2.60")),
            ("\"192.0.2.60:47011\"", Some("192.0.2.60")),
            ("\"[2001:db8::17]:4711\"", Some("2001:db8::17")),
            ("\"[2001:db8::17]\"", Some("2001:db8::17")),
            ("2001:db8::17", Some("2001:db8::17")),
            ("_hidden", Some("_hidden")),
            ("\"_SEVKISEK:1\"", Some("_SEVKISEK")),
            ("unknown", Some("unknown")),
            ("\"[::1", None),
            ("[]", None),
            ("\"", None),
            ("\"\"", None),
            ("", None),
            (":1", None),
        ] {
            let forwarded = headers(&[("forwarded", &format!("by=_p;For = {value};for=b, for=c"))]);
            assert_eq!(client(&forwarded), address, "{value}");
            let before = headers(&[("x-forwarded-for", &format!(" {value} , b"))]);
            assert_eq!(client(&before), address, "{value}");
        }
    }

    #[test]
    fn several_lines_are_one_list() {
        let headers = headers(&[
            ("forwarded", "for=a"),
            ("forwarded", "for=b;host=b;proto=https"),
            ("x-forwarded-host", "c:1, b"),
            ("x-forwarded-host", "d"),
        ]);
        assert_eq!(client(&headers), Some("a"));
        assert_eq!(scheme(&headers), None);
        assert_eq!(server(&headers), Server::parse("c:1"));
    }

    #[test]
    fn separators_in_quotes_are_none() {
        let headers = headers(&[(
            "forwarded",
            "x=\"a,b;for=c\";for=\"d,e\";host=\"f:1\", for=g",
        )]);
        assert_eq!(client(&headers), Some("d,e"));
        assert_eq!(server(&headers), Server::parse("f:1"));
    }

    #[test]
    fn what_is_too_long_or_no_text_is_none() {
        let long = "a".repeat(MAX_LEN + 1);
        let forwarded = format!("for={long};host={long};proto={long}");
        for value in [forwarded.as_bytes(), b"for=\xff;host=\xff;proto=\xff"] {
            let mut headers = HeaderMap::new();
            headers.insert(FORWARDED, HeaderValue::from_bytes(value).unwrap());
            assert_eq!(client(&headers), None);
            assert_eq!(server(&headers), None);
            assert_eq!(scheme(&headers), None);
        }
    }
}
