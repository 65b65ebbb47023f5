//! `keygen`, `sign` and `verify`.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod stage;

use std::fs;
use std::process::Command;

use stage::{DENYING, Place};

#[test]
fn what_was_signed_verifies_and_nothing_else_does() {
    let place = with_key();
    place
        .run(&["sign", "denying.wasm", "--key", "mine.key"])
        .says("denying.wasm: signed; copy it and denying.wasm.minisig");
    let verify = |key: &str| place.run(&["verify", "denying.wasm", "--public-key", key]);
    verify("mine.pub").says("denying.wasm: the signature is good").says("file:denying.wasm");
    verify(&public_key(&place, "mine")).says("the signature is good");

    place.run(&["keygen", "other", "--no-passphrase"]).says("public key: other.pub");
    verify("other.pub").complains(1, "which is not listed");
    place
        .run(&["verify", "denying.wasm", "--public-key", "other.pub", "--public-key", "mine.pub"])
        .says("good");

    let mut changed = fs::read(place.path().join("denying.wasm")).unwrap();
    changed.push(0);
    place.write("denying.wasm", changed);
    verify("mine.pub").complains(1, "its signature is not of this file");
    place.write("denying.wasm.minisig", "untrusted comment: x\nRW\n");
    verify("mine.pub").complains(1, "its signature is damaged");
    fs::remove_file(place.path().join("denying.wasm.minisig")).unwrap();
    verify("mine.pub").complains(1, "it is not signed; sign it");
}

#[test]
fn a_gates_keys_verify_and_its_check_wants_a_signature() {
    let place = with_key();
    let config = format!(
        "[policy]\nkeys = [\"{}\"]\n[service.ssh]\nid = 1\n[policy-module.denying]\nfile = \"x\"\nservices = [\"ssh\"]\n\
         capabilities = [\"open\"]\n",
        public_key(&place, "mine")
    );
    place.write("agent.toml", config);
    let check = || place.run(&["check", "denying.wasm", "--config", "agent.toml", "--module", "denying"]);
    assert!(check().code == 1 && check().stdout.contains("it is not signed"), "{:?}", check());
    place.run(&["sign", "denying.wasm", "--key", "mine.key", "--comment", "version 7"]).says("signed");
    check().says("its signature is good");
    place.run(&["verify", "denying.wasm", "--config", "agent.toml"]).says("version 7");
    place.write("agent.toml", "");
    place.run(&["verify", "denying.wasm", "--config", "agent.toml"]).complains(2, "[policy] has no keys");
}

#[test]
#[cfg(unix)]
fn a_secret_key_is_for_its_owner_and_is_never_overwritten() {
    use std::os::unix::fs::PermissionsExt;
    let place = with_key();
    let secret = place.path().join("mine.key");
    assert_eq!(fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&secret).unwrap();
    place
        .run(&["keygen", "mine", "--no-passphrase"])
        .complains(2, "mine.key: is there already; choose another name");
    assert_eq!(fs::read(&secret).unwrap(), before);

    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    place
        .run(&["sign", "denying.wasm", "--key", "mine.key"])
        .complains(2, "mode 0644 lets other users read it; run: chmod 600");
}

#[test]
#[cfg(unix)]
fn a_key_with_a_passphrase_signs_with_the_passphrase_only() {
    let place = Place::new();
    place.module("denying.wasm", DENYING);
    secret(&place, "short", "seven77\n");
    secret(&place, "right", "correct horse\n");
    secret(&place, "wrong", "correct house\n");
    secret(&place, "empty", "\n");
    place.run(&["keygen", "mine", "--passphrase-file", "short"]).complains(2, "at least 8 characters");
    place
        .run(&["keygen", "mine", "--passphrase-file", "empty"])
        .complains(2, "no passphrase on its first line");
    place.run(&["keygen", "mine", "--passphrase-file", "right"]).says("secret key: mine.key");
    let sign = |file| place.run(&["sign", "denying.wasm", "--key", "mine.key", "--passphrase-file", file]);
    sign("wrong").complains(2, "mine.key: the passphrase is wrong; try again");
    sign("right").says("signed");
    place.run(&["verify", "denying.wasm", "--public-key", "mine.pub"]).says("the signature is good");
}

#[test]
fn what_cannot_be_signed_is_told_why() {
    let place = with_key();
    place.write("denying.wat", DENYING);
    place.module("bare.wasm", "(module)");
    place.write("notes.txt", "not a key");
    let sign = |file, key| place.run(&["sign", file, "--key", key]);
    sign("denying.wat", "mine.key").complains(2, "is WebAssembly text; build it first");
    sign("bare.wasm", "mine.key").complains(1, "bare.wasm: no manifest");
    sign("denying.wasm", "none.key").complains(2, "none.key: cannot be read");
    sign("denying.wasm", "mine.pub").complains(2, "mine.pub: ");
    place
        .run(&["sign", "denying.wasm", "--key", "mine.key", "--comment", "a\nb"])
        .complains(2, "more than one line");
    place
        .run(&["verify", "denying.wasm", "--public-key", "RWX"])
        .complains(2, "no public key; give the second line");
    assert_eq!(place.run(&["verify", "denying.wasm"]).code, 2);
    place.run(&["keygen", "nowhere/mine", "--no-passphrase"]).complains(2, "make the folder first");
}

/// The tool whose format this is.
#[test]
fn minisign_agrees() {
    let place = with_key();
    place.run(&["sign", "denying.wasm", "--key", "mine.key"]).says("signed");
    let minisign = |arguments: &[&str]| {
        let mut command = Command::new("minisign");
        command.args(arguments).current_dir(place.path());
        let run = command.output().expect("`minisign` is missing; `cargo xtask setup` installs it");
        assert!(run.status.success(), "{run:?}");
    };
    minisign(&["-V", "-p", "mine.pub", "-m", "denying.wasm"]);
    minisign(&["-S", "-s", "mine.key", "-m", "denying.wasm"]);
    place.run(&["verify", "denying.wasm", "--public-key", "mine.pub"]).says("the signature is good");
    minisign(&["-G", "-W", "-p", "theirs.pub", "-s", "theirs.key"]);
    place.run(&["sign", "denying.wasm", "--key", "theirs.key"]).says("signed");
    minisign(&["-V", "-p", "theirs.pub", "-m", "denying.wasm"]);
}

fn with_key() -> Place {
    let place = Place::new();
    place.module("denying.wasm", DENYING);
    place.run(&["keygen", "mine", "--no-passphrase"]).says("keys = [\"RW");
    place
}

fn public_key(place: &Place, name: &str) -> String {
    let text = fs::read_to_string(place.path().join(format!("{name}.pub"))).unwrap();
    text.lines().nth(1).unwrap().to_owned()
}

#[cfg(unix)]
fn secret(place: &Place, name: &str, content: &str) {
    use std::os::unix::fs::PermissionsExt;
    let path = place.write(name, content);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}
