//! Where an export is sent to.

use http::Uri;

use super::Protocol;
use crate::setup::environment::Environment;
use crate::setup::error::SetupError;
use crate::setup::tls::NO_TLS;
use crate::setup::variables::{OTLP_ENDPOINT, OTLP_INSECURE, Signal};

/// Refuses what would only fail when something is sent.
pub(super) fn read(
    env: &Environment<'_>,
    signal: Signal,
    protocol: Protocol,
) -> Result<String, SetupError> {
    let insecure = env.of_signal(signal, &OTLP_INSECURE, Environment::boolean)?;
    let Some((variable, endpoint)) = env.of_signal(signal, &OTLP_ENDPOINT, Environment::text)?
    else {
        return Ok(match protocol {
            Protocol::Grpc => "http://localhost:4317".to_owned(),
            Protocol::Http => with_path("http://localhost:4318", signal),
        });
    };
    let (scheme, rest) = match endpoint.split_once("://") {
        Some((scheme, rest)) => (scheme.to_ascii_lowercase(), rest),
        None if protocol == Protocol::Http => (String::new(), &*endpoint),
        None if insecure.is_some_and(|(_, it)| it) => ("http".to_owned(), &*endpoint),
        None => ("https".to_owned(), &*endpoint),
    };
    if rest.split('/').next().is_some_and(|it| it.contains('@')) {
        let why = "it holds a user's name, which is not sent: there are headers for that";
        return Err(SetupError::variable(&variable, why));
    }
    let error = |why: &str| SetupError::variable(&variable, format!("`{endpoint}`: {why}"));
    if !["http", "https"].contains(&&*scheme) {
        return Err(error("it does not start with http:// or https://"));
    }
    let url = format!("{scheme}://{rest}");
    let parsed = url.parse::<Uri>();
    let parsed = parsed.map_err(|why| SetupError::value(&variable, &endpoint, why))?;
    let gets_path = protocol == Protocol::Http && variable.name() == OTLP_ENDPOINT.common.name();
    check(&parsed, gets_path).map_err(error)?;
    Ok(if gets_path {
        with_path(&url, signal)
    } else {
        url
    })
}

fn check(url: &Uri, gets_path: bool) -> Result<(), &'static str> {
    let (authority, host) = (url.authority(), url.host().filter(|it| !it.is_empty()));
    let (Some(authority), Some(host)) = (authority, host) else {
        return Err("it has no host");
    };
    if authority.as_str() != host && authority.port_u16().is_none() {
        return Err("its port is none");
    }
    if gets_path && url.query().is_some() {
        return Err("it has a query, and a path is to be added");
    }
    if url.scheme_str() == Some("https") && !cfg!(feature = "tls") {
        return Err(NO_TLS);
    }
    Ok(())
}

/// The signal's path at the endpoint of all signals.
fn with_path(endpoint: &str, signal: Signal) -> String {
    format!("{}/v1/{}", endpoint.trim_end_matches('/'), signal.name())
}
