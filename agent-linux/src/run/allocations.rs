//! What a packet costs in memory, from its arrival to the firewall of a real kernel.

use knockgate_core::client::Keys;
use knockgate_core::limits::MESSAGE_LEN;
use rand_core::Rng;

use super::driver::Driver;
use super::stage::{CLIENT, GATE, Place, gate_and_client, open, place};
use super::start::make_ready;
use crate::state::system_rng;

const NAME: &str =
    "run::allocations::a_knock_takes_no_memory_until_its_port_is_open_and_noise_takes_none_at_all";

#[test]
fn a_knock_takes_no_memory_until_its_port_is_open_and_noise_takes_none_at_all() {
    if place(NAME) == Place::Outside {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let profile = gate_and_client(temp.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let _inside = runtime.enter();
    let mut driver = make_ready(&temp.path().join("agent.toml"), None).unwrap().driver;
    let keys = Keys::of(&profile).unwrap();
    driver.turn();

    for round in 0..24 {
        let message = keys.ask(&open(), &mut system_rng()).unwrap().1;
        let mut is_known = false;
        let counted = allocation_counter::measure(|| {
            is_known = driver.hear(CLIENT, GATE, &message);
            driver.act_on_all();
        });
        assert!(is_known && driver.gate.open_grants().count() == 1, "round {round}");
        // Tables that grow with use have grown by then.
        if round >= 8 {
            assert_eq!((counted.count_total, counted.count_current), (0, 0), "round {round}");
        }
        driver.turn();
    }
    assert_eq!(driver.firewall.grants().unwrap().grants.len(), 1);

    let counted = allocation_counter::measure(|| noise(&mut driver));
    assert_eq!((counted.count_total, driver.noise.strangers().since_start["unsealed"]), (0, 100_000));
}

fn noise(driver: &mut Driver) {
    let mut junk = [0; MESSAGE_LEN];
    for _ in 0..100_000 {
        system_rng().fill_bytes(&mut junk[..32]);
        driver.packet(CLIENT, GATE, &junk);
    }
}
