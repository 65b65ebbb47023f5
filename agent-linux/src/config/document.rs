//! Reads a TOML document key by key and notes everything that is wrong with it, with its line.
//!
//! Written by hand instead of derived, because a derived reader stops at the first problem and cannot say the remedy.

use std::cell::RefCell;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Problem;

/// A value and the line where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<T> {
    pub(super) line: usize,
    pub(super) value: T,
}

impl<T> At<T> {
    pub(super) fn with<U>(&self, value: U) -> At<U> {
        At { line: self.line, value }
    }
}

/// An item of a list in which numbers and texts may stand.
pub(super) enum Scalar<'t> {
    Number(i64),
    Text(&'t str),
}

/// A list, or the one word that may stand in its place.
pub(super) enum WordOrList<'t> {
    Word,
    List(Vec<At<Scalar<'t>>>),
}

/// Everything that has been found wrong so far.
pub(super) struct Problems {
    line_ends: Vec<usize>,
    found: RefCell<Vec<Problem>>,
}

impl Problems {
    pub(super) fn new(text: &str) -> Self {
        Self { line_ends: text.match_indices('\n').map(|(at, _)| at).collect(), found: RefCell::default() }
    }

    pub(super) fn note(&self, line: usize, text: impl Into<String>) {
        // Names of tables are the writer's, and in quotes they can have any character.
        let plain = |letter: char| if letter.is_control() { ' ' } else { letter };
        let text = text.into().chars().map(plain).collect();
        self.found.borrow_mut().push(Problem { line, text });
    }

    pub(super) fn note_toml(&self, error: &toml::de::Error) {
        let line = error.span().map_or(1, |span| self.line_of(span.start));
        let what = error.message().trim().replace('\n', ", ");
        self.note(line, format!("not valid TOML: {what}; correct this line"));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }

    pub(super) fn into_sorted(self) -> Vec<Problem> {
        let mut found = self.found.into_inner();
        found.sort();
        found
    }

    fn line_of(&self, offset: usize) -> usize {
        self.line_ends.partition_point(|end| *end < offset) + 1
    }
}

/// One table of the document; an absent one is empty.
pub(super) struct Section<'t> {
    problems: &'t Problems,
    table: Option<&'t DeTable<'t>>,
    /// Dotted; empty at the root.
    name: String,
    pub(super) line: usize,
    asked: RefCell<Vec<&'static str>>,
}

type Value<'t> = At<&'t DeValue<'t>>;
/// A list of texts, each with its own line.
pub(super) type TextList<'t> = At<Vec<At<&'t str>>>;
/// A list in which numbers and texts may stand, each with its own line.
pub(super) type ScalarList<'t> = At<Vec<At<Scalar<'t>>>>;
/// Something in a table whose names are the writer's: its name, its dotted key, what stands there.
type Entry<'t> = (At<&'t str>, String, Value<'t>);

impl<'t> Section<'t> {
    pub(super) fn root(problems: &'t Problems, table: &'t DeTable<'t>) -> Self {
        Self { problems, table: Some(table), name: String::new(), line: 1, asked: RefCell::default() }
    }

    /// The name of `key` in messages.
    pub(super) fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    pub(super) fn note(&self, line: usize, text: impl Into<String>) {
        self.problems.note(line, text);
    }

