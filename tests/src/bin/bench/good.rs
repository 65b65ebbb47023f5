//! Good packet knocks one after the other and nothing else, for somebody who watches the agent meanwhile: `bench good N`.

use anyhow::{Result, ensure};

use crate::ours;
use crate::peer::Peer as _;
use crate::state::lab_on_disk;
use crate::wire::{Pace, Watching};

pub(crate) fn run(knocks: u32) -> Result<()> {
    let lab = lab_on_disk()?;
    let mut peer = ours::packet(&lab, &[])?;
    let opened =
        (0..knocks).filter(|repetition| peer.knock(Watching::new(*repetition, Pace::Coarse)).is_ok());
    let opened = opened.count();
    eprintln!("bench: {opened} of {knocks} good knocks opened");
    ensure!(opened > 0, "no knock opened, so there was nothing to watch");
    Ok(())
}
