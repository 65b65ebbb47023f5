//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::command::completions::Shell;
use crate::project::Language;

const EXIT_CODES: &str = "\
Exit codes:
  0  the policy is as it should be; or the command did what it should
  1  the policy is not: it does not load, build or verify, a case fails, or decisions differ (--fail-on-difference)
  2  wrong usage, or something else is in the way: a file that cannot be read, a tool that is missing

PATH is a compiled policy (.wasm), WebAssembly text (.wat) or a folder with a policy.toml, whose built policy is meant.
Without it, it is the current folder. Every message says what to do and where the guide has more.

A first policy:
  knockgate-policy new my-policy --lang rust
  cd my-policy
  knockgate-policy build
  knockgate-policy test
  knockgate-policy keygen ~/my-key && knockgate-policy sign --key ~/my-key.key

docs/policies.md tells how to write one, docs/knockgate-policy.md has every command.";

const NEW_HELP: &str = "\
The folder gets a policy that works (weekdays 8 to 18 o'clock, at most 2 open grants for a client), its tests.toml, a
policy.toml that says how it is built, and the SDK of its language, so that nothing else of Knockgate is needed. It must not
be there yet, or be empty.

  knockgate-policy new night-shift --lang zig";

const BUILD_HELP: &str = "\
Runs the language's own compiler from PATH; when it is missing, the message says how to get it. Where the language cannot
write a manifest, manifest.txt is put in. What comes out is checked as by `check`.

  rust            cargo and rustc with the target wasm32-unknown-unknown
  c, cpp          clang and lld, version 14 or newer
  zig             zig
  assemblyscript  asc, of the npm package assemblyscript
  go              go 1.24 or newer
  wat             nothing
  javascript      componentize-qjs, of the npm package of that name";

const CHECK_HELP: &str = "\
Says whether the policy runs everywhere (\"edge-ok\") or on servers only, and why; which imports and capabilities it wants;
and, with --config and --module, what is left of that on the gate with this configuration: its services, its longest time,
what is withheld, whether the file has the pinned SHA-256.

  knockgate-policy check
  knockgate-policy check office_hours.wasm --profile edge
  knockgate-policy check --config /etc/knockgate/agent.toml --module office-hours";

