//! Writes JSON objects, each in one line of bounded length.
//!
//! A line is whole or it is not there: what does not fit is noticed, never cut.

use core::fmt::{self, Display, Write};

use heapless::String;
use knockgate_core::limits::MAX_LINE;

/// A line that is being written.
#[derive(Default)]
pub(crate) struct Line {
    text: String<MAX_LINE>,
    is_too_long: bool,
}

impl Line {
    /// Writes one object in place of what is there.
    pub(crate) fn write(&mut self, fill: impl FnOnce(&mut Object<'_>)) {
        self.text.clear();
        self.is_too_long = false;
        nested(fill).put(self);
    }

    /// The line, if it has fitted.
    pub(crate) fn whole(&self) -> Option<&str> {
        (!self.is_too_long).then_some(self.text.as_str())
    }

    fn add(&mut self, text: impl Display) {
        self.is_too_long |= write!(self.text, "{text}").is_err();
    }
}

/// Something that has a form in JSON.
pub(crate) trait Value {
    fn put(self, line: &mut Line);
}

/// The fields of an object that is being written.
pub(crate) struct Object<'a> {
    line: &'a mut Line,
    is_first: bool,
}

impl Object<'_> {
    /// One more field. Names are ours and need no escape.
    pub(crate) fn put(&mut self, name: &str, value: impl Value) -> &mut Self {
        let comma = if core::mem::take(&mut self.is_first) { "" } else { "," };
        self.line.add(format_args!("{comma}\"{name}\":"));
        value.put(self.line);
        self
    }

    /// One more field, if there is something in it.
    pub(crate) fn put_some(&mut self, name: &str, value: Option<impl Value>) -> &mut Self {
        match value {
            Some(value) => self.put(name, value),
            None => self,
        }
    }
}

/// An object, whose fields `fill` writes.
pub(crate) fn nested(fill: impl FnOnce(&mut Object<'_>)) -> impl Value {
    Nested(fill)
}

struct Nested<F>(F);

impl<F: FnOnce(&mut Object<'_>)> Value for Nested<F> {
    fn put(self, line: &mut Line) {
        line.add("{");
        (self.0)(&mut Object { line, is_first: true });
        line.add("}");
    }
}

/// A text, written as its [`Display`] says.
pub(crate) struct Text<T>(pub(crate) T);

impl<T: Display> Value for Text<T> {
    fn put(self, line: &mut Line) {
        line.add("\"");
        line.is_too_long |= write!(Escaped(&mut line.text), "{}", self.0).is_err();
        line.add("\"");
    }
}

impl Value for &str {
    fn put(self, line: &mut Line) {
        Text(self).put(line);
    }
}

impl Value for u64 {
    fn put(self, line: &mut Line) {
        line.add(self);
    }
}

impl Value for bool {
    fn put(self, line: &mut Line) {
        line.add(self);
    }
}

/// A list of what an iterator gives.
pub(crate) struct List<I>(pub(crate) I);

impl<I: Iterator<Item: Value>> Value for List<I> {
    fn put(self, line: &mut Line) {
        line.add("[");
        for (at, value) in self.0.enumerate() {
            line.add(if at == 0 { "" } else { "," });
            value.put(line);
        }
        line.add("]");
    }
}

/// What stands between quotation marks.
struct Escaped<'a>(&'a mut String<MAX_LINE>);

impl Write for Escaped<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        text.chars().try_for_each(|letter| match letter {
            '"' => self.0.write_str("\\\""),
            '\\' => self.0.write_str("\\\\"),
            letter if letter.is_control() => write!(self.0, "\\u{:04x}", u32::from(letter)),
            letter => self.0.write_char(letter),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::string::String as StdString;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_object_has_its_fields_in_order() {
        let mut line = Line::default();
        line.write(|object| {
            object
                .put("a", 1_u64)
                .put("b", "x")
                .put_some("c", None::<u64>)
                .put("d", List([2_u64, 3].into_iter()));
            let inner = |inner: &mut Object<'_>| {
                inner.put("f", true);
            };
            object.put("e", nested(inner)).put("g", nested(|_| ()));
        });
        assert_eq!(line.whole(), Some(r#"{"a":1,"b":"x","d":[2,3],"e":{"f":true},"g":{}}"#));
    }

    #[test]
    fn what_does_not_fit_is_no_line_and_the_next_one_is() {
        let mut line = Line::default();
        let long = StdString::from_iter(core::iter::repeat_n('x', MAX_LINE));
        for (spare, fits) in [(8, true), (7, false)] {
            line.write(|object| {
                object.put("a", &long[spare..]);
            });
            assert_eq!(line.whole().is_some(), fits, "{spare}");
        }
        line.write(|_| ());
        assert_eq!(line.whole(), Some("{}"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_by_another_reader(text in any::<StdString>()) {
            let mut line = Line::default();
            line.write(|object| {
                object.put("a", text.as_str());
            });
            if let Some(whole) = line.whole() {
                let read: serde_json::Value = serde_json::from_str(whole).unwrap();
                prop_assert_eq!(read["a"].as_str(), Some(text.as_str()));
                prop_assert!(!whole.contains('\n'));
            }
        }
    }
}