    /// Notes that `key` is missing, unless it was read.
    pub(super) fn require<T>(&self, key: &str, value: Option<T>, remedy: &str) -> Option<T> {
        if value.is_none() && !self.has(key) {
            self.note(self.line, format!("{} is missing; {remedy}", self.path(key)));
        }
        value
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(key))
    }

    /// Whether the document has this table.
    pub(super) fn is_there(&self) -> bool {
        self.table.is_some()
    }

    /// Where `key` stands, or else where this table does.
    pub(super) fn line_of(&self, key: &str) -> usize {
        let found = self.table.and_then(|table| table.get_key_value(key));
        found.map_or(self.line, |(name, _)| self.problems.line_of(name.span().start))
    }

    /// Where keys of that form stand below this table, each with its dotted name; `*` is any name.
    pub(super) fn places(&self, keys: &[&str]) -> Vec<At<String>> {
        let Some((key, below)) = keys.split_first() else { return Vec::new() };
        let named = self.table.into_iter().flat_map(DeTable::iter);
        let named = named.filter(|(name, _)| *key == "*" || name.get_ref().as_ref() == *key);
        let places = named.flat_map(|(name, value)| {
            let (path, line) = (self.path(name.get_ref()), self.problems.line_of(name.span().start));
            if below.is_empty() {
                return vec![At { line, value: path }];
            }
            self.below(path, value.get_ref().as_table(), line).places(below)
        });
        places.collect()
    }

    pub(super) fn section(&self, key: &'static str) -> Section<'t> {
        let found = self.value(key);
        let table = found.as_ref().and_then(|found| self.table_of(&self.path(key), found));
        self.below(self.path(key), table, found.map_or(self.line, |found| found.line))
    }

    /// The tables `[key.NAME]`, in the order of their names.
    pub(super) fn named_sections(&self, key: &'static str) -> Vec<(At<&'t str>, Section<'t>)> {
        let section = |(name, key, value): Entry<'t>| {
            let path = self.path(&key);
            let table = self.table_of(&path, &value)?;
            Some((name, self.below(path, Some(table), name.line)))
        };
        self.entries(key).into_iter().filter_map(section).collect()
    }

    /// The tables `[[key]]`, in their order.
    pub(super) fn listed_sections(&self, key: &'static str) -> Vec<Section<'t>> {
        let Some(found) = self.value(key) else { return Vec::new() };
        let path = self.path(key);
        let refuse = |line, value| {
            let kind = article(value);
            self.note(
                line,
                format!("{path} is {kind}; write [[{path}]] with two brackets over each of them"),
            );
        };
        let Some(list) = found.value.as_array() else {
            refuse(found.line, found.value);
            return Vec::new();
        };
        let section = |item: &'t Spanned<DeValue<'t>>| {
            let (line, value) = (self.problems.line_of(item.span().start), item.get_ref());
            if value.as_table().is_none() {
                refuse(line, value);
            }
            Some(self.below(path.clone(), Some(value.as_table()?), line))
        };
        list.iter().filter_map(section).collect()
    }

    /// The lists of texts in the table `key`, in the order of their names.
    pub(super) fn named_texts(&self, key: &'static str) -> Vec<(At<&'t str>, TextList<'t>)> {
        let list = |(name, key, value): Entry<'t>| {
            let list = self.items(&key, &value, "a list in square brackets")?;
            let texts = list.value.iter().filter_map(|item| self.text_of(&key, item)).collect();
            Some((name, list.with(texts)))
        };
        self.entries(key).into_iter().filter_map(list).collect()
    }

    /// What stands in the table `key`, in the order of the names: each a text, a whole number or a list of such, as texts.
    pub(super) fn named_scalars(&self, key: &'static str) -> Vec<(At<&'t str>, Vec<String>)> {
        let wanted = "a text, a whole number or a list of such";
        let scalars = |(name, key, value): Entry<'t>| {
            let items = match value.value.as_array() {
                Some(_) => self.items(&key, &value, wanted)?.value,
                None => vec![value],
            };
            let scalar = |item: &Value<'t>| {
                let text = item.value.as_str().map(str::to_owned);
                let text = text.or_else(|| integer(item.value).map(|number| number.to_string()));
                self.expect(&key, item, text, wanted).map(|text| text.value)
            };
            Some((name, items.iter().map(scalar).collect::<Option<_>>()?))
        };
        self.entries(key).into_iter().filter_map(scalars).collect()
    }

    fn entries(&self, key: &'static str) -> Vec<Entry<'t>> {
        let Some(table) = self.value(key).and_then(|found| self.table_of(&self.path(key), &found)) else {
            return Vec::new();
        };
        let named = table.iter().map(|(name, value)| {
            let (line, name) = (self.problems.line_of(name.span().start), name.get_ref().as_ref());
            (At { line, value: name }, format!("{key}.{name}"), At { line, value: value.get_ref() })
        });
        named.collect()
    }

    pub(super) fn text(&self, key: &'static str) -> Option<At<&'t str>> {
        self.value(key).and_then(|found| self.text_of(key, &found))
    }

    pub(super) fn flag(&self, key: &'static str) -> Option<At<bool>> {
        let found = self.value(key)?;
        self.expect(key, &found, found.value.as_bool(), "true or false")
    }

    pub(super) fn number<T>(&self, key: &'static str, range: &RangeInclusive<T>) -> Option<At<T>>
    where
        T: TryFrom<i64> + PartialOrd + Display,
    {
        let found = self.value(key)?;
        let number = self.expect(key, &found, integer(found.value), "a whole number without quotes")?;
        let inside = T::try_from(number.value).ok().filter(|number| range.contains(number));
        if inside.is_none() {
            let (path, low, high) = (self.path(key), range.start(), range.end());
            self.note(found.line, format!("{path} is {}; it must be {low} to {high}", number.value));
        }
        inside.map(|value| found.with(value))
    }

    pub(super) fn duration(
        &self,
        key: &'static str,
        range: &RangeInclusive<Duration>,
    ) -> Option<At<Duration>> {
        let found = self.value(key)?;
        let path = self.path(key);
        let Some(duration) = found.value.as_str().and_then(|text| humantime::parse_duration(text).ok())
        else {
            self.note(
                found.line,
                format!(r#"{path} is no duration; write a text such as "10s", "500ms", "2m" or "1h""#),
            );
            return None;
        };
        if !range.contains(&duration) {
            let [duration, low, high] =
                [duration, *range.start(), *range.end()].map(humantime::format_duration);
            self.note(found.line, format!("{path} is {duration}; it must be {low} to {high}"));
            return None;
        }
        Some(found.with(duration))
    }

    /// One word out of a fixed choice.
    pub(super) fn choice<T: Copy>(&self, key: &'static str, choices: &[(&str, T)]) -> Option<At<T>> {
        let text = self.text(key)?;
        let chosen = choices.iter().find(|(word, _)| *word == text.value);
        if chosen.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("{word:?}")).collect();
            let (path, words) = (self.path(key), words.join(" or "));
            self.note(text.line, format!("{path} is {:?}; it must be {words}", text.value));
        }
        chosen.map(|(_, value)| text.with(*value))
    }

    pub(super) fn texts(&self, key: &'static str) -> Option<At<Vec<At<&'t str>>>> {
        let list = self.list(key)?;
        let texts = list.value.iter().filter_map(|item| self.text_of(key, item)).collect();
        Some(list.with(texts))
    }

    /// A list of whole numbers; what they may be is for the caller to say.
    pub(super) fn integers(&self, key: &'static str) -> Option<At<Vec<At<i64>>>> {
        let list = self.list(key)?;
        let item = |item: &Value<'t>| self.expect(key, item, integer(item.value), "a list of whole numbers");
        Some(list.with(list.value.iter().filter_map(item).collect()))
    }

    /// A list of whole numbers and texts, or `word` alone.
    pub(super) fn word_or_list(&self, key: &'static str, word: &str) -> Option<At<WordOrList<'t>>> {
        let found = self.value(key)?;
        if let Some(text) = found.value.as_str() {
            if text != word {
                let path = self.path(key);
                self.note(
                    found.line,
                    format!("{path} is {text:?}; it must be {word:?} or a list in square brackets"),
                );
            }
            return (text == word).then_some(found.with(WordOrList::Word));
        }
        let list = self.items(key, &found, &format!("a list in square brackets, or {word:?}"))?;
        Some(list.with(WordOrList::List(self.each_scalar(key, &list.value)?)))
    }

    /// A list of whole numbers and texts.
    pub(super) fn scalars(&self, key: &'static str) -> Option<ScalarList<'t>> {
        let list = self.list(key)?;
        Some(list.with(self.each_scalar(key, &list.value)?))
    }

    fn each_scalar(&self, key: &str, items: &[Value<'t>]) -> Option<Vec<At<Scalar<'t>>>> {
        let item = |item: &Value<'t>| {
            let text = item.value.as_str().map(Scalar::Text);
            let scalar = text.or_else(|| integer(item.value).map(Scalar::Number));
            self.expect(key, item, scalar, "a list of whole numbers and texts")
        };
        items.iter().map(item).collect()
    }

    /// To be called last: refuses the keys that nobody asked for.
    pub(super) fn refuse_unknown_keys(&self) {
        let asked = self.asked.borrow();
        for (key, _) in self.table.into_iter().flat_map(DeTable::iter) {
            if !asked.contains(&key.get_ref().as_ref()) {
                let (line, path) = (self.problems.line_of(key.span().start), self.path(key.get_ref()));
                self.note(line, format!("{path} is not known; known here: {}", asked.join(", ")));
            }
        }
    }

    fn below(&self, name: String, table: Option<&'t DeTable<'t>>, line: usize) -> Section<'t> {
        Section { problems: self.problems, table, name, line, asked: RefCell::default() }
    }

    fn value(&self, key: &'static str) -> Option<Value<'t>> {
        self.asked.borrow_mut().push(key);
        let (name, value): (&Spanned<_>, &Spanned<DeValue<'t>>) = self.table?.get_key_value(key)?;
        Some(At { line: self.problems.line_of(name.span().start), value: value.get_ref() })
    }

    fn list(&self, key: &'static str) -> Option<At<Vec<Value<'t>>>> {
        let found = self.value(key)?;
        self.items(key, &found, "a list in square brackets")
    }

    fn items(&self, key: &str, found: &Value<'t>, wanted: &str) -> Option<At<Vec<Value<'t>>>> {
        let list = self.expect(key, found, found.value.as_array(), wanted)?;
        let at = |item: &'t Spanned<DeValue<'t>>| At {
            line: self.problems.line_of(item.span().start),
            value: item.get_ref(),
        };
        Some(found.with(list.value.iter().map(at).collect()))
    }

    fn text_of(&self, key: &str, found: &Value<'t>) -> Option<At<&'t str>> {
        self.expect(key, found, found.value.as_str(), "a text in quotes")
    }

    fn table_of(&self, path: &str, found: &Value<'t>) -> Option<&'t DeTable<'t>> {
        let table = found.value.as_table();
        if table.is_none() {
            self.note(found.line, format!("{path} is {}; write a table [{path}]", article(found.value)));
        }
        table
    }

    fn expect<T>(&self, key: &str, found: &Value<'t>, read: Option<T>, wanted: &str) -> Option<At<T>> {
        if read.is_none() {
            let (path, kind) = (self.path(key), article(found.value));
            self.note(found.line, format!("{path} is {kind}; write {wanted}"));
        }
        read.map(|value| found.with(value))
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    // A number that no integer holds is far outside every range; so that the message says which, keep its sign.
    let beyond = if integer.as_str().starts_with('-') { i64::MIN } else { i64::MAX };
    Some(i64::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(beyond))
}

/// What a value is, as a person calls it.
fn article(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}
