//! A new image over the air: old or new and never neither, and nothing that is not fit for use.

use std::sync::Arc;

use knockgate_core::key::GateId;
use knockgate_gateway::site::Judge;
use knockgate_gateway::storage::{Journal, Slot, read_owner};
use knockgate_gateway::update::{InForce, UpdateError, Updater, Updates};
use knockgate_policy_host::{Capabilities, PolicyEngine};
use spin::Mutex;

use crate::bench::{Bench, Flash, HARDWARE, layout, vouch};
use crate::site::SiteDraft;
use crate::stage::signer::Signer;

/// What the console of a running gateway works with: image `serial` of the gate in force, in that slot.
pub(crate) fn updater(bench: &Bench, slot: Slot, serial: u32) -> Updater<Flash> {
    let (owner, used) = read_owner(&mut bench.flash.clone(), &layout().owner).unwrap();
    let (journal, _) = Journal::open(bench.flash.clone(), layout(), used).unwrap();
    let engine = Arc::new(PolicyEngine::of_gateway(Capabilities::GATEWAY).unwrap());
    let judge = Judge { owner, engine, vouch, hardware: HARDWARE };
    let in_force = InForce { slot, serial, gate: GateId([5; 16]) };
    Updater::new(Arc::new(Mutex::new(journal)), judge, in_force)
}

/// Sends it in pieces of odd lengths.
pub(crate) fn send(updater: &mut Updater<Flash>, image: &[u8]) -> Result<(), UpdateError> {
    updater.begin(u32::try_from(image.len()).unwrap())?;
    let mut at = 0;
    for piece in image.chunks(997) {
        at = updater.piece(at, piece)?;
    }
    updater.finish()
}

#[test]
fn a_new_image_is_in_force_after_a_restart_and_stays_so() {
    let signer = Signer::new();
    let bench = Bench::with(&signer, &SiteDraft::new(1, 1).signed(&signer));
    assert!(bench.start().text().contains("image 1 in slot A"));

    send(&mut updater(&bench, Slot::A, 1), &SiteDraft::new(2, 3).signed(&signer)).unwrap();
    for start in 0..3 {
        let text = bench.start().text();
        assert!(text.contains("image 2 in slot B") && text.contains("3 clients"), "start {start}: {text}");
    }
    send(&mut updater(&bench, Slot::B, 2), &SiteDraft::new(3, 2).signed(&signer)).unwrap();
    for start in 0..3 {
        let text = bench.start().text();
        assert!(text.contains("image 3 in slot A"), "start {start}: {text}");
    }
}

#[test]
fn what_is_not_fit_for_use_is_refused_with_words_and_changes_nothing() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let new = SiteDraft::new(2, 1);
    let good = new.signed(&signer);
    let mut damaged = good.clone();
    damaged[300] ^= 1;
    let mut longer = good.clone();
    longer.extend([0; 100]);
    let mut other_gate = SiteDraft::new(2, 1);
    other_gate.head.gate = GateId([9; 16]);
    let mut no_address = SiteDraft::new(2, 1);
    no_address.head.ipv4 = None;

    #[rustfmt::skip]
    let cases = [
        (1, new.signed(&stranger), "sign it with the owner's key"),
        (2, damaged, "write it again"),
        (3, longer, "send the whole file, and nothing else"),
        (4, SiteDraft::new(1, 1).signed(&signer), "image 1 is not newer than image 1, which is in force"),
        (5, SiteDraft::new(0, 1).signed(&signer), "image 0 is not newer"),
        (6, SiteDraft::new(2, 65).signed(&signer), "a gateway holds 64"),
        (7, other_gate.signed(&signer), "the image of another gate"),
        (8, no_address.signed(&signer), "no address to knock at"),
        (9, good[..good.len() - 1].to_vec(), "cut off"),
        (10, vec![0; 200], "no site image"),
    ];
    let bench = Bench::with(&signer, &SiteDraft::new(1, 1).signed(&signer));
    assert!(bench.start().machine.is_up());
    let in_force = bench.flash.bytes(layout().slots[0].clone());
    for (case, image, words) in cases {
        let error = send(&mut updater(&bench, Slot::A, 1), &image).unwrap_err();
        assert!(error.to_string().contains(words), "case {case}: {error}");
        assert!(bench.flash.bytes(layout().slots[0].clone()) == in_force, "case {case}");
        assert!(bench.start().text().contains("image 1 in slot A"), "case {case}");
    }
    send(&mut updater(&bench, Slot::A, 1), &good).unwrap();
}

#[test]
fn pieces_come_in_order_once_or_again_and_not_more_than_announced() {
    let signer = Signer::new();
    let bench = Bench::with(&signer, &SiteDraft::new(1, 1).signed(&signer));
    let mut updater = updater(&bench, Slot::A, 1);
    assert!(matches!(updater.piece(0, &[1]), Err(UpdateError::Unfinished)), "nothing was begun");
    assert!(matches!(updater.finish(), Err(UpdateError::Unfinished)));
    let room = updater.room();
    assert!(matches!(updater.begin(room + 1), Err(UpdateError::TooLong { .. })));

    updater.begin(100).unwrap();
    assert_eq!(updater.piece(0, &[1; 40]).unwrap(), 40);
    assert_eq!(updater.piece(0, &[1; 40]).unwrap(), 40, "sent again, because the answer was lost");
    assert!(matches!(updater.piece(50, &[1]), Err(UpdateError::NotNext { next: 40 })));
    assert!(matches!(updater.piece(20, &[1; 40]), Err(UpdateError::NotNext { next: 40 })));
    assert!(matches!(updater.piece(40, &[1; 61]), Err(UpdateError::TooMuch)));
    assert!(matches!(updater.piece(u32::MAX, &[1; 61]), Err(UpdateError::TooMuch)));
    assert!(matches!(updater.finish(), Err(UpdateError::Unfinished)));
}

#[test]
fn wherever_the_power_is_cut_the_old_or_the_new_image_comes_up() {
    let signer = Signer::new();
    let (old, new) = (SiteDraft::new(1, 1).signed(&signer), SiteDraft::new(2, 1).signed(&signer));
    let bench = Bench::with(&signer, &old);
    assert!(bench.start().machine.is_up());
    let steps = {
        let whole = Bench { flash: bench.flash.copy() };
        send(&mut updater(&whole, Slot::A, 1), &new).unwrap();
        // And the start that tries it.
        assert!(whole.start().text().contains("image 2"));
        whole.flash.steps()
    };
    assert!(steps > 100, "an update has only {steps} steps");
    for step in 0..steps {
        let cut = Bench { flash: bench.flash.copy() };
        cut.flash.cut_after(step, step.into());
        let sent = send(&mut updater(&cut, Slot::A, 1), &new);
        if sent.is_ok() {
            drop(cut.start());
        }
        assert!(cut.flash.is_off(), "step {step} of {steps}");

        cut.flash.power_on();
        let first = cut.start().text();
        let second = cut.start().text();
        let image = ["image 1", "image 2"].into_iter().find(|image| first.contains(*image));
        let image = image.unwrap_or_else(|| panic!("step {step}: neither comes up: {first}"));
        assert!(second.contains(image), "step {step}: first {first} then {second}");
    }
}
