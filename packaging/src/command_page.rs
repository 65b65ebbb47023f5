//! A page for each command, from the program's own command line.

use anyhow::Result;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::programs::Program;
use crate::{Imprint, Page, file_page, help_text};

/// The program's page, then those of its commands, such as `knockgated-client-add.8`.
///
/// # Errors
/// A document that has lost the section with the program's files.
pub fn of_program(program: &Program, imprint: &Imprint) -> Result<Vec<Page>> {
    // Told by --help already, and a command of its own would have a page of its own.
    let mut command = (program.command_line)().disable_help_subcommand(true);
    command.build();
    let mut page = of_command(&command, program, imprint)?;
    page.text += &closing(program)?;
    let mut pages = vec![page];
    of_subcommands(&command, program, imprint, &mut pages)?;
    Ok(pages)
}

fn of_subcommands(
    command: &clap::Command,
    program: &Program,
    imprint: &Imprint,
    pages: &mut Vec<Page>,
) -> Result<()> {
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let mut page = of_command(sub, program, imprint)?;
        page.text += &see_also(&format!("{}({})", parent_page(command), program.section));
        pages.push(page);
        of_subcommands(sub, program, imprint, pages)?;
    }
    Ok(())
}

fn parent_page(command: &clap::Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

fn of_command(command: &clap::Command, program: &Program, imprint: &Imprint) -> Result<Page> {
    let man = Man::new(command.clone())
        .section(program.section)
        .date(&imprint.date)
        .source(&imprint.source)
        .manual("Knockgate");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut text)?;
    }
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let help = command.get_after_long_help().or(command.get_after_help());
    let mut text = String::from_utf8(text)?;
    text += &help.map_or_else(String::new, |help| help_text::sections(&help.to_string()));
    Ok(Page { program: program.name, file: man.get_filename(), text })
}

/// What only the page of a whole program has.
fn closing(program: &Program) -> Result<String> {
    let files = program.files.as_ref().map(|files| file_page::section("FILES", files)).transpose()?;
    Ok([
        files.unwrap_or_default(),
        pairs("ENVIRONMENT", program.environment),
        pairs("EXAMPLES", program.examples),
        see_also(program.see_also),
    ]
    .concat())
}

fn pairs(heading: &str, pairs: &[(&str, &str)]) -> String {
    if pairs.is_empty() {
        return String::new();
    }
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    for (term, text) in pairs {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*text)]);
    }
    roff.render()
}

fn see_also(pages: &str) -> String {
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    roff.text([roman(pages)]);
    roff.render()
}
