//! Where a callsite stands in the source.

use std::fmt;

use tracing_core::Metadata;

/// Where a callsite stands in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    target: &'static str,
    file: Option<&'static str>,
    line: Option<u32>,
}

impl Location {
    pub(crate) fn of(metadata: &Metadata<'static>) -> Self {
        Self {
            target: metadata.target(),
            file: metadata.file(),
            line: metadata.line(),
        }
    }

    /// That of what this crate measures about itself.
    pub(crate) const OWN: Self = Self {
        target: "tracing_meter",
        file: None,
        line: None,
    };

    /// The callsite's target, by default its module path.
    #[must_use]
    pub const fn target(&self) -> &'static str {
        self.target
    }

    /// The source file.
    #[must_use]
    pub const fn file(&self) -> Option<&'static str> {
        self.file
    }

    /// The line in the source file, from 1.
    #[must_use]
    pub const fn line(&self) -> Option<u32> {
        self.line
    }
}

/// `src/main.rs:12`, or the target where the file is not known.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file, self.line) {
            (Some(file), Some(line)) => write!(f, "{file}:{line}"),
            (Some(file), None) => f.write_str(file),
            (None, _) => f.write_str(self.target),
        }
    }
}
