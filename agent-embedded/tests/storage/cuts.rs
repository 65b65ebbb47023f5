//! The power is cut in the middle of every word that is written and of every page that is erased.

use proptest::prelude::*;

use crate::script::{Model, installed, start};
use crate::stage::chip::{Chip, Noise};

/// Stores of the script: enough to fill each page several times.
const STORES: u32 = 150;

#[test]
fn whatever_is_cut_off_what_was_reported_as_stored_is_there_at_the_next_start() {
    cut_everywhere::<1, 1024>(2);
    cut_everywhere::<4, 1024>(2);
    cut_everywhere::<4, 1024>(3);
    cut_everywhere::<32, 4096>(2);
}

fn cut_everywhere<const WORD: usize, const PAGE: usize>(pages: usize) {
    let whole = installed::<WORD, PAGE>(pages);
    run(&whole, pages, &mut Model::default(), "whole").unwrap();
    let steps = whole.steps();
    assert!(steps > 400, "the script has only {steps} steps");

    for step in 0..steps {
        for noise in 0..3 {
            let case = format!("words of {WORD}, {pages} pages, step {step}, noise {noise}");
            let chip = installed::<WORD, PAGE>(pages);
            let mut model = Model::default();
            chip.cut_after(step, u64::from(step) << 8 | noise);
            run(&chip, pages, &mut model, &case).unwrap_err();

            chip.power_on();
            run(&chip, pages, &mut model, &case).unwrap();
            let (_, recalled) = start(&chip, pages).unwrap_or_else(|error| panic!("{case}: {error}"));
            model.check(&recalled, &case);
        }
    }
}

/// The power went off.
#[derive(Debug)]
struct Cut;

/// Starts, checks what is there, and goes through the script.
fn run<const WORD: usize, const PAGE: usize>(
    chip: &Chip<WORD, PAGE>,
    pages: usize,
    model: &mut Model,
    case: &str,
) -> Result<(), Cut> {
    let opened = start(chip, pages);
    if chip.is_off() {
        return Err(Cut);
    }
    let (mut journal, recalled) = opened.unwrap_or_else(|error| panic!("{case}: {error}"));
    model.check(&recalled, case);
    let whole = model.run(&mut journal, STORES, &mut Noise(5));
    if chip.is_off() {
        return Err(Cut);
    }
    assert!(whole, "{case}: the journal refuses to store");
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn cut_again_and_again_it_always_starts_and_forgets_nothing(
        cuts in prop::collection::vec((0..300_u32, any::<u64>()), 1..12),
    ) {
        cut_again_and_again::<4, 1024>(2, &cuts);
        cut_again_and_again::<32, 4096>(2, &cuts);
    }

    #[test]
    fn cut_while_it_mends_itself_it_still_mends_itself(
        first in 200..900_u32,
        cuts in prop::collection::vec((0..12_u32, any::<u64>()), 1..10),
    ) {
        let mut all = vec![(first, u64::from(first))];
        all.extend(cuts);
        cut_again_and_again::<4, 1024>(2, &all);
        cut_again_and_again::<4, 1024>(3, &all);
    }
}

fn cut_again_and_again<const WORD: usize, const PAGE: usize>(pages: usize, cuts: &[(u32, u64)]) {
    let chip = installed::<WORD, PAGE>(pages);
    let mut model = Model::default();
    for (steps, noise) in cuts {
        chip.cut_after(*steps, *noise);
        let _ = run(&chip, pages, &mut model, "one of many");
        chip.power_on();
    }
    run(&chip, pages, &mut model, "the last").unwrap();
}
