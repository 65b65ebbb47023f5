//! Whose image it is: signed by the real minisign, checked by ours.

use knockgate_core::site::{HEADER_LEN, Owner, SIGNATURE_LEN, Signature, Signed};
use knockgate_gateway::storage::{Unverified, Verified};

use crate::stage::signer::Signer;

/// Something that is as long as it says.
fn image() -> Vec<u8> {
    let mut image = b"KGsi\x01\0\0\0".to_vec();
    image.extend(16_u32.to_le_bytes());
    image.extend(u32::try_from(HEADER_LEN + 16).unwrap().to_le_bytes());
    image.extend(*b"nothing to read.");
    image
}

fn check(owner: &Owner, bytes: &[u8]) -> Result<(), Unverified> {
    let signed = Signed::find(bytes).unwrap();
    Verified::check(owner, &signed).map(|verified| assert_eq!(verified.image(), signed.image))
}

#[test]
fn what_minisign_has_signed_with_the_owners_key_is_the_owners() {
    let signer = Signer::new();
    assert_eq!(check(&signer.owner(), &signer.sign(&image())), Ok(()));
}

#[test]
fn what_somebody_else_has_signed_is_not_and_the_words_name_both_keys() {
    let (ours, theirs) = (Signer::new(), Signer::new());
    let Err(error) = check(&ours.owner(), &theirs.sign(&image())) else { panic!("anybody may sign") };
    let names = [ours.name(), theirs.name()];
    assert!(names.iter().all(|name| error.to_string().contains(name)), "{error} names {names:?}");
}

#[test]
fn a_changed_bit_anywhere_is_noticed() {
    let signer = Signer::new();
    let image = signer.sign(&image());
    for at in HEADER_LEN..image.len() {
        let mut changed = image.clone();
        changed[at] ^= 1;
        let Ok(found) = Signed::find(&changed) else { continue };
        assert!(Verified::check(&signer.owner(), &found).is_err(), "byte {at}");
    }
}

#[test]
fn a_signature_of_the_old_form_is_not_read() {
    let mut bytes = Signer::new().sign(&image());
    let at = bytes.len() - SIGNATURE_LEN;
    bytes[at..at + 2].copy_from_slice(b"Ed");
    let signature: &[u8; SIGNATURE_LEN] = bytes[at..].try_into().unwrap();
    assert_eq!(Signature::read(signature), None);
    assert!(Signed::find(&bytes).is_err());
}
