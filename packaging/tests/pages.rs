//! Every command, option and file has its page, and readers of pages have nothing to complain about.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use clap_mangen::roff::Roff;
use knockgate_packaging::programs::ALL;
use knockgate_packaging::{Imprint, completions, help_text, markdown, pages, write};

fn imprint() -> Imprint {
    Imprint::new("2026-01-31".to_owned())
}

/// The text of every page by its file name, without the marks that keep hyphens from being broken.
fn pages_by_file() -> BTreeMap<String, String> {
    pages(&imprint()).unwrap().into_iter().map(|page| (page.file, page.text.replace("\\-", "-"))).collect()
}

/// Every command that help shows, with the file of its page and itself.
fn commands() -> Vec<(String, clap::Command)> {
    fn collect(command: &clap::Command, section: &str, commands: &mut Vec<(String, clap::Command)>) {
        commands.push((
            format!("{}.{section}", command.get_display_name().unwrap_or(command.get_name())),
            command.clone(),
        ));
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            collect(sub, section, commands);
        }
    }
    let mut commands = Vec::new();
    for program in ALL {
        let mut command = (program.command_line)().disable_help_subcommand(true);
        command.build();
        collect(&command, program.section, &mut commands);
    }
    commands
}

#[test]
fn every_command_and_every_option_is_in_help_and_page() {
    let pages = pages_by_file();
    for (file, mut command) in commands() {
        let page = &pages[&file];
        let help = command.render_long_help().to_string();
        for option in command.get_arguments().filter_map(clap::Arg::get_long) {
            let option = format!("--{option}");
            assert!(help.contains(&option), "{option} is not in the help of {file}");
            assert!(page.contains(&option), "{option} is not in {file}");
        }
        for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
            assert!(
                page.contains(sub.get_display_name().unwrap()),
                "{file} does not name {}",
                sub.get_name()
            );
        }
    }
}

#[test]
fn every_command_and_every_option_says_what_it_is_for() {
    for (file, command) in commands() {
        assert!(command.get_about().is_some(), "{file} has no first sentence");
        for argument in command.get_opts().filter(|argument| !argument.is_hide_set()) {
            assert!(argument.get_help().is_some(), "{file}: {} has no help", argument.get_id());
        }
    }
}

#[test]
fn every_command_completes_in_every_shell() {
    let scripts = completions::all().unwrap();

    assert_eq!(scripts.len(), 9);
    for script in scripts {
        let name = script.place.file_name().unwrap().to_string_lossy();
        let asks_the_program = script.text.contains("COMPLETE");
        let knows_the_words = script.text.contains("unguard");
        assert_eq!(knows_the_words, name.contains("knockgated"), "{}", script.place.display());
        assert_ne!(asks_the_program, knows_the_words, "{}", script.place.display());
    }
}

#[test]
fn every_table_of_the_configuration_is_a_section_of_its_page() {
    let page = &pages_by_file()["agent.toml.5"];
    let document = include_str!("../../docs/agent-toml.md");
    let headings: Vec<_> = document.lines().filter_map(|line| line.strip_prefix("## ")).collect();

    assert!(headings.len() > 10);
    for heading in headings {
        let name = heading.trim_matches('`');
        assert!(page.contains(&format!(".SH {name}\n")), "{name}");
    }
    for key in document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()) {
        assert!(page.contains(&format!("\n.TP\n\\fB{key}\\fR\n")), "{key}");
    }
}

#[test]
fn readers_of_pages_have_nothing_to_complain_about() {
    let Some(mandoc) = ["/usr/bin/mandoc"].iter().find(|path| Path::new(path).exists()) else {
        // Set-up installs it on Debian. Elsewhere the other tests have to do.
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), &imprint()).unwrap();
    let mut lint = Command::new(mandoc);
    lint.args(["-T", "lint", "-W", "warning"]);
    for page in pages(&imprint()).unwrap() {
        lint.arg(folder.path().join("man").join(page.program).join(page.file));
    }
    let said = lint.output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
}

#[test]
fn every_message_that_is_explained_is_one_that_the_programs_have() {
    let sources = sources(&["../client/src", "../agent-linux/src"]);
    let document = include_str!("../../docs/troubleshooting.md");
    let messages: Vec<_> =
        document.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();

    assert!(messages.len() > 20);
    for message in messages {
        assert!(sources.contains(message), "no program says {message:?}");
    }
}

#[test]
fn every_test_that_the_table_of_faults_names_is_there() {
    let sources = sources(&["../agent-linux/src", "../tests/tests", "../tests/src"]);
    let document = include_str!("../../docs/operations.md");
    let table = document.split("| --- | --- | --- |\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let proofs = table.lines().filter_map(|row| row.split('|').nth(3));
    let names: Vec<_> = proofs.flat_map(|proof| proof.split('"').skip(1).step_by(2)).collect();

    assert!(names.len() > 40, "{} names", names.len());
    for name in names {
        let function = format!("fn {}(", name.replace([' ', '-'], "_"));
        assert!(sources.contains(name) || sources.contains(&function), "no test is called {name:?}");
    }
}

/// The text of all sources in these folders, with texts that go over several lines in one.
fn sources(folders: &[&str]) -> String {
    let mut waiting: Vec<_> =
        folders.iter().map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).collect();
    let mut whole = String::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            waiting.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let text = std::fs::read_to_string(path).unwrap();
            let lines = text.lines().map(str::trim_start);
            whole.extend(
                lines.map(|line| line.strip_suffix('\\').map_or_else(|| format!("{line}\n"), str::to_owned)),
            );
        }
    }
    whole
}

#[test]
fn exit_codes_become_a_list_under_their_own_heading() {
    let text = help_text::sections(
        "Exit codes:\n  0  done\n  4  refused: by the gate, or\n     by the client\n\nMore.",
    );

    let list = ".TP\n\\fB0\\fR\ndone\n.TP\n\\fB4\\fR\nrefused: by the gate, or by the client\n";
    assert!(text.contains(&format!(".SH \"EXIT STATUS\"\n{list}")), "{text}");
    assert!(text.contains(".SH NOTES\nMore.\n"), "{text}");
}

#[test]
fn what_is_to_be_typed_keeps_its_lines() {
    let text = help_text::sections("In the file:\n\n  Host gate\n      Port 22");

    assert!(text.contains(".nf\nHost gate\n    Port 22\n.fi\n"), "{text}");
}

#[test]
fn a_row_of_a_table_becomes_a_term_with_its_columns_named() {
    let text = page("| key | value | meaning |\n| --- | --- | --- |\n| `via` | `\"a\"` or **b** | How. |\n");

    let expected = ".TP\n\\fBvia\\fR\n\\fIvalue\\fR: \\fB\"a\"\\fR or \\fBb\\fR\n.br\nHow.\n";
    assert!(text.ends_with(expected), "{text}");
}

#[test]
fn a_link_is_its_text() {
    let text = page("As [the `guide`](policies.md#x) says.");

    assert!(text.ends_with("As the \\fBguide\\fR says.\n"), "{text}");
}

#[test]
fn code_keeps_its_lines_and_cannot_become_a_command_of_the_page() {
    let text = page("```sh\n.so /etc/passwd\n  b\n```\nEnd.");

    assert!(text.contains(".nf\n\\&.so /etc/passwd\n  b\n.fi\n"), "{text}");
}

fn page(text: &str) -> String {
    let mut roff = Roff::new();
    markdown::write(&mut roff, text);
    roff.render()
}
