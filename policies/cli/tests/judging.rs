//! `check`, `inspect`, `test` and `bench`: what a policy is and does.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod stage;

use knockgate_policy_host::precompiled::{Precompiled, Target};
use stage::{COUNTING, DENYING, Place};

const CONFIG: &str = r#"
[gate]
address = "gate.example"
[policy]
chain = ["counting"]
[service.ssh]
id = 1
protocol = "tcp"
ports = [22]
max-open = "2m"
[service.web]
id = 2
[policy-module.counting]
file = "/etc/knockgate/policies/counting.wasm"
services = ["ssh"]
capabilities = ["open"]
max-seconds = 600
[policy-module.pinned]
file = "x"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
services = ["ssh"]
capabilities = ["open", "state"]
[policy-module.lost]
file = "x"
services = ["ssh", "ftp"]
capabilities = ["open"]
"#;

#[test]
fn a_small_policy_is_edge_ok() {
    let place = Place::new();
    place.module("counting.wasm", COUNTING);
    let run = place.run(&["check", "counting.wasm"]);
    run.says("counting 2 (counting.wasm)\nedge-ok: ").says("at most 1000 fuel").says("asks for: open state");
    let json = place.run(&["check", "counting.wasm", "--format", "json"]).json();
    assert_eq!(
        (&json["command"], &json["outcome"], &json["profile"]),
        (&"check".into(), &"fine".into(), &"edge".into())
    );
}

#[test]
fn a_policy_with_much_memory_is_for_servers_and_told_why() {
    let place = Place::new();
    place.module("large.wasm", &DENYING.replace("(func", "(memory 17) (func"));
    let run = place.run(&["check", "large.wasm"]);
    run.says("server only: needs 17 pages of memory and the edge ").says("stack-size=4096");
    run.says("see docs/policies.md#limits");
    assert_eq!(place.run(&["check", "large.wasm", "--profile", "edge"]).code, 1);
    assert_eq!(place.run(&["check", "large.wasm", "--profile", "server"]).code, 0);
}

