//! A member of a list: what is valid in it, and how it is written.

use std::borrow::Cow;
use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};

use super::error::{BaggageError, Problem};
use crate::propagation::trim_ows;

/// A member of a list. What it borrows need not be valid.
#[derive(Clone, Copy)]
pub(in crate::propagation) struct Member<'a> {
    pub(in crate::propagation) key: &'a str,
    pub(in crate::propagation) value: &'a str,
    pub(in crate::propagation) properties: &'a str,
}

/// A valid member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OwnedMember {
    pub(super) key: String,
    /// Decoded.
    pub(super) value: String,
    /// As they were written, without the first semicolon.
    pub(super) properties: String,
}

/// What is not a baggage-octet, and the percent sign itself.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b',')
    .add(b';')
    .add(b'\\')
    .add(b'%');

impl Member<'_> {
    pub(super) fn check(&self) -> Result<(), BaggageError> {
        if !is_token(self.key.as_bytes()) {
            return Err(BaggageError(Problem::Key));
        }
        if !are_properties(self.properties.as_bytes()) {
            return Err(BaggageError(Problem::Properties));
        }
        Ok(())
    }

    /// How many bytes it takes in a header.
    pub(super) fn bytes(&self) -> usize {
        let value: usize = utf8_percent_encode(self.value, ENCODED).map(str::len).sum();
        let semicolon = usize::from(!self.properties.is_empty());
        self.key.len() + 1 + value + semicolon + self.properties.len()
    }

    pub(super) fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
        out.write_str(self.key)?;
        out.write_str("=")?;
        for part in utf8_percent_encode(self.value, ENCODED) {
            out.write_str(part)?;
        }
        out.write_str(if self.properties.is_empty() { "" } else { ";" })?;
        out.write_str(self.properties)
    }
}

impl OwnedMember {
    pub(super) fn as_member(&self) -> Member<'_> {
        Member {
            key: &self.key,
            value: &self.value,
            properties: &self.properties,
        }
    }
}

impl From<Member<'_>> for OwnedMember {
    fn from(member: Member<'_>) -> Self {
        Self {
            key: member.key.to_owned(),
            value: member.value.to_owned(),
            properties: member.properties.to_owned(),
        }
    }
}

/// Key, decoded value, properties: section 3.2.1.1.
pub(super) fn parse(member: &[u8]) -> Option<(&str, Cow<'_, str>, &str)> {
    let end = member.iter().position(|byte| *byte == b';');
    let (pair, properties) = member.split_at(end.unwrap_or(member.len()));
    let properties = properties.get(1..).unwrap_or_default();
    let (key, value) = split_pair(pair)?;
    if !value.iter().all(|byte| is_baggage_octet(*byte)) {
        return None;
    }
    let key = std::str::from_utf8(key).ok()?;
    let properties = std::str::from_utf8(properties).ok()?;
    Some((key, percent_decode(value).decode_utf8_lossy(), properties))
}

/// Around the first equals sign, without blanks.
fn split_pair(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = pair.iter().position(|byte| *byte == b'=')?;
    Some((trim_ows(&pair[..equals]), trim_ows(&pair[equals + 1..])))
}

/// Nothing, or keys and pairs with semicolons between.
pub(super) fn are_properties(properties: &[u8]) -> bool {
    properties.is_empty()
        || properties
            .split(|byte| *byte == b';')
            .all(|property| match split_pair(property) {
                Some((key, value)) => is_token(key) && value.iter().all(|b| is_baggage_octet(*b)),
                None => is_token(trim_ows(property)),
            })
}

/// RFC 9110, section 5.6.2.
fn is_token(key: &[u8]) -> bool {
    !key.is_empty()
        && key
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}

/// Section 3.2.1.2: printable, but for the quotation mark, comma, semicolon and backslash.
fn is_baggage_octet(byte: u8) -> bool {
    matches!(byte, 0x21 | 0x23..=0x2b | 0x2d..=0x3a | 0x3c..=0x5b | 0x5d..=0x7e)
}
