//! What is not fit for use keeps the gate shut, with words that say why and what to do; and a shut gate lets nobody in.

use knockgate_core::book::{Book, DecoySeed};
use knockgate_core::key::GateId;
use knockgate_core::site::OuterAddress;
use knockgate_policy_host::precompiled::ENGINE_VERSION;
use sha2::{Digest, Sha256};

use crate::bench::{Bench, layout};
use crate::site::{GATE, SiteDraft};
use crate::stage::chip::Noise;
use crate::stage::signer::Signer;
use crate::talk::{Knock, reaches};

/// Starts with that in the first slot, and expects the words.
fn refused(case: u32, image: &[u8], signer: &Signer, words: &[&str]) {
    let mut running = Bench::with(signer, image).start();
    let text = running.text();
    assert!(!running.machine.is_up(), "case {case}: {text}");
    assert!(text.contains("the gate stays shut"), "case {case}: {text}");
    for word in words {
        assert!(text.contains(word), "case {case} says nothing of {word:?}: {text}");
    }
    let knock = Knock::new(SiteDraft::new(1, 1).keys(0), 1000);
    let (back, _) = running.send(&knock.frame);
    assert!(back.is_empty() && !reaches(&mut running), "case {case}: a shut gate answers");
}

#[test]
fn an_image_that_is_damaged_or_somebody_elses_is_refused() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let good = SiteDraft::new(1, 1).signed(&signer);
    let changed = |at: usize, to: u8| {
        let mut image = good.clone();
        image[at] = to;
        image
    };
    let names = [signer.name(), stranger.name()];
    refused(1, &[], &signer, &["slot A: no site image", "knockgated gateway image"]);
    refused(2, &changed(4, 9), &signer, &["version 9", "one release"]);
    refused(3, &changed(15, 0x7f), &signer, &["cut off", "write all of it"]);
    refused(4, &changed(100, good[100] ^ 1), &signer, &["signature is not of this image", "write it again"]);
    let foreign = SiteDraft::new(1, 1).signed(&stranger);
    refused(5, &foreign, &signer, &["the owner of this gateway", names[0].as_str(), names[1].as_str()]);
}

#[test]
fn a_site_that_no_gateway_can_hold_is_refused() {
    let signer = Signer::new();
    let case = |case, change: fn(&mut SiteDraft), words: &[&str]| {
        let mut site = SiteDraft::new(1, 2);
        change(&mut site);
        refused(case, &site.signed(&signer), &signer, words);
    };
    case(1, |site| *site = SiteDraft::new(1, 65), &["65 clients", "a gateway holds 64", "remove some"]);
    case(2, |site| site.clients[1].client.id = site.clients[0].client.id, &["client 1 is there twice"]);
    case(3, |site| site.clients[1].client.key = site.clients[0].client.key, &["shares his key"]);
    case(4, |site| drop(site.books.pop()), &["client 2 has no book that fits this gate"]);
    case(5, foreign_book, &["client 1 has no book that fits this gate"]);
    case(6, |site| site.head.ipv4 = None, &["no address to knock at"]);
    case(
        7,
        |site| site.head.ipv4 = Some(OuterAddress { address: GATE, prefix: 33, router: None }),
        &["192.0.2.1 cannot be the gateway's"],
    );
    case(8, |site| site.head.central_port = Some(0), &["port 0 cannot be the central port"]);
    case(9, |site| site.services.push(site.services[0].clone()), &["service 1 must stand exactly once"]);
}

fn foreign_book(site: &mut SiteDraft) {
    let shape = *site.books[0].shape();
    let other = Book::generate(shape, DecoySeed::from_bytes([3; 32]), &mut Noise(1));
    site.clients[0].client.book = other.id();
    site.books[0] = other;
}

