//! A gate that has come up opens to a knock, and never to an old one, however the power was cut.

use knockgate_core::message::Verdict;

use crate::bench::{Bench, Running};
use crate::site::SiteDraft;
use crate::stage::signer::Signer;
use crate::talk::{Knock, reaches};

#[test]
fn a_gate_comes_up_and_says_so_in_one_line() {
    let (signer, site) = (Signer::new(), SiteDraft::new(7, 2));
    let running = Bench::with(&signer, &site.signed(&signer)).start();
    let expected = "gate up: site office, image 7 in slot A, at 192.0.2.1/24, 2 clients, 1 policies\n";
    assert!(running.text().contains(expected), "{}", running.text());
    assert!(running.text().contains(r#""event":"started""#), "{}", running.text());
    assert!(running.machine.is_up());
}

#[test]
fn a_knock_opens_and_the_same_knock_after_a_restart_does_not() {
    let (signer, site) = (Signer::new(), SiteDraft::new(1, 1));
    let bench = Bench::with(&signer, &site.signed(&signer));
    let knock = Knock::new(site.keys(0), 1000);

    let mut running = bench.start();
    assert!(!reaches(&mut running));
    let (back, _) = running.send(&knock.frame);
    assert_eq!(
        knock.answer(&back).map(|answer| answer.verdict),
        Some(Verdict::Granted),
        "{}",
        running.text()
    );
    assert!(reaches(&mut running));
    drop(running);

    let mut running = bench.start();
    assert!(!reaches(&mut running), "a restart shuts everything");
    running.send(&knock.frame);
    assert!(!reaches(&mut running), "an old knock opens: {}", running.text());
    let next = Knock::new(site.keys(0), 1001);
    running.send(&next.frame);
    assert!(reaches(&mut running), "the next one does not open: {}", running.text());
}

#[test]
fn no_knock_opens_twice_wherever_the_power_is_cut() {
    let (signer, site) = (Signer::new(), SiteDraft::new(1, 2));
    let image = site.signed(&signer);
    let knocks: Vec<Knock> = (0..12).map(|at| Knock::new(site.keys(at % 2), 1000 + at as u64)).collect();
    let steps = {
        let bench = Bench::with(&signer, &image);
        let mut running = bench.start();
        let before = bench.flash.steps();
        knocks.iter().for_each(|knock| drop(running.send(&knock.frame)));
        bench.flash.steps() - before
    };
    assert!(steps >= 24, "a knock that stores nothing: {steps} steps");

    for step in 0..steps {
        let bench = Bench::with(&signer, &image);
        let mut running = bench.start();
        bench.flash.cut_after(step, step.into());
        let opened: Vec<bool> = knocks.iter().map(|knock| opens(&mut running, knock)).collect();
        assert!(bench.flash.is_off());
        drop(running);

        bench.flash.power_on();
        let mut running = bench.start();
        assert!(running.machine.is_up(), "step {step}: {}", running.text());
        // The gate was not there any more when the others came, or has said that it could not store them.
        for (knock, _) in knocks.iter().zip(opened).filter(|(_, opened)| *opened) {
            let again = opens(&mut running, knock) || reaches(&mut running);
            assert!(!again, "step {step}: a replay opens: {}", running.text());
        }
    }
}

fn opens(running: &mut Running, knock: &Knock) -> bool {
    let (back, _) = running.send(&knock.frame);
    knock.answer(&back).is_some_and(|answer| answer.verdict == Verdict::Granted)
}
