//! The `baggage` header.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;

use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};
use smallvec::SmallVec;

use super::trim_ows;

/// What an application passes on with its requests: names and values.
///
/// Read by the [W3C Baggage] specification: a bad member is dropped, the rest is
/// kept. Values are percent-decoded when they are read and encoded when they are
/// written, so that they are the same after any number of hops. What is over the
/// limits, 64 members and 8192 bytes, is dropped whole.
///
/// ```
/// use tracing_meter::propagation::Baggage;
///
/// let received = Baggage::parse([b"tenant=caf%C3%A9;ttl=5 , no value".as_slice()]);
/// assert_eq!(received.get("tenant"), Some("café"));
/// assert_eq!(received.to_string(), "tenant=caf%C3%A9;ttl=5");
/// ```
///
/// [W3C Baggage]: https://www.w3.org/TR/baggage/
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baggage {
    /// Most messages have few.
    members: SmallVec<[OwnedMember; 4]>,
    /// Of the members in the header's value, without the commas between.
    bytes: usize,
}

/// A valid member.
#[derive(Clone, Debug, PartialEq, Eq)]
struct OwnedMember {
    key: String,
    /// Decoded.
    value: String,
    /// As they were written, without the first semicolon.
    properties: String,
}

const MAX_MEMBERS: usize = 64;
const MAX_BYTES: usize = 8192;

/// What is not a baggage-octet, and the percent sign itself.
const ENCODED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b',')
    .add(b';')
    .add(b'\\')
    .add(b'%');

impl Baggage {
    /// Reads the values of all headers of a message, in the order in which they came.
    /// What is not valid or over the limits is left out.
    pub fn parse<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut baggage = Self::default();
        for header in headers {
            for member in header.split(|byte| *byte == b',') {
                if baggage.members.len() == MAX_MEMBERS {
                    return baggage;
                }
                if let Some((key, value, properties)) = parse_member(member) {
                    // What is not valid is dropped, and the rest is kept.
                    let _ = baggage.insert(key, &value, properties);
                }
            }
        }
        baggage
    }

    /// Sets a value and its properties, `key` or `key=value` with semicolons between.
    ///
    /// # Errors
    ///
    /// No header can carry it (a key that is no token, properties that are none), or the
    /// baggage would be over its limits. It is then what it was.
    pub fn insert(&mut self, key: &str, value: &str, properties: &str) -> Result<(), BaggageError> {
        let new = Member {
            key,
            value,
            properties: properties.trim_matches([' ', '\t']),
        };
        // First, because what comes after costs as much as the member that is there.
        new.check()?;
        let same = self.members.iter().position(|member| member.key == key);
        let before = same.map_or(0, |at| self.members[at].as_member().bytes());
        let others = self.members.len() - usize::from(same.is_some());
        let bytes = self.bytes - before + new.bytes();
        if !is_within_limits(others + 1, bytes) {
            return Err(BaggageError(Problem::Limit));
        }
        self.bytes = bytes;
        match same {
            Some(at) => self.members[at] = new.into(),
            None => self.members.push(new.into()),
        }
        Ok(())
    }

    /// A value, decoded.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        let member = self.members.iter().find(|member| member.key == key);
        member.map(|member| member.value.as_str())
    }

    /// Keys, values and properties, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        let members = self.members.iter().map(OwnedMember::as_member);
        members.map(|member| (member.key, member.value, member.properties))
    }

    /// The same, owned.
    pub(super) fn into_members(self) -> impl Iterator<Item = (String, String, String)> {
        let members = self.members.into_iter();
        members.map(|member| (member.key, member.value, member.properties))
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }
}

/// As the header is written.
impl fmt::Display for Baggage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, member) in self.members.iter().enumerate() {
            f.write_str(if at == 0 { "" } else { "," })?;
            member.as_member().write(f)?;
        }
        Ok(())
    }
}

/// Why a member is not in a [`Baggage`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BaggageError(Problem);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Problem {
    Key,
    Properties,
    Limit,
}

