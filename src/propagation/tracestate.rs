//! The `tracestate` header.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use smallvec::SmallVec;

use super::trim_ows;

/// What the vendors that take part in a trace pass on to each other.
///
/// A list of members, the latest first, parsed strictly by [W3C Trace Context
/// Level 2, section 3.3][spec], and written back as it came, without its blanks and
/// empty members.
///
/// ```
/// use tracing_meter::propagation::Tracestate;
///
/// let received: Tracestate = "congo=t61rcWkgMzE , rojo@@eu=00f067aa".parse()?;
/// assert_eq!(received.get("rojo@@eu"), Some("00f067aa"));
///
/// let sent = received.insert("rojo@@eu", "b7ad6b71")?;
/// assert_eq!(sent.to_string(), "rojo@@eu=b7ad6b71,congo=t61rcWkgMzE");
/// # Ok::<(), tracing_meter::propagation::TracestateError>(())
/// ```
///
/// [spec]: https://www.w3.org/TR/trace-context-2/#tracestate-header
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Tracestate {
    /// `key=value` with commas between. Every member is valid, and no key comes twice.
    list: String,
}

/// So many members may be in a list.
const MAX_MEMBERS: usize = 32;
const MAX_KEY: usize = 256;
const MAX_VALUE: usize = 256;
/// What is longer goes first, when a list is cut to a size.
const LONG_MEMBER: usize = 128;

impl Tracestate {
    /// Reads the values of all headers of a message, in the order in which they came.
    ///
    /// The first of several members with one key is kept.
    ///
    /// # Errors
    ///
    /// One bad member makes the list invalid, and so do more than 32.
    pub fn parse<'a>(headers: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, TracestateError> {
        Ok(Self::of_members(&parse_members(headers)?))
    }

    /// Of members that are valid.
    pub(super) fn of_members(members: &[Member<'_>]) -> Self {
        let lengths = members
            .iter()
            .map(|(key, value)| key.len() + value.len() + 2);
        let mut list = String::with_capacity(lengths.sum());
        for (key, value) in members {
            list.push_str(if list.is_empty() { "" } else { "," });
            list.push_str(key);
            list.push('=');
            list.push_str(value);
        }
        Self { list }
    }

    /// The value of a vendor's member.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.iter().find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    /// The members, from the left.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.list.split(',').filter_map(|m| m.split_once('='))
    }

    /// How many members there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Whether there is no member.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The header's value.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.list
    }

    /// Sets a member, which moves to the left. Of a full list the right-most goes.
    ///
    /// # Errors
    ///
    /// A key or a value that no member can have.
    pub fn insert(&self, key: &str, value: &str) -> Result<Self, TracestateError> {
        let new = check_member((key, value))?;
        let others = self.iter().filter(|(known, _)| *known != key);
        let members: Members<'_> = [new].into_iter().chain(others).take(MAX_MEMBERS).collect();
        Ok(Self::of_members(&members))
    }

    /// Takes a member away.
    #[must_use]
    pub fn remove(&self, key: &str) -> Self {
        self.retain(|k, _| k != key)
    }

    /// A list of at most `bytes` bytes: whole members go, first those of more than
    /// 128, then from the right.
    ///
    /// The specification wants at least 512 bytes to be passed on.
    #[must_use]
    pub fn cut_to(&self, bytes: usize) -> Self {
        let mut excess = self.list.len().saturating_sub(bytes);
        let mut goes = |length: usize| {
            let goes = excess > 0;
            excess = excess.saturating_sub(if goes { length + 1 } else { 0 });
            goes
        };
        let mut members: Members<'_> = self.iter().collect();
        let length = |(key, value): &Member<'_>| key.len() + 1 + value.len();
        // From the right, so that of the long ones, too, the latest stays.
        members.reverse();
        members.retain(|member| length(member) <= LONG_MEMBER || !goes(length(member)));
        members.retain(|member| !goes(length(member)));
        members.reverse();
        Self::of_members(&members)
    }

    /// The members that are wanted, in their order.
    pub(super) fn retain(&self, mut is_wanted: impl FnMut(&str, &str) -> bool) -> Self {
        let members: Members<'_> = self.iter().filter(|(k, v)| is_wanted(k, v)).collect();
        Self::of_members(&members)
    }
}

impl FromStr for Tracestate {
    type Err = TracestateError;

    fn from_str(header: &str) -> Result<Self, TracestateError> {
        Self::parse([header.as_bytes()])
    }
}

/// As the header is written.
impl fmt::Display for Tracestate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.list)
    }
}

/// The header's value.
impl From<Tracestate> for String {
    fn from(state: Tracestate) -> Self {
        state.list
    }
}

/// Why a value is not a [`Tracestate`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TracestateError(Problem);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Problem {
    Key,
    Value,
    Members,
}

impl TracestateError {
    /// A key is not valid, or a member has no value.
    #[must_use]
    pub fn is_key(&self) -> bool {
        self.0 == Problem::Key
    }

    /// A value is not valid.
    #[must_use]
    pub fn is_value(&self) -> bool {
        self.0 == Problem::Value
    }

