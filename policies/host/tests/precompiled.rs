//! Policies compiled ahead decide as those that are compiled where they run, and whatever is not exactly what this host runs is
//! refused with a reason. The examples are what `cargo xtask policies` built.
#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

mod stage;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use knockgate_policy_host::precompiled::{
    ENGINE_VERSION, Precompiled, PrecompiledError, Target, Trusted, precompile,
};
use knockgate_policy_host::{
    Capabilities, Cause, Decision, Event, HostKind, LoadError, LocalTime, MemoryState, Parameter, Policy,
    PolicyEngine, Profile, Request, Rights, Source, StateStore, builtin, text,
};
use sha2::{Digest, Sha256};
use stage::{knock, rights};
use wasmtime::{Config, Engine, ModuleVersionStrategy};

/// Length of the header.
const HEADER: usize = 100;

#[test]
fn built_in_policies_decide_as_on_the_compiler_with_the_same_fuel() {
    for policy in builtin::ALL {
        let given: &[(&str, &str)] = match policy.name {
            "office-hours" => &[("days", "mon-fri"), ("from", "08:00"), ("until", "18:00")],
            "known-networks" | "second-factor" => &[("networks", "192.0.2.0/24")],
            "limit-per-client" => &[("open", "2"), ("per-day", "3")],
            _ => &[],
        };
        decides_alike(policy.name, policy.module, &with(given));
    }
}

#[test]
fn examples_decide_as_on_the_compiler_with_the_same_fuel() {
    for language in ["rust", "c", "cpp", "zig", "assemblyscript", "wat"] {
        let name = format!("office_hours_{language}");
        decides_alike(&name, &example(&name), &rights());
    }
}

#[test]
fn failures_are_told_with_the_same_place_and_fuel() {
    let cases = [
        "(func (export \"decide\") (result i32) unreachable)",
        "(func (export \"decide\") (result i32) (loop br 0) i32.const 0)",
        "(func (export \"decide\") (result i32) (i32.div_s (i32.const 1) (i32.const 0)))",
        "(memory 1) (func (export \"decide\") (result i32) (i32.load (i32.const 65536)))",
        "(func (export \"decide\") (result i32) i32.const 77)",
    ];
    for (number, body) in cases.into_iter().enumerate() {
        decides_alike(&format!("case {number}"), &policy(body), &rights());
    }

    // A frame is not as large for an interpreter as for a processor, so only interpreters agree on how deep is too deep.
    let module = policy("(func $f (export \"decide\") (result i32) call $f)");
    let here = interpreter().load("deep", &module, &rights()).unwrap();
    let file = precompile(&module, Target::Wide).unwrap();
    let ahead = interpreter().load_precompiled("deep", &vouched_for(&file), &rights()).unwrap();
    assert_eq!(decisions(&ahead), decisions(&here));
}

#[test]
fn a_file_for_gateways_tells_what_it_is() {
    let module = policy(DENYING);
    let file = precompile(&module, Target::Gateway).unwrap();
    let parsed = Precompiled::parse(&file).unwrap();

    assert_eq!(parsed.target(), Target::Gateway);
    assert_eq!(parsed.manifest(), b"abi=1.0\nname=ahead");
    assert_eq!(parsed.module_sha256()[..], Sha256::digest(&module)[..]);
    assert_eq!(file, forge(1, ENGINE_VERSION, parsed.manifest(), parsed.code(), &module));
    assert_eq!(file, precompile(&module, Target::Gateway).unwrap(), "compiling is reproducible");
}

