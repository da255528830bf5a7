//! One line of `key=value` for each measurement.

use std::fmt::Write as _;
use std::io::Write as _;
use std::sync::Arc;

use tracing_subscriber::fmt::MakeWriter;

use super::{Handle, Sink};
use crate::instrument::Instrument;
use crate::labels::Labels;

/// Writes each measurement as a line:
///
/// ```text
/// metric=uploads kind=counter value=1 region=eu
/// metric=job kind=histogram unit=s value=0.25 queue="low priority"
/// ```
///
/// A label with the key of one of the first fields is written `label.KEY`. A text with
/// blanks, quotes, `=` or control characters is quoted as a Rust string. A line that cannot
/// be written is dropped, as the `fmt` layer does.
#[derive(Debug)]
pub struct LogSink<W> {
    writer: Arc<W>,
}

impl<W> LogSink<W>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    /// Lines to any writer that a `fmt` layer takes: `std::io::stderr`, a file,
    /// a non-blocking appender.
    pub fn new(writer: W) -> Self {
        Self {
            writer: Arc::new(writer),
        }
    }
}

impl<W> Sink for LogSink<W>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    fn series(&self, instrument: &Instrument, labels: &Labels) -> Arc<dyn Handle> {
        let mut before = format!("metric={} kind={}", instrument.name(), instrument.kind());
        if let Some(unit) = instrument.unit() {
            append(&mut before, "unit", unit);
        }
        let mut after = String::new();
        for label in labels {
            let value = label.value().to_string();
            match label.key() {
                key @ ("metric" | "kind" | "unit" | "value") => {
                    append(&mut after, &format!("label.{key}"), &value);
                }
                key => append(&mut after, key, &value),
            }
        }
        Arc::new(LogHandle {
            writer: Arc::clone(&self.writer),
            before,
            after,
        })
    }
}

/// A series whose line lacks nothing but the value.
struct LogHandle<W> {
    writer: Arc<W>,
    before: String,
    after: String,
}

impl<W> Handle for LogHandle<W>
where
    W: for<'a> MakeWriter<'a> + Send + Sync,
{
    fn record(&self, value: f64) {
        let line = format!("{} value={value}{}\n", self.before, self.after);
        let _ = self.writer.make_writer().write_all(line.as_bytes());
    }
}

fn append(line: &mut String, key: &str, value: &str) {
    let needs_quotes = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '"' | '=');
    let key = key.replace(needs_quotes, "_");
    // Writing to a string cannot fail.
    let _ = if value.is_empty() || value.contains(needs_quotes) {
        write!(line, " {key}={value:?}")
    } else {
        write!(line, " {key}={value}")
    };
}
