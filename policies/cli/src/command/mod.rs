//! What can be asked, a module each.

mod bench;
mod build;
mod check;
mod compile;
pub(crate) mod completions;
mod inspect;
mod keygen;
mod new;
mod replay;
mod sign;
mod test;
mod verify;

use std::process::ExitCode;

use knockgate_policy_host::{Action, Manifest};

use crate::answer::{Section, Trouble, finish};
use crate::cli::{Cli, Command, Form};
use crate::embed;
use crate::policy_file::PolicyFile;

/// Does it and says how it ended.
pub(crate) fn obey(cli: &Cli) -> ExitCode {
    let form = cli.format;
    match &cli.command {
        Command::New(new) => finish("new", form, new::run(new)),
        Command::Build(build) => finish("build", form, build::run(build)),
        Command::Compile(compile) => finish("compile", form, compile::run(compile)),
        Command::Check(check) => finish("check", form, check::run(check)),
        Command::Test(test) => finish("test", form, test::run(test)),
        Command::Replay(replay) => finish("replay", form, replay::run(replay)),
        Command::Inspect(inspect) => finish("inspect", form, inspect::run(inspect)),
        Command::Keygen(keygen) => finish("keygen", form, keygen::run(keygen)),
        Command::Sign(sign) => finish("sign", form, sign::run(sign)),
        Command::Verify(verify) => finish("verify", form, verify::run(verify)),
        Command::Bench(bench) => finish("bench", form, bench::run(bench)),
        Command::Completions(wanted) => finish("completions", Form::Text, completions::run(wanted)),
    }
}

/// The text of the policy's manifest.
fn manifest_of(file: &PolicyFile) -> Result<&[u8], Trouble> {
    let path = file.path.display();
    match embed::found(&file.module) {
        Ok(Some(text)) => Ok(text),
        Ok(None) => Err(Trouble::with_policy(
            Section::Manifest,
            format!(
                "{path}: no manifest; let `knockgate-policy build` put in manifest.txt, or use the SDK's macro"
            ),
        )),
        Err(error) => Err(Trouble::with_policy(Section::WhenItDoesNotWork, format!("{path}: {error}"))),
    }
}

/// The manifest of a policy.
fn parse_manifest<'a>(file: &PolicyFile, text: &'a [u8]) -> Result<Manifest<'a>, Trouble> {
    Manifest::parse(text).map_err(|error| {
        Trouble::with_policy(Section::Manifest, format!("{}: manifest: {error}", file.path.display()))
    })
}

/// Name and version by the policy's own manifest.
fn title(manifest: &Manifest<'_>) -> String {
    format!("{} {}", manifest.name, manifest.version).trim_end().to_owned()
}

/// What shall be done, in words.
fn actions_text(actions: &[Action]) -> String {
    actions.iter().map(action_text).collect::<Vec<_>>().join(", ")
}

fn action_text(action: &Action) -> String {
    match action {
        Action::Open { service, seconds } => format!("open {service} for {seconds} s"),
        Action::OpenPrefix { service, bits, seconds } => format!("open {service} to /{bits} for {seconds} s"),
        Action::Extend { grant, seconds } => format!("extend grant {grant} to {seconds} s"),
        Action::Revoke { grant } => format!("revoke grant {grant}"),
        Action::Lockout { seconds } => format!("lock the source out for {seconds} s"),
        Action::Start { unit } => format!("start unit {unit}"),
        Action::Notify { channel, code } => format!("send {code} to channel {channel}"),
    }
}