#[test]
fn a_host_of_another_kind_refuses_it() {
    let file = precompile(&policy(DENYING), Target::Gateway).unwrap();
    let wide = precompile(&policy(DENYING), Target::Wide).unwrap();
    let compiler = PolicyEngine::new(Profile::Edge, Capabilities::ALL).unwrap();
    let cases = [
        (interpreter(), &file, "for hosts that run pulley32, and this one runs pulley64; compile it"),
        (compiler, &wide, "run pulley64, and this one runs its processor's machine code; compile it"),
    ];
    for (engine, file, expected) in cases {
        let error = engine.load_precompiled("ahead", &vouched_for(file), &rights()).map(drop).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn what_an_edge_host_does_not_load_is_not_compiled_for_one() {
    let cases = [
        policy("(memory 17) (func (export \"decide\") (result i32) i32.const 0)"),
        policy("(func (export \"other\") (result i32) i32.const 0)"),
        policy("(import \"env\" \"f\" (func)) (func (export \"decide\") (result i32) i32.const 0)"),
        policy(
            "(import \"wasi_snapshot_preview1\" \"sched_yield\" (func (result i32)))
             (func (export \"decide\") (result i32) i32.const 0)",
        ),
        policy("(func (export \"decide\") (result i32) (return_call 0))"),
        wat::parse_str("(module (func (export \"decide\") (result i32) i32.const 0))").unwrap(),
        wat::parse_str("(component (@custom \"knockgate.manifest\" \"abi=1.0\\nname=ahead\"))").unwrap(),
        wat::parse_str(
            "(module (@custom \"knockgate.manifest\" \"abi=1.0\\nname=ahead\\ncapabilities=notify\")
             (func (export \"decide\") (result i32) i32.const 0))",
        )
        .unwrap(),
        b"(module)".to_vec(),
        b"\x7fELF".to_vec(),
        vec![0; 33 * 1024],
    ];
    let edge = PolicyEngine::new(Profile::Edge, Capabilities::GATEWAY).unwrap();
    for (number, module) in cases.into_iter().enumerate() {
        let expected = edge.load("ahead", &module, &rights()).map(drop).unwrap_err();
        assert_eq!(precompile(&module, Target::Gateway), Err(expected), "case {number}");
    }
}

#[test]
fn code_is_used_where_it_lies_and_decides_alike() {
    let module = builtin::find("limit-per-client").unwrap().module;
    let rights = with(&[("open", "2"), ("per-day", "3")]);
    let file = aligned(&precompile(module, Target::Wide).unwrap());
    // SAFETY: the code is from the engine's compiler, unchanged, and what was leaked stays as it is.
    let trusted = unsafe { Trusted::new(Precompiled::parse(file).unwrap()) };

    let in_place = interpreter().load_in_place("limit", &trusted, &rights).unwrap();
    let copied = interpreter().load_precompiled("limit", &trusted, &rights).unwrap();

    assert_eq!(decisions(&in_place), decisions(&copied));
}

#[test]
fn code_at_an_odd_place_is_refused_and_not_copied() {
    let file = precompile(&policy(DENYING), Target::Wide).unwrap();
    let moved = &aligned(&[&[0; 4], &file[..]].concat())[4..];
    // SAFETY: as above.
    let trusted = unsafe { Trusted::new(Precompiled::parse(moved).unwrap()) };
    let loaded = interpreter().load_in_place("ahead", &trusted, &rights()).map(drop);
    assert_eq!(loaded, Err(LoadError::Misplaced));
}

#[test]
fn rights_are_asked_for_where_it_is_loaded() {
    let module = wat::parse_str(
        "(module (@custom \"knockgate.manifest\" \"abi=1.0\\nname=ahead\\ncapabilities=open\\nservices=1\")
         (func (export \"decide\") (result i32) i32.const 0))",
    );
    let file = precompile(&module.unwrap(), Target::Wide).unwrap();
    let load =
        |rights: Rights| interpreter().load_precompiled("ahead", &vouched_for(&file), &rights).map(drop);

    assert_eq!(load(rights()), Ok(()));
    assert!(matches!(load(Rights::default()), Err(LoadError::NoCapability(_))));
}

#[test]
fn it_is_refused_wherever_it_is_cut_off() {
    let file = precompile(&policy(DENYING), Target::Gateway).unwrap();
    for length in 0..file.len() {
        let error = Precompiled::parse(&file[..length]).unwrap_err();
        let should_have = if length < HEADER { HEADER } else { file.len() } as u64;
        assert_eq!(error, PrecompiledError::Length { has: length, should_have }, "{length}");
    }
    let longer = [&file[..], &[0]].concat();
    let (has, should_have) = (longer.len(), file.len() as u64);
    assert_eq!(Precompiled::parse(&longer), Err(PrecompiledError::Length { has, should_have }));
}

#[test]
fn a_changed_byte_is_noticed_wherever_it_is() {
    let file = precompile(&policy(DENYING), Target::Gateway).unwrap();
    // Each place of the header, the manifest and the first bytes of the code; then some of the rest, and its end.
    let places = (0..HEADER + 64).chain((HEADER + 64..file.len()).step_by(7)).chain([file.len() - 1]);
    for place in places {
        for change in [0x01, 0x80, 0xff] {
            let mut damaged = file.clone();
            damaged[place] ^= change;
            let error = Precompiled::parse(&damaged).unwrap_err();
            let is_right = match place {
                0..8 => error == PrecompiledError::NotOne,
                8..10 => matches!(error, PrecompiledError::OtherFormat(format) if format != 1),
                60..68 => matches!(error, PrecompiledError::Length { .. } | PrecompiledError::Damaged),
                _ => error == PrecompiledError::Damaged,
            };
            assert!(is_right, "byte {place}: {error}");
        }
    }
}

#[test]
fn what_is_something_else_or_of_another_version_is_said_with_the_remedy() {
    let file = precompile(&policy(DENYING), Target::Gateway).unwrap();
    let parsed = Precompiled::parse(&file).unwrap();
    let made = |target, engine| forge(target, engine, parsed.manifest(), parsed.code(), b"");
    let mut of_format_2 = file.clone();
    of_format_2[8] = 2;
    let cases = [
        (b"\0asm".to_vec(), "not a compiled policy; make one with `knockgate-policy compile`"),
        (policy(DENYING), "not a compiled policy; make one with `knockgate-policy compile`"),
        (vec![], "a compiled policy of 0 bytes that should have 100; copy it again"),
        (of_format_2, "a compiled policy of format 2, and this version reads format 1; compile it again"),
        (made(1, "48.0.7"), "compiled by engine 48.0.7, and this host runs 48.0.8; compile it again"),
        (made(1, "48.0.8.1"), "compiled by engine 48.0.8.1, and this host runs 48.0.8; compile it again"),
        (made(1, "\u{1b}[31m"), "compiled by engine \\x1b[31m, and this host runs 48.0.8; compile it again"),
        (made(3, ENGINE_VERSION), "compiled for hosts of kind 3, which this version does not know; compile"),
    ];
    for (bytes, expected) in cases {
        let error = Precompiled::parse(&bytes).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn what_was_compiled_with_other_settings_is_refused_by_the_engine() {
    let change: [fn(&mut Config); 5] = [
        |config| {
            config.epoch_interruption(true);
        },
        |config| {
            config.consume_fuel(false);
        },
        |config| {
            config.signals_based_traps(true);
        },
        |config| {
            config.memory_may_move(false);
        },
        |config| drop(config.module_version(ModuleVersionStrategy::WasmtimeVersion)),
    ];
    let module = policy(DENYING);
    for (number, change) in change.into_iter().enumerate() {
        let file = compiled_with(&module, change);
        let loaded = interpreter().load_precompiled("ahead", &vouched_for(&file), &rights());
        let error = loaded.map(drop).unwrap_err();
        assert!(matches!(error, LoadError::OtherSettings(_)), "case {number}: {error}");
        assert!(error.to_string().ends_with("`knockgate-policy` of the host's version"), "{error}");
    }
    let file = compiled_with(&module, |_| ());
    interpreter().load_precompiled("ahead", &vouched_for(&file), &rights()).map(drop).unwrap();
}

const DENYING: &str = "(func (export \"decide\") (result i32) i32.const 0)";

/// One policy compiled here and ahead, about the same events, each with numbers of its own to keep.
fn decides_alike(name: &str, module: &[u8], rights: &Rights) {
    let compiler = PolicyEngine::new(Profile::Edge, Capabilities::ALL).unwrap();
    let here = decisions(&compiler.load(name, module, rights).unwrap());
    let file = precompile(module, Target::Wide).unwrap();
    let ahead = interpreter().load_precompiled(name, &vouched_for(&file), rights).unwrap();
    assert_eq!(decisions(&ahead), here, "{name}");
    assert!(here.iter().any(|decision| decision.fuel > 0 || decision.failure.is_some()), "{name}");
    precompile(module, Target::Gateway).unwrap();
}

fn decisions(policy: &Policy) -> Vec<Decision> {
    let state: Arc<dyn StateStore> = Arc::new(MemoryState::default());
    events().iter().map(|event| policy.decide(event, &state)).collect()
}

fn events() -> Vec<Event> {
    let at = |weekday, minute| Event { local: Some(LocalTime { weekday, minute }), ..knock() };
    let asks = |service, seconds| Event {
        request: Some(Request { service, name: text("any"), seconds, grants: 0, prefix: None }),
        ..knock()
    };
    let address = "2001:db8::7".parse().unwrap();
    vec![
        knock(),
        at(1, 479),
        at(1, 480),
        at(5, 1080),
        at(7, 720),
        Event { time: None, local: None, ..knock() },
        asks(2, 3600),
        asks(3, 60),
        asks(1, 0),
        Event { request: None, ..knock() },
        Event { source: Some(Source { address, prefix: 128, failures: 1, grants: 0 }), ..knock() },
        Event { client: None, source: None, ..knock() },
        Event::new(Cause::StartUp, HostKind::Linux),
        knock(),
        knock(),
    ]
}

fn with(parameters: &[(&str, &str)]) -> Rights {
    let parameters = parameters.iter().map(|(name, text)| Parameter::new(name, [*text]));
    Rights { parameters: parameters.collect(), ..rights() }
}

fn policy(body: &str) -> Vec<u8> {
    wat::parse_str(format!("(module (@custom \"knockgate.manifest\" \"abi=1.0\\nname=ahead\") {body})"))
        .unwrap()
}

fn example(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/policies");
    let file = folder.join(name).with_extension("wasm");
    fs::read(&file).unwrap_or_else(|error| {
        panic!("{}: {error}; build the examples first: cargo xtask policies", file.display())
    })
}

/// At a multiple of 16 bytes, as in a gateway's flash, for ever.
fn aligned(bytes: &[u8]) -> &'static [u8] {
    let mut room = vec![0_u8; bytes.len() + 16].leak();
    let odd = room.as_ptr().addr() % 16;
    room = &mut room[(16 - odd) % 16..][..bytes.len()];
    room.copy_from_slice(bytes);
    room
}

/// What runs on a gateway, with pointers as wide as here.
fn interpreter() -> PolicyEngine {
    PolicyEngine::on_pulley(Profile::Edge, Capabilities::ALL).unwrap()
}

fn vouched_for(file: &[u8]) -> Trusted<'_> {
    // SAFETY: every file in these tests has code from the engine's compiler, unchanged.
    unsafe { Trusted::new(Precompiled::parse(file).unwrap()) }
}

/// A file for this very host by a compiler with the crate's settings and one change. That no change is accepted shows that a
/// change is what is refused.
fn compiled_with(module: &[u8], change: fn(&mut Config)) -> Vec<u8> {
    let mut config = Config::new();
    config.target("pulley64").unwrap();
    config
        .consume_fuel(true)
        .signals_based_traps(false)
        .memory_init_cow(false)
        .memory_reservation(0)
        .memory_reservation_for_growth(0)
        .memory_guard_size(0)
        .concurrency_support(false)
        .wasm_tail_call(false)
        .wasm_memory64(false)
        .wasm_simd(false)
        .wasm_relaxed_simd(false)
        .wasm_multi_memory(false)
        .wasm_component_model(false)
        .cranelift_nan_canonicalization(true)
        .module_version(ModuleVersionStrategy::Custom(ENGINE_VERSION.into()))
        .unwrap();
    change(&mut config);
    let code = Engine::new(&config).unwrap().precompile_module(module).unwrap();
    forge(2, ENGINE_VERSION, b"abi=1.0\nname=ahead", &code, module)
}

/// A file written by hand, as the crate's documentation lays it out.
fn forge(target: u8, engine: &str, manifest: &[u8], code: &[u8], module: &[u8]) -> Vec<u8> {
    let mut file = b"KGpolicy".to_vec();
    file.extend([1, 0, target, 0]);
    file.extend(engine.bytes());
    file.resize(28, 0);
    file.extend(Sha256::digest(module));
    file.extend(u32::try_from(manifest.len()).unwrap().to_le_bytes());
    file.extend(u32::try_from(code.len()).unwrap().to_le_bytes());
    file.extend([0; 32]);
    file.extend(manifest);
    file.resize(file.len().next_multiple_of(16), 0);
    file.extend(code);
    let hash = Sha256::new().chain_update(&file[..68]).chain_update(&file[HEADER..]).finalize();
    file[68..HEADER].copy_from_slice(&hash);
    file
}
