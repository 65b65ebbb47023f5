//! Writes a site to a board: its flash for QEMU, its second bank of flash for an STM32H743.

use std::path::{Path, PathBuf, absolute};
use std::process::Command;

use anyhow::{Result, bail};

use super::image::{demo_file, knockgated};
use crate::step::{Steps, note};
use crate::{test, tool};

/// A board, as far as writing to it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Board {
    Qemu,
    Stm32h743,
}

/// Where the site region of an STM32H743 begins: `core/src/board.rs`.
const STM32_REGION: &str = "0x08100000";

/// What the command line asks for.
pub(crate) struct Wanted {
    board: Board,
    image: PathBuf,
    public_key: Option<PathBuf>,
}

impl Wanted {
    /// `--board BOARD FILE.kgi [--public-key KEY]`; `None` if it is anything else.
    pub(crate) fn from(options: &[String]) -> Option<Self> {
        let (option, [name, image, key @ ..]) = options.split_first()? else { return None };
        let board = Board::named(name).filter(|_| option == "--board")?;
        let public_key = match key {
            [] => None,
            [option, key] if option == "--public-key" => Some(absolute(key).ok()?),
            _ => return None,
        };
        // The files are meant from where the command was typed.
        Some(Self { board, image: absolute(image).ok()?, public_key })
    }
}

impl Board {
    fn named(name: &str) -> Option<Self> {
        [Self::Qemu, Self::Stm32h743].into_iter().find(|board| board.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Qemu => "qemu-riscv32",
            Self::Stm32h743 => "stm32h743",
        }
    }
}

pub(crate) fn run(steps: &mut Steps, wanted: &Wanted) -> Result<()> {
    test::build_binaries(steps)?;
    let Wanted { board, image, public_key } = wanted;
    let owner = public_key.clone().unwrap_or_else(|| demo_file("owner.pub"));
    let file = Path::new("target/gateway").join(format!("{}.flash", board.name()));
    steps.step("gateway: owner and image as the board keeps them", || {
        let mut make = knockgated()?;
        make.args(["gateway", "flash-file", "--force", "--board", board.name(), "--public-key"]).arg(owner);
        tool::run(make.arg("--out").arg(&file).arg(image))
    })?;
    match board {
        Board::Qemu => {
            note(format_args!(
                "next: start QEMU with -drive if=pflash,unit=1,format=raw,file={}",
                file.display()
            ));
            Ok(())
        }
        Board::Stm32h743 => write_to_stm32(steps, &file),
    }
}

fn write_to_stm32(steps: &mut Steps, file: &Path) -> Result<()> {
    let mut flashers = [probe_rs(file), dfu_util(file)];
    let is_installed = |flasher: &&mut Command| flasher.get_program().to_str().and_then(tool::find).is_some();
    if let Some(flasher) = flashers.iter_mut().find(is_installed) {
        return steps.step("gateway: writing the board", || tool::run(flasher));
    }
    let commands: Vec<_> = flashers.iter().map(tool::words).collect();
    bail!(
        "neither probe-rs nor dfu-util is installed; install one of them, then one of:\n  {}",
        commands.join("\n  ")
    )
}

/// Over the board's own debug probe.
fn probe_rs(file: &Path) -> Command {
    let mut command = Command::new("probe-rs");
    command.args([
        "download",
        "--chip",
        "STM32H743ZITx",
        "--binary-format",
        "bin",
        "--base-address",
        STM32_REGION,
    ]);
    command.arg(file);
    command
}

/// Over USB, with the chip's own boot loader.
fn dfu_util(file: &Path) -> Command {
    let mut command = Command::new("dfu-util");
    command.args(["-a", "0", "-s", STM32_REGION, "-D"]).arg(file);
    command
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::firmware;

    #[test]
    fn the_region_is_where_the_table_of_boards_says() {
        let table = include_str!("../../../core/src/board.rs");
        let address = u32::from_str_radix(STM32_REGION.trim_start_matches("0x"), 16).unwrap();
        let (high, low) = (address >> 16, address & 0xffff);
        assert!(table.contains(&format!("address: 0x{high:04x}_{low:04x},")));
    }

    #[test]
    fn a_board_has_the_same_name_for_its_firmware_and_for_its_flash() {
        let table = include_str!("../../../core/src/board.rs");
        for name in [Board::Qemu, Board::Stm32h743].map(Board::name) {
            assert!(table.contains(&format!("name: \"{name}\",")), "{name}");
            assert!(firmware::Board::named(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_board_a_file_and_perhaps_a_key_are_asked_for() {
        let from = |line: &str| Wanted::from(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(from("--board qemu-riscv32 a.kgi").map(|wanted| wanted.board), Some(Board::Qemu));
        assert!(
            from("--board stm32h743 a.kgi --public-key owner.pub")
                .is_some_and(|wanted| wanted.public_key.is_some())
        );
        for line in [
            "",
            "--board qemu-riscv32",
            "--board toaster a.kgi",
            "a.kgi",
            "--board qemu-riscv32 a.kgi --public-key",
            "--board qemu-riscv32 a b c",
        ] {
            assert!(from(line).is_none(), "{line}");
        }
    }
}
