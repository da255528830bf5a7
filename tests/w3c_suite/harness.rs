//! Sends requests byte by byte, and gets the calls that a service makes for them.
//!
//! No HTTP library would send two headers of one name, names in mixed case, or blanks
//! around values.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::Result;

/// What hangs fails: more than any service needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Takes calls at its address, until it is dropped.
pub(crate) struct Harness {
    address: SocketAddr,
    asked: AtomicUsize,
    received: Arc<Mutex<Vec<Message>>>,
    _tasks: JoinSet<()>,
}

/// A call that a service made.
#[derive(Clone, Debug)]
pub(crate) struct Called {
    pub(crate) headers: Vec<(String, String)>,
}

impl Harness {
    pub(crate) async fn start() -> Result<Self> {
        Self::answering_at_once(1).await
    }

    /// No call is answered before so many have come.
    pub(crate) async fn answering_at_once(calls: usize) -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let received = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = JoinSet::new();
        tasks.spawn(take_calls(
            listener,
            Arc::clone(&received),
            Arc::new(Barrier::new(calls)),
        ));
        Ok(Self {
            address,
            asked: AtomicUsize::new(0),
            received,
            _tasks: tasks,
        })
    }

    /// Sends the service a request with these headers, and lets it make so many calls.
    pub(crate) async fn ask(
        &self,
        (service, path): (SocketAddr, &str),
        headers: &[(String, String)],
        calls: usize,
    ) -> Result<Vec<Called>> {
        let target = format!("/{}", self.asked.fetch_add(1, Ordering::Relaxed));
        let url = format!("http://{}{target}", self.address);
        let entry = |n| json!({"url": url, "arguments": [n, "ä"]});
        let body = (0..calls).map(entry).collect::<Value>().to_string();
        let headers = headers.iter();
        let headers = headers.flat_map(|(name, value)| [name, ": ", value, "\r\n"]);
        let headers: String = headers.collect();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {service}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n{headers}\r\n{body}",
            body.len(),
        );
        let answer = tokio::time::timeout(PATIENCE, exchange(service, &request)).await??;
        assert_eq!(answer.start, "HTTP/1.1 200 OK", "{:?}", answer.text());

        let received = self.received.lock().unwrap();
        let start = format!("POST {target} HTTP/1.1");
        let received = received.iter().filter(|call| call.start == start);
        let called = received.enumerate().map(|(n, call)| {
            let arguments: Value = serde_json::from_slice(&call.body)?;
            assert_eq!(arguments, entry(n)["arguments"]);
            let headers = call.headers.clone();
            Ok(Called { headers })
        });
        let called: Vec<_> = called.collect::<Result<_>>()?;
        assert_eq!(called.len(), calls);
        Ok(called)
    }
}

impl Called {
    /// The values of a header, one for each time that it came.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        let is_named = |(n, _): &&(String, String)| n.eq_ignore_ascii_case(name);
        let values = self.headers.iter().filter(is_named);
        values.map(|(_, value)| value.as_str()).collect()
    }
}

async fn exchange(service: SocketAddr, request: &str) -> Result<Message> {
    let mut stream = TcpStream::connect(service).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut unread = Vec::new();
    let answer = Message::read(&mut stream, &mut unread).await?;
    answer.ok_or_else(|| "no answer".into())
}

async fn take_calls(
    listener: TcpListener,
    received: Arc<Mutex<Vec<Message>>>,
    answering: Arc<Barrier>,
) {
    let mut connections = JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        let (received, answering) = (Arc::clone(&received), Arc::clone(&answering));
        connections.spawn(async move {
            let mut unread = Vec::new();
            while let Some(call) = Message::read(&mut stream, &mut unread).await? {
                received.lock().unwrap().push(call);
                answering.wait().await;
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(answer).await?;
            }
            Result::Ok(())
        });
    }
}

/// A request or an answer.
#[derive(Clone, Debug)]
struct Message {
    start: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Message {
    /// The next one of a connection, if it is not at its end. `unread` holds what came
    /// behind it.
    async fn read(stream: &mut TcpStream, unread: &mut Vec<u8>) -> Result<Option<Self>> {
        const END: &[u8] = b"\r\n\r\n";
        let head = loop {
            if let Some(at) = unread.windows(END.len()).position(|it| it == END) {
                break at;
            }
            if stream.read_buf(unread).await? == 0 {
                return Ok(None);
            }
        };
        let body = unread.split_off(head + END.len());
        let text = std::str::from_utf8(&unread[..head])?;
        let (start, headers) = text.split_once("\r\n").unwrap_or((text, ""));
        let headers = headers.lines().map(|line| {
            let (name, value) = line.split_once(':').ok_or("no colon")?;
            Ok((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()))
        });
        let mut message = Self {
            start: start.to_owned(),
            headers: headers.collect::<Result<_>>()?,
            body,
        };
        let length = message.length()?;
        while message.body.len() < length {
            if stream.read_buf(&mut message.body).await? == 0 {
                return Err("half a body".into());
            }
        }
        *unread = message.body.split_off(length);
        Ok(Some(message))
    }

    fn length(&self) -> Result<usize> {
        let is_length = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("content-length");
        let length = self.headers.iter().find(is_length);
        Ok(length.map_or(Ok(0), |(_, value)| value.parse())?)
    }

    fn text(&self) -> std::borrow::Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }
}
