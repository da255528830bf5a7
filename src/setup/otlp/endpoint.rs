//! Where an export is sent to.

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
    let gets_path = protocol == Protocol::Http && variable.name() == OTLP_ENDPOINT.common.name();
    let checked = check_endpoint(&scheme, rest, gets_path);
    let url =
        checked.map_err(|why| SetupError::variable(&variable, format!("`{endpoint}`: {why}")))?;
    Ok(if gets_path {
        with_path(&url, signal)
    } else {
        url
    })
}

fn check_endpoint(scheme: &str, rest: &str, gets_path: bool) -> Result<String, &'static str> {
    if !["http", "https"].contains(&scheme) {
        return Err("it does not start with http:// or https://");
    }
    let url = format!("{scheme}://{rest}");
    let Ok(parsed) = url.parse::<http::Uri>() else {
        return Err("it is no URL");
    };
    let (Some(authority), Some(host)) = (parsed.authority(), parsed.host()) else {
        return Err("it has no host");
    };
    if host.is_empty() {
        return Err("it has no host");
    }
    if authority.as_str() != host && authority.port_u16().is_none() {
        return Err("its port is none");
    }
    if gets_path && parsed.query().is_some() {
        return Err("it has a query, and a path is to be added");
    }
    if scheme == "https" && !cfg!(feature = "tls") {
        return Err(NO_TLS);
    }
    Ok(url)
}

/// The signal's path at the endpoint of all signals.
fn with_path(endpoint: &str, signal: Signal) -> String {
    format!("{}/v1/{}", endpoint.trim_end_matches('/'), signal.name())
}
