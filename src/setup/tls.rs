//! What a connection to a collector trusts, and by what it is known there.

use super::environment::Environment;
use super::error::SetupError;
use super::variables::{
    OTLP_CERTIFICATE, OTLP_CLIENT_CERTIFICATE, OTLP_CLIENT_KEY, Signal, SignalVariable, Variable,
};

/// Certificates and a key, as PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Tls {
    /// Whom to trust, instead of the system's certificates.
    authority: Option<Vec<u8>>,
    identity: Option<Identity>,
}

#[derive(Clone, PartialEq, Eq)]
struct Identity {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Tls {
    /// The files that the variables name, for a signal or else for all.
    pub(super) fn read(env: &Environment<'_>, signal: Signal) -> Result<Self, SetupError> {
        let authority = file(env, signal, &OTLP_CERTIFICATE, A_CERTIFICATE)?;
        let certificate = file(env, signal, &OTLP_CLIENT_CERTIFICATE, A_CERTIFICATE)?;
        let identity = match (certificate, file(env, signal, &OTLP_CLIENT_KEY, A_KEY)?) {
            (None, None) => None,
            (Some((_, certificate)), Some((_, key))) => Some(Identity { certificate, key }),
            (Some((variable, _)), None) | (None, Some((variable, _))) => {
                let why = "a certificate of a client and its key go together";
                return Err(SetupError::variable(&variable, why));
            }
        };
        Ok(Self {
            authority: authority.map(|(_, pem)| pem),
            identity,
        })
    }
}

#[cfg(feature = "tls")]
impl Tls {
    pub(super) fn of_grpc(&self) -> tonic::transport::ClientTlsConfig {
        use tonic::transport::{Certificate, ClientTlsConfig, Identity};

        let config = ClientTlsConfig::new();
        let config = match &self.authority {
            Some(pem) => config.ca_certificate(Certificate::from_pem(pem)),
            None => config.with_enabled_roots(),
        };
        match &self.identity {
            Some(it) => config.identity(Identity::from_pem(&it.certificate, &it.key)),
            None => config,
        }
    }

    pub(super) fn of_http(
        &self,
        builder: reqwest::blocking::ClientBuilder,
    ) -> reqwest::Result<reqwest::blocking::ClientBuilder> {
        use reqwest::{Certificate, Identity};

        let builder = match &self.authority {
            Some(pem) => builder.tls_certs_only(Certificate::from_pem_bundle(pem)?),
            None => builder,
        };
        Ok(match &self.identity {
            Some(it) => {
                let pem = [&it.certificate[..], b"\n", &it.key].concat();
                builder.identity(Identity::from_pem(&pem)?)
            }
            None => builder,
        })
    }
}

/// A key is a secret.
impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// What PEM says before a certificate, and before a key of any kind.
const A_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
const A_KEY: &str = "PRIVATE KEY-----";

/// The variable that names the file, and what is in it. Without what is expected there
/// nothing would be trusted, or known, when something is sent.
fn file(
    env: &Environment<'_>,
    signal: Signal,
    of: &SignalVariable,
    expected: &str,
) -> Result<Option<(Variable, Vec<u8>)>, SetupError> {
    let Some((variable, path)) = env.of_signal(signal, of, Environment::text)? else {
        return Ok(None);
    };
    if !cfg!(feature = "tls") {
        return Err(SetupError::variable(&variable, NO_TLS));
    }
    let holds = |pem: &[u8]| String::from_utf8_lossy(pem).contains(expected);
    match std::fs::read(&path) {
        Ok(pem) if holds(&pem) => Ok(Some((variable, pem))),
        Ok(_) => {
            let why = format!("`{path}`: it is no PEM file with `{expected}`");
            Err(SetupError::variable(&variable, why))
        }
        Err(why) => Err(SetupError::value(&variable, &path, why)),
    }
}

pub(super) const NO_TLS: &str = "TLS needs the feature `tls` of tracing-meter";
