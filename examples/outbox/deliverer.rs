//! Brings events to webhooks, each at least once.

use std::time::Duration;

use axum::http::Request;
use axum::http::header::CONTENT_TYPE;
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{info, instrument};

use super::Result;
use super::stage::Stage;
use super::store::{Delivery, Store};

/// How often an endpoint is asked to take an event before it is given up.
pub(crate) const MAX_ATTEMPTS: u32 = 2;
/// How long an endpoint may think about it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Posts what is due, and writes down what came of it.
pub(crate) struct Deliverer {
    store: Store,
    client: Client<HttpConnector, String>,
    base: String,
}

impl Deliverer {
    pub(super) fn new(store: Store, base: &str) -> Self {
        Self {
            store,
            client: Client::builder(TokioExecutor::new()).build_http(),
            base: base.to_owned(),
        }
    }

    /// One round: one attempt of everything that is due, all at once.
    pub(crate) async fn deliver(&self) -> Result<()> {
        let due = self.store.claim_deliveries();
        let due = due.inspect_err(|error| Stage::Claim.failed(error));
        let mut posts = JoinSet::new();
        for delivery in due.unwrap_or_default() {
            let webhook = format!("{}/{}", self.base, delivery.endpoint);
            posts.spawn(post_and_say(self.client.clone(), webhook, delivery));
        }
        while let Some(posted) = posts.join_next().await {
            let (delivery, taken) = posted?;
            self.ack(&delivery, taken);
        }
        info!(gauge.outbox.deliveries.waiting = self.store.count_due()?);
        Ok(())
    }

    /// If the database cannot be told, the delivery stays due, and the endpoint gets it
    /// again.
    fn ack(&self, delivery: &Delivery, taken: Result<()>) {
        let state = match taken {
            Ok(()) => "delivered",
            Err(error) => {
                Stage::Deliver.failed(&error);
                if delivery.attempts < MAX_ATTEMPTS {
                    return;
                }
                "given_up"
            }
        };
        if let Err(error) = self.store.settle(delivery, state) {
            Stage::Ack.failed(&error);
        }
    }
}

async fn post_and_say(
    client: Client<HttpConnector, String>,
    webhook: String,
    delivery: Delivery,
) -> (Delivery, Result<()>) {
    let taken = post(&client, &webhook, &delivery).await;
    (delivery, taken)
}

#[instrument(skip_all, err, fields(
    calls.outbox.deliveries.attempts,
    in_flight.outbox.deliveries.inflight,
    label.endpoint = delivery.endpoint,
    event = delivery.event,
))]
async fn post(
    client: &Client<HttpConnector, String>,
    webhook: &str,
    delivery: &Delivery,
) -> Result<()> {
    let body = json!({ "type": delivery.event_type, "data": delivery.payload });
    let request = Request::post(webhook)
        .header(CONTENT_TYPE, "application/json")
        .header("webhook-id", delivery.event)
        .body(body.to_string())?;
    let status = timeout(PATIENCE, client.request(request)).await??.status();
    if status.is_success() {
        return Ok(());
    }
    Err(format!("it answered {status}").into())
}
