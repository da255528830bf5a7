//! Environment variables, read strictly.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use super::error::SetupError;
use super::variables::{Signal, SignalVariable, Variable};
use crate::error::Source;

type Result<T> = std::result::Result<T, SetupError>;

/// What a process is told from outside.
///
/// An empty value is that of a variable which is not set, as the specification has it;
/// blanks around a value do not count. Choices are known in any case of their letters.
/// What is not known is an error that names the variable: what was asked for must never
/// silently be something else.
pub(super) struct Environment<'a> {
    variable: &'a dyn Fn(&str) -> Option<OsString>,
}

impl<'a> Environment<'a> {
    pub(super) fn new(variable: &'a dyn Fn(&str) -> Option<OsString>) -> Self {
        Self { variable }
    }

    pub(super) fn text(&self, of: &Variable) -> Result<Option<String>> {
        let Some(value) = (self.variable)(of.name()) else {
            return Ok(None);
        };
        let Ok(value) = value.into_string() else {
            return Err(SetupError::variable(of, "it is not UTF-8"));
        };
        let value = value.trim();
        Ok((!value.is_empty()).then(|| value.to_owned()))
    }

    pub(super) fn choice<T: Clone>(&self, of: &Variable, known: &[(&str, T)]) -> Result<Option<T>> {
        let Some(value) = self.text(of)? else {
            return Ok(None);
        };
        choose(of, &value, known, "").map(Some)
    }

    /// A list, each value once. `none` stands alone, and is the empty list.
    pub(super) fn choices<T: Clone + PartialEq>(
        &self,
        of: &Variable,
        otherwise: &str,
        known: &[(&str, T)],
    ) -> Result<Vec<T>> {
        let list = self.text(of)?;
        let list = list.as_deref().unwrap_or(otherwise);
        if list.eq_ignore_ascii_case("none") {
            return Ok(Vec::new());
        }
        let mut chosen = Vec::new();
        for value in list.split(',').map(str::trim) {
            if value.eq_ignore_ascii_case("none") {
                return Err(SetupError::variable(
                    of,
                    "`none` is in a list with another value",
                ));
            }
            let value = choose(of, value, known, ", none")?;
            if !chosen.contains(&value) {
                chosen.push(value);
            }
        }
        Ok(chosen)
    }

    pub(super) fn boolean(&self, of: &Variable) -> Result<Option<bool>> {
        self.choice(of, &[("true", true), ("false", false)])
    }

    pub(super) fn number<T>(&self, of: &Variable) -> Result<Option<T>>
    where
        T: FromStr<Err: Into<Source>>,
    {
        let Some(value) = self.text(of)? else {
            return Ok(None);
        };
        let parsed = value.parse::<T>();
        let parsed = parsed.map_err(|why| SetupError::value(of, &value, why));
        parsed.map(Some)
    }

    /// A number of things of which there must be one at least.
    pub(super) fn positive(&self, of: &Variable) -> Result<Option<u32>> {
        match self.number::<u32>(of)? {
            Some(0) => Err(SetupError::variable(of, "`0` is too little")),
            number => Ok(number),
        }
    }

    pub(super) fn milliseconds(&self, of: &Variable) -> Result<Option<Duration>> {
        let milliseconds = self.positive(of)?;
        Ok(milliseconds.map(|it| Duration::from_millis(it.into())))
    }

    /// What a variable of OTLP says of a signal: that of the signal, or else that of all
    /// signals; with the one that counts. Both are checked.
    pub(super) fn of_signal<T>(
        &self,
        signal: Signal,
        of: &SignalVariable,
        read: impl Fn(&Self, &Variable) -> Result<Option<T>>,
    ) -> Result<Option<(Variable, T)>> {
        let read = |of: &Variable| read(self, of).map(|it| it.map(|it| (*of, it)));
        let (common, own) = (read(&of.common)?, read(of.of(signal))?);
        Ok(own.or(common))
    }

    /// Keys and values, percent-decoded: `key=value,key=value`. A list of which one part
    /// is not valid is not valid, as the specification has it.
    pub(super) fn pairs(&self, of: &Variable) -> Result<BTreeMap<String, String>> {
        let list = self.text(of)?.unwrap_or_default();
        let mut pairs = BTreeMap::new();
        for (at, pair) in list.split_terminator(',').enumerate() {
            // By its number: some variables hold secrets.
            let error = |why: &str| SetupError::variable(of, format!("pair {}: {why}", at + 1));
            let (key, value) = pair.split_once('=').ok_or_else(|| error("it has no `=`"))?;
            let key = percent_decode(key).map_err(error)?;
            if key.is_empty() {
                return Err(error("its key is empty"));
            }
            pairs.insert(key, percent_decode(value).map_err(error)?);
        }
        Ok(pairs)
    }
}

