//! A real Prometheus server, and its promtool.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part of this")]
#![allow(clippy::print_stdout, reason = "a skipped check says so")]

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::StatusCode;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::mpsc;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Within a minute, at `PAUSE` between two of them.
pub const POLLS: usize = 300;
pub const PAUSE: Duration = Duration::from_millis(200);

/// A Prometheus server with a configuration of the test, until it is dropped.
pub struct Prometheus {
    child: Child,
    log: mpsc::UnboundedReceiver<String>,
    address: String,
    _directory: TempDir,
}

impl Prometheus {
    /// The rules stand beside the configuration, which names them.
    ///
    /// Without the program this prints that it was skipped; in CI it is required.
    pub async fn start(config: &str, rules: &[&Path]) -> Result<Option<Self>> {
        let directory = tempfile::tempdir()?;
        std::fs::write(directory.path().join("prometheus.yml"), config)?;
        for file in rules {
            let name = file.file_name().ok_or("no file")?;
            std::fs::copy(file, directory.path().join(name))?;
        }
        let Ok(mut child) = command(directory.path()).spawn() else {
            assert!(std::env::var_os("CI").is_none(), "CI needs prometheus");
            println!("skipped: prometheus is not installed (Debian: prometheus)");
            return Ok(None);
        };
        let mut server = Self {
            log: lines(child.stderr.take().ok_or("no log")?),
            child,
            address: String::new(),
            _directory: directory,
        };
        server.address = server.listens_on().await?;
        Ok(Some(server))
    }

    /// It chose its port itself, and says which in its log.
    async fn listens_on(&mut self) -> Result<String> {
        let mut said = String::new();
        while let Some(line) = self.log.recv().await {
            if line.contains("Listening on")
                && let Some((_, address)) = line.split_once("address=")
            {
                return Ok(address.trim().to_owned());
            }
            said = said + &line + "\n";
        }
        Err(format!("prometheus ended:\n{said}").into())
    }

    /// Asks until the answer is this one.
    pub async fn poll_until(&self, query: &str, expected: f64) -> Result<()> {
        let is_expected = |answer: Option<f64>| answer == Some(expected);
        self.poll(query, is_expected).await.map(|_| ())
    }

    /// Asks until the answer is good.
    pub async fn poll(
        &self,
        query: &str,
        is_good: impl Fn(Option<f64>) -> bool,
    ) -> Result<Option<f64>> {
        let mut answer = None;
        for _ in 0..POLLS {
            answer = self.ask(query).await?;
            if is_good(answer) {
                return Ok(answer);
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(format!("{query} is {answer:?}").into())
    }

    /// The first series of a query's answer, if it has one yet.
    pub async fn ask(&self, query: &str) -> Result<Option<f64>> {
        let address = &self.address;
        let uri = format!(
            "http://{address}/api/v1/query?query={}",
            percent_encoded(query)
        );
        let client = Client::builder(TokioExecutor::new()).build_http::<Body>();
        let response = client.get(uri.parse()?).await?;
        let is_ready = response.status() != StatusCode::SERVICE_UNAVAILABLE;
        let body = to_bytes(Body::new(response.into_body()), usize::MAX).await?;
        if !is_ready {
            return Ok(None);
        }
        let answer: Value = serde_json::from_slice(&body)?;
        assert_eq!(answer["status"], "success", "{query}: {answer}");
        let value = answer["data"]["result"][0]["value"][1].as_str();
        Ok(value.map(str::parse).transpose()?)
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(directory: &Path) -> Command {
    let config = directory.join("prometheus.yml");
    let data = directory.join("data");
    let mut command = Command::new("prometheus");
    command
        .arg(format!("--config.file={}", config.display()))
        .arg(format!("--storage.tsdb.path={}", data.display()))
        .arg("--web.listen-address=127.0.0.1:0")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Reads to the end: a program whose log nobody reads would be stopped by it.
fn lines(log: ChildStderr) -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in BufReader::new(log).lines().map_while(std::io::Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

fn percent_encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        if byte.is_ascii_alphanumeric() {
            encoded.push(byte.into());
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
        encoded
    })
}

/// Runs promtool, and asserts that it agrees. Gives what it said.
///
/// Without promtool this prints that it was skipped; in CI it is required.
pub fn assert_promtool_agrees(arguments: &[&str], file: &Path) -> Option<String> {
    let Ok(output) = Command::new("promtool").args(arguments).arg(file).output() else {
        assert!(std::env::var_os("CI").is_none(), "CI needs promtool");
        println!("skipped: promtool is not installed (Debian: prometheus)");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {said}", file.display());
    Some(said)
}
