//! The `traceparent` header.

use std::error::Error;
use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};
use std::str::FromStr;

use super::trim_ows;

/// Which trace a request belongs to, and which span it comes from.
///
/// Parsed strictly, by [W3C Trace Context Level 2, section 3.2][spec]: what cannot
/// be trusted is an error, and nothing in between. Written as version 00.
///
/// ```
/// use tracing_meter::propagation::Traceparent;
///
/// let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-03";
/// let parsed: Traceparent = header.parse()?;
/// assert!(parsed.is_sampled() && parsed.is_random());
/// assert_eq!(parsed.to_string(), header);
///
/// let uppercase = header.to_uppercase().parse::<Traceparent>();
/// assert!(uppercase.unwrap_err().is_digits());
/// # Ok::<(), tracing_meter::propagation::TraceparentError>(())
/// ```
///
/// [spec]: https://www.w3.org/TR/trace-context-2/#traceparent-header
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Traceparent {
    trace_id: NonZeroU128,
    parent_id: NonZeroU64,
    sampled: bool,
    random: bool,
}

const SAMPLED: u8 = 0b01;
const RANDOM: u8 = 0b10;

/// The length of version 00, and of the part of all versions that is known.
const LENGTH: usize = 55;

impl Traceparent {
    /// A parent of what is sent. Neither sampled nor random, until it is said.
    #[must_use]
    pub const fn new(trace_id: NonZeroU128, parent_id: NonZeroU64) -> Self {
        Self {
            trace_id,
            parent_id,
            sampled: false,
            random: false,
        }
    }

    /// Whether the sender may have recorded this trace.
    #[must_use]
    pub const fn sampled(mut self, sampled: bool) -> Self {
        self.sampled = sampled;
        self
    }

    /// Whether the right-most 7 bytes of the trace id are random.
    #[must_use]
    pub const fn random(mut self, random: bool) -> Self {
        self.random = random;
        self
    }

    /// Reads a header's value. Blanks and tabs around it are none of it.
    ///
    /// # Errors
    ///
    /// What is not exactly a `traceparent` of version 00, or does not begin like one
    /// of a higher version.
    pub fn parse(value: &[u8]) -> Result<Self, TraceparentError> {
        let value = trim_ows(value);
        let Some((known, rest)) = value.split_first_chunk::<LENGTH>() else {
            return Err(TraceparentError(Problem::Length));
        };
        let version = hex(&known[0..2])?;
        if version == 0xff {
            return Err(TraceparentError(Problem::Version));
        }
        let may_go_on = version > 0 && rest.first() == Some(&b'-');
        if !rest.is_empty() && !may_go_on {
            return Err(TraceparentError(Problem::Length));
        }
        if [known[2], known[35], known[52]] != *b"---" {
            return Err(TraceparentError(Problem::Separator));
        }
        let flags = hex(&known[53..])?;
        let high = u128::from(hex(&known[3..19])?);
        let trace_id = (high << 64) | u128::from(hex(&known[19..35])?);
        let zero = TraceparentError(Problem::Zero);
        Ok(Self {
            trace_id: NonZeroU128::new(trace_id).ok_or(zero)?,
            parent_id: NonZeroU64::new(hex(&known[36..52])?).ok_or(zero)?,
            sampled: flags & u64::from(SAMPLED) != 0,
            random: flags & u64::from(RANDOM) != 0,
        })
    }

    /// The trace's id.
    #[must_use]
    pub const fn trace_id(&self) -> NonZeroU128 {
        self.trace_id
    }

    /// The id of the sender's span.
    #[must_use]
    pub const fn parent_id(&self) -> NonZeroU64 {
        self.parent_id
    }

    /// Whether the sender may have recorded this trace.
    #[must_use]
    pub const fn is_sampled(&self) -> bool {
        self.sampled
    }

    /// Whether the right-most 7 bytes of the trace id are random.
    #[must_use]
    pub const fn is_random(&self) -> bool {
        self.random
    }

    pub(super) const fn flags(&self) -> u8 {
        (self.sampled as u8 * SAMPLED) | (self.random as u8 * RANDOM)
    }

    /// The header's value, of which every byte is ASCII.
    fn encode(&self) -> [u8; LENGTH] {
        let mut out = *b"00-                                -                -  ";
        write_hex(&self.trace_id.get().to_be_bytes(), &mut out[3..35]);
        write_hex(&self.parent_id.get().to_be_bytes(), &mut out[36..52]);
        write_hex(&[self.flags()], &mut out[53..]);
        out
    }
}

