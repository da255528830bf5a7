//! The `baggage` header.

use std::fmt;

use smallvec::SmallVec;

mod error;
mod member;

pub use error::BaggageError;
use error::Problem;
pub(super) use member::Member;
use member::{OwnedMember, are_properties};

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

const MAX_MEMBERS: usize = 64;
const MAX_BYTES: usize = 8192;

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
                if member.len() > MAX_BYTES {
                    continue;
                }
                if let Some((key, value, properties)) = member::parse(member) {
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