#[test]
fn a_policy_that_cannot_run_here_is_refused() {
    let signer = Signer::new();
    let case = |case, change: fn(&mut SiteDraft), words: &[&str]| {
        let mut site = SiteDraft::new(1, 1);
        change(&mut site);
        refused(case, &site.signed(&signer), &signer, words);
    };
    case(1, |site| site.policies = vec![site.policies[0].clone(); 5], &["5 policies", "a gateway asks 4"]);
    case(2, |site| site.policies[0].1.clear(), &["policy default: rights that cannot be read"]);
    case(3, |site| site.policies[0].2[200] ^= 1, &["policy default: a damaged compiled policy"]);
    case(4, other_engine, &["compiled by engine 47.0.0", ENGINE_VERSION, "compile it again"]);
    case(5, other_target, &["compile it"]);
    case(6, for_servers, &["policy default:", "edge"]);
}

/// Of another release of the engine.
fn other_engine(site: &mut SiteDraft) {
    let code = &mut site.policies[0].2;
    code[12..28].fill(0);
    code[12..18].copy_from_slice(b"47.0.0");
    seal(code);
}

/// For pointers of 32 bits, as real gateways have them.
fn other_target(site: &mut SiteDraft) {
    let code = &mut site.policies[0].2;
    code[10] = 1;
    seal(code);
}

/// With a manifest that asks for more memory than the edge profile has.
fn for_servers(site: &mut SiteDraft) {
    let code = &mut site.policies[0].2;
    let length = u32::from_le_bytes(code[60..64].try_into().unwrap()) as usize;
    let manifest = String::from_utf8(code[100..100 + length].to_vec()).unwrap();
    let mut forged = String::from("abi=1.0\nname=big\npages=200");
    forged.push_str(&"\n".repeat(manifest.len().saturating_sub(forged.len())));
    assert_eq!(forged.len(), length, "{manifest:?}");
    code[100..100 + length].copy_from_slice(forged.as_bytes());
    seal(code);
}

/// Makes the hash of a compiled policy right again.
fn seal(code: &mut [u8]) {
    let hash = Sha256::new().chain_update(&code[..68]).chain_update(&code[100..]).finalize();
    code[68..100].copy_from_slice(&hash);
}

#[test]
fn without_an_owner_or_a_journal_the_gate_stays_shut() {
    let signer = Signer::new();
    let image = SiteDraft::new(1, 1).signed(&signer);

    let bench = Bench::with(&signer, &image);
    bench.flash.flash(layout().owner, &[]);
    let text = bench.start().text();
    assert!(text.contains("has no owner; write owner and site with the cable"), "{text}");

    bench.flash.flash(layout().owner, b"KGow\x01 but not really an owner, and much longer than one");
    let text = bench.start().text();
    assert!(text.contains("the owner's key is damaged"), "{text}");

    let bench = Bench::with(&signer, &image);
    assert!(bench.start().machine.is_up());
    bench.flash.flash(layout().journal, &[]);
    let text = bench.start().text();
    assert!(text.contains("the journal is empty although this gateway was in use"), "{text}");
    assert!(text.contains("new keys for gate and clients"), "{text}");
}

#[test]
fn sixty_four_clients_are_not_too_many() {
    let signer = Signer::new();
    let site = SiteDraft::new(1, 64);
    let mut running = Bench::with(&signer, &site.signed(&signer)).start();
    assert!(running.text().contains("64 clients"), "{}", running.text());
    running.send(&Knock::new(site.keys(63), 1000).frame);
    assert!(reaches(&mut running), "{}", running.text());
}

#[test]
fn an_image_of_another_gate_written_with_the_cable_is_taken() {
    let signer = Signer::new();
    let mut site = SiteDraft::new(1, 1);
    let bench = Bench::with(&signer, &site.signed(&signer));
    assert!(bench.start().machine.is_up());
    site.head.gate = GateId([6; 16]);
    bench.flash.flash(layout().slots[0].clone(), &site.signed(&signer));
    assert!(bench.start().machine.is_up());
}
