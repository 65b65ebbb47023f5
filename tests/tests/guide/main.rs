//! The guide for authors of policies, `docs/policies.md`, taken at its word: its commands are typed as they stand there, from nothing to a
//! signed policy that decides in the demo, in each language; and its configurations are what an agent takes.
//!
//! Nothing here runs in a lab: the demo brings its own.

mod configurations;
mod document;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context, Result, ensure};
use libtest_mimic::{Arguments, Failed, Trial};

use document::{Part, blocks, parts};

const GUIDE: &str = include_str!("../../../docs/policies.md");
const WALK: &str = "From nothing to a decision";

/// Every walk waits for the same locks of cargo and for two processors.
const WALKS_AT_ONCE: usize = 2;

/// What the demo must have said: the example opens on a Monday at 10 o'clock, and says why it does not on a Sunday.
const DECIDED: [&str; 4] =
    ["verdict \"commit\"", "the service says \"ssh\"", "\"outside office hours: denied\"", "demo: ok"];

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(WALKS_AT_ONCE);
    let mut trials: Vec<Trial> =
        walks().into_iter().map(|walk| trial(&walk.name(), move || walk.take())).collect();
    trials.push(trial("an agent takes every configuration of the guide", configurations::are_taken));
    trials.push(trial("every language that knockgate-policy knows has a walk", every_language_is_walked));
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(name: &str, test: impl FnOnce() -> Result<()> + Send + 'static) -> Trial {
    Trial::test(name.replace(' ', "_"), move || test().map_err(|error| Failed::from(format!("{error:#}"))))
}

/// The commands of one language, with those that all have before and after.
struct Walk {
    language: String,
    commands: String,
}

/// One for each part of the section that begins a policy.
fn walks() -> Vec<Walk> {
    let Some(section) = parts(GUIDE, "## ").into_iter().find(|part| part.title == WALK) else {
        return Vec::new();
    };
    let inner = parts(section.text, "### ");
    let is_language = |part: &&Part<'_>| part.text.contains(" --lang ");
    let commands = |part: &Part<'_>| blocks(part.text, "sh").concat();
    let (before, _) = section.text.split_once("\n### ").unwrap_or((section.text, ""));
    let before = blocks(before, "sh").concat();
    let after: String = inner.iter().filter(|part| !is_language(part)).map(commands).collect();
    let walk = |part: &Part<'_>| Walk {
        language: part.title.to_owned(),
        commands: [before.as_str(), &commands(part), &after].concat(),
    };
    inner.iter().filter(is_language).map(walk).collect()
}

impl Walk {
    fn name(&self) -> String {
        format!("{}: from nothing to a signed policy that decides", self.language)
    }

    /// Types the commands in a shell that stops at the first one that fails, as somebody whose home is empty.
    fn take(&self) -> Result<()> {
        let home = Folder::new(&self.language)?;
        let mut shell = Command::new("bash");
        shell.args(["-euc", &self.commands]).current_dir(source_folder()).env("HOME", &home.0);
        // What cargo says of the package of these tests is not said in anybody's shell. With it ring would be built anew, and all
        // that uses it.
        for (variable, _) in std::env::vars_os() {
            let name = variable.as_encoded_bytes();
            if name.starts_with(b"CARGO_MANIFEST_") || name.starts_with(b"CARGO_PKG_") {
                shell.env_remove(variable);
            }
        }
        // Where the tools of the machine are, and what compilers keep of their own libraries, does not depend on whose home is
        // empty.
        for (variable, folder) in [
            ("CARGO_HOME", ".cargo"),
            ("RUSTUP_HOME", ".rustup"),
            ("XDG_DATA_HOME", ".local/share"),
            ("XDG_CACHE_HOME", ".cache"),
        ] {
            if let (None, Some(real)) = (std::env::var_os(variable), std::env::home_dir()) {
                shell.env(variable, real.join(folder));
            }
        }
        let said = shell.stdin(Stdio::null()).output().context("cannot start bash")?;
        let out = String::from_utf8_lossy(&said.stdout);
        let all = || format!("{out}\n{}", String::from_utf8_lossy(&said.stderr));
        ensure!(
            said.status.success(),
            "the commands\n{}\nended with {}:\n{}",
            self.commands,
            said.status,
            all()
        );
        for words in DECIDED {
            ensure!(out.contains(words), "the demo has not said {words:?}:\n{}", all());
        }
        Ok(())
    }
}

fn every_language_is_walked() -> Result<()> {
    let said = Command::new(knockgate_tests::programs::ours("knockgate-policy")?)
        .args(["new", "--help"])
        .output()?;
    let help = String::from_utf8(said.stdout)?;
    let known = help.split("[possible values: ").nth(1).and_then(|rest| rest.split(']').next());
    let known = known.with_context(|| format!("no languages in:\n{help}"))?;
    for language in known.split(',').map(str::trim) {
        let option = format!(" --lang {language}\n");
        ensure!(
            walks().iter().any(|walk| walk.commands.contains(&option)),
            "nothing for {language} in the guide"
        );
    }
    Ok(())
}

fn source_folder() -> &'static Path {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests)
}

/// An empty folder that goes away with its handle.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Result<Self> {
        // C++ and C are walked at the same time.
        let name: String = name.replace('+', "p").chars().filter(char::is_ascii_alphanumeric).collect();
        let path = std::env::temp_dir().join(format!("knockgate-guide-{}-{name}", std::process::id()));
        std::fs::create_dir(&path).with_context(|| format!("cannot make {}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Go makes its module cache unwritable; what is left lies in the folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
