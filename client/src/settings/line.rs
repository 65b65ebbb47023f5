//! One line: a keyword and its values, as `ssh_config` writes them.

use super::value::{Why, quoted};

/// Keywords as they are told to people.
const KEYWORDS: &str = "DefaultProfile, Profile, Service, Seconds, Family, Timeout, Via, Port, Address, Prefix, Wait, File, \
                        PassphraseFile";

/// A line that says something.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// As it is written.
    pub(super) keyword: &'a str,
    pub(super) values: Vec<&'a str>,
}

impl Line<'_> {
    /// The only value.
    pub(super) fn value(&self) -> Result<&str, Why> {
        let keyword = self.keyword;
        match self.values.as_slice() {
            [value] => Ok(value),
            [] => Err(Why(format!("{keyword} has no value; write {keyword} VALUE, or remove the line"))),
            values => {
                let count = values.len();
                Err(Why(format!("{keyword} has {count} values; write one, in quotes if it has blanks")))
            }
        }
    }

    pub(super) fn unknown(&self) -> Why {
        Why(format!("unknown keyword {}; keywords are {KEYWORDS}", quoted(self.keyword)))
    }
}

/// `Keyword value...` or `Keyword=value`, blanks around them, `#` and what follows left out. None if nothing is left.
pub(super) fn split(line: &str) -> Result<Option<Line<'_>>, Why> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    // A line that begins with "=" has no keyword; it is told as a whole.
    let end = line.find(|c: char| c.is_whitespace() || c == '=').filter(|&end| end > 0).unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let rest = rest.strip_prefix('=').unwrap_or(rest);
    Ok(Some(Line { keyword, values: values(rest)? }))
}

fn values(mut rest: &str) -> Result<Vec<&str>, Why> {
    let mut values = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() || rest.starts_with('#') {
            return Ok(values);
        }
        let (value, after) = value(rest)?;
        values.push(value);
        rest = after;
    }
}

/// The first value of `rest`, which begins with it. Within quotes everything stands for itself, the other quote too.
fn value(rest: &str) -> Result<(&str, &str), Why> {
    let Some(quote @ ('"' | '\'')) = rest.chars().next() else {
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        let (value, after) = rest.split_at(end);
        return Ok((value, after));
    };
    let inner = rest.strip_prefix(quote).unwrap_or(rest);
    let (value, after) = inner
        .split_once(quote)
        .ok_or_else(|| Why::new("a quote is not closed; close it before the end of the line"))?;
    Ok((value, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_split_at_blanks_outside_quotes() {
        #[rustfmt::skip]
        let cases: [(u32, &str, &[&str]); 6] = [
            (1, "K a b", &["a", "b"]), (2, "K \"a b\" c", &["a b", "c"]), (3, "K 'a\"b'", &["a\"b"]),
            (4, "K \"#\" # x", &["#"]), (5, "K a#b", &["a#b"]), (6, "K = = a", &["=", "a"]),
        ];
        for (case, text, values) in cases {
            let line = split(text).unwrap().unwrap();
            assert_eq!((line.keyword, line.values), ("K", values.to_vec()), "case {case}");
        }
    }
}
