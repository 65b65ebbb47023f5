//! `new`, `build` and `test` in every language, with the compilers that `cargo xtask setup` installs.
//!
//! A compiler that is missing fails its test, with the message that says how to get it.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod stage;

use std::fs;

use stage::Place;

/// From nothing to a policy of which every case passes.
fn begin_build_and_test(lang: &str, profile: &str, engines: &str) {
    let place = Place::new();
    place
        .run(&["new", "night-shift", "--lang", lang])
        .says(&format!("night-shift: a policy in {lang}, ready to build"));
    let built = place.run(&["build", "night-shift"]);
    assert_eq!(built.code, 0, "{lang}: {}{}", built.stdout, built.stderr);
    built.says("night-shift 1.0 (night-shift/night_shift.wasm)").says(profile);
    let tested = place.run(&["test", "night-shift"]);
    tested.says(&format!("night-shift 1.0: 8 of 8 cases pass on {engines}; at most "));
}

const EVERYWHERE: (&str, &str) = ("edge-ok", "cranelift, pulley, wasmi");

macro_rules! languages {
    ($($test:ident = $lang:literal, $of:expr;)*) => {
        $(#[test]
        fn $test() {
            let (profile, engines) = $of;
            begin_build_and_test($lang, profile, engines);
        })*
    };
}

languages! {
    a_policy_in_rust = "rust", EVERYWHERE;
    a_policy_in_c = "c", EVERYWHERE;
    a_policy_in_cpp = "cpp", EVERYWHERE;
    a_policy_in_zig = "zig", EVERYWHERE;
    a_policy_in_assemblyscript = "assemblyscript", EVERYWHERE;
    a_policy_in_text = "wat", EVERYWHERE;
    a_policy_in_go = "go", ("server only", "cranelift, pulley, wasmi");
    a_policy_in_javascript = "javascript", ("server only", "cranelift, pulley");
}

#[test]
fn a_missing_compiler_is_named_with_the_way_to_get_it() {
    #[rustfmt::skip]
    let cases = [
        ("rust", "cargo: is not in PATH; install Rust"), ("c", "clang and wasm-ld: is not in PATH; install clang and lld"),
        ("cpp", "clang++ and wasm-ld: is not in PATH;"), ("zig", "zig: is not in PATH; install Zig"),
        ("assemblyscript", "asc: is not in PATH; install it with `npm install"), ("go", "go: is not in PATH; install Go"),
        ("javascript", "componentize-qjs: is not in PATH;"),
    ];
    let place = Place::new();
    for (lang, expected) in cases {
        let folder = format!("my-{lang}");
        place.run(&["new", &folder, "--lang", lang]).says("ready to build");
        let run: stage::Finished =
            place.command(&["build", &folder]).env("PATH", place.path()).output().unwrap().into();
        run.complains(2, expected).complains(2, "`cargo xtask setup`");
    }
}

#[test]
fn a_mistake_in_the_source_is_told_in_the_compilers_words() {
    let place = Place::new();
    place.run(&["new", "broken", "--lang", "wat"]).says("ready");
    place.run(&["build", "broken"]).says("edge-ok");
    place.write("broken/broken.wat", "(module (func (export \"decide\") (result i32) (call $nothing)))");
    place.run(&["build", "broken"]).complains(1, "unknown func");
    assert!(
        !place.path().join("broken/broken.wasm").exists(),
        "what was built before does not pass for the new"
    );
    place
        .run(&["test", "broken"])
        .complains(2, "broken.wasm: is not there; run `knockgate-policy build` first");

    place.run(&["new", "wrong", "--lang", "c"]).says("ready");
    place.write("wrong/wrong.c", "#include \"knockgate.h\"\nKNOCKGATE_DECIDE { return nothing; }\n");
    place.run(&["build", "wrong"]).complains(1, "clang does not compile it:\nwrong.c:2:");
}

#[test]
fn a_manifest_that_is_missing_twice_or_wrong_is_told() {
    let place = Place::new();
    place.run(&["new", "mine", "--lang", "wat"]).says("ready");
    let project = fs::read_to_string(place.path().join("mine/policy.toml")).unwrap();
    place.write("mine/policy.toml", project.replace("[rights]", "manifest = \"manifest.txt\"\n[rights]"));
    place.run(&["build", "mine"]).complains(2, "manifest.txt: cannot be read: ");
    place.write("mine/manifest.txt", "abi=1.0\nname=mine\n");
    place.run(&["build", "mine"]).complains(1, "mine.wasm: has a manifest already");
    place.write("mine/manifest.txt", "abi=1.0\nname=mine\nservice=1\n");
    place.run(&["build", "mine"]).complains(1, "manifest: line 3: unknown key");
}

#[test]
fn nothing_is_begun_where_it_cannot_be() {
    let place = Place::new();
    place.write("full/file", "");
    place.run(&["new", "full", "--lang", "c"]).complains(2, "full: is not empty; choose a new folder");
    for name in ["My-policy", "my_policy", "7days", "a-name-that-is-longer-than-any-policy"] {
        place
            .run(&["new", name, "--lang", "c"])
            .complains(2, "cannot name a policy; use 1 to 32 lower-case letters");
        assert!(!place.path().join(name).exists(), "{name}");
    }
    assert_eq!(place.run(&["new", "mine", "--lang", "cobol"]).code, 2);
}

#[test]
fn what_is_wrong_with_a_project_is_said_with_its_line() {
    let place = Place::new();
    let project = |text: &str| format!("lang = \"c\"\n{text}\n");
    #[rustfmt::skip]
    let cases = [
        (project("output = \"a.wasm\""), "policy.toml:1: missing field `sources`"),
        (project("sources = [\"a.c\"]\noutput = \"../a.wasm\""), "\"../a.wasm\" is not inside the project's folder"),
        (project("sources = [\"/etc/passwd\"]\noutput = \"a.wasm\""), "\"/etc/passwd\" is not inside"),
        (project("sources = []\noutput = \"a.wasm\""), "sources is empty; name the file"),
        (project("colour = 1"), "policy.toml:2: unknown field `colour`"),
        ("lang = \"cobol\"\n".to_owned(), "policy.toml:1: unknown variant `cobol`"),
    ];
    for (text, expected) in cases {
        place.write("policy.toml", text);
        place.run(&["build"]).complains(2, expected);
    }
}
