//! Hostile policies on a gateway: each is refused by the compiler or stopped, opens nothing that it may not, and leaves the court as
//! it was.

use std::fs;
use std::path::Path;

use knockgate_core::{Effect, Verdict};
use knockgate_policy_host::precompiled::{Target, precompile};
use knockgate_policy_host::{Answer, builtin};

use crate::{NOW, Told, court, knock, seated, stage};

#[test]
fn a_hostile_policy_opens_nothing_that_it_may_not_and_the_next_knock_is_decided_as_before() {
    let good = court([seated("default", builtin::DEFAULT, &stage::rights())]);
    let mut stopped = 0;
    for (name, module) in hostile() {
        if precompile(&module, Target::Wide).is_err() {
            continue;
        }
        let bad = court([seated(&name, &module, &stage::rights())]);
        for _ in 0..2 {
            let mut told = Told::default();
            let decided = bad.judge(NOW, knock(), &mut told);
            let is_fine =
                |effect: &Effect| matches!(effect, Effect::Open { service: 1 | 2, seconds: ..=3600 });
            assert!(decided.effects.iter().all(is_fine), "{name}: {decided:?}");
            stopped += usize::from(told.0[0].2.answer() == Answer::Failed);
            let next = good.judge(NOW, knock(), &mut Told::default());
            assert_eq!(next.verdict, Verdict::Commit, "after {name}");
        }
    }
    assert!(stopped >= 30, "only {stopped} were stopped: look whether the folder is the right one");
}

fn hostile() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/hostile");
    let mut found: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "wat"))
        .filter_map(|path| {
            let name = path.file_stem()?.to_str()?.to_owned();
            Some((name, wat::parse_file(&path).ok()?))
        })
        .collect();
    found.sort();
    found
}
