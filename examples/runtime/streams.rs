//! Surface: what stays open: server-sent events of the bus, and websockets that echo.

use std::convert::Infallible;

use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::response::Response;
use axum::response::sse::{Event, Sse};
use futures_util::{Stream, stream};
use tokio::sync::{mpsc, watch};
use tracing::{Instrument as _, Span};

use super::bus::Subscription;

/// The events of a subscription, as they come.
pub(crate) fn events(
    subscription: Subscription,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    Sse::new(stream::unfold(subscription, async |mut subscription| {
        let event = Event::default().data(subscription.next().await?);
        Some((Ok(event), subscription))
    }))
}

/// The websockets of a server: who holds one is told when the server stops, and the
/// server waits for those who do.
#[derive(Clone)]
pub(crate) struct Sockets {
    stopping: watch::Receiver<bool>,
    open: mpsc::Sender<Infallible>,
}

/// The server's end of them.
pub(crate) struct Closing {
    stopping: watch::Sender<bool>,
    open: mpsc::Receiver<Infallible>,
}

pub(crate) fn sockets() -> (Sockets, Closing) {
    let (stopping, is_stopping) = watch::channel(false);
    let (open, is_open) = mpsc::channel(1);
    let sockets = Sockets {
        stopping: is_stopping,
        open,
    };
    let closing = Closing {
        stopping,
        open: is_open,
    };
    (sockets, closing)
}

impl Sockets {
    /// The request's span goes on as long as its socket: so long it is in flight.
    pub(crate) fn echo(self, upgrade: WebSocketUpgrade) -> Response {
        let span = Span::current();
        upgrade.on_upgrade(async move |socket| {
            let open = self.open;
            echo(socket, self.stopping).instrument(span).await;
            drop(open);
        })
    }
}

impl Closing {
    pub(crate) fn start(&self) {
        self.stopping.send_replace(true);
    }

    pub(crate) async fn closed(mut self) {
        self.open.recv().await;
    }
}

async fn echo(mut socket: WebSocket, mut stopping: watch::Receiver<bool>) {
    let is_stopping = async |stopping: &mut watch::Receiver<bool>| {
        let _ = stopping.wait_for(|stopping| *stopping).await;
    };
    loop {
        let message = tokio::select! {
            message = socket.recv() => message,
            () = is_stopping(&mut stopping) => break,
        };
        let sent = match message {
            Some(Ok(message @ (Message::Text(_) | Message::Binary(_)))) => {
                socket.send(message).await
            }
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => return,
        };
        if sent.is_err() {
            return;
        }
    }
    let _ = socket.send(Message::Close(None)).await;
}
