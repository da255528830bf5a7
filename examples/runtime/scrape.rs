//! What `/metrics` says, asked for as Prometheus does.

use std::collections::BTreeMap;

use axum::body::{Body, to_bytes};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::Result;
use super::ledger::{Series, Values};

pub(crate) async fn scrape(metrics: &str) -> Result<String> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
    let response = client.get(metrics.parse()?).await?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!("{metrics} answers {status}").into());
    }
    let body = to_bytes(Body::new(response.into_body()), usize::MAX).await?;
    Ok(String::from_utf8(body.to_vec())?)
}

/// All samples of a scrape, where each series is once.
pub(crate) fn parse(scrape: &str) -> Result<Values> {
    let lines = scrape.lines();
    let samples = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut values = Values::new();
    for sample in samples {
        let (series, value) = parse_sample(sample)?;
        if values.insert(series, value).is_some() {
            return Err(format!("it is there twice: {sample}").into());
        }
    }
    Ok(values)
}

/// `NAME{LABELS} VALUE`. A label's value may hold braces and blanks: a route does.
fn parse_sample(line: &str) -> Result<(Series, f64)> {
    let bad = || format!("no sample: {line}");
    let (series, value) = line.rsplit_once(' ').ok_or_else(bad)?;
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}').ok_or_else(bad)?),
        None => (series, ""),
    };
    let series = Series {
        name: name.to_owned(),
        labels: parse_labels(labels).ok_or_else(bad)?,
    };
    Ok((series, value.parse()?))
}

/// `a="1",b="2"`. No value here holds a quote.
fn parse_labels(labels: &str) -> Option<BTreeMap<String, String>> {
    let pairs = labels.split_terminator("\",").map(|pair| {
        let (key, value) = pair.split_once("=\"")?;
        Some((key.to_owned(), value.trim_end_matches('"').to_owned()))
    });
    pairs.collect()
}
