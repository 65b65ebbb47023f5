//! A line for a shell, in words: enough of it for the commands of such configurations, and no more.

/// How many shells in a shell are looked into.
const SHELLS: usize = 2;

/// What is run, each as its words.
pub(super) fn commands(line: &str) -> Vec<Vec<String>> {
    split(line).into_iter().flat_map(|words| unwrapped(words, SHELLS)).collect()
}

/// Without what only says as whom, and what a shell is told to run.
fn unwrapped(words: Vec<String>, shells: usize) -> Vec<Vec<String>> {
    let is_wrapper = |word: &String| {
        matches!(base(word), "sudo" | "exec" | "nice" | "env") || word.starts_with('-') || is_setting(word)
    };
    let words: Vec<String> = words.into_iter().skip_while(is_wrapper).collect();
    let [shell, option, script, ..] = words.as_slice() else { return vec![words] };
    if shells > 0 && matches!(base(shell), "sh" | "bash" | "dash") && option == "-c" {
        return split(script).into_iter().flat_map(|words| unwrapped(words, shells - 1)).collect();
    }
    vec![words]
}

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// `NAME=value` before a command, in whatever case: it may be a password and is never taken for a program.
fn is_setting(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    })
}

fn split(line: &str) -> Vec<Vec<String>> {
    let mut scanner = Scanner::default();
    line.chars().for_each(|letter| scanner.take(letter));
    scanner.end_command();
    scanner.commands
}

#[derive(Default)]
struct Scanner {
    commands: Vec<Vec<String>>,
    words: Vec<String>,
    word: Option<String>,
    quote: Option<char>,
    is_escaped: bool,
}

impl Scanner {
    fn take(&mut self, letter: char) {
        if std::mem::take(&mut self.is_escaped) {
            return self.push(letter);
        }
        match (self.quote, letter) {
            (Some('"') | None, '\\') => self.is_escaped = true,
            (Some(quote), _) if quote == letter => self.quote = None,
            (Some(_), _) => self.push(letter),
            (None, '\'' | '"') => {
                self.quote = Some(letter);
                // Two quotes with nothing between are a word, too.
                self.word.get_or_insert_default();
            }
            (None, ';' | '&' | '|' | '\n') => self.end_command(),
            (None, _) if letter.is_whitespace() => self.end_word(),
            (None, _) => self.push(letter),
        }
    }

    fn push(&mut self, letter: char) {
        self.word.get_or_insert_default().push(letter);
    }

    fn end_word(&mut self) {
        self.words.extend(self.word.take());
    }

    fn end_command(&mut self) {
        self.end_word();
        if !self.words.is_empty() {
            self.commands.push(std::mem::take(&mut self.words));
        }
    }
}

/// The words of one command, read from the front.
pub(super) struct Words<'w>(std::slice::Iter<'w, String>);

impl<'w> Words<'w> {
    pub(super) fn of(words: &'w [String]) -> Self {
        Self(words.iter())
    }
}

impl<'w> Iterator for Words<'w> {
    type Item = &'w str;

    fn next(&mut self) -> Option<&'w str> {
        self.0.next().map(String::as_str)
    }
}
