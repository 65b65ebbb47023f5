//! Which profiles a block is about: names with `*` and `?`, and `!` before what is left out.

use knockgate_core::Name;

use super::line::Line;
use super::value::{Why, quoted};

/// The patterns of one `Profile` line. Without any, as before the first such line, they match every profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patterns(Vec<Pattern>);

/// One pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// Profiles with such a name are meant.
    Meant(String),
    /// Profiles with such a name are not meant, whatever else says so.
    LeftOut(String),
}

impl Patterns {
    /// Whether the profile of that name is meant.
    pub fn match_name(&self, name: &Name) -> bool {
        let found = |wanted: fn(&Pattern) -> Option<&str>| {
            self.0.iter().filter_map(wanted).any(|pattern| is_match(pattern, name.as_str()))
        };
        self.0.is_empty() || found(Pattern::meant) && !found(Pattern::left_out)
    }
}

impl Pattern {
    fn meant(&self) -> Option<&str> {
        match self {
            Self::Meant(pattern) => Some(pattern),
            Self::LeftOut(_) => None,
        }
    }

    fn left_out(&self) -> Option<&str> {
        match self {
            Self::Meant(_) => None,
            Self::LeftOut(pattern) => Some(pattern),
        }
    }
}

/// The patterns on a `Profile` line.
pub(super) fn patterns(line: &Line<'_>) -> Result<Patterns, Why> {
    let patterns =
        line.values.iter().map(|text| pattern(line.keyword, text)).collect::<Result<Vec<_>, _>>()?;
    if patterns.is_empty() {
        return Err(Why::new("Profile has no pattern; write Profile NAME, or Profile * for every profile"));
    }
    if !patterns.iter().any(|pattern| pattern.meant().is_some()) {
        return Err(Why(format!(
            "{} {} matches nothing, because every pattern is negated; add the pattern *",
            line.keyword,
            quoted(&line.values.join(" "))
        )));
    }
    Ok(Patterns(patterns))
}

fn pattern(keyword: &str, text: &str) -> Result<Pattern, Why> {
    let (pattern, left_out) = match text.strip_prefix('!') {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let can_match = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '*' | '?');
    if let Some(wrong) = pattern.chars().find(|&c| !can_match(c)) {
        return Err(Why(format!(
            "{keyword} {} matches no profile: {wrong:?} cannot stand in a name; \
             use letters, digits, . _ - and the wildcards * ?",
            quoted(text)
        )));
    }
    if pattern.is_empty() {
        return Err(Why(format!("{keyword} {} matches no profile; write a name or a pattern", quoted(text))));
    }
    Ok(if left_out { Pattern::LeftOut(pattern.to_owned()) } else { Pattern::Meant(pattern.to_owned()) })
}

/// Names and patterns are ASCII. After a mismatch only the last `*` takes one character more, so the time is at most the
/// product of both lengths.
fn is_match(pattern: &str, name: &str) -> bool {
    let (pattern, name) = (pattern.as_bytes(), name.as_bytes());
    let (mut at, mut read) = (0, 0);
    let mut star = None;
    while let Some(&byte) = name.get(read) {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(&wanted) if wanted == b'?' || wanted == byte => (at, read) = (at + 1, read + 1),
            Some(_) | None => {
                let Some((star_at, taken)) = star else { return false };
                star = Some((star_at, taken + 1));
                (at, read) = (star_at + 1, taken + 1);
            }
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|&rest| rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_as_in_a_shell() {
        #[rustfmt::skip]
        let cases = [
            (1, "home", "home", true), (2, "home", "homes", false), (3, "home", "hom", false), (4, "*", "x", true),
            (5, "h*", "home", true), (6, "*e", "home", true), (7, "h*m*", "home", true), (8, "h?me", "home", true),
            (9, "h?me", "hme", false), (10, "?", "", false), (11, "*a*b", "aXbXaXb", true), (12, "*a*b", "aXbXa", false),
            (13, "Home", "home", false), (14, "***", "x", true), (15, "*ab", "aab", true),
        ];
        for (case, pattern, name, expected) in cases {
            assert_eq!(is_match(pattern, name), expected, "case {case}");
        }
    }

    #[test]
    fn a_negated_pattern_outweighs_every_other() {
        let line = super::super::line::split("Profile off* !office-lab lab").unwrap().unwrap();
        let patterns = patterns(&line).unwrap();
        #[rustfmt::skip]
        let cases = [(1, "office", true), (2, "office-lab", false), (3, "lab", true), (4, "home", false)];
        for (case, name, expected) in cases {
            assert_eq!(patterns.match_name(&name.parse().unwrap()), expected, "case {case}");
        }
    }

    #[test]
    fn many_wildcards_take_no_long_time() {
        assert!(!is_match(&"*a".repeat(200), &"a".repeat(32)));
    }
}
