//! A journal that is lost is noticed, and a fresh one is begun only where nothing was ever stored.

use knockgate_core::replay::Used;
use knockgate_core::{ClientId, Outcome, Record};
use knockgate_gateway::storage::JournalError;

use crate::script::{Model, installed, is_fresh, layout, start};
use crate::stage::chip::{Chip, Noise};

type Small = Chip<4, 1024>;

fn used() -> (Small, Model) {
    let (chip, mut model) = (installed::<4, 1024>(2), Model::default());
    let (mut journal, _) = start(&chip, 2).unwrap();
    assert!(model.run(&mut journal, 20, &mut Noise(1)));
    (chip, model)
}

#[test]
fn the_first_start_begins_a_journal_and_says_so_on_the_owners_page() {
    let chip = installed::<4, 1024>(2);
    assert!(is_fresh(&chip));
    start(&chip, 2).unwrap();
    assert!(!is_fresh(&chip));
}

#[test]
fn an_erased_journal_of_a_gateway_that_was_in_use_is_not_accepted() {
    let (chip, _) = used();
    chip.flash(layout(1024, 2).journal, &[]);
    let Err(error) = start(&chip, 2) else { panic!("a gateway starts with counters at zero") };
    assert_eq!(error, JournalError::Lost);
    assert!(error.to_string().contains("new keys"), "{error}");
}

#[test]
fn a_journal_full_of_nonsense_is_not_accepted() {
    let (chip, _) = used();
    let mut noise = Noise(3);
    let journal = layout(1024, 2).journal;
    let nonsense: Vec<u8> = journal.clone().map(|_| noise.next().to_le_bytes()[0]).collect();
    chip.flash(journal, &nonsense);
    let Err(error) = start(&chip, 2) else { panic!("a gateway starts with nonsense") };
    assert!(matches!(error, JournalError::Lost | JournalError::Damaged), "{error:?}");
}

#[test]
fn a_new_owner_beside_the_old_journal_forgets_nothing() {
    let (chip, mut model) = used();
    let written = chip.bytes(0..64);
    chip.flash(layout(1024, 2).owner, &written);
    assert!(is_fresh(&chip));
    let (_, recalled) = start(&chip, 2).unwrap();
    model.check(&recalled, "a new owner");
    assert!(!is_fresh(&chip));
}

#[test]
fn a_flash_that_fails_is_told_and_the_next_store_is_tried_again() {
    let (chip, mut model) = used();
    let (mut journal, _) = start(&chip, 2).unwrap();
    chip.cut_after(2, 0);
    assert!(!model.run(&mut journal, 1, &mut Noise(9)));
    chip.power_on();
    assert!(model.run(&mut journal, 30, &mut Noise(10)));
    let (_, recalled) = start(&chip, 2).unwrap();
    model.check(&recalled, "after a failure");
}

#[test]
fn a_full_journal_refuses_what_is_new_and_forgets_nothing() {
    let chip = installed::<4, 1024>(2);
    let (mut journal, _) = start(&chip, 2).unwrap();
    let record = |client| {
        let used = Used { last: 1000 + u64::from(client), ahead: None, code_step: 0 };
        Record::Counter { client: ClientId(client), used }
    };
    let stored = (0..200).take_while(|client| journal.remember(&record(*client)) == Outcome::Done).count();
    assert!((20..60).contains(&stored), "{stored} clients fit");

    let (mut journal, recalled) = start(&chip, 2).unwrap();
    for client in 0..u32::try_from(stored).unwrap() {
        assert_eq!(recalled.used(ClientId(client)).last, 1000 + u64::from(client));
    }
    assert_eq!(journal.remember(&record(900)), Outcome::Failed);
}
