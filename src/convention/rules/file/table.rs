//! Tables of TOML, of which each key has to be known.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::Fault;
use crate::labels::LabelValue;

/// A table, and where it stands.
pub(super) struct Table<'t> {
    entries: &'t DeTable<'t>,
    at: Range<usize>,
}

/// A value, and where it stands.
pub(super) struct Located<T> {
    pub(super) value: T,
    pub(super) at: Range<usize>,
}

/// Two texts, of which the first is a key.
pub(super) type Pair<'t> = (Located<&'t str>, Located<&'t str>);

impl Located<&str> {
    /// What one of these words stands for.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)]) -> Result<T, Fault> {
        let mut known = words.iter();
        if let Some((_, it)) = known.find(|(word, _)| *word == self.value) {
            return Ok(*it);
        }
        let words: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
        let why = format!("`{}` is none of {}", self.value, words.join(", "));
        Err(Fault::new(&self.at, why))
    }
}

impl<'t> Table<'t> {
    pub(super) fn of_document(
        document: &'t Spanned<DeTable<'t>>,
        known: &[&str],
    ) -> Result<Self, Fault> {
        Self::new(document.get_ref(), document.span(), known)
    }

    fn new(entries: &'t DeTable<'t>, at: Range<usize>, known: &[&str]) -> Result<Self, Fault> {
        let mut unknown: Vec<_> = entries
            .keys()
            .filter(|key| !known.contains(&key.get_ref().as_ref()))
            .collect();
        unknown.sort_by_key(|key| key.span().start);
        let Some(key) = unknown.first() else {
            return Ok(Self { entries, at });
        };
        let known: Vec<_> = known.iter().map(|key| format!("`{key}`")).collect();
        let expected = match &*known {
            [one] => format!("expected {one}"),
            several => format!("expected one of {}", several.join(", ")),
        };
        let why = format!("unknown key `{}`, {expected}", key.get_ref());
        Err(Fault::new(&key.span(), why))
    }

    pub(super) fn fault(&self, why: impl Into<String>) -> Fault {
        Fault::new(&self.at, why)
    }

    /// A fault at a key that is there.
    pub(super) fn fault_at(&self, key: &str, why: impl Into<String>) -> Fault {
        let at = self.get(key).map_or(self.at.clone(), Spanned::span);
        Fault::new(&at, why)
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<Located<&'t str>>, Fault> {
        let value = self.get(key);
        value.map(|it| text_of(key, it, "a string")).transpose()
    }

