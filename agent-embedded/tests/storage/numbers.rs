//! The numbers of policies: a decision's writes are there as a whole or not at all, also after a power cut.

use std::sync::Arc;

use knockgate_core::Name;
use knockgate_gateway::storage::PolicyNumbers;
use knockgate_policy_host::StateStore;
use spin::Mutex;

use crate::script::{installed, start};
use crate::stage::chip::Chip;

type Small = Chip<4, 1024>;

fn numbers(chip: &Small, policy: &str) -> PolicyNumbers<Small> {
    let (journal, _) = start(chip, 2).unwrap();
    PolicyNumbers::new(Arc::new(Mutex::new(journal)), &policy.parse::<Name>().unwrap())
}

#[test]
fn numbers_outlast_a_restart_and_belong_to_one_policy() {
    let chip = installed::<4, 1024>(2);
    numbers(&chip, "limit").commit(&[(1, 10), (2, 20)]).unwrap();
    numbers(&chip, "other").commit(&[(1, 7)]).unwrap();
    numbers(&chip, "limit").commit(&[(2, 0), (3, 30)]).unwrap();
    let found = numbers(&chip, "limit");
    assert_eq!([1, 2, 3].map(|key| found.load(key)), [10, 0, 30]);
    assert_eq!(found.len(), 2);
    assert_eq!(numbers(&chip, "other").load(1), 7);
    assert!(numbers(&chip, "third").is_empty());
}

#[test]
fn sixteen_numbers_fit_whatever_they_are_and_the_seventeenth_is_refused() {
    let chip = installed::<4, 1024>(2);
    let all: Vec<(u32, u64)> = (0..16).map(|at| (u32::MAX - at, u64::MAX - u64::from(at))).collect();
    let found = numbers(&chip, "limit");
    found.commit(&all).unwrap();
    found.commit(&[(1, 1)]).unwrap_err();
    found.commit(&[(u32::MAX, 0), (1, 1)]).unwrap();
    let found = numbers(&chip, "limit");
    assert_eq!((found.load(u32::MAX), found.load(1), found.load(u32::MAX - 15)), (0, 1, u64::MAX - 15));
}

#[test]
fn a_power_cut_leaves_all_of_a_decisions_writes_or_none() {
    let before = installed::<4, 1024>(2);
    numbers(&before, "limit").commit(&[(1, 1), (2, 1), (3, 1)]).unwrap();
    let steps = {
        let whole = before.copy();
        let found = numbers(&whole, "limit");
        (2..60).for_each(|round| found.commit(&[(1, round), (2, round), (3, round)]).unwrap());
        whole.steps()
    };
    for step in 0..steps {
        let chip = before.copy();
        let found = numbers(&chip, "limit");
        chip.cut_after(step, step.into());
        let stored =
            (2..60).take_while(|round| found.commit(&[(1, *round), (2, *round), (3, *round)]).is_ok());
        let stored = stored.last().unwrap_or(1);
        chip.power_on();
        let found = numbers(&chip, "limit");
        let now = [1, 2, 3].map(|key| found.load(key));
        assert!(now == [stored; 3] || now == [stored + 1; 3], "step {step}: {now:?} after {stored}");
    }
}
