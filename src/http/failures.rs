//! What has failed, where a status cannot say so.

use std::fmt;

use http::{HeaderMap, Response};
use tower_http::classify::{ClassifiedResponse, ClassifyEos, ClassifyResponse};

/// Tells [`OnServerFailure`](super::OnServerFailure) of services that gave no response,
/// and of bodies that were not sent to their end.
///
/// That of `tower_http` looks at the status alone, and a response whose body fails
/// later was a good one for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct ServerFailures;

impl ClassifyResponse for ServerFailures {
    type FailureClass = ServerFailure;
    type ClassifyEos = BodyFailures;

    fn classify_response<B>(
        self,
        response: &Response<B>,
    ) -> ClassifiedResponse<ServerFailure, BodyFailures> {
        ClassifiedResponse::RequiresEos(BodyFailures {
            is_failed: response.status().is_server_error(),
        })
    }

    fn classify_error<E: fmt::Display + 'static>(self, error: &E) -> ServerFailure {
        ServerFailure {
            error: error.to_string(),
            has_status: false,
        }
    }
}

/// What [`ServerFailures`] has to know of a response when its body fails.
#[derive(Clone, Copy, Debug)]
pub struct BodyFailures {
    is_failed: bool,
}

impl ClassifyEos for BodyFailures {
    type FailureClass = ServerFailure;

    fn classify_eos(self, _trailers: Option<&HeaderMap>) -> Result<(), ServerFailure> {
        Ok(())
    }

    fn classify_error<E: fmt::Display + 'static>(self, error: &E) -> ServerFailure {
        ServerFailure {
            error: error.to_string(),
            has_status: self.is_failed,
        }
    }
}

/// An error of a service, or of the body of its response. Its text is the error's.
#[derive(Clone, Debug)]
pub struct ServerFailure {
    error: String,
    has_status: bool,
}

impl ServerFailure {
    /// Whether the response was a 5xx, which says more than that its body failed, too.
    #[must_use]
    pub fn has_status(&self) -> bool {
        self.has_status
    }
}

impl fmt::Display for ServerFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)
    }
}
