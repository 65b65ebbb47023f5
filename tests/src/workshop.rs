//! Where the sites of gateways are made: the owner's key, images, the flash of a new box, and updates over the air.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use crate::Lab;
use crate::clients::Client;
use crate::gates::Gate;
use crate::gateways::{Gateway, UP};
use crate::programs::{self, Said};

/// The service of the console, as clients are enrolled for it.
pub const CONSOLE: &str = "console";
/// Who sends updates: somebody beside the router, in the gateway's own subnet.
pub const KEEPER: &str = "keeper";

/// A site's workshop: it has the owner's key, and a client that may speak with the console.
pub struct Workshop<'lab> {
    lab: &'lab Lab,
    pub keeper: Client<'lab>,
}

impl<'lab> Workshop<'lab> {
    /// Makes the owner's key and enrols the keeper.
    pub fn open(lab: &'lab Lab, office: &Gate<'lab>) -> Result<Self> {
        let profile = office.enrol(KEEPER, &[CONSOLE], &[])?;
        let keeper = Client::with_profile(lab, &lab.net, KEEPER, &profile)?;
        let workshop = Self { lab, keeper };
        workshop.make_key("owner")?;
        Ok(workshop)
    }

    /// Makes a key pair of that name.
    pub fn make_key(&self, name: &str) -> Result<()> {
        let mut command = Command::new(programs::ours("knockgate-policy")?);
        command.args(["keygen", "--no-passphrase"]).arg(self.lab.path(name));
        Said::by(&mut command)?.expect(0).map(drop)
    }

    /// An image of the site as it is now, signed with the owner's key.
    pub fn image(&self, office: &Gate<'lab>) -> Result<PathBuf> {
        self.image_by("owner", office)
    }

    /// The same, signed with another key.
    pub fn image_by(&self, key: &str, office: &Gate<'lab>) -> Result<PathBuf> {
        let image = self.lab.path("site.kgi");
        let (out, key) = (image.display().to_string(), self.lab.path(&format!("{key}.key")));
        let key = key.display().to_string();
        office.tell(&["gateway", "image", "--force", "--out", &out, "--key", &key])?.expect(0)?;
        Ok(image)
    }

    /// The flash of a box as it leaves the workshop.
    pub fn flash(&self, office: &Gate<'lab>) -> Result<PathBuf> {
        let flash = self.lab.path("flash.bin");
        let [image, owner, out] = [&self.image(office)?, &self.lab.path("owner.pub"), &flash]
            .map(|path| path.display().to_string());
        let mut arguments = vec!["gateway", "flash-file", &image, "--board", "qemu-riscv32", "--force"];
        arguments.extend(["--public-key", &owner, "--out", &out]);
        office.tell(&arguments)?.expect(0)?;
        Ok(flash)
    }

    /// Sends an image of the site as it is now, and waits until the gate is up with it.
    pub fn update(&self, office: &Gate<'lab>, gateway: &mut Gateway<'lab>) -> Result<()> {
        let image = self.image(office)?.display().to_string();
        let seen = gateway.said().len();
        let said = self.keeper.tell(&["console", "update", KEEPER, &image])?;
        said.expect(0).context("the update")?;
        gateway.wait_for(UP, seen)
    }
}
