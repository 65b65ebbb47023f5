//! The settings file: defaults and profiles in one file that reads like `ssh_config`.
//!
//! ```text
//! DefaultProfile home
//!
//! Profile home office-*
//!     Service ssh
//!     Seconds 600
//!
//! Profile * !lab
//!     Family = ipv4
//! ```
//!
//! For every keyword the first value obtained wins, so special blocks come before general ones. Keywords before the first
//! block hold for every profile. What the command line says wins over the file. The file holds no secret.
//!
//! [`parse`] is pure, takes any text, and finds every problem in it; a file with a problem is not used in part. [`file`]
//! finds and reads the file.

pub(crate) mod file;
mod line;
mod pattern;
mod value;

use std::path::PathBuf;
use std::time::Duration;

use knockgate_core::Name;
use knockgate_core::message::Reach;

pub use self::pattern::{Pattern, Patterns};
pub use self::value::{Family, Host, Via, Wait};

pub(crate) use self::value::{MAX_PATIENCE, is_host, max_seconds};

use self::value::Why;

/// Seconds after which the client gives up if nobody chose otherwise.
const PATIENCE: u32 = 30;

/// What a settings file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// Used when the command line names no profile.
    pub default_profile: Option<Name>,
    /// In the order of the file. The first one is what stands before any `Profile` line.
    pub blocks: Vec<Block>,
}

/// What is said about the profiles whose names match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// For whom.
    pub patterns: Patterns,
    /// What.
    pub choices: Choices,
}

/// What somebody chose, on the command line or in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// The service that is knocked for.
    pub service: Option<Name>,
    /// For how long it shall be open.
    pub seconds: Option<u32>,
    /// Which addresses of the gate are tried.
    pub family: Option<Family>,
    /// Seconds after which the client gives up.
    pub timeout: Option<u32>,
    /// How it knocks.
    pub via: Option<Via>,
    /// UDP port of the packet knock, where the profile leaves a choice.
    pub port: Option<u16>,
    /// Where the gate is, instead of what the profile says.
    pub address: Option<Host>,
    /// To whom the service shall open.
    pub prefix: Option<Reach>,
    /// Whether to wait until the service answers.
    pub wait: Option<Wait>,
    /// Where the profile is, instead of the client's directory.
    pub file: Option<PathBuf>,
    /// Where the passphrase of a locked profile is.
    pub passphrase_file: Option<PathBuf>,
}

/// Something in a settings file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong, with the value; then the remedy.
    pub what: String,
}

impl Settings {
    /// Everything that the file says about a profile.
    pub fn of(&self, profile: &Name) -> Choices {
        let said = self.blocks.iter().filter(|block| block.patterns.match_name(profile));
        said.fold(Choices::default(), |first, block| first.or(&block.choices))
    }
}

impl Choices {
    /// How long the client waits before it gives up.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.timeout.unwrap_or(PATIENCE).into())
    }

    /// How long to wait until the service answers, if at all.
    pub(crate) fn service_patience(&self) -> Option<Duration> {
        match self.wait.unwrap_or_default() {
            Wait::No => None,
            Wait::Seconds(seconds) => Some(Duration::from_secs(seconds.into())),
        }
    }

    /// Which addresses of the gate are tried.
    pub(crate) fn family(&self) -> Family {
        self.family.unwrap_or_default()
    }

    /// These, and what they leave open from `later`.
    pub fn or(self, later: &Self) -> Self {
        Self {
            service: self.service.or_else(|| later.service.clone()),
            seconds: self.seconds.or(later.seconds),
            family: self.family.or(later.family),
            timeout: self.timeout.or(later.timeout),
            via: self.via.or(later.via),
            port: self.port.or(later.port),
            address: self.address.or_else(|| later.address.clone()),
            prefix: self.prefix.or(later.prefix),
            wait: self.wait.or(later.wait),
            file: self.file.or_else(|| later.file.clone()),
            passphrase_file: self.passphrase_file.or_else(|| later.passphrase_file.clone()),
        }
    }
}

/// Reads a settings file. Any text is either understood as a whole or refused with every problem in it.
///
/// # Errors
/// One [`Problem`] for each line that cannot be used, in the order of the file.
pub fn parse(text: &str) -> Result<Settings, Vec<Problem>> {
    let mut settings = Settings { default_profile: None, blocks: vec![Block::default()] };
    let mut problems = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        if let Err(why) = settings.take(line) {
            problems.push(Problem { line: index + 1, what: why.0 });
        }
    }
    if problems.is_empty() { Ok(settings) } else { Err(problems) }
}

