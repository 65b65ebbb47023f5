//! Builds firmware. It has a workspace of its own, because nothing of it runs on the machine that builds it.

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
}

/// The one that QEMU emulates, which tests and `run` use.
pub(crate) const QEMU: Board =
    Board { name: "qemu-riscv32", package: "knockgate-qemu-riscv32", target: bare::RISCV };

/// No gateway: it shows that core and policies run on such a processor. The policy host's test starts it in QEMU.
const CORTEX_M4: Board = Board { name: "cortex-m4", package: "knockgate-cortex-m4", target: bare::CORTEX_M };

/// Compiles; not yet run on hardware.
const STM32H743: Board = Board { name: "stm32h743", package: "knockgate-stm32h743", target: bare::CORTEX_M };

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

/// Builds the firmware of a board and returns the finished file.
pub(crate) fn build(steps: &mut Steps, board: &Board) -> Result<PathBuf> {
    steps.step(&format!("gateway: firmware for {}", board.name), || {
        let toolchain = bare::toolchain_for(&[board.target])?;
        let folder = toolchain.target_dir().join("firmware");
        let mut cargo = toolchain.cargo();
        cargo.env("CARGO_TARGET_DIR", &folder);
        cargo.args(["build", "--quiet", "--locked", "--release", "--manifest-path", WORKSPACE]);
        tool::run(cargo.args(["--package", board.package, "--target", board.target]))?;
        let made = folder.join(board.target).join("release").join(board.name);
        finish(&made, &board.file())?;
        note(board.file().display());
        Ok(board.file())
    })
}

/// Puts a file where everybody looks for it, in one step: a test may be starting the old one.
fn finish(made: &Path, file: &Path) -> Result<()> {
    let next = file.with_extension("new");
    std::fs::create_dir_all(FINISHED)?;
    std::fs::copy(made, &next).with_context(|| format!("cannot copy {}", made.display()))?;
    Ok(std::fs::rename(next, file)?)
}
