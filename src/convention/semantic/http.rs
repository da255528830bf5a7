//! Requests of HTTP servers and clients.

use super::OptIn;
use super::attribute::{Attribute, error_type, number};
use super::callsite::{Callsite, Side};
use crate::convention::{Feed, LabelRule, Measure};
use crate::kind::Kind;
use crate::labels::LabelValue;
use crate::semconv::OTHER;

const METHOD: &str = "http.request.method";
const STATUS: &str = "http.response.status_code";

const OF_A_SERVER: [Attribute; 9] = [
    Attribute::METHOD,
    Attribute::text("url.scheme").required(),
    Attribute::int(STATUS),
    Attribute::text("http.route"),
    Attribute::PROTOCOL,
    Attribute::text("network.protocol.version"),
    Attribute::text("server.address").opt_in(OptIn::ServerAddress),
    Attribute::int("server.port").opt_in(OptIn::ServerPort),
    Attribute::text("user_agent.synthetic.type").opt_in(OptIn::SyntheticUserAgent),
];

const OF_AN_ACTIVE_SERVER: [Attribute; 4] = [
    Attribute::METHOD,
    Attribute::text("url.scheme").required(),
    Attribute::text("server.address").opt_in(OptIn::ServerAddress),
    Attribute::int("server.port").opt_in(OptIn::ServerPort),
];

const OF_A_CLIENT: [Attribute; 7] = [
    Attribute::METHOD,
    Attribute::text("server.address").required(),
    Attribute::int("server.port").required(),
    Attribute::int(STATUS),
    Attribute::PROTOCOL,
    Attribute::text("network.protocol.version"),
    Attribute::text("url.scheme").opt_in(OptIn::UrlScheme),
];

const OF_AN_ACTIVE_CLIENT: [Attribute; 5] = [
    Attribute::METHOD,
    Attribute::text("server.address").required(),
    Attribute::int("server.port").required(),
    Attribute::text("url.template"),
    Attribute::text("url.scheme").opt_in(OptIn::UrlScheme),
];

const TEMPLATE: Attribute = Attribute::text("url.template");

pub(super) fn feeds(callsite: &Callsite<'_>) -> Vec<Feed> {
    if !callsite.has(METHOD) {
        return Vec::new();
    }
    let is_server = callsite.has("http.route");
    let is_client = callsite.has_any(&["url.full", "url.template"]);
    // What labels one side only would cost the other side a binding for each value: a feed
    // that is known to be of no use is left out.
    match (is_server, is_client) {
        (true, false) => server(callsite, true),
        (false, true) => client(callsite, true),
        _ if callsite.has("otel.kind") => both(callsite),
        (false, false) if callsite.has_any(&["url.path", "client.address"]) => {
            server(callsite, true)
        }
        (false, false) if callsite.has("http.request.resend_count") => client(callsite, true),
        _ => both(callsite),
    }
}

fn both(callsite: &Callsite<'_>) -> Vec<Feed> {
    let mut feeds = server(callsite, false);
    feeds.extend(client(callsite, false));
    feeds
}

fn server(callsite: &Callsite<'_>, is_told_by_fields: bool) -> Vec<Feed> {
    let duration = Measure::duration("http.server.request.duration");
    let active = Measure::in_flight("http.server.active_requests").unit("{request}");
    let side = (Side::Server, is_told_by_fields);
    let requests = callsite
        .feed_of(side, METHOD, &OF_A_SERVER)
        .measure(duration.help("Duration of HTTP server requests."))
        .label_rule(error_from(500));
    let active = callsite
        .feed_of(side, METHOD, &OF_AN_ACTIVE_SERVER)
        .measure(active.help("Number of active HTTP server requests."));
    vec![with_sizes(callsite, requests, &SERVER_SIZES), active]
}

fn client(callsite: &Callsite<'_>, is_told_by_fields: bool) -> Vec<Feed> {
    let duration = Measure::duration("http.client.request.duration");
    let active = Measure::in_flight("http.client.active_requests").unit("{request}");
    let side = (Side::Client, is_told_by_fields);
    let requests = |template: Attribute| {
        let attributes = [&OF_A_CLIENT[..], &[template]].concat();
        let feed = callsite.feed_of(side, METHOD, &attributes);
        feed.label_rule(error_from(400))
    };
    let durations = requests(TEMPLATE.opt_in(OptIn::UrlTemplate))
        .measure(duration.help("Duration of HTTP client requests."));
    let sizes = with_sizes(callsite, requests(TEMPLATE), &CLIENT_SIZES);
    let active = callsite
        .feed_of(side, METHOD, &OF_AN_ACTIVE_CLIENT)
        .measure(active.help("Number of active HTTP requests."));
    vec![durations, sizes, active]
}

/// Metrics, the fields that they measure, and their help.
type Sizes = [(&'static str, &'static str, &'static str); 2];

const SERVER_SIZES: Sizes = [
    (
        "http.server.request.body.size",
        "http.request.body.size",
        "Size of HTTP server request bodies.",
    ),
    (
        "http.server.response.body.size",
        "http.response.body.size",
        "Size of HTTP server response bodies.",
    ),
];

const CLIENT_SIZES: Sizes = [
    (
        "http.client.request.body.size",
        "http.request.body.size",
        "Size of HTTP client request bodies.",
    ),
    (
        "http.client.response.body.size",
        "http.response.body.size",
        "Size of HTTP client response bodies.",
    ),
];

fn with_sizes(callsite: &Callsite<'_>, feed: Feed, sizes: &Sizes) -> Feed {
    let sizes = sizes.iter().filter_map(|(metric, field, help)| {
        let size = callsite.value(Kind::Histogram, metric, field)?;
        Some(size.unit("By").help(*help))
    });
    sizes.fold(feed, Feed::measure)
}

/// `error.type` where a status from this one on is an error.
fn error_from(first: i64) -> LabelRule {
    let error = move |status: &LabelValue| {
        let code = number(status).filter(|code| *code >= first)?;
        Some(code.to_string().into())
    };
    error_type().map(STATUS, error).failure(OTHER).optional()
}
