//! Builds firmware. It has a workspace of its own, because nothing of it runs on the machine that builds it.

mod options;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::step::{Steps, note};
use crate::{bare, tool};

const WORKSPACE: &str = "agent-embedded/firmware/Cargo.toml";
/// Where finished firmware lies.
const FINISHED: &str = "target/gateway";

/// A board that the gateway runs on.
pub(crate) struct Board {
    /// What commands and the finished file call it.
    pub(crate) name: &'static str,
    package: &'static str,
    target: &'static str,
    room: Room,
}

/// How much room a board has for code.
#[derive(Clone, Copy)]
enum Room {
    /// As little as a small microcontroller: panics are traps that tell their address alone.
    Scarce,
    /// Enough for the words of a panic.
    Ample,
}

/// The one that QEMU emulates, which tests and `run` use. It has the flash of the smallest boards that a gateway is meant for.
pub(crate) const QEMU: Board = Board {
    name: "qemu-riscv32",
    package: "knockgate-qemu-riscv32",
    target: bare::RISCV,
    room: Room::Scarce,
};

/// No gateway: it shows that core and policies run on such a processor. The policy host's test starts it in QEMU.
const CORTEX_M4: Board =
    Board { name: "cortex-m4", package: "knockgate-cortex-m4", target: bare::CORTEX_M, room: Room::Ample };

/// Compiles; not yet run on hardware.
const STM32H743: Board =
    Board { name: "stm32h743", package: "knockgate-stm32h743", target: bare::CORTEX_M, room: Room::Ample };

const BOARDS: [&Board; 3] = [&QEMU, &CORTEX_M4, &STM32H743];

impl Board {
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        BOARDS.into_iter().find(|board| board.name == name)
    }

    /// The finished firmware.
    pub(crate) fn file(&self) -> PathBuf {
        Path::new(FINISHED).join(self.name)
    }
}

pub(crate) fn build_all(steps: &mut Steps) -> Result<()> {
    BOARDS.into_iter().try_for_each(|board| build(steps, board).map(drop))
}

/// Builds the firmware of a board.
pub(crate) fn build(steps: &mut Steps, board: &Board) -> Result<Made> {
    steps.step(&format!("gateway: firmware for {}", board.name), || {
        let toolchain = bare::toolchain_for(&[board.target])?;
        let library = Library::for_board(board, &toolchain);
        let folder = toolchain.target_dir().join("firmware");
        let mut cargo = toolchain.cargo();
        cargo.env("CARGO_TARGET_DIR", &folder);
        options::set(&mut cargo, &toolchain, board.room, library)?;
        cargo.args(["build", "--quiet", "--locked", "--release", "--manifest-path", WORKSPACE]);
        cargo.args(["--package", board.package, "--target", board.target]);
        // The compiler remarks that some of the options may change. That is no news, but a failure is told with all it said.
        tool::output(&mut cargo)?;
        let made = folder.join(board.target).join("release").join(board.name);
        finish(&made, &board.file())?;
        note(board.file().display());
        Ok(Made { file: board.file(), library })
    })
}

/// Finished firmware.
pub(crate) struct Made {
    pub(crate) file: PathBuf,
    pub(crate) library: Library,
}

/// Which `core` and `alloc` a firmware is built on.
#[derive(Clone, Copy)]
pub(crate) enum Library {
    /// Compiled for size together with the firmware.
    FromSource,
    /// Compiled for speed by others.
    AsItComes,
}

impl Library {
    fn for_board(board: &Board, toolchain: &bare::Toolchain) -> Self {
        match board.room {
            Room::Ample => Self::AsItComes,
            Room::Scarce if toolchain.has_library_source() => Self::FromSource,
            Room::Scarce => {
                note("without the source of core and alloc the firmware is larger than its budget");
                note("`rustup component add rust-src` brings it");
                Self::AsItComes
            }
        }
    }
}

impl std::fmt::Display for Library {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::FromSource => "core and alloc compiled for size",
            Self::AsItComes => "core and alloc as the toolchain has them; with rust-src it is smaller",
        })
    }
}

/// Puts a file where everybody looks for it, in one step: a test may be starting the old one.
fn finish(made: &Path, file: &Path) -> Result<()> {
    let next = file.with_extension("new");
    std::fs::create_dir_all(FINISHED)?;
    std::fs::copy(made, &next).with_context(|| format!("cannot copy {}", made.display()))?;
    Ok(std::fs::rename(next, file)?)
}
