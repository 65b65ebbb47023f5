//! `knockgated door`: shows and changes the door key, which every client of the gate has.

use std::path::Path;

use anyhow::{Context, bail};

use super::moment::{now, shown};
use super::{SetUp, noticed};
use crate::state::door_keys::{FormerDoorKey, Handover, rotate as rotate_key};
use crate::state::system_rng;

/// When the keys were made and how long they are good.
pub fn show(config: &Path) -> anyhow::Result<String> {
    let door = SetUp::load(config)?.identity.door;
    let made = door.made.map_or("with the gate".into(), shown);
    let before = match (door.former_at(now()), &door.former) {
        (Some(former), _) => format!("good until {}", shown(former.until)),
        (None, Some(former)) => format!("worthless since {}", shown(former.until)),
        (None, None) => "none".into(),
    };
    Ok(format!("door key  made {made}\nbefore    {before}\n"))
}

/// Makes a new door key.
pub fn rotate(config: &Path, handover: Handover) -> anyhow::Result<String> {
    let SetUp { config, dir, identity } = SetUp::load(config)?;
    let now = now().context("the clock is not set; set it first")?;
    if let (Handover::Grace(_), Some(former)) = (handover, identity.door.former_at(Some(now))) {
        refuse_third(former)?;
    }
    let door = rotate_key(&dir, now, handover, &mut system_rng())?;
    let before = match door.former {
        Some(former) => format!(
            "the one before stays good until {}. Clients that ask until then get the new one with the answer; the others \
             need a new profile then: `knockgated client rotate NAME`.",
            shown(former.until)
        ),
        None => "the one before is worthless, and so is every profile.\n\
                 Next: a new profile for each client, `knockgated client rotate NAME`."
            .into(),
    };
    Ok(format!("the gate has a new door key; {};\n{before}\n", noticed(&config)))
}

/// Two are good at a time.
fn refuse_third(former: &FormerDoorKey) -> anyhow::Result<()> {
    bail!(
        "the key before is still good until {}, for clients that have not asked since the last rotation; wait until then, or \
         say --now to make every profile worthless",
        shown(former.until)
    )
}