impl Settings {
    fn take(&mut self, line: &str) -> Result<(), Why> {
        let Some(line) = line::split(line)? else { return Ok(()) };
        match line.keyword.to_ascii_lowercase().as_str() {
            "profile" => {
                self.blocks.push(Block { patterns: pattern::patterns(&line)?, choices: Choices::default() });
                Ok(())
            }
            "defaultprofile" => self.take_default(&line),
            _ => {
                let block = self.blocks.last_mut().expect("parse puts the first block there");
                block.choices.take(&line)
            }
        }
    }

    fn take_default(&mut self, line: &line::Line<'_>) -> Result<(), Why> {
        let name = value::name(line)?;
        if self.blocks.len() > 1 {
            return Err(Why::new(
                "DefaultProfile stands in a Profile block; move it before the first Profile line",
            ));
        }
        self.default_profile.get_or_insert(name);
        Ok(())
    }
}

impl Choices {
    /// A later value of the same keyword is checked, and not used.
    fn take(&mut self, line: &line::Line<'_>) -> Result<(), Why> {
        match line.keyword.to_ascii_lowercase().as_str() {
            "service" => first(&mut self.service, value::name(line)?),
            "seconds" => first(&mut self.seconds, value::grant_seconds(line)?),
            "family" => first(&mut self.family, value::word(line)?),
            "timeout" => first(&mut self.timeout, value::patience_seconds(line)?),
            "via" => first(&mut self.via, value::word(line)?),
            "port" => first(&mut self.port, value::port(line)?),
            "address" => first(&mut self.address, value::host(line)?),
            "prefix" => first(&mut self.prefix, value::reach(line)?),
            "wait" => first(&mut self.wait, value::wait(line)?),
            "file" => first(&mut self.file, value::path(line)?),
            "passphrasefile" => first(&mut self.passphrase_file, value::path(line)?),
            _ => return Err(line.unknown()),
        }
        Ok(())
    }
}

