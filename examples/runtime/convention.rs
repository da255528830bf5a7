//! How the server's spans are measured: they are the library's, and have no field of ours.

use tracing::Metadata;
use tracing_meter::{Convention, Feed, Measure, Recipe};

/// Measures the spans of `tracing_meter::http::trace_layer`.
pub(crate) struct HttpRequests;

impl Convention for HttpRequests {
    fn recognise(&self, callsite: &Metadata<'static>) -> Option<Recipe> {
        let is_request =
            callsite.is_span() && callsite.target() == SERVER && callsite.name() == "http.server";
        is_request.then(|| {
            Feed::new()
                .measure(Measure::closed("wippy_http_requests"))
                .measure(Measure::duration("wippy_http_request_duration"))
                .measure(Measure::in_flight("wippy_http_requests_in_flight"))
                .label("http.request.method", "method")
                .label("http.route", "route")
                .label("http.response.status_code", "status")
                .into()
        })
    }
}

const SERVER: &str = "tracing_meter::http::server";
