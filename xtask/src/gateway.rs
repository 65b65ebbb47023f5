//! `cargo xtask gateway`: the firmware, the sites that it runs, and the boards that it runs on.

mod budget;
mod elf;
mod firmware;
mod flash;
mod image;
mod run;
mod size;

use anyhow::Result;

use crate::step::Steps;

/// What the command line asks for.
pub(crate) enum Wanted {
    /// The firmware of one board, or of all of them.
    Build(Option<&'static firmware::Board>),
    Image(image::Wanted),
    Flash(flash::Wanted),
    /// A gateway in QEMU, to try.
    Run,
    /// What it takes of its board, held against the budget.
    Size,
}

impl Wanted {
    /// The subcommand and its options; `None` if there is no such thing.
    pub(crate) fn from(options: &[String]) -> Option<Self> {
        let (name, options) = options.split_first()?;
        match (name.as_str(), options) {
            ("build", []) => Some(Self::Build(None)),
            ("build", [option, board]) if option == "--board" => {
                firmware::Board::named(board).map(|board| Self::Build(Some(board)))
            }
            ("run", []) => Some(Self::Run),
            ("size", []) => Some(Self::Size),
            ("image", options) => image::Wanted::from(options).map(Self::Image),
            ("flash", options) => flash::Wanted::from(options).map(Self::Flash),
            _ => None,
        }
    }
}

pub(crate) fn run(steps: &mut Steps, wanted: &Wanted) -> Result<()> {
    match wanted {
        Wanted::Build(None) => firmware::build_all(steps),
        Wanted::Build(Some(board)) => firmware::build(steps, board).map(drop),
        Wanted::Image(wanted) => image::run(steps, wanted),
        Wanted::Flash(wanted) => flash::run(steps, wanted),
        Wanted::Run => run::run(steps),
        Wanted::Size => size::run(steps),
    }
}
