//! Makes a key on this machine and tells its public half.

use knockgate_core::text_form;
use serde_json::json;

use super::{Told, sentence};
use crate::cli::Keygen;
use crate::own_key;
use crate::store::{Replace, Store};
use crate::voice::Voice;

pub(crate) fn run(keygen: &Keygen, voice: &Voice) -> Result<Told, String> {
    let store = Store::find().map_err(sentence)?;
    let path = store.key_path(&keygen.name).map_err(sentence)?;
    let name = &keygen.name;
    if path.exists() && keygen.replace() == Replace::Refuse {
        let public = own_key::read(&path).map_err(sentence)?.public();
        return Err(format!(
            "{}: there is a key already, whose public key is {}; use that one, choose another name, \
             or replace it with --force, after which a profile made for it is worthless",
            path.display(),
            text_form::public_key(&public)
        ));
    }
    let made = own_key::make(&path).map_err(sentence)?;
    let public = text_form::public_key(&made.public()).to_string();
    voice.notice(&format!(
        "give this public key to the gate's administrator, and take the profile that comes back with \
         `knockgate enroll FILE --name {name}`"
    ));
    let facts = json!({ "name": name.as_str(), "public_key": public, "stored": path });
    Ok(Told { lines: vec![public], facts })
}
