//! A client of OTLP over HTTP that reads what it is answered.

use std::fmt;
use std::io::Read as _;
use std::marker::PhantomData;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use flate2::read::GzDecoder;
use http::header::CONTENT_ENCODING;
use http::{Request, Response};
use opentelemetry_http::{Bytes, HttpClient, HttpError};
use reqwest::blocking::Client;
use reqwest::redirect;

use super::exports::Exports;
use super::rejected::Answer;
use super::tls::Tls;
use crate::error::Source;

/// The exporter of `opentelemetry-otlp` reads answers, too, and keeps them to itself.
pub(super) struct Reading<A> {
    client: Client,
    exports: Arc<Exports>,
    answer: PhantomData<fn() -> A>,
}

impl<A: Answer> Reading<A> {
    /// Without `tls` nothing is encrypted.
    pub(super) fn new(
        endpoint: &str,
        timeout: Duration,
        tls: Option<&Tls>,
        exports: &Arc<Exports>,
    ) -> Result<Self, Source> {
        let make = || client(endpoint, timeout, tls);
        // A client that blocks must not be made in asynchronous code.
        let built = thread::scope(|scope| scope.spawn(make).join());
        let built = built.map_err(|_| "its client has panicked")?;
        Ok(Self {
            client: built?,
            exports: Arc::clone(exports),
            answer: PhantomData,
        })
    }
}

/// One that blocks, as the threads that export need it: an exporter's own choice depends
/// on what else is built into the program.
fn client(endpoint: &str, timeout: Duration, tls: Option<&Tls>) -> reqwest::Result<Client> {
    let builder = Client::builder()
        .timeout(timeout)
        // It would ask for a page, such as that of a login, and get it: what was
        // to be exported would be lost without an error.
        .redirect(redirect::Policy::none());
    let builder = if is_local(endpoint) {
        builder.no_proxy()
    } else {
        builder
    };
    #[cfg(feature = "tls")]
    let builder = match tls {
        Some(tls) => tls.of_http(builder)?,
        None => builder,
    };
    #[cfg(not(feature = "tls"))]
    let _ = tls;
    builder.build()
}

/// A proxy would send it to itself: the environment's is for what is elsewhere.
fn is_local(endpoint: &str) -> bool {
    let url = endpoint.parse::<http::Uri>();
    let local = ["localhost", "127.0.0.1", "[::1]"];
    url.is_ok_and(|it| it.host().is_some_and(|host| local.contains(&host)))
}

#[tonic::async_trait]
impl<A: Answer> HttpClient for Reading<A> {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let response = self.client.send_bytes(request).await?;
        if response.status().is_success()
            && let Some(answer) = read::<A>(&response)
        {
            self.exports.answered(answer);
        }
        Ok(response)
    }
}

impl<A> fmt::Debug for Reading<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reading").finish_non_exhaustive()
    }
}

/// `None` of what is no answer of OTLP's: what took the export has its own words then.
fn read<A: Answer>(response: &Response<Bytes>) -> Option<A> {
    // More than the longest of them: what is sent compressed may be long.
    const MAX_ANSWER: u64 = 1024 * 1024;
    let body = &response.body()[..];
    // It is asked for by nothing, but a collector may do it all the same.
    match response.headers().get(CONTENT_ENCODING) {
        Some(coding) if coding == "gzip" => {
            let mut unpacked = Vec::new();
            let unpacking = GzDecoder::new(body).take(MAX_ANSWER);
            { unpacking }.read_to_end(&mut unpacked).ok()?;
            A::decode(&unpacked[..]).ok()
        }
        _ => A::decode(body).ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use flate2::Compression;
    use flate2::write::GzEncoder;
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceResponse,
    };
    use prost::Message as _;

    use super::*;

    fn rejected(body: Vec<u8>, coding: &str) -> Option<u64> {
        let response = Response::builder().header(CONTENT_ENCODING, coding);
        let response = response.body(Bytes::from(body)).unwrap();
        let answer = read::<ExportTraceServiceResponse>(&response)?;
        answer.rejected().map(|it| it.items)
    }

    #[test]
    fn an_answer_is_read_compressed_or_not_and_anything_else_is_none() {
        let answer = ExportTraceServiceResponse {
            partial_success: Some(ExportTracePartialSuccess {
                rejected_spans: 7,
                error_message: String::new(),
            }),
        };
        let plain = answer.encode_to_vec();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
        gzip.write_all(&plain).unwrap();
        let packed = gzip.finish().unwrap();

        assert_eq!(rejected(plain.clone(), "identity"), Some(7));
        assert_eq!(rejected(packed.clone(), "gzip"), Some(7));
        assert_eq!(rejected(packed[..packed.len() / 2].to_vec(), "gzip"), None);
        assert_eq!(rejected(plain, "gzip"), None);
        assert_eq!(rejected(Vec::new(), "identity"), None);
        assert_eq!(rejected(b"<p>Thank you.".to_vec(), "identity"), None);
        assert_eq!(rejected(b"{}".to_vec(), "identity"), None);
    }
}