fn first<T>(slot: &mut Option<T>, value: T) {
    slot.get_or_insert(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, profile: &str) -> Choices {
        parse(text).unwrap().of(&profile.parse().unwrap())
    }

    fn problems(text: &str) -> Vec<(usize, String)> {
        let problems = parse(text).unwrap_err();
        problems.into_iter().map(|problem| (problem.line, problem.what)).collect()
    }

    #[test]
    fn an_empty_file_says_nothing() {
        for text in ["", "\n\n", "# nothing\n   # here", "\u{feff}", "\r\n\t\r\n"] {
            assert_eq!(of(text, "home"), Choices::default(), "{text:?}");
        }
    }

    #[test]
    fn the_first_value_obtained_wins() {
        let text = "Profile home\nSeconds 60\nSeconds 70\nProfile *\nSeconds 80\nTimeout 9";
        assert_eq!((of(text, "home").seconds, of(text, "home").timeout), (Some(60), Some(9)));
        assert_eq!(of(text, "office").seconds, Some(80));
    }

    #[test]
    fn keywords_before_the_first_block_hold_for_every_profile_and_win() {
        let text = "Timeout 5\nProfile home\nTimeout 6\nPort 7";
        assert_eq!((of(text, "home").timeout, of(text, "home").port), (Some(5), Some(7)));
        assert_eq!((of(text, "office").timeout, of(text, "office").port), (Some(5), None));
    }

    #[test]
    fn every_keyword_is_understood() {
        let text = "DefaultProfile home\nProfile home\n\
            Service ssh\nSeconds 600\nFamily ipv6\nTimeout 20\nVia packet\nPort 62201\nAddress 2001:db8::1\n\
            Prefix yes\nWait 15\nFile ~/keys/home.kgp\nPassphraseFile /run/secrets/home";
        let expected = Choices {
            service: Some("ssh".parse().unwrap()),
            seconds: Some(600),
            family: Some(Family::Ipv6),
            timeout: Some(20),
            via: Some(Via::Packet),
            port: Some(62201),
            address: Some("2001:db8::1".parse().unwrap()),
            prefix: Some(Reach::Prefix),
            wait: Some(Wait::Seconds(15)),
            file: Some("~/keys/home.kgp".into()),
            passphrase_file: Some("/run/secrets/home".into()),
        };
        assert_eq!(of(text, "home"), expected);
        assert_eq!(parse(text).unwrap().default_profile, Some("home".parse().unwrap()));
        assert_eq!(expected.clone().or(&Choices::default()), expected);
        assert_eq!(Choices::default().or(&expected), expected);
    }

    #[test]
    fn lines_are_written_as_in_ssh_config() {
        #[rustfmt::skip]
        let cases = [
            (1, "Seconds 60"), (2, "seconds 60"), (3, "SECONDS=60"), (4, "  Seconds = 60  "), (5, "\tSeconds\t60\t# a minute"),
            (6, "Seconds \"60\""), (7, "Seconds '60'#"), (8, "Seconds=\"60\"\r"), (9, "Seconds =60"),
        ];
        for (case, text) in cases {
            assert_eq!(of(text, "home").seconds, Some(60), "case {case}");
        }
    }

    #[test]
    fn every_problem_is_told_with_its_line() {
        let text = "Port 0\nProfile home\nSeconds sixty\n\nTimeout 5\nColour red";
        let lines: Vec<_> = problems(text).into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [1, 3, 6]);
    }

    #[test]
    fn a_bad_line_is_told_with_its_value_and_the_remedy() {
        const KEYWORDS: &str = "keywords are DefaultProfile, Profile, Service, Seconds, Family, Timeout, Via, Port, Address, \
                                Prefix, Wait, File, PassphraseFile";
        #[rustfmt::skip]
        let cases = [
            (1, "Colour red", format!("unknown keyword \"Colour\"; {KEYWORDS}")),
            (2, "=5", format!("unknown keyword \"=5\"; {KEYWORDS}")),
            (3, "Port", "Port has no value; write Port VALUE, or remove the line".to_owned()),
            (4, "Port=", "Port has no value; write Port VALUE, or remove the line".to_owned()),
            (5, "Port 1 2", "Port has 2 values; write one, in quotes if it has blanks".to_owned()),
            (6, "Port 0", "Port \"0\" is out of range; write a number from 1 to 65535".to_owned()),
            (7, "Port 65536", "Port \"65536\" is out of range; write a number from 1 to 65535".to_owned()),
            (8, "port ssh", "port \"ssh\" is not a number; write a number from 1 to 65535".to_owned()),
            (9, "Seconds -1", "Seconds \"-1\" is not a number; write a number from 1 to 2592000".to_owned()),
            (10, "Seconds 99999999999999", "Seconds \"99999999999999\" is out of range; write a number from 1 to 2592000".to_owned()),
            (11, "Timeout 3601", "Timeout \"3601\" is out of range; write a number from 1 to 3600".to_owned()),
            (12, "Family ipv5", "Family \"ipv5\" is not known; write any, ipv4 or ipv6".to_owned()),
            (13, "Via pigeon", "Via \"pigeon\" is not known; write auto, packet, tcp or sequence".to_owned()),
            (14, "Prefix 24", "Prefix \"24\" is not known; write yes or no".to_owned()),
            (15, "Wait yes", "Wait \"yes\" is not a number; write no, or a number from 1 to 3600".to_owned()),
            (16, "Address a/b", "Address \"a/b\" is no host name and no IP address; write one of them, without a port".to_owned()),
            (17, "Service a,b", "Service \"a,b\" is no name: ',' cannot stand there in a name; use letters, digits and, after the first, . _ -".to_owned()),
            (18, "File \"a", "a quote is not closed; close it before the end of the line".to_owned()),
            (19, "File \"\"", "File is empty; write a path".to_owned()),
            (20, "Profile", "Profile has no pattern; write Profile NAME, or Profile * for every profile".to_owned()),
            (21, "Profile !home", "Profile \"!home\" matches nothing, because every pattern is negated; add the pattern *".to_owned()),
            (22, "Profile a/b", "Profile \"a/b\" matches no profile: '/' cannot stand in a name; use letters, digits, . _ - and the wildcards * ?".to_owned()),
            (23, "Profile a\nDefaultProfile a", "DefaultProfile stands in a Profile block; move it before the first Profile line".to_owned()),
            (24, "Via \"\u{1b}[2J\"", "Via \"\\u{1b}[2J\" is not known; write auto, packet, tcp or sequence".to_owned()),
        ];
        for (case, text, what) in cases {
            let found = problems(text);
            assert_eq!(found.len(), 1, "case {case}: {found:?}");
            assert_eq!(found[0], (text.lines().count(), what), "case {case}");
        }
    }

    #[test]
    fn no_text_makes_the_parser_fail() {
        let pieces = [
            "Profile", "Port", " ", "=", "\"", "'", "#", "*", "!", "\n", "\u{0}", "\u{feff}", "ß", "65535",
            "\r",
        ];
        for first in pieces {
            for second in pieces {
                for third in pieces {
                    // Neither panics nor hangs; whether it is understood does not matter here.
                    let _ = parse(&[first, second, third, first].concat());
                }
            }
        }
    }
}
