//! `knockgated gateway owner`: the key whose images a gateway takes, as it is written to a board once, with the cable.

use std::path::Path;

use knockgate_core::site::Owner;

use super::{Existing, key};
use crate::state::StateError;

/// Writes the owner's public key in the form of the owner's page.
pub fn run(public_key: &str, out: &Path, existing: Existing) -> anyhow::Result<String> {
    let owner = key::owner(public_key)?;
    super::write(out, &page(&owner)?, existing)?;
    Ok(format!(
        "{}: a gateway with this owner takes images that key {} has signed, and no others\n",
        out.display(),
        key::name(owner.key_id)
    ))
}

pub(super) fn page(owner: &Owner) -> anyhow::Result<Vec<u8>> {
    let mut buffer = [0; Owner::MAX_LEN];
    let written = owner.encode(&mut buffer).map_err(|error| {
        StateError::unreadable(Path::new("owner"), "owner's key", error, "report this as a defect")
    })?;
    Ok(written.to_vec())
}
