//! Parts of URLs, without what is secret in them.

use std::fmt::{self, Write as _};

use http::header::HOST;
use http::{HeaderMap, Uri};

use super::Int;

const REDACTED: &str = "REDACTED";

/// Parameters of a query that are signatures or credentials: the list of the
/// convention for `url.full` and `url.query`. Their case matters.
const SECRETS: [&str; 7] = [
    "AWSAccessKeyId",
    "Signature",
    "sig",
    "X-Amz-Credential",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Goog-Signature",
];

/// Where a request goes to: `server.address` and `server.port`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Server<'r> {
    pub(super) address: &'r str,
    /// As [`Int`], although it is a `u16`.
    pub(super) port: Option<Int>,
}

impl<'r> Server<'r> {
    /// By the request target, or else the `Host` header.
    pub(super) fn of(uri: &'r Uri, headers: &'r HeaderMap) -> Option<Self> {
        Self::parse(authority(uri, headers)?)
    }

    pub(super) fn parse(authority: &'r str) -> Option<Self> {
        let (_, host) = split_userinfo(authority);
        let (address, port) = split_port(host);
        (!address.is_empty()).then(|| Self {
            address,
            port: port
                .and_then(|port| port.parse::<u16>().ok())
                .map(Int::from),
        })
    }
}

/// A host, and what stands after its colon. An IPv6 address holds colons: it stands in
/// brackets where there is a port, and often in none where there is not.
pub(super) fn split_port(host: &str) -> (&str, Option<&str>) {
    if let Some((address, rest)) = host.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
        return (address, rest.strip_prefix(':'));
    }
    match host.split_once(':') {
        Some((address, port)) if !port.contains(':') => (address, Some(port)),
        _ => (host, None),
    }
}

fn authority<'r>(uri: &'r Uri, headers: &'r HeaderMap) -> Option<&'r str> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str()),
        None => headers.get(HOST)?.to_str().ok(),
    }
}

fn split_userinfo(authority: &str) -> (Option<&str>, &str) {
    match authority.rsplit_once('@') {
        Some((userinfo, host)) => (Some(userinfo), host),
        None => (None, authority),
    }
}

/// The port of a scheme's URLs that name none.
#[cfg(feature = "tower")]
pub(super) fn default_port(scheme: &str) -> Option<Int> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        _ => None,
    }
}

/// The scheme of a request whose target names none, as those of HTTP/1.1 do.
pub(super) const DEFAULT_SCHEME: &str = "http";

/// `url.full`
#[cfg(feature = "tower")]
pub(super) struct FullUrl<'r>(pub(super) &'r Uri, pub(super) &'r HeaderMap);

#[cfg(feature = "tower")]
impl fmt::Display for FullUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(uri, headers) = self;
        if let Some(authority) = authority(uri, headers) {
            let (userinfo, host) = split_userinfo(authority);
            let secret = match userinfo {
                Some(user) if user.contains(':') => "REDACTED:REDACTED@",
                Some(_) => "REDACTED@",
                None => "",
            };
            let scheme = uri.scheme_str().unwrap_or(DEFAULT_SCHEME);
            write!(f, "{scheme}://{secret}{host}")?;
        }
        // The target `*` is the server itself, and has no path.
        f.write_str(match uri.path() {
            "*" => "/",
            path => path,
        })?;
        match uri.query() {
            Some(query) => write!(f, "?{}", Query(query)),
            None => Ok(()),
        }
    }
}

/// `url.query`
pub(super) struct Query<'r>(pub(super) &'r str);

impl fmt::Display for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, pair) in self.0.split('&').enumerate() {
            if position > 0 {
                f.write_char('&')?;
            }
            match pair.split_once('=') {
                Some((key, _)) if SECRETS.contains(&key) => write!(f, "{key}={REDACTED}")?,
                _ => f.write_str(pair)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_host_and_perhaps_a_port() {
        let cases = [
            ("example.com", "example.com", None),
            ("example.com:8080", "example.com", Some(8080)),
            ("user:pass@example.com:1", "example.com", Some(1)),
            ("a@b@c:1", "c", Some(1)),
            ("[::1]:9", "::1", Some(9)),
            ("[::1]", "::1", None),
            ("10.0.0.1:", "10.0.0.1", None),
            ("host:99999", "host", None),
        ];
        for (authority, address, port) in cases {
            let server = Server::parse(authority);
            assert_eq!(server, Some(Server { address, port }), "{authority}");
        }
        assert_eq!(Server::parse(""), None);
        assert_eq!(Server::parse(":80"), None);
    }

    #[test]
    fn an_address_without_brackets_has_no_port() {
        for address in ["::1", "2001:db8::17", "2001:db8:0:0:0:0:0:17"] {
            let server = Server {
                address,
                port: None,
            };
            assert_eq!(Server::parse(address), Some(server));
        }
    }

    #[test]
    fn signatures_are_redacted_in_queries() {
        let redacted = |query: &str| Query(query).to_string();
        assert_eq!(
            redacted("q=a&sig=x&Sig=y&sig&=&X-Amz-Signature=a=b"),
            "q=a&sig=REDACTED&Sig=y&sig&=&X-Amz-Signature=REDACTED"
        );
        for secret in [
            "AWSAccessKeyId",
            "Signature",
            "sig",
            "X-Amz-Credential",
            "X-Amz-Security-Token",
            "X-Amz-Signature",
            "X-Goog-Signature",
        ] {
            assert_eq!(
                redacted(&format!("{secret}=x")),
                format!("{secret}=REDACTED")
            );
        }
        assert_eq!(redacted(""), "");
    }

    #[test]
    #[cfg(feature = "tower")]
    fn a_full_url_has_no_credentials() {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, "by-header:81".parse().unwrap());
        let cases = [
            ("http://a.b/c?d=e", "http://a.b/c?d=e"),
            ("https://u:p@a.b:1/c", "https://REDACTED:REDACTED@a.b:1/c"),
            ("https://token@a.b", "https://REDACTED@a.b/"),
            ("http://a@b@c/", "http://REDACTED@c/"),
            ("*", "http://by-header:81/"),
            ("/c?Signature=1", "http://by-header:81/c?Signature=REDACTED"),
        ];
        for (uri, full) in cases {
            let uri = uri.parse().unwrap();
            assert_eq!(FullUrl(&uri, &headers).to_string(), full);
        }
        let path = Uri::from_static("/c");
        assert_eq!(FullUrl(&path, &HeaderMap::new()).to_string(), "/c");
    }
}