const TEST_HELP: &str = "\
Every case is an event and what shall be decided about it. Each runs on three engines, wasmtime with Cranelift as servers have
it, wasmtime with Pulley as gateways have it, and wasmi, which nobody here wrote; they must agree. A component runs on the
first two.

  [[case]]
  name = \"Saturday is denied\"
  event = { weekday = 6, minute = 600 }
  expect = { verdict = \"deny\", log = [\"outside office hours: denied\"] }

What an event does not say is that of an ordinary knock: client 1 \"anna\" at 192.0.2.7 wants service 1 \"ssh\" for 60 seconds on
Monday at 10 o'clock. Cases may also stand in a file of JSON lines (--cases FILE.jsonl), an object each.";

const REPLAY_HELP: &str = "\
Asks the policy about every event that an agent's audit log has a decision for, and says where it would decide otherwise than
was decided then, or than the policy of --against decides now. Nothing is opened anywhere.

  knockgate-policy replay --audit /var/log/knockgate/audit.jsonl
  knockgate-policy replay --audit audit.jsonl --policy new.wasm --against old.wasm --fail-on-difference

Numbers that the policy keeps are answered as they were recorded; with --state own it starts with none and has only what it
has stored itself during the replay.";

const KEYGEN_HELP: &str = "\
Makes NAME.key, which is secret and for its owner alone, and NAME.pub, whose second line goes into the `keys` of a gate's
[policy] section. Both are in the format of minisign, which can use them as well.

  knockgate-policy keygen ~/.config/knockgate/policies";

const SIGN_HELP: &str = "\
Writes FILE.minisig beside the file; copy both to the gate. `minisign -V` verifies it as well.

  knockgate-policy sign office_hours.wasm --key ~/.config/knockgate/policies.key";

const VERIFY_HELP: &str = "\
Checks FILE.minisig beside the file, as a gate does before it reads the policy.

  knockgate-policy verify office_hours.wasm --public-key ~/.config/knockgate/policies.pub
  knockgate-policy verify office_hours.wasm --public-key RWQ...";

const COMPILE_HELP: &str = "\
A gateway has no compiler: it runs what was compiled before, for exactly its version of the engine and within the edge profile. The
file tells all of that, and a host refuses it after an update; keep the `.wasm` file and compile it again.

A compiled policy is as trusted as a gateway's firmware, and goes into its signed image; nothing else may carry it there.

  knockgate-policy compile office_hours.wasm --target gateway --output office_hours.kgc";

const BENCH_HELP: &str = "\
Decides again and again about one event through the whole host, as an agent does, and tells median and 99th percentile. Of a
debug build the figures mean nothing.";

/// Write, check, test, replay and sign policies for Knockgate gates.
#[derive(Debug, Parser)]
#[command(name = "knockgate-policy", version, after_help = EXIT_CODES, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// How to tell the result: sentences, or one JSON object on stdout for success and failure alike
    #[arg(long, global = true, value_enum, value_name = "FORM", default_value = "text")]
    pub(crate) format: Form,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Begin a policy: a folder with an example that works, its tests and the SDK
    #[command(after_help = NEW_HELP)]
    New(New),
    /// Compile the policy with its language's own tools, embed the manifest, and check the result
    #[command(after_help = BUILD_HELP)]
    Build(Build),
    /// Say where a policy can run, why not elsewhere, and what it may do on a gate
    #[command(after_help = CHECK_HELP)]
    Check(Check),
    /// Run a table of cases on three engines, and print the fuel
    #[command(after_help = TEST_HELP)]
    Test(Test),
    /// Ask a policy about what has happened, and say which decisions differ
    #[command(after_help = REPLAY_HELP)]
    Replay(Replay),
    /// Show what is in a policy: manifest, imports, exports, sizes, SHA-256
    Inspect(Inspect),
    /// Make a key to sign policies with
    #[command(after_help = KEYGEN_HELP)]
    Keygen(Keygen),
    /// Sign a policy
    #[command(after_help = SIGN_HELP)]
    Sign(Sign),
    /// Check the signature of a policy
    #[command(after_help = VERIFY_HELP)]
    Verify(Verify),
    /// Compile a policy for hosts that have no compiler
    #[command(after_help = COMPILE_HELP)]
    Compile(Compile),
    /// Measure how long a decision takes
    #[command(after_help = BENCH_HELP)]
    Bench(Bench),
    /// Print the completion script of a shell, for example: source <(knockgate-policy completions bash)
    Completions(Completions),
}

/// How a result is told on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct New {
    /// The folder to make; its last part is the policy's name
    pub(crate) folder: PathBuf,
    /// In which language
    #[arg(long, value_enum, value_name = "LANGUAGE")]
    pub(crate) lang: Language,
}

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// A folder with a policy.toml
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) subject: Subject,
    #[command(flatten)]
    pub(crate) rights: RightsOptions,
    /// Accept only what fits this profile
    #[arg(long, value_enum, value_name = "PROFILE")]
    pub(crate) profile: Option<ProfileName>,
}

#[derive(Debug, Args)]
pub(crate) struct Test {
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// The cases, in TOML or as JSON lines [default: tests.toml beside the policy]
    #[arg(long, value_name = "FILE")]
    pub(crate) cases: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) rights: RightsOptions,
    /// The limits that hold [default: edge if the policy fits it, else server]
    #[arg(long, value_enum, value_name = "PROFILE")]
    pub(crate) profile: Option<ProfileName>,
}

#[derive(Debug, Args)]
pub(crate) struct Replay {
    /// The audit log of an agent; "-" is stdin
    #[arg(long, value_name = "LOG")]
    pub(crate) audit: PathBuf,
    /// The policy that is asked: a file or a project's folder
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub(crate) policy: PathBuf,
    /// Compare with what this policy decides [default: with what was recorded]
    #[arg(long, value_name = "PATH")]
    pub(crate) against: Option<PathBuf>,
    /// Only decisions of the policy with this name in the log [default: every policy's]
    #[arg(long, value_name = "NAME")]
    pub(crate) of: Option<String>,
    /// Which numbers the policy has kept
    #[arg(long, value_enum, value_name = "WHICH", default_value = "recorded")]
    pub(crate) state: StateChoice,
    /// Exit with 1 if a decision differs
    #[arg(long)]
    pub(crate) fail_on_difference: bool,
    #[command(flatten)]
    pub(crate) rights: RightsOptions,
}