impl BaggageError {
    /// The key is not a token.
    #[must_use]
    pub fn is_key(&self) -> bool {
        self.0 == Problem::Key
    }

    /// The properties are not valid.
    #[must_use]
    pub fn is_properties(&self) -> bool {
        self.0 == Problem::Properties
    }

    /// There would be more than 64 members, or more than 8192 bytes.
    #[must_use]
    pub fn is_limit(&self) -> bool {
        self.0 == Problem::Limit
    }
}

impl fmt::Display for BaggageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Problem::Key => "invalid baggage: a key that is no token",
            Problem::Properties => "invalid baggage: properties that no member can have",
            Problem::Limit => "invalid baggage: more than 64 members or 8192 bytes",
        })
    }
}

impl fmt::Debug for BaggageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for BaggageError {}

/// The header's value for these members, each with another key. What cannot be
/// carried or is over the limits is left out: properties first, which leaves the value.
pub(super) fn header<'a>(members: impl Iterator<Item = Member<'a>>) -> Option<String> {
    let mut header = String::new();
    let mut count = 0;
    let mut bytes = 0;
    for mut member in members {
        if !are_properties(member.properties.as_bytes()) {
            member.properties = "";
        }
        let with_it = bytes + member.bytes();
        if member.check().is_ok() && is_within_limits(count + 1, with_it) {
            header.push_str(if count == 0 { "" } else { "," });
            member.write(&mut header).ok()?;
            count += 1;
            bytes = with_it;
        }
    }
    (count > 0).then_some(header)
}

/// So many members, of so many bytes together, with commas between.
fn is_within_limits(members: usize, bytes: usize) -> bool {
    members <= MAX_MEMBERS && bytes + members.saturating_sub(1) <= MAX_BYTES
}

/// A member of a list. What it borrows need not be valid.
#[derive(Clone, Copy)]
pub(super) struct Member<'a> {
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    pub(super) properties: &'a str,
}

impl Member<'_> {
    fn check(&self) -> Result<(), BaggageError> {
        if !is_token(self.key.as_bytes()) {
            return Err(BaggageError(Problem::Key));
        }
        if !are_properties(self.properties.as_bytes()) {
            return Err(BaggageError(Problem::Properties));
        }
        Ok(())
    }

    /// How many bytes it takes in a header.
    fn bytes(&self) -> usize {
        let value: usize = utf8_percent_encode(self.value, ENCODED).map(str::len).sum();
        let semicolon = usize::from(!self.properties.is_empty());
        self.key.len() + 1 + value + semicolon + self.properties.len()
    }

    fn write(&self, out: &mut impl fmt::Write) -> fmt::Result {
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
    fn as_member(&self) -> Member<'_> {
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
fn parse_member(member: &[u8]) -> Option<(&str, Cow<'_, str>, &str)> {
    if member.len() > MAX_BYTES {
        return None;
    }
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
fn are_properties(properties: &[u8]) -> bool {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_value_is_the_same_after_any_number_of_hops(
            members in prop::collection::vec(("[!#$%&'*+.^_`|~a-zA-Z0-9-]{1,20}", any::<String>()), 0..80),
        ) {
            let mut sent = Baggage::default();
            for (key, value) in &members {
                let _ = sent.insert(key, value, "");
            }
            let mut hop = sent.clone();
            for _ in 0..3 {
                let header = hop.to_string();
                prop_assert!(header.len() <= MAX_BYTES);
                hop = Baggage::parse([header.as_bytes()]);
            }
            prop_assert_eq!(hop, sent);
        }

        #[test]
        fn no_bad_byte_goes_out(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let header = Baggage::parse([bytes.as_slice()]).to_string();
            let carried = |byte: u8| byte == b'\t' || (0x20..0x7f).contains(&byte);
            prop_assert!(header.bytes().all(carried), "{header:?}");
            prop_assert_eq!(Baggage::parse([header.as_bytes()]).to_string(), header);
        }
    }
}
