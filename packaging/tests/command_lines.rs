//! Whoever is told to type something can type it: every command line of ours in a document or a message is one that the
//! program knows, with its subcommands and options.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

use std::path::{Path, PathBuf};

use clap::{Arg, Command};
use knockgate_packaging::programs::ALL;

/// Where administrators and users are told what to type.
const TEXTS: [&str; 12] = [
    "README.md",
    "SECURITY.md",
    "ARCHITECTURE.md",
    "docs",
    "core/src",
    "agent-linux/src",
    "agent-embedded/src",
    "client/src",
    "policies/abi/src",
    "policies/host/src",
    "policies/cli/src",
    "packaging/src",
];
/// What a program says of itself, and no command.
const BANNERS: [&str; 2] = ["knockgate gateway ", "knockgate 0.1.0"];

#[test]
fn every_command_line_in_documents_and_messages_is_one_of_the_programs() {
    let programs = programs();
    let lines: Vec<(PathBuf, String)> =
        TEXTS.iter().flat_map(|place| command_lines(&root().join(place))).collect();
    let examples =
        ALL.iter().flat_map(|program| program.examples).flat_map(|example| typed_commands(example.0));
    let examples = examples.map(|line| (PathBuf::from("an example of a page"), line));
    let wrong: Vec<String> = lines
        .iter()
        .cloned()
        .chain(examples)
        .filter_map(|(file, line)| {
            check(&programs, &line).err().map(|why| format!("{}: {line}: {why}", file.display()))
        })
        .collect();

    assert!(lines.len() > 300, "{} command lines", lines.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_command_line_is_wrong_if_the_program_does_not_know_a_word_of_it() {
    let programs = programs();
    #[rustfmt::skip]
    let cases = [
        (1, "knockgate knock home --seconds 600 --wait", true), (2, "knockgate knock --for", false),
        (3, "knockgated client add NAME{option}", true), (4, "knockgated client ad NAME", false),
        (5, "knockgated COMMAND --help", true), (6, "knockgated status now", false),
        (7, "knockgated client --config FILE add NAME", true), (8, "knockgate status -x", false),
        (9, "knockgate run home ssh -- rsync --any", true), (10, "knockgated lockout", false),
    ];
    for (case, line, good) in cases {
        assert_eq!(check(&programs, line).is_ok(), good, "case {case}: {:?}", check(&programs, line));
    }
}

#[test]
fn lines_to_type_and_marked_ones_are_found_wherever_they_break() {
    let text = "Say `knockgated\n   check`, or `knockgate-policy test`.\n```sh\nsudo knockgated init \\\n  --yes   # why\n\
                cd x && knockgate status | less\n```\n```\n$ knockgated top\nknockgated 0.1.0, up\n```\n";
    let found = [
        "knockgated init --yes",
        "knockgate status",
        "knockgated top",
        "knockgated check",
        "knockgate-policy test",
    ];
    assert_eq!(of_document(text), found);
    assert_eq!(
        of_source("/// As `knockgated\n    /// run` does.\n\"say `knockgate \\\n  status`\""),
        ["knockgated run", "knockgate status"]
    );
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn programs() -> Vec<Command> {
    let built = |mut command: Command| {
        command.build();
        command
    };
    ALL.iter().map(|program| built((program.command_line)())).collect()
}

/// Of a file, or of all in a folder.
fn command_lines(place: &Path) -> Vec<(PathBuf, String)> {
    if place.is_dir() {
        let entries = std::fs::read_dir(place).unwrap().map(|entry| entry.unwrap().path());
        return entries.flat_map(|entry| command_lines(&entry)).collect();
    }
    let read = |lines: fn(&str) -> Vec<String>| lines(&std::fs::read_to_string(place).unwrap());
    let lines = match place.extension().and_then(|extension| extension.to_str()) {
        Some("md") => read(of_document),
        Some("rs") => read(of_source),
        _ => Vec::new(),
    };
    lines.into_iter().map(|line| (place.to_owned(), line)).collect()
}

/// What is to be typed in blocks, and what is marked between them.
fn of_document(text: &str) -> Vec<String> {
    let (mut typed, mut between) = (Vec::new(), String::new());
    for (at, part) in text.split("```").enumerate() {
        if at % 2 == 0 {
            between += part;
            continue;
        }
        let (language, block) = part.split_once('\n').unwrap_or((part, ""));
        for line in block.replace("\\\n", " ").lines().map(str::trim) {
            let line = if language == "sh" { Some(line) } else { line.strip_prefix("$ ") };
            typed.extend(line.into_iter().flat_map(typed_commands));
        }
    }
    typed.into_iter().chain(marked(&between)).collect()
}

/// The commands of ours in a line for a shell.
fn typed_commands(line: &str) -> Vec<String> {
    let line = line.split(" #").next().unwrap_or(line);
    let commands = line.split(['|', ';', '&']).map(|command| command.trim().trim_start_matches("sudo "));
    commands.filter(|command| is_ours(command)).map(in_one_line).collect()
}

/// What is marked in comments and texts, which go over several lines.
fn of_source(text: &str) -> Vec<String> {
    let line = |line: &'_ str| {
        let line = line.trim_start().trim_start_matches('/').trim_start_matches('!');
        format!("{}\n", line.strip_suffix('\\').unwrap_or(line))
    };
    marked(&text.lines().map(line).collect::<String>())
}

fn marked(text: &str) -> Vec<String> {
    let spans = text.match_indices('`').filter_map(|(at, _)| text.get(at + 1..)?.split('`').next());
    spans.filter(|span| is_ours(span)).map(in_one_line).collect()
}

fn is_ours(line: &str) -> bool {
    let program = line.split_whitespace().next().unwrap_or_default();
    line.starts_with(program)
        && line.contains(char::is_whitespace)
        && ALL.iter().any(|known| known.name == program)
}

fn in_one_line(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn check(programs: &[Command], line: &str) -> Result<(), String> {
    if BANNERS.iter().any(|banner| line.starts_with(banner)) {
        return Ok(());
    }
    // A shell would take the rest for another command.
    let line = line.split(['|', '>']).next().unwrap_or(line);
    let mut words = line.split_whitespace().map(filled_in);
    let program = words.next().unwrap_or_default();
    let mut command =
        programs.iter().find(|known| known.get_name() == program).ok_or("no program of ours")?;
    while let Some(word) = words.next() {
        if word == "--" {
            return Ok(());
        }
        if word.starts_with('-') && word != "-" {
            let option = option(command, &word).ok_or_else(|| format!("{word} is no option there"))?;
            let takes_value = option.get_num_args().is_some_and(|count| count.takes_values());
            if takes_value && !option.is_require_equals_set() && !word.contains('=') {
                words.next();
            }
        } else if let Some(sub) = command.find_subcommand(&word) {
            command = sub;
        } else if command.get_positionals().next().is_none() {
            // What stands for a command, or for commands of any kind.
            let is_placeholder =
                command.has_subcommands() && word.bytes().all(|byte| byte.is_ascii_uppercase());
            return if is_placeholder { Ok(()) } else { Err(format!("{word} is no command there")) };
        }
    }
    Ok(())
}

/// A word of a message before its values are in it.
fn filled_in(word: &str) -> String {
    let (mut filled, mut rest) = (String::new(), word);
    while let Some((before, (_, after))) =
        rest.split_once('{').map(|(before, rest)| (before, rest.split_once('}').unwrap_or((rest, ""))))
    {
        filled += before;
        rest = after;
    }
    filled += rest;
    if filled.is_empty() { "VALUE".to_owned() } else { filled }
}

fn option<'c>(command: &'c Command, word: &str) -> Option<&'c Arg> {
    let name = word.split('=').next().unwrap_or(word);
    command.get_arguments().find(|argument| match name.strip_prefix("--") {
        Some(long) => argument.get_long_and_visible_aliases().is_some_and(|names| names.contains(&long)),
        None => argument.get_short().is_some_and(|short| name.starts_with(&format!("-{short}"))),
    })
}
