//! `knockgated gateway` on the command line.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use knockgate_core::board::Board;

use crate::admin::gateway::{existing, flash, image, owner, show};

#[derive(Subcommand)]
pub(super) enum Gateway {
    /// Make the signed site image: keys, clients, services and compiled policies
    Image(Image),
    /// Write the owner's public key as a board keeps it
    Owner {
        /// The public key, or the .pub file that has it
        #[arg(long, value_name = "KEY")]
        public_key: String,
        /// Where to write it
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Replace a file that is there
        #[arg(long)]
        force: bool,
    },
    /// Put owner and image together to what is written to a new board with the cable
    FlashFile(FlashFile),
    /// Show what is in a site image, without its secrets
    Show {
        /// A site image
        #[arg(value_name = "FILE.kgi")]
        image: PathBuf,
        /// Check its signature: the public key, or the .pub file that has it
        #[arg(long, value_name = "KEY")]
        public_key: Option<String>,
    },
}

#[derive(Args)]
pub(super) struct Image {
    /// Where to write the image
    #[arg(long, value_name = "FILE.kgi", required_unless_present = "dry_run")]
    out: Option<PathBuf>,
    /// The owner's secret key; `knockgate-policy keygen` makes one
    #[arg(long, value_name = "NAME.key", required_unless_present = "dry_run")]
    key: Option<PathBuf>,
    /// Read the key's passphrase from the first line of this file [default: asked for at the terminal, if the key has one]
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// A number above that of every image before, if the record of them was lost [default: the next]
    #[arg(long, value_name = "NUMBER")]
    serial: Option<u32>,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
    /// Only say what would be in it
    #[arg(long, conflicts_with_all = ["out", "key", "passphrase_file", "serial", "force"])]
    dry_run: bool,
}

#[derive(Args)]
pub(super) struct FlashFile {
    /// The site image
    #[arg(value_name = "FILE.kgi")]
    image: PathBuf,
    /// The kind of board: qemu-riscv32 or stm32h743
    #[arg(long, value_name = "BOARD", value_parser = flash::board)]
    board: &'static Board,
    /// The owner's public key, or the .pub file that has it; it must be the one that has signed the image
    #[arg(long, value_name = "KEY")]
    public_key: String,
    /// Where to write it
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    force: bool,
}

impl Gateway {
    pub(super) fn run(self, config: &Path) -> anyhow::Result<String> {
        match self {
            Self::Image(image) => image.run(config),
            Self::Owner { public_key, out, force } => owner::run(&public_key, &out, existing(force)),
            Self::FlashFile(FlashFile { image, board, public_key, out, force }) => {
                flash::run(&flash::Request { board, image, public_key, out, existing: existing(force) })
            }
            Self::Show { image, public_key } => show::run(&image, public_key.as_deref()),
        }
    }
}

impl Image {
    fn run(self, config: &Path) -> anyhow::Result<String> {
        let Self { out, key, passphrase_file, serial, force, dry_run: _ } = self;
        // Both are there, unless only a preview was asked for.
        let (Some(out), Some(key)) = (out, key) else { return image::preview(config) };
        let request = image::Request { out, key, passphrase_file, serial, existing: existing(force) };
        image::run(config, &request)
    }
}
