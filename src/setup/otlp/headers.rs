//! What is sent with each export.

use std::collections::{BTreeMap, HashMap};

use http::{HeaderMap, HeaderName, HeaderValue};
use tonic::metadata::MetadataMap;

use crate::setup::environment::Environment;
use crate::setup::error::SetupError;
use crate::setup::variables::Variable;

/// Names and values that a message can carry.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Headers(BTreeMap<String, String>);

impl Headers {
    /// `None` if there are none.
    pub(super) fn read(env: &Environment<'_>, of: &Variable) -> Result<Option<Self>, SetupError> {
        let headers = env.pairs(of)?;
        for (key, value) in &headers {
            if HeaderName::try_from(key).is_err() {
                // Which may be a secret that was written without a name before it.
                return Err(SetupError::variable(of, "a key is no name of a header"));
            }
            if HeaderValue::try_from(value).is_err() {
                let why = format!("the value of `{key}` is none of a header");
                return Err(SetupError::variable(of, why));
            }
        }
        Ok((!headers.is_empty()).then_some(Self(headers)))
    }

    pub(super) fn to_map(&self) -> HashMap<String, String> {
        self.0.clone().into_iter().collect()
    }

    pub(super) fn to_metadata(&self) -> MetadataMap {
        let parsed = self.0.iter().filter_map(|(name, value)| {
            let value = HeaderValue::try_from(value).ok()?;
            Some((HeaderName::try_from(name).ok()?, value))
        });
        MetadataMap::from_headers(parsed.collect::<HeaderMap>())
    }
}

/// Their values may be secrets.
impl std::fmt::Debug for Headers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
