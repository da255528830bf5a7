//! The key of a label, which all series of a callsite share.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A key in one word, where an `Arc<str>` is two: each label of each series has one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SharedKey(Arc<Arc<str>>);

impl SharedKey {
    pub(crate) fn as_arc(&self) -> &Arc<str> {
        &self.0
    }
}

impl Deref for SharedKey {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<Arc<str>> for SharedKey {
    fn from(key: Arc<str>) -> Self {
        Self(Arc::new(key))
    }
}

impl From<String> for SharedKey {
    fn from(key: String) -> Self {
        Arc::<str>::from(key).into()
    }
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        str::fmt(self, f)
    }
}
