//! The programs, and what their pages say that no help text does.

use crate::file_page::Excerpt;

/// A program and its pages.
#[derive(Debug)]
pub struct Program {
    pub name: &'static str,
    /// Of the manual: 1 for everybody's commands, 8 for root's.
    pub section: &'static str,
    pub command_line: fn() -> clap::Command,
    /// Environment variables, and what they do.
    pub environment: &'static [(&'static str, &'static str)],
    /// What to type, and what for.
    pub examples: &'static [(&'static str, &'static str)],
    /// A part of a document with the program's files, where its help does not list them.
    pub files: Option<Excerpt>,
    pub see_also: &'static str,
}

pub const ALL: &[&Program] = &[&AGENT, &CLIENT, &POLICY];

const AGENT: Program = Program {
    name: "knockgated",
    section: "8",
    command_line: knockgate_agent::cli::command_line,
    environment: &[
        (
            "RUST_LOG",
            "What `run` writes to standard error: info unless this says debug, which tells every refusal, or trace.",
        ),
        ("TZ", "The time zone of policies, where the configuration names none."),
    ],
    examples: &[
        (
            "knockgated init --address gate.example --service ssh=tcp/22",
            "Make the configuration, keys and state of a gate in front of sshd.",
        ),
        ("knockgated check", "Say what would be guarded, and what is wrong."),
        (
            "knockgated client add laptop --service ssh --qr",
            "Enrol a client and show its profile as a QR code.",
        ),
        ("systemctl enable --now knockgated", "Guard now and at every boot."),
        ("knockgated unguard", "On the console: remove the guard, and nothing else."),
    ],
    files: Some(Excerpt { document: "running.md", heading: "Files" }),
    see_also: "agent.toml(5), knockgate(1), knockgate-policy(1), nft(8), systemd.unit(5)",
};

const CLIENT: Program = Program {
    name: "knockgate",
    section: "1",
    command_line: knockgate::command_line,
    environment: &[
        (
            "KNOCKGATE_HOME",
            "This client's directory, instead of knockgate in the user's configuration directory.",
        ),
        (
            "KNOCKGATE_ASKPASS",
            "A program that gets a question as its argument and prints the answer: a passphrase or a one-time code.",
        ),
    ],
    examples: &[
        ("knockgate enroll laptop.kgp --name home", "Store a profile."),
        ("knockgate knock home ssh && ssh gate.example", "Knock, and use what has opened."),
        (
            "knockgate run home ssh -- rsync -a work/ gate.example:work/",
            "Keep a service open while a command runs.",
        ),
        ("knockgate doctor home", "Look for what keeps a knock from working."),
    ],
    files: None,
    see_also: "knockgate-config(5), knockgate-profile(5), ssh_config(5), knockgated(8)",
};

const POLICY: Program = Program {
    name: "knockgate-policy",
    section: "1",
    command_line: knockgate_policy_cli::command_line,
    environment: &[],
    examples: &[
        ("knockgate-policy new my-policy --lang rust", "Begin a policy that works, with its tests."),
        ("knockgate-policy test", "Run the tests of the policy in this folder on three engines."),
    ],
    files: None,
    see_also: "knockgate-policy.toml(5), agent.toml(5), knockgated(8), minisign(1)",
};