/// Whether the random flag is set in flags that an SDK holds.
pub(super) const fn has_random_flag(flags: u8) -> bool {
    flags & RANDOM != 0
}

impl FromStr for Traceparent {
    type Err = TraceparentError;

    fn from_str(value: &str) -> Result<Self, TraceparentError> {
        Self::parse(value.as_bytes())
    }
}

/// As the header is written.
impl fmt::Display for Traceparent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let encoded = self.encode();
        f.write_str(std::str::from_utf8(&encoded).unwrap_or_default())
    }
}

/// The header's value, with one allocation.
impl From<Traceparent> for String {
    fn from(traceparent: Traceparent) -> Self {
        let encoded = traceparent.encode();
        std::str::from_utf8(&encoded).unwrap_or_default().to_owned()
    }
}

/// Why a value is not a [`Traceparent`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TraceparentError(Problem);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Problem {
    Length,
    Digits,
    Separator,
    Version,
    Zero,
}

impl TraceparentError {
    /// It is too short, too long, or goes on without a dash.
    #[must_use]
    pub fn is_length(&self) -> bool {
        self.0 == Problem::Length
    }

    /// Something else than a lowercase hexadecimal digit stands where one must.
    #[must_use]
    pub fn is_digits(&self) -> bool {
        self.0 == Problem::Digits
    }

    /// The version is ff, which no version is.
    #[must_use]
    pub fn is_version(&self) -> bool {
        self.0 == Problem::Version
    }

    /// The trace id or the parent id is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.0 == Problem::Zero
    }
}

impl fmt::Display for TraceparentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Problem::Length => "invalid traceparent: not as long as its version says",
            Problem::Digits => "invalid traceparent: not all digits are lowercase hexadecimal",
            Problem::Separator => "invalid traceparent: no dash where one must be",
            Problem::Version => "invalid traceparent: version ff",
            Problem::Zero => "invalid traceparent: an id of nothing but zeros",
        })
    }
}

impl fmt::Debug for TraceparentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Error for TraceparentError {}

/// A number in lowercase hexadecimal digits, sixteen at most.
fn hex(digits: &[u8]) -> Result<u64, TraceparentError> {
    let mut number = 0;
    let mut wrong = 0;
    for digit in digits {
        let value = DIGIT_VALUES[usize::from(*digit)];
        wrong |= value & NO_DIGIT;
        number = (number << 4) | u64::from(value);
    }
    // Asked once: a question for each digit costs more than the digit.
    if wrong == 0 {
        Ok(number)
    } else {
        Err(TraceparentError(Problem::Digits))
    }
}

const NO_DIGIT: u8 = 0x80;

const DIGIT_VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0;
    while value < 16 {
        values[DIGITS[value as usize] as usize] = value;
        value += 1;
    }
    values
};

const DIGITS: &[u8; 16] = b"0123456789abcdef";

fn write_hex(bytes: &[u8], out: &mut [u8]) {
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 0xf)];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_valid_survives_a_round_trip(
            trace_id in 1_u128..,
            parent_id in 1_u64..,
            sampled: bool,
            random: bool,
        ) {
            let trace_id = NonZeroU128::new(trace_id).unwrap();
            let parent_id = NonZeroU64::new(parent_id).unwrap();
            let sent = Traceparent::new(trace_id, parent_id)
                .sampled(sampled)
                .random(random);
            let header = String::from(sent);
            prop_assert_eq!(header.len(), 55);
            prop_assert_eq!(header.parse(), Ok(sent));
        }

        #[test]
        fn whatever_comes_in_is_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = Traceparent::parse(&bytes);
        }

        /// Bytes that are almost right, so that every check is reached.
        #[test]
        fn one_wrong_byte_is_never_read_as_something_else(at in 0_usize..55, byte: u8) {
            let header = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
            let mut changed = *header;
            changed[at] = byte;
            if let Ok(parsed) = Traceparent::parse(&changed) {
                let expected = match at {
                    // A higher version is written as 00, and unknown flags as 0.
                    0 | 1 => header.to_vec(),
                    53 => { changed[53] = b'0'; changed.to_vec() }
                    54 => { changed[54] = b'0' + (u8::try_from(hex(&[byte]).unwrap() & 3).unwrap()); changed.to_vec() }
                    _ => changed.to_vec(),
                };
                prop_assert_eq!(String::from(parsed).into_bytes(), expected);
            }
        }
    }
}
