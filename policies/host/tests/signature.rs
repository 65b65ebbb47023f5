//! Whose signatures count, over what, and what is said otherwise.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

use std::io::Cursor;

use knockgate_policy_host::signature::{PublicKey, SignatureError, verify};
use minisign::KeyPair;

/// A key and a signature that the program minisign made.
const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
const SIGNED: &[u8] = b"test";
const BY_HASH: &str = "untrusted comment: signature from minisign secret key
RUQf6LRCGA9i559r3g7V1qNyJDApGip8MfqcadIgT9CuhV3EMhHoN1mGTkUidF/z7SrlQgXdy8ofjb7bNJJylDOocrCo8KLzZwo=
trusted comment: timestamp:1633700835\tfile:test\tprehashed
wLMDjy9FLAuxZ3q4NlEvkgtyhrr0gtTu6KC4KBJdITbbOeAi1zBIYo0v4iTgt8jJpIidRJnp94ABQkJAgAooBQ==
";
const AS_A_WHOLE: &str = "untrusted comment: signature from minisign secret key
RWQf6LRCGA9i59SLOFxz6NxvASXDJeRtuZykwQepbDEGt87ig1BNpWaVWuNrm73YiIiJbq71Wi+dP9eKL8OC351vwIasSSbXxwA=
trusted comment: timestamp:1555779966\tfile:test
QtKMXWyYcwdpZAlPF7tE2ENJkRd1ujvKjlj1m9RtHTBnZPa5WKU5uWRs5GoP5M/VqE81QFuMKI5k/SfNQUaOAA==
";

#[test]
fn what_minisign_has_signed_in_either_form_counts() {
    let keys = [PublicKey::parse(KEY).unwrap()];
    assert_eq!(verify(&keys, SIGNED, Some(BY_HASH)), Ok(()));
    assert_eq!(verify(&keys, SIGNED, Some(AS_A_WHOLE)), Ok(()));
    assert_eq!(verify(&keys, SIGNED, Some(&BY_HASH.replace('\n', "\r\n"))), Ok(()));
}

#[test]
fn any_of_several_keys_counts() {
    let [first, second, third] = [pair(), pair(), pair()];
    let keys = [public(&first), public(&second)];
    for signer in [&first, &second] {
        assert_eq!(verify(&keys, b"module", Some(&sign(signer, b"module"))), Ok(()));
    }
    let error = verify(&keys, b"module", Some(&sign(&third, b"module"))).unwrap_err();
    assert!(matches!(error, SignatureError::UnknownKey { .. }), "{error}");
}

#[test]
fn without_a_signature_or_a_key_nothing_counts() {
    let keys = [PublicKey::parse(KEY).unwrap()];
    assert_eq!(verify(&keys, SIGNED, None), Err(SignatureError::Unsigned));
    let unknown = SignatureError::UnknownKey { key_id: "E7620F1842B4E81F".to_owned() };
    assert_eq!(verify(&[], SIGNED, Some(BY_HASH)), Err(unknown));
}

#[test]
fn a_signature_of_another_file_does_not_count() {
    let keys = [PublicKey::parse(KEY).unwrap()];
    for other in [&b"tess"[..], b"", b"test\n"] {
        assert_eq!(verify(&keys, other, Some(BY_HASH)), Err(SignatureError::WrongSignature));
        assert_eq!(verify(&keys, other, Some(AS_A_WHOLE)), Err(SignatureError::WrongSignature));
    }
    let comment = BY_HASH.replace("file:test", "file:best");
    assert_eq!(verify(&keys, SIGNED, Some(&comment)), Err(SignatureError::WrongSignature));
}

#[test]
fn a_damaged_signature_is_refused_whatever_the_damage() {
    let keys = [PublicKey::parse(KEY).unwrap()];
    let first_line = BY_HASH.find('\n').unwrap() + 1;
    for at in first_line..BY_HASH.len() {
        let mut damaged = BY_HASH.as_bytes().to_vec();
        damaged[at] ^= 1;
        let damaged = String::from_utf8(damaged).unwrap();
        let last_line_end = at == BY_HASH.len() - 1;
        assert!(verify(&keys, SIGNED, Some(&damaged)).is_err() || last_line_end, "byte {at}");
        let cut = verify(&keys, SIGNED, Some(&BY_HASH[..at]));
        assert!(cut.is_err() || last_line_end, "cut at byte {at}");
    }
    for text in ["", "\n\n\n\n", "not a signature"] {
        let error = verify(&keys, SIGNED, Some(text)).unwrap_err();
        assert!(matches!(error, SignatureError::Malformed(_)), "{error}");
    }
}

#[test]
fn a_public_key_is_one_line() {
    assert!(PublicKey::parse(&format!("  {KEY}\n")).is_ok());
    for line in ["", "RWQ", &KEY[1..], &format!("untrusted comment: x\n{KEY}"), &KEY.replace("RW", "AA")] {
        assert!(PublicKey::parse(line).is_err(), "{line}");
    }
}

fn pair() -> KeyPair {
    KeyPair::generate_unencrypted_keypair().unwrap()
}

fn public(pair: &KeyPair) -> PublicKey {
    PublicKey::parse(&pair.pk.to_base64()).unwrap()
}

fn sign(pair: &KeyPair, module: &[u8]) -> String {
    minisign::sign(Some(&pair.pk), &pair.sk, Cursor::new(module), None, None).unwrap().into_string()
}