fn choose<T: Clone>(of: &Variable, value: &str, known: &[(&str, T)], or: &str) -> Result<T> {
    let found = known.iter().find(|(it, _)| it.eq_ignore_ascii_case(value));
    if let Some((_, choice)) = found {
        return Ok(choice.clone());
    }
    let known = known.iter().map(|(name, _)| *name).collect::<Vec<_>>();
    let why = format!("`{value}` is none of {}{or}", known.join(", "));
    Err(SetupError::variable(of, why))
}

fn percent_decode(text: &str) -> std::result::Result<String, &'static str> {
    let text = text.trim();
    let is_hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let mut escaped = text.split('%').skip(1).map(str::as_bytes);
    if !escaped.all(|it| is_hex(it.first()) && is_hex(it.get(1))) {
        return Err("a `%` without two hexadecimal digits after it");
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(Into::into)
        .map_err(|_| "it decodes to something else than UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::variables::SERVICE_NAME;

    const VARIABLE: &Variable = &SERVICE_NAME;

    fn read<T>(value: &str, read: impl Fn(&Environment<'_>) -> Result<T>) -> Result<T> {
        let variable = |name: &str| (name == VARIABLE.name()).then(|| OsString::from(value));
        read(&Environment::new(&variable))
    }

    fn refused<T>(value: &str, by: impl Fn(&Environment<'_>) -> Result<T>) -> String {
        let error = read(value, by)
            .err()
            .unwrap_or_else(|| panic!("{value} was taken"));
        assert_eq!(error.invalid_variable(), Some(VARIABLE.name()));
        error.to_string()
    }

    #[test]
    fn blanks_and_nothing_are_not_a_value() {
        for nothing in ["", " ", "\t"] {
            assert_eq!(read(nothing, |it| it.text(VARIABLE)).unwrap(), None);
            assert_eq!(read(nothing, |it| it.boolean(VARIABLE)).unwrap(), None);
            assert_eq!(read(nothing, |it| it.positive(VARIABLE)).unwrap(), None);
            assert!(read(nothing, |it| it.pairs(VARIABLE)).unwrap().is_empty());
        }
        assert_eq!(
            read(" a b ", |it| it.text(VARIABLE)).unwrap().unwrap(),
            "a b"
        );
    }

    #[test]
    fn a_choice_is_known_in_any_case_and_an_unknown_one_is_refused() {
        assert_eq!(read("TRUE", |it| it.boolean(VARIABLE)).unwrap(), Some(true));
        assert_eq!(
            read("False", |it| it.boolean(VARIABLE)).unwrap(),
            Some(false)
        );
        assert_eq!(
            refused("1", |it| it.boolean(VARIABLE)),
            "invalid OTEL_SERVICE_NAME: `1` is none of true, false"
        );
    }

    #[test]
    fn a_list_has_each_choice_once_and_none_alone() {
        let known = [("a", 'a'), ("b", 'b')];
        let list = |it: &Environment<'_>| it.choices(VARIABLE, "a", &known);
        assert_eq!(read("", list).unwrap(), ['a']);
        assert_eq!(read("b, a,B", list).unwrap(), ['b', 'a']);
        assert!(read("None", list).unwrap().is_empty());
        for bad in ["a,none", "c", "a,c", "a,", ",", "a b"] {
            refused(bad, list);
        }
    }

    #[test]
    fn a_number_is_nothing_but_digits_and_not_0() {
        assert_eq!(read("7", |it| it.positive(VARIABLE)).unwrap(), Some(7));
        for bad in ["0", "-1", "1.5", "1s", "4294967296", "one"] {
            refused(bad, |it| it.positive(VARIABLE));
        }
    }

    #[test]
    fn pairs_are_percent_decoded() {
        let pairs = read("a=1, b.c = x%20y%2Cz%3d%C3%BC ,d=,e=f=g", |it| {
            it.pairs(VARIABLE)
        });
        let pairs = pairs.unwrap().into_iter().collect::<Vec<_>>();
        let expected = [("a", "1"), ("b.c", "x y,z=ü"), ("d", ""), ("e", "f=g")];
        assert_eq!(pairs, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        for bad in [
            "a", "=1", "a=1,,b=2", "a=%", "a=%4", "a=%zz", "a=%ff", "%=1",
        ] {
            refused(bad, |it| it.pairs(VARIABLE));
        }
    }

    #[cfg(unix)]
    #[test]
    fn what_is_not_utf_8_is_refused() {
        use std::os::unix::ffi::OsStringExt as _;

        let variable = |_: &str| Some(OsString::from_vec(vec![0xff]));
        assert!(Environment::new(&variable).text(VARIABLE).is_err());
    }
}