/// What `load` answers in a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StateChoice {
    /// What was recorded; for other keys what the policy has stored in this replay
    Recorded,
    /// What the policy has stored in this replay
    Own,
}

#[derive(Debug, Args)]
pub(crate) struct Inspect {
    #[command(flatten)]
    pub(crate) subject: Subject,
}

#[derive(Debug, Args)]
pub(crate) struct Keygen {
    /// Where to: NAME.key and NAME.pub are made
    #[arg(value_name = "NAME")]
    pub(crate) name: PathBuf,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// The secret key
    #[arg(long, value_name = "NAME.key")]
    pub(crate) key: PathBuf,
    /// Read the key's passphrase from the first line of this file [default: asked for at the terminal, if the key has one]
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// A text that is signed with the file [default: time and name of the file]
    #[arg(long, value_name = "TEXT")]
    pub(crate) comment: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// A public key, or the file that has it; several if each would do
    #[arg(long, value_name = "KEY", required_unless_present = "config")]
    pub(crate) public_key: Vec<String>,
    /// Take the keys of this gate's configuration
    #[arg(long, value_name = "FILE", conflicts_with = "public_key")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Compile {
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// For which hosts
    #[arg(long, value_enum, value_name = "TARGET")]
    pub(crate) target: TargetName,
    /// Where to [default: the policy's path, ending in .kgc]
    #[arg(long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TargetName {
    /// Gateways: 32-bit boards with the firmware of this version
    Gateway,
}

#[derive(Debug, Args)]
pub(crate) struct Bench {
    #[command(flatten)]
    pub(crate) subject: Subject,
    /// The event of this case in --cases, by its name [default: an ordinary knock]
    #[arg(long, value_name = "NAME")]
    pub(crate) case: Option<String>,
    /// The cases, in TOML or as JSON lines [default: tests.toml beside the policy]
    #[arg(long, value_name = "FILE", requires = "case")]
    pub(crate) cases: Option<PathBuf>,
    /// How many decisions to measure
    #[arg(long, value_name = "N", default_value = "20000", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) rounds: u32,
    /// The limits that hold
    #[arg(long, value_enum, value_name = "PROFILE", default_value = "server")]
    pub(crate) profile: ProfileName,
    #[command(flatten)]
    pub(crate) rights: RightsOptions,
}

#[derive(Debug, Args)]
pub(crate) struct Completions {
    pub(crate) shell: Shell,
}

/// Which policy.
#[derive(Debug, Args)]
pub(crate) struct Subject {
    /// A compiled policy, WebAssembly text, or a folder with a policy.toml
    #[arg(default_value = ".")]
    pub(crate) path: PathBuf,
}

/// What the policy may do.
#[derive(Debug, Args)]
pub(crate) struct RightsOptions {
    /// Take its rights from this gate's configuration [default: the project's [rights], else all that it asks for]
    #[arg(long, value_name = "FILE", requires = "module")]
    pub(crate) config: Option<PathBuf>,
    /// Which [policy-module.NAME] of --config it is
    #[arg(long, value_name = "NAME", requires = "config")]
    pub(crate) module: Option<String>,
    /// A value for one of its parameters; several in one text, separated by spaces
    #[arg(long, value_name = "NAME=VALUE", value_parser = parameter)]
    pub(crate) parameter: Vec<(String, String)>,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE, such as from=08:00")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// How much a policy may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProfileName {
    /// What a gateway can carry
    Edge,
    /// What a Linux host can carry
    Server,
}

/// Whether the key gets a passphrase, and where from.
#[derive(Debug, Args)]
pub(crate) struct PassphraseOptions {
    /// Read the passphrase from the first line of this file [default: asked for at the terminal]
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
    /// Whoever has the file can sign
    #[arg(long, conflicts_with = "passphrase_file")]
    pub(crate) no_passphrase: bool,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_exit_code_is_documented() {
        for code in 0..=2 {
            assert!(EXIT_CODES.contains(&format!("\n  {code}  ")), "{code}");
        }
    }
}
