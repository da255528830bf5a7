//! Which keys a label may be given.

use crate::prometheus_name::{self, Unusable};

/// Checks a key that a program or a rule gives to a label. An error says why it has none.
pub(crate) fn check_key(key: &str) -> Result<(), &'static str> {
    if key.is_empty() {
        return Err("the key is empty");
    }
    if key.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err("the key holds a blank or a control character");
    }
    prometheus_name::check_label(key).map_err(Unusable::as_str)
}
