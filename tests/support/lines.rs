//! What a `fmt` layer has written.

#![allow(dead_code, unreachable_pub, reason = "each test uses its part of this")]

use std::io;
use std::sync::{Arc, Mutex};

use tracing_subscriber::fmt::MakeWriter;

/// A writer that keeps its lines.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    pub fn all(&self) -> Vec<String> {
        let written = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        written.lines().map(str::to_owned).collect()
    }

    /// The line with this part, of which there is one.
    pub fn with(&self, part: &str) -> String {
        let all = self.all();
        let mut found = all.iter().filter(|line| line.contains(part));
        let line = found
            .next()
            .unwrap_or_else(|| panic!("no {part} in {all:#?}"));
        assert!(found.next().is_none(), "more than one {part} in {all:#?}");
        line.clone()
    }
}

impl<'w> MakeWriter<'w> for Lines {
    type Writer = Self;

    fn make_writer(&'w self) -> Self {
        self.clone()
    }
}

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