#[test]
fn what_runs_nowhere_is_told_with_every_foreign_import() {
    let place = Place::new();
    let imports = r#"(import "env" "a" (func)) (import "env" "b" (func)) (func"#;
    place.module("foreign.wasm", &DENYING.replace("(func", imports));
    let run = place.run(&["check", "foreign.wasm"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stdout.contains("runs nowhere: imports `a` from `env`"), "{run:?}");
    assert!(run.stdout.contains("not the policy interface: env a, env b"), "{run:?}");
    assert_eq!(place.run(&["check", "foreign.wasm", "--format", "json"]).json()["outcome"], "policy-is-not");
}

#[test]
fn wasi_is_wanted_in_the_configuration() {
    let place = Place::new();
    let import = r#"(import "wasi_snapshot_preview1" "proc_exit" (func (param i32))) (func"#;
    place.module("wasi.wasm", &DENYING.replace("(func", import));
    place
        .run(&["check", "wasi.wasm"])
        .says("server only: ")
        .says("needs wasi = \"inert\" in its section of agent.toml");
}

#[test]
fn a_gates_configuration_says_what_is_left_of_what_a_policy_asks_for() {
    let place = Place::new();
    place.module("counting.wasm", COUNTING);
    place.write("agent.toml", CONFIG);
    let check = |module| place.run(&["check", "counting.wasm", "--config", "agent.toml", "--module", module]);
    check("counting")
        .says("[policy-module.counting]: accepted")
        .says("may: open\n")
        .says("opens: ssh for 120 s at most")
        .says("withheld: state; grant it in `capabilities`, or expect -2");

    let pinned = check("pinned");
    assert_eq!(pinned.code, 1);
    assert!(pinned.stdout.contains("and sha256 pins 0000"), "{pinned:?}");
    check("lost").complains(2, "services names \"ftp\", which is not defined; add [service.ftp]");
    check("nobody").complains(2, "there is no [policy-module.nobody]; there are counting, lost, pinned");
}

#[test]
fn parameters_are_held_against_the_manifest() {
    let place = Place::new();
    place.module("hours.wasm", &DENYING.replace("name=denying", "name=hours\\0aparameters=from:minute"));
    place.run(&["check", "hours.wasm", "--parameter", "from=08:00"]).says("accepted");
    for (parameter, expected) in [("from=08:61", "08:61"), ("until=09:00", "this policy takes from")] {
        let run = place.run(&["check", "hours.wasm", "--parameter", parameter]);
        assert!(run.code == 1 && run.stdout.contains(expected), "{run:?}");
    }
    assert_eq!(place.run(&["check", "hours.wasm", "--parameter", "from"]).code, 2);
}

#[test]
fn inspect_shows_what_is_in_a_compiled_policy() {
    let place = Place::new();
    place.module("denying.wasm", DENYING);
    place
        .run(&["compile", "denying.wasm", "--target", "gateway"])
        .says("denying.kgc: denying for gateways, ");

    let run = place.run(&["inspect", "denying.kgc"]);
    run.says("denying.kgc: compiled policy for gateways, ").says("manifest:\n  abi=1.0\n  name=denying\n");
    let json = place.run(&["inspect", "denying.kgc", "--format", "json"]).json();
    let module = place.run(&["inspect", "denying.wasm", "--format", "json"]).json();
    assert_eq!((&json["kind"], &json["module-sha256"]), (&"compiled".into(), &module["sha256"]));

    let mut damaged = std::fs::read(place.path().join("denying.kgc")).unwrap();
    *damaged.last_mut().unwrap() ^= 1;
    place.write("damaged.kgc", damaged);
    place.run(&["inspect", "damaged.kgc"]).complains(1, "damaged.kgc: a damaged compiled policy");
}

#[test]
fn inspect_shows_what_is_in_a_policy() {
    let place = Place::new();
    place.module("counting.wasm", COUNTING);
    let run = place.run(&["inspect", "counting.wasm"]);
    run.says("counting.wasm: module, ").says("  name=counting\n").says("  knockgate:policy/act@1.0.0 open\n");
    run.says("  decide (function)\n").says("knockgate.manifest\n").says("signature: none beside it");
    let json = place.run(&["inspect", "counting.wasm", "--format", "json"]).json();
    assert_eq!(json["imports"].as_array().unwrap().len(), 4);
    assert_eq!(json["sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn cases_run_on_three_engines_and_carry_state_when_they_say_so() {
    let place = Place::new();
    place.module("counting.wasm", COUNTING);
    place.write(
        "tests.toml",
        r#"
        [defaults]
        service = 3
        [[case]]
        name = "the first opens"
        expect = { verdict = "commit", actions = [{ act = "open", service = 3, seconds = 60 }], state = { 1 = 1 } }
        [[case]]
        name = "so does the second"
        after = "previous"
        expect = { verdict = "commit", state = { 1 = 2 } }
        [[case]]
        name = "the third does not"
        after = "previous"
        expect = { verdict = "deny", actions = [], fuel-at-most = 100 }
        [[case]]
        name = "a case begins with nothing"
        expect = { verdict = "commit" }
        [[case]]
        name = "or with what it says"
        state = { 1 = 2 }
        expect = { verdict = "deny" }
        "#,
    );
    let run = place.run(&["test", "counting.wasm"]);
    run.says("counting 2: 5 of 5 cases pass on cranelift, pulley, wasmi; at most ")
        .says("of 1000 fuel (edge profile)");
    let json = place.run(&["test", "counting.wasm", "--format", "json"]).json();
    assert_eq!((&json["passed"], &json["cases"][0]["verdict"]), (&5.into(), &"commit".into()));
}

#[test]
fn a_case_that_fails_says_what_was_expected_and_what_was_found() {
    let place = Place::new();
    place.module("denying.wasm", DENYING);
    let lines = [
        r#"{"name":"opens","expect":{"verdict":"commit","actions":[{"act":"open","service":1,"seconds":60}]}}"#,
        r#"{"name":"denies","event":{"cause":"packet"},"expect":{"verdict":"deny"}}"#,
    ];
    place.write("cases.jsonl", lines.join("\n"));
    let run = place.run(&["test", "denying.wasm", "--cases", "cases.jsonl"]);
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.stdout.contains("FAIL  opens "), "{run:?}");
    assert!(run.stdout.contains("verdict: expected \"commit\", found \"deny\""), "{run:?}");
    assert!(run.stdout.contains("ok    denies"), "{run:?}");
    assert!(run.stdout.contains("denying: 1 of 2 cases pass"), "{run:?}");
}

#[test]
fn a_policy_that_fails_says_where() {
    let place = Place::new();
    place.module("loop.wasm", &DENYING.replace("(i32.const 1)", "(loop $again (br $again)) (unreachable)"));
    place.write("tests.toml", "[[case]]\nname = \"ends\"\nexpect = { verdict = \"deny\" }\n");
    let run = place.run(&["test", "loop.wasm"]);
    assert!(
        run.code == 1 && run.stdout.contains("the policy failed: it used up its 50000 fuel in function 0"),
        "{run:?}"
    );
    place.write("tests.toml", "[[case]]\nname = \"ends\"\nexpect = { verdict = \"failed\" }\n");
    place.run(&["test", "loop.wasm"]).says("1 of 1 cases pass");
}

#[test]
fn what_is_wrong_with_cases_is_said_with_its_place() {
    let place = Place::new();
    place.module("denying.wasm", DENYING);
    let case = |text: &str| format!("[[case]]\nname = \"x\"\n{text}\n");
    #[rustfmt::skip]
    let cases = [
        (String::new(), "tests.toml: has no case; write at least one [[case]]"),
        (case(""), "tests.toml:1: missing field `expect`"),
        (case("expect = { verdict = \"no\" }"), "case \"x\": expect: verdict is \"no\"; write one of commit, deny"),
        (case("expect = {}"), "case \"x\": expect: is empty; say at least the verdict"),
        (case("expect = { colour = 1 }"), "tests.toml:3: unknown field `colour`"),
        (case("event = { hour = 1 }\nexpect = { verdict = \"deny\" }"), "case \"x\": event: `hour` is no attribute"),
        (case("event = { weekday = 8 }\nexpect = { verdict = \"deny\" }"), "`weekday` is 8; write a number from 1"),
        (case("without = [\"clock\"]\nexpect = { verdict = \"deny\" }"), "`clock` is no attribute"),
        (case("state = { a = 1 }\nexpect = { verdict = \"deny\" }"), "state has the key \"a\"; keys are numbers"),
        (case("expect = { refused = [\"shut\"] }"), "refused names \"shut\""),
        (case("expect = { actions = [{ act = \"open\" }] }"), "expect: no `service`; add it"),
        (case("after = \"before\"\nexpect = { verdict = \"deny\" }"), "tests.toml:3: unknown variant `before`"),
    ];
    for (text, expected) in cases {
        place.write("tests.toml", text);
        place.run(&["test", "denying.wasm"]).complains(2, expected);
    }
    place.write("cases.jsonl", "{\"name\":1}\n");
    place.run(&["test", "denying.wasm", "--cases", "cases.jsonl"]).complains(2, "cases.jsonl:1: ");
    place
        .run(&["test", "denying.wasm", "--cases", "none.toml"])
        .complains(2, "none.toml: cannot be read: no such file");
}

#[test]
fn a_bench_tells_median_and_percentile() {
    let place = Place::new();
    place.module("denying.wasm", DENYING);
    place
        .run(&["bench", "denying.wasm", "--rounds", "50"])
        .says("50 decisions: median ")
        .says("99 % within ");
    let json = place.run(&["bench", "denying.wasm", "--rounds", "50", "--format", "json"]).json();
    assert!(
        json["median-ns"].as_u64().unwrap() > 0
            && json["percentile-99-ns"].as_u64() >= json["median-ns"].as_u64()
    );
    place.write("tests.toml", "[[case]]\nname = \"x\"\nexpect = { verdict = \"deny\" }\n");
    place.run(&["bench", "denying.wasm", "--rounds", "9", "--case", "x"]).says("denying: deny");
    place.run(&["bench", "denying.wasm", "--case", "y"]).complains(2, "has no case \"y\"; correct --case");
}

#[test]
fn every_file_that_is_no_policy_is_told_what_it_is() {
    let place = Place::new();
    place.write("text.txt", "hello");
    place.write("wrong.wat", "(module (func (export \"decide\") (result i32) i64.const 1");
    place.module("bare.wasm", "(module (func (export \"decide\") (result i32) (i32.const 1)))");
    place.module("bad.wasm", &DENYING.replace("abi=1.0", "abi=one"));
    place.write("cut.wasm", b"\0asm\x01\0\0\0\x00\x7f");
    for command in ["check", "inspect", "test", "bench"] {
        place
            .run(&[command, "none.wasm"])
            .complains(2, "none.wasm: cannot be read: no such file or directory; check");
        place.run(&[command, "."]).complains(2, "policy.toml: cannot be read: ");
        place.run(&[command, "text.txt"]).complains(1, "text.txt: not a WebAssembly module");
        place.run(&[command, "wrong.wat"]).complains(1, "wrong.wat: is no WebAssembly text: ");
        place.run(&[command, "bare.wasm"]).complains(1, "bare.wasm: no manifest; ");
        place.run(&[command, "cut.wasm"]).complains(1, "cut.wasm: damaged");
    }
    place.run(&["check", "bad.wasm"]).complains(1, "bad.wasm: manifest: line 1: not a version");
    let json = place.run(&["check", "bad.wasm", "--format", "json"]).json();
    assert_eq!(
        (&json["outcome"], &json["guide"]),
        (&"policy-is-not".into(), &"docs/policies.md#manifest".into())
    );
}

#[test]
fn text_is_translated_on_the_way() {
    let place = Place::new();
    place.write("denying.wat", DENYING);
    place.run(&["check", "denying.wat"]).says("edge-ok");
    place.run(&["inspect", "denying.wat"]).says("denying.wat: WebAssembly text, as a module, ");
}

#[test]
fn a_shell_gets_its_completions() {
    let place = Place::new();
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        place.run(&["completions", shell]).says("knockgate-policy");
    }
    let asked = place.command(&["--", "knockgate-policy", "ins"]).env("COMPLETE", "fish").output().unwrap();
    let answered: stage::Finished = asked.into();
    answered.says("inspect");
}

#[test]
fn every_command_has_a_help_that_ends_well() {
    let place = Place::new();
    let commands = [
        "new",
        "build",
        "check",
        "test",
        "replay",
        "inspect",
        "keygen",
        "sign",
        "verify",
        "compile",
        "bench",
        "completions",
    ];
    for command in commands {
        place.run(&[command, "--help"]).says(&format!("Usage: knockgate-policy {command} "));
        place.run(&["--help"]).says(&format!("\n  {command} "));
    }
    assert_eq!(place.run(&["no-such-command"]).code, 2);
}

#[test]
fn only_what_fits_a_gateway_is_compiled_for_one() {
    let place = Place::new();
    place.module("large.wasm", &DENYING.replace("(func", "(memory 17) (func"));
    place.module("denying.wasm", DENYING);
    place.run(&["compile", "large.wasm", "--target", "gateway"]).complains(1, "needs 17 pages of memory");
    place
        .run(&["compile", "denying.wasm", "--target", "gateway"])
        .says("denying.kgc: denying for gateways, ")
        .says("runs on engine ");
    let read = |name| std::fs::read(place.path().join(name)).unwrap();
    let file = read("denying.kgc");
    assert_eq!(Precompiled::parse(&file).unwrap().target(), Target::Gateway);
    place
        .run(&["compile", "denying.wasm", "--target", "gateway", "--output", "other.kgc"])
        .says("other.kgc: ");
    assert_eq!(read("other.kgc"), file, "compiling is reproducible");

    let json = place.run(&["compile", "denying.wasm", "--target", "gateway", "--format", "json"]).json();
    assert_eq!((&json["output"], &json["bytes"]), (&"denying.kgc".into(), &file.len().into()));
    place
        .run(&["compile", "denying.wasm", "--target", "gateway", "--output", "denying.wasm"])
        .complains(2, "is the policy itself; give another --output");
    place
        .run(&["compile", "denying.wasm", "--target", "gateway", "--output", "no/such.kgc"])
        .complains(2, "no/such.kgc: cannot be written: no such file or directory; check its folder");
}
