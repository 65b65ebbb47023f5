//! Replays what the fuzzers have found. A folder that is missing or empty is an error: a target without a corpus tests nothing.

use std::fs;
use std::path::{Path, PathBuf};

use knockgate_fuzz_targets::ALL;

/// One test for each target, of its name.
macro_rules! replay {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                replay(stringify!($target), knockgate_fuzz_targets::$target);
            }
        )*

        #[test]
        fn every_target_is_replayed() {
            let names = [$(stringify!($target)),*];
            assert_eq!(ALL.map(|(name, _)| name).as_slice(), names);
        }
    };
}

replay! {
    agent_config answer book channel client_settings console flows gate gate_identity gateway_bridge locked_profile
    message_authentic message_raw message_sealed netlink own_key owner packet_knock packet_probe policy_engines
    policy_manifest profile request roster_file routes set_elements site text_form
}

#[test]
fn every_folder_and_every_fuzzer_belongs_to_a_target() {
    for folder in [corpus(), corpus().with_file_name("fuzz_targets")] {
        let mut found: Vec<String> = entries(&folder).iter().filter_map(|path| stem(path)).collect();
        found.sort();
        assert_eq!(found, ALL.map(|(name, _)| name), "{}", folder.display());
    }
}

#[test]
fn every_seed_is_accepted() {
    for (name, target) in ALL {
        for seed in knockgate_fuzz_targets::seed::seeds(name) {
            target(&seed);
        }
    }
}

fn replay(name: &str, target: fn(&[u8])) {
    let folder = corpus().join(name);
    let inputs = entries(&folder);
    assert!(!inputs.is_empty(), "{} is empty; fuzz/README.md says how to fill it", folder.display());
    for path in inputs {
        let input = fs::read(&path).expect("a file of the corpus can be read");
        // Shown by a test that fails.
        println!("{}", path.display());
        target(&input);
    }
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("corpus")
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut entries: Vec<PathBuf> =
        entries.map(|entry| entry.expect("the folder can be read").path()).collect();
    entries.sort();
    entries
}

fn stem(path: &Path) -> Option<String> {
    path.file_stem()?.to_str().map(str::to_owned)
}
