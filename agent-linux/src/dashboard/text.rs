//! What is said as short text, and as nothing but text.

use std::time::Duration;

/// Characters that are no control characters and yet change how what stands beside them is read: directions, and what has no width.
const INVISIBLE: [std::ops::RangeInclusive<char>; 4] =
    ['\u{200b}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2060}'..='\u{206f}', '\u{feff}'..='\u{feff}'];

/// Without anything that a terminal could take for more than a letter. Names that the agent enrols are plain; whoever else
/// answers at its socket could send what he likes.
pub(super) fn plain(text: &str) -> String {
    let letter = |c: char| {
        let is_more = c.is_control() || INVISIBLE.iter().any(|range| range.contains(&c));
        if is_more { char::REPLACEMENT_CHARACTER } else { c }
    };
    text.chars().map(letter).collect()
}

/// `0:59`, `1:02:03`: time that runs down.
pub(super) fn countdown(seconds: u64) -> String {
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match hours {
        0 => format!("{minutes}:{seconds:02}"),
        _ => format!("{hours}:{minutes:02}:{seconds:02}"),
    }
}

/// `38 us`, `2.4 ms`, `1.0 s`: what a decision takes.
pub(super) fn took(micros: Option<u64>) -> String {
    let Some(micros) = micros else { return "-".to_owned() };
    let time = Duration::from_micros(micros);
    match micros {
        0..1_000 => format!("{micros} us"),
        1_000..1_000_000 => format!("{:.1} ms", time.as_secs_f64() * 1e3),
        1_000_000.. => format!("{:.1} s", time.as_secs_f64()),
    }
}

/// `7 not-allowed, 2 replayed`: the most first.
pub(super) fn counts<'a>(counts: impl IntoIterator<Item = (&'a String, &'a u64)>) -> String {
    let mut counts: Vec<_> = counts.into_iter().filter(|(_, count)| **count > 0).collect();
    counts.sort_by_key(|(word, count)| (std::cmp::Reverse(**count), *word));
    let said: Vec<_> = counts.into_iter().map(|(word, count)| format!("{count} {}", plain(word))).collect();
    if said.is_empty() { "none".to_owned() } else { said.join(", ") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn what_an_agent_says_moves_no_cursor_and_turns_no_line_round() {
        assert_eq!(
            plain("al\u{1b}[2Jice\r\n\u{7}\u{9b}1m"),
            "al\u{fffd}[2Jice\u{fffd}\u{fffd}\u{fffd}\u{fffd}1m"
        );
        assert_eq!(plain("\u{202e}root\u{200b}"), "\u{fffd}root\u{fffd}");
        assert_eq!(plain("alice.home-2_\u{e4}"), "alice.home-2_\u{e4}");
    }

    #[test]
    fn times_are_as_long_as_they_must_be() {
        let cases = [(0, "0:00"), (59, "0:59"), (61, "1:01"), (3599, "59:59"), (3723, "1:02:03")];
        for (seconds, expected) in cases {
            assert_eq!(countdown(seconds), expected);
        }
        let cases = [
            (None, "-"),
            (Some(0), "0 us"),
            (Some(999), "999 us"),
            (Some(2_400), "2.4 ms"),
            (Some(1_000_000), "1.0 s"),
        ];
        for (micros, expected) in cases {
            assert_eq!(took(micros), expected);
        }
    }

    #[test]
    fn what_was_counted_most_stands_first_and_what_never_was_nowhere() {
        let counted =
            BTreeMap::from([("a", 1), ("b", 7), ("c", 0)].map(|(word, count)| (word.to_owned(), count)));
        assert_eq!(counts(&counted), "7 b, 1 a");
        assert_eq!(counts(&BTreeMap::new()), "none");
    }
}
