//! What `knockgated check` says about the module of a policy.

use std::fs;

use knockgate_policy_abi::manifest_section;

use super::scene::{Scene, chmod};

const HEADER: &[u8] = b"\0asm\x01\0\0\0";

#[test]
fn a_module_that_is_missing_or_not_the_pinned_one_is_refused() {
    let scene = Scene::ready();
    let file = scene.path().join("p.wasm");
    let pinned = governed(&scene, &format!("sha256 = \"{}\"", "00".repeat(32)));
    let said = scene.run_with_config(&pinned, &["check"]).bad(1);
    assert!(said.contains("p.wasm cannot be read: No such file"), "{said}");
    assert!(said.trim_end().ends_with("correct `file` or its permissions"), "{said}");

    fs::write(&file, "not wasm").unwrap();
    let said = scene.run_with_config(&pinned, &["check"]).bad(1);
    assert!(said.contains("p.wasm") && said.contains("pinned") && said.contains("sha256"), "{said}");

    let said = scene.run_with_config(&governed(&scene, ""), &["check"]).bad(1);
    assert!(said.contains("p.wasm"), "{said}");
}

#[test]
fn a_module_that_everybody_may_change_is_refused() {
    let scene = Scene::ready();
    let file = scene.path().join("p.wasm");
    fs::write(&file, HEADER).unwrap();
    chmod(&file, 0o666);

    let said = scene.run_with_config(&governed(&scene, ""), &["check"]).bad(1);

    assert!(said.contains("mode 0666") && said.contains("chmod o-w"), "{said}");
}

#[test]
fn a_fault_in_a_manifest_is_told_once() {
    let scene = Scene::ready();
    let manifest = manifest_section("abi=1.0\nname=x\ncapabilites=open\n");
    let module: Vec<u8> = HEADER.iter().copied().chain(manifest).collect();
    fs::write(scene.path().join("p.wasm"), module).unwrap();

    let said = scene.run_with_config(&governed(&scene, ""), &["check"]).bad(1);

    assert_eq!(said.matches("line 3: unknown key").count(), 1, "{said}");
}

#[test]
fn a_header_file_that_others_can_read_is_refused_before_anybody_needs_it() {
    let scene = Scene::ready();
    let file = scene.path().join("ops.header");
    fs::write(&file, "Authorization: Bearer hush-hush\n").unwrap();
    chmod(&file, 0o644);
    let text = fs::read_to_string(scene.config()).unwrap();
    let text = format!(
        "{text}\n[channel.ops]\nid = 1\nwebhook = \"https://hooks.example/\"\nheader-file = {file:?}\n"
    );

    let said = scene.run_with_config(&text, &["check"]).bad(1);
    assert!(
        said.contains("channel ops") && said.contains("mode 0644") && said.contains("chmod 600"),
        "{said}"
    );
    assert!(!said.contains("hush"), "{said}");

    chmod(&file, 0o600);
    scene.run_with_config(&text, &["check"]).good();
}

#[test]
fn a_filter_that_one_kind_of_knock_goes_past_is_warned_about() {
    let scene = Scene::ready();
    let chain = |causes: &str| {
        let manifest = format!("abi=1.0\nname=x\ncapabilities=log\ncauses={causes}\n");
        fs::write(scene.path().join("p.wasm"), abstaining(&manifest)).unwrap();
        let text = governed(&scene, "").replace("[\"p\"]", "[\"p\", \"default\"]");
        scene.run_with_config(&text.replace("[\"open\"]", "[\"log\"]"), &["check"]).good()
    };

    let said = chain("sequence");
    assert!(said.contains("policy p is not asked about a packet, so default decides"), "{said}");
    assert!(!said.contains("not asked about a sequence"), "{said}");
    let said = chain("sequence packet");
    assert!(!said.contains("is not asked about"), "{said}");
}

/// A module with this manifest and a `decide` that returns 2.
fn abstaining(manifest: &str) -> Vec<u8> {
    #[rustfmt::skip]
    const CODE: &[u8] = &[
        1, 5, 1, 0x60, 0, 1, 0x7f,                              // type () -> i32
        3, 2, 1, 0,                                             // one function of it
        7, 10, 1, 6, b'd', b'e', b'c', b'i', b'd', b'e', 0, 0,  // exported as `decide`
        10, 6, 1, 4, 0, 0x41, 2, 0x0b,                          // i32.const 2
    ];
    HEADER.iter().chain(CODE).copied().chain(manifest_section(manifest)).collect()
}

/// The scene's configuration with a policy in `p.wasm`.
fn governed(scene: &Scene, more: &str) -> String {
    let file = scene.path().join("p.wasm");
    let text = fs::read_to_string(scene.config()).expect("the scene has a configuration");
    let text = text.split("\n[policy]").next().unwrap_or_default();
    format!(
        "{text}\n[policy]\nchain = [\"p\"]\n[policy-module.p]\nfile = {file:?}\n{more}\nservices = [\"web\"]\n\
         capabilities = [\"open\"]\n"
    )
}