    /// There are more than 32 members.
    #[must_use]
    pub fn is_members(&self) -> bool {
        self.0 == Problem::Members
    }
}

impl fmt::Display for TracestateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Problem::Key => "invalid tracestate: a key that no member can have",
            Problem::Value => "invalid tracestate: a value that no member can have",
            Problem::Members => "invalid tracestate: more than 32 members",
        })
    }
}

impl fmt::Debug for TracestateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for TracestateError {}

/// Key and value, both valid.
pub(super) type Member<'a> = (&'a str, &'a str);

/// The members that came, of which each key is there once.
pub(super) type Members<'a> = SmallVec<[Member<'a>; 4]>;

/// Reads the values of all headers, without a copy.
pub(super) fn parse_members<'a>(
    headers: impl IntoIterator<Item = &'a [u8]>,
) -> Result<Members<'a>, TracestateError> {
    let mut members = Members::new();
    let mut received = 0;
    for header in headers {
        let listed = header.split(|byte| *byte == b',').map(trim_ows);
        for member in listed.filter(|member| !member.is_empty()) {
            received += 1;
            if received > MAX_MEMBERS {
                return Err(TracestateError(Problem::Members));
            }
            push_unless_known(&mut members, parse_member(member)?);
        }
    }
    Ok(members)
}

/// The first of several members with one key stays.
pub(super) fn push_unless_known<'a>(members: &mut Members<'a>, member: Member<'a>) {
    if members.iter().all(|(known, _)| *known != member.0) {
        members.push(member);
    }
}

/// A member that may come from somebody less strict.
pub(super) fn check_member((key, value): Member<'_>) -> Result<Member<'_>, TracestateError> {
    Ok((check_key(key.as_bytes())?, check_value(value.as_bytes())?))
}

fn parse_member(member: &[u8]) -> Result<Member<'_>, TracestateError> {
    let equals = member.iter().position(|byte| *byte == b'=');
    let (key, value) = member.split_at(equals.ok_or(TracestateError(Problem::Key))?);
    Ok((check_key(key)?, check_value(&value[1..])?))
}

/// Section 3.3.1.3.1.
fn check_key(key: &[u8]) -> Result<&str, TracestateError> {
    let valid = key.len() <= MAX_KEY
        && matches!(key.first(), Some(b'a'..=b'z' | b'0'..=b'9'))
        && key.iter().all(
            |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'*' | b'/' | b'@'),
        );
    let key = valid.then(|| std::str::from_utf8(key).ok()).flatten();
    key.ok_or(TracestateError(Problem::Key))
}

/// Section 3.3.1.3.2.
fn check_value(value: &[u8]) -> Result<&str, TracestateError> {
    let valid = value.len() <= MAX_VALUE
        && matches!(value.last(), Some(last) if *last != b' ')
        && value
            .iter()
            .all(|byte| matches!(byte, 0x20..=0x7e if *byte != b',' && *byte != b'='));
    let value = valid.then(|| std::str::from_utf8(value).ok()).flatten();
    value.ok_or(TracestateError(Problem::Value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn members() -> impl Strategy<Value = Vec<(String, String)>> {
        let key = "[a-z0-9][a-z0-9_*/@-]{0,255}";
        let value = "[ -+\\--<>-~]{0,255}[!-+\\--<>-~]";
        prop::collection::vec((key, value), 0..=MAX_MEMBERS)
    }

    proptest! {
        #[test]
        fn what_is_valid_survives_any_number_of_hops(members in members()) {
            let written: Vec<_> = members.iter().map(|(k, v)| format!("{k}={v}")).collect();
            // Leading blanks are the list's there, not the value's.
            let first: Tracestate = written.join(" ,\t").parse().unwrap();
            let second: Tracestate = first.as_str().parse().unwrap();
            prop_assert_eq!(&first, &second);
            let mut seen = std::collections::HashSet::new();
            let unique = members.iter().filter(|(key, _)| seen.insert(key.as_str()));
            let unique: Vec<_> = unique.map(|(k, v)| (k.as_str(), v.as_str())).collect();
            prop_assert_eq!(second.iter().collect::<Vec<_>>(), unique);
        }

        #[test]
        fn no_bad_byte_goes_out(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(state) = Tracestate::parse([bytes.as_slice()]) {
                prop_assert!(state.as_str().bytes().all(|byte| (0x20..0x7f).contains(&byte)));
                prop_assert_eq!(state.as_str().parse(), Ok(state.clone()));
            }
        }

        #[test]
        fn a_cut_list_fits_and_keeps_its_order(members in members(), bytes in 0_usize..2000) {
            let written: Vec<_> = members.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let all: Tracestate = written.join(",").parse().unwrap();
            let cut = all.cut_to(bytes);
            prop_assert!(cut.as_str().len() <= bytes);
            let kept: Vec<_> = cut.iter().collect();
            let in_order: Vec<_> = all.iter().filter(|member| kept.contains(member)).collect();
            prop_assert_eq!(&kept, &in_order);
            if all.as_str().len() <= bytes {
                prop_assert_eq!(cut, all);
            }
        }
    }
}
