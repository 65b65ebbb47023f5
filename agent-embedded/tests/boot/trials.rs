//! A new image is tried once: one that does not come up is gone back from.

use std::panic::{AssertUnwindSafe, catch_unwind};

use knockgate_gateway::storage::{Slot, Verified};
use knockgate_policy_host::precompiled::{Precompiled, Trusted};

use crate::bench::{Bench, layout};
use crate::site::SiteDraft;
use crate::stage::signer::Signer;
use crate::updates::{send, updater};

/// A board on which image 1 is in force and image 2 is to be tried.
fn with_new_image(signer: &Signer) -> Bench {
    let bench = Bench::with(signer, &SiteDraft::new(1, 1).signed(signer));
    assert!(bench.start().machine.is_up());
    send(&mut updater(&bench, Slot::A, 1), &SiteDraft::new(2, 1).signed(signer)).unwrap();
    bench
}

/// A board that does not survive the loading of a policy.
fn panics<'a>(_: &Verified<'a>, _: Precompiled<'a>) -> Trusted<'a> {
    panic!("the machine goes down here")
}

#[test]
fn an_image_that_brings_the_machine_down_is_tried_once_and_no_more() {
    let signer = Signer::new();
    let bench = with_new_image(&signer);
    catch_unwind(AssertUnwindSafe(|| drop(bench.start_with(panics)))).unwrap_err();

    let text = bench.start().text();
    assert!(text.contains("slot B: the new image did not come up; back to the one before"), "{text}");
    assert!(text.contains("gate up: site office, image 1 in slot A"), "{text}");
    let text = bench.start().text();
    assert!(!text.contains("did not come up") && text.contains("image 1 in slot A"), "{text}");
}

#[test]
fn an_image_that_was_given_up_is_never_fallen_back_to() {
    let signer = Signer::new();
    let bench = with_new_image(&signer);
    catch_unwind(AssertUnwindSafe(|| drop(bench.start_with(panics)))).unwrap_err();
    assert!(bench.start().machine.is_up());

    bench.flash.flash(layout().slots[0].clone(), b"KGsi\x01 and then nothing that makes sense");
    let text = bench.start().text();
    assert!(text.contains("the gate stays shut"), "{text}");
}

#[test]
fn a_new_image_that_is_damaged_before_its_trial_is_not_tried() {
    let signer = Signer::new();
    let bench = with_new_image(&signer);
    bench.flash.flash(layout().slots[1].clone(), b"KGsi\x01 and then nothing that makes sense");
    let text = bench.start().text();
    assert!(text.contains("slot B: a site image"), "{text}");
    assert!(text.contains("image 1 in slot A"), "{text}");
}

#[test]
fn when_the_image_in_force_is_damaged_the_one_before_comes_up() {
    let signer = Signer::new();
    let bench = with_new_image(&signer);
    assert!(bench.start().text().contains("image 2 in slot B"));
    bench.flash.flash(layout().slots[1].clone(), b"KGsi\x01 and then nothing that makes sense");
    for start in 0..2 {
        let text = bench.start().text();
        assert!(text.contains("image 1 in slot A"), "start {start}: {text}");
    }
}

#[test]
fn what_the_cable_writes_into_the_first_slot_counts_once_the_second_is_erased() {
    let signer = Signer::new();
    let bench = with_new_image(&signer);
    assert!(bench.start().text().contains("image 2 in slot B"));
    // The cable may do anything: also bring back an older image.
    bench.flash.flash(layout().slots[0].clone(), &SiteDraft::new(1, 2).signed(&signer));
    bench.flash.flash(layout().slots[1].clone(), &[]);
    let text = bench.start().text();
    assert!(text.contains("image 1 in slot A") && text.contains("2 clients"), "{text}");
}