    pub(super) fn required_text(&self, key: &str) -> Result<Located<&'t str>, Fault> {
        let missing = || self.fault(format!("the key `{key}` is missing"));
        self.text(key)?.ok_or_else(missing)
    }

    pub(super) fn number(&self, key: &str) -> Result<Option<f64>, Fault> {
        self.get(key).map(|it| number_of(key, it)).transpose()
    }

    /// Whether a switch is on. It may be left out, but not be `false`: that would say the
    /// same.
    pub(super) fn switch(&self, key: &str) -> Result<bool, Fault> {
        match self.get(key) {
            None => Ok(false),
            Some(value) if value.get_ref().as_bool() == Some(true) => Ok(true),
            Some(value) => Err(wrong(key, value, "`true`")),
        }
    }

    pub(super) fn value(&self, key: &str) -> Result<Option<LabelValue>, Fault> {
        let value = self.get(key);
        value.map(|value| label_value(key, value)).transpose()
    }

    pub(super) fn values(&self, key: &str) -> Result<Vec<LabelValue>, Fault> {
        let values = self.array(key, "values")?.into_iter();
        values.map(|value| label_value(key, value)).collect()
    }

    pub(super) fn texts(&self, key: &str) -> Result<Vec<Located<&'t str>>, Fault> {
        let values = self.array(key, "strings")?.into_iter();
        values.map(|it| text_of(key, it, "strings")).collect()
    }

    pub(super) fn table(&self, key: &str, known: &[&str]) -> Result<Option<Self>, Fault> {
        let read = |value: &'t Spanned<DeValue<'t>>| sub_table(key, value, "a table", known);
        self.get(key).map(read).transpose()
    }

    pub(super) fn tables(&self, key: &str, known: &[&str]) -> Result<Vec<Self>, Fault> {
        let tables = self.array(key, "tables")?.into_iter();
        tables
            .map(|value| sub_table(key, value, "tables", known))
            .collect()
    }

    /// Pairs of texts, in the order in which they are written.
    pub(super) fn pairs(&self, key: &str) -> Result<Vec<Pair<'t>>, Fault> {
        let Some(value) = self.get(key) else {
            return Ok(Vec::new());
        };
        let expected = "a table of strings";
        let Some(entries) = value.get_ref().as_table() else {
            return Err(wrong(key, value, expected));
        };
        let read = |(from, to): (&'t Spanned<DeString<'t>>, &'t Spanned<DeValue<'t>>)| {
            let from = Located {
                value: from.get_ref().as_ref(),
                at: from.span(),
            };
            Ok((from, text_of(key, to, expected)?))
        };
        let mut pairs = entries.iter().map(read).collect::<Result<Vec<_>, _>>()?;
        pairs.sort_by_key(|(from, _)| from.at.start);
        Ok(pairs)
    }

    fn array(&self, key: &str, of: &str) -> Result<Vec<&'t Spanned<DeValue<'t>>>, Fault> {
        let Some(value) = self.get(key) else {
            return Ok(Vec::new());
        };
        let array = value.get_ref().as_array();
        let array = array.ok_or_else(|| wrong(key, value, &format!("an array of {of}")))?;
        Ok(array.iter().collect())
    }

    fn get(&self, key: &str) -> Option<&'t Spanned<DeValue<'t>>> {
        self.entries.get(key)
    }
}

fn sub_table<'t>(
    key: &str,
    value: &'t Spanned<DeValue<'t>>,
    expected: &str,
    known: &[&str],
) -> Result<Table<'t>, Fault> {
    let entries = value.get_ref().as_table();
    let entries = entries.ok_or_else(|| wrong(key, value, expected))?;
    Table::new(entries, value.span(), known)
}

fn text_of<'t>(
    key: &str,
    value: &'t Spanned<DeValue<'t>>,
    expected: &str,
) -> Result<Located<&'t str>, Fault> {
    let text = value.get_ref().as_str();
    let text = text.ok_or_else(|| wrong(key, value, expected))?;
    Ok(Located {
        value: text,
        at: value.span(),
    })
}

fn number_of(key: &str, value: &Spanned<DeValue<'_>>) -> Result<f64, Fault> {
    let number = match value.get_ref() {
        DeValue::Integer(it) => it.to_string().parse().ok(),
        DeValue::Float(it) => it.as_str().parse().ok(),
        _ => None,
    };
    let number = number.filter(|it: &f64| it.is_finite());
    number.ok_or_else(|| wrong(key, value, "a decimal number"))
}

fn label_value(key: &str, value: &Spanned<DeValue<'_>>) -> Result<LabelValue, Fault> {
    let read = match value.get_ref() {
        DeValue::String(text) => Some(LabelValue::from(&**text)),
        DeValue::Integer(it) => it.to_string().parse().ok().map(LabelValue::I64),
        DeValue::Float(it) => it.as_str().parse().ok().map(LabelValue::F64),
        DeValue::Boolean(it) => Some(LabelValue::Bool(*it)),
        _ => None,
    };
    let expected = "a string, a decimal number or a boolean";
    read.ok_or_else(|| wrong(key, value, expected))
}

fn wrong(key: &str, value: &Spanned<DeValue<'_>>, expected: &str) -> Fault {
    let found = value.get_ref().type_str();
    let why = format!("`{key}` takes {expected}, not a value of type {found}");
    Fault::new(&value.span(), why)
}
