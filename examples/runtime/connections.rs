//! The connections of the server, which can be ended from its side. A client that has sent
//! half a request, or reads no answer, would otherwise keep a stopping server for ever.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Accepts connections until it is dropped.
pub(crate) struct Connections {
    listener: TcpListener,
    ending: watch::Receiver<bool>,
}

/// Ends all of them, when it is told to.
pub(crate) struct End(watch::Sender<bool>);

/// Connections at this listener.
pub(crate) fn at(listener: TcpListener) -> (Connections, End) {
    let (end, ending) = watch::channel(false);
    (Connections { listener, ending }, End(end))
}

impl End {
    pub(crate) fn now(&self) {
        self.0.send_replace(true);
    }
}

impl Listener for Connections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        let mut ending = self.ending.clone();
        let ended = async move { _ = ending.wait_for(|is_ending| *is_ending).await };
        let connection = Connection {
            stream,
            ended: Some(Box::pin(ended)),
        };
        (connection, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Once it has ended nothing comes any more, and nothing goes.
pub(crate) struct Connection {
    stream: TcpStream,
    ended: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Connection {
    fn has_ended(&mut self, context: &mut Context<'_>) -> bool {
        if let Some(ended) = &mut self.ended
            && ended.as_mut().poll(context).is_ready()
        {
            self.ended = None;
        }
        self.ended.is_none()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.has_ended(context) {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.has_ended(context) {
            return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
