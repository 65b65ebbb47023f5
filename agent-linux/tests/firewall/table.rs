//! The life of the table: restarts, upgrades, other programs, the end.

use super::*;

pub(super) fn grants_survive() {
    let lab = Lab::new();
    let _ssh = Echo::start(&lab.gate, SSH);
    let mut firewall = install(&lab, &plan());
    let both = Grant { ports: [SSH, WEB].into(), client: 7, ..grant(4_000_000_000, client(&lab, 0)) };
    firewall.open(&both).expect("opens");
    firewall.watch(client(&lab, 0), MINUTE).expect("watches");
    drop(firewall);

    let mut firewall = install(&lab, &Plan { decoys: vec![], mode: CLOSED, ..plan() });

    let found = firewall.grants().expect("reads");
    assert!(found.foreign.is_empty());
    let [grant] = &found.grants[..] else { panic!("one grant: {found:?}") };
    assert_eq!((grant.id, grant.client, grant.service), (4_000_000_000, 7, 1));
    assert_eq!((grant.source, grant.ports.as_slice()), (client(&lab, 0), &[SSH, WEB][..]));
    assert!(grant.remaining > Duration::from_secs(30) && grant.remaining <= MINUTE);
    assert_eq!(dial(&lab.client, gate(&lab, 0), SSH), Answer::Accepted);
    assert!(!lab.gate.nft_list("set inet knockgate holders4").contains("elements"), "watches are forgotten");
    firewall.close(&both).expect("closes what an earlier run has opened");
    assert_eq!(dial(&lab.client, gate(&lab, 0), SSH), Answer::Silence);
}

pub(super) fn older_table() {
    let lab = Lab::new();
    let _ssh = Echo::start(&lab.gate, SSH);
    lab.gate.nft(&older_script(&lab));

    let mut firewall = install(&lab, &plan());

    assert_eq!(firewall.verify().expect("reads"), Integrity::Whole);
    assert_eq!(dial(&lab.client, gate(&lab, 0), SSH), Answer::Accepted);
    assert_eq!(dial(&lab.stranger, gate(&lab, 0), SSH), Answer::Silence);
    let found = firewall.grants().expect("reads").grants;
    assert_eq!((found.len(), found[0].id, found[0].client), (1, 5, 6), "a door without end is not kept");
    assert!(found[0].remaining <= MINUTE);
    drop(install(&lab, &plan()));
}

/// Four ways to be reinstalled, twelve times each, under as many datagrams and SYNs as a stranger can send.
pub(super) fn no_gap() {
    let lab = Lab::new();
    let _ssh = Echo::start(&lab.gate, SSH);
    let media = lab.gate.on(|| traffic::udp(MEDIA));
    lab.gate.nft(
        "table inet witness {
            chain passed { type filter hook input priority 0; iifname \"eth2\" tcp dport 22 counter name syns; }
            counter syns { }
        }",
    );
    let mut firewall = install(&lab, &plan());
    firewall.open(&grant(1, client(&lab, 0))).expect("opens");
    let (done, sent) = (AtomicBool::new(false), traffic::Counter::default());
    let target = gate(&lab, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| traffic::hammer(&lab.stranger, target, MEDIA, SSH, &done, &sent));
        wait_until("the stranger is hammering", || sent.get() > 0);
        for round in 0..12 {
            reinstall(&lab, &mut firewall, &plan());
            reinstall(&lab, &mut firewall, &Plan { mode: CLOSED, ..plan() });
            drop(install(&lab, &Plan { decoys: vec![], ..plan() }));
            lab.gate.nft(&older_script(&lab));
            firewall = install(&lab, &plan());
            assert_eq!(dial(&lab.client, target, SSH), Answer::Accepted, "round {round}");
            let before = sent.get();
            wait_until("more was sent", || sent.get() > before + 100);
        }
        done.store(true, Ordering::Relaxed);
    });

    assert_eq!(traffic::drain_udp(&media), 0, "of {} rounds of noise", sent.get());
    let witness = lab.gate.on(|| {
        let list =
            std::process::Command::new("nft").args(["list", "counter", "inet", "witness", "syns"]).output();
        String::from_utf8(list.expect("nft is installed").stdout).expect("nft speaks UTF-8")
    });
    assert!(witness.contains("packets 0 "), "{witness}");
    drop(firewall);
    remove(&lab);
    traffic::send_udp(&lab.stranger, target, MEDIA, b"through");
    assert_eq!(traffic::receive_udp(&media), b"through", "the witnesses were awake");
}

pub(super) fn refused_plan() {
    let lab = Lab::new();
    let mut firewall = install(&lab, &plan());
    let before = lab.gate.nft_list("ruleset");
    let wrong = Plan { services: vec![service(1, "no spaces", Protocol::Tcp, SSH)], ..plan() };

    assert!(matches!(lab.gate.on(|| firewall.reinstall(&wrong)), Err(FirewallError::Plan(_))));
    assert!(matches!(lab.gate.on(|| Firewall::install(&wrong)).err(), Some(FirewallError::Plan(_))));

    assert_eq!(lab.gate.nft_list("ruleset"), before);
    assert_eq!(firewall.verify().expect("reads"), Integrity::Whole);
}

pub(super) fn twice() {
    let lab = Lab::new();
    let mut firewall = install(&lab, &plan());
    let once = lab.gate.nft_list("ruleset");

    drop(install(&lab, &plan()));
    reinstall(&lab, &mut firewall, &plan());

    assert_eq!(lab.gate.nft_list("ruleset"), once);
}

pub(super) fn other_tables() {
    let lab = Lab::new();
    lab.gate.nft(
        "table inet filter {
            set knockgate { type ipv4_addr; flags timeout; elements = { 192.0.2.7 } }
            chain guard { type filter hook prerouting priority -150; policy accept; tcp dport 9 drop; }
            chain input { type filter hook input priority 0; policy accept; ct state invalid drop; }
        }
        table ip knockgate {
            chain guard { type nat hook prerouting priority -100; tcp dport 8 redirect to :9; }
        }
        table ip6 knockgate { }",
    );
    let before = lab.gate.nft_list("ruleset");

    let mut firewall = install(&lab, &plan());
    firewall.open(&grant(1, client(&lab, 0))).expect("opens");
    reinstall(&lab, &mut firewall, &Plan { mode: CLOSED, ..plan() });
    let during = lab.gate.nft_list("ruleset");
    assert!(during.starts_with(&before), "ours stands behind theirs");
    assert!(during[before.len()..].starts_with("table inet knockgate {"));
    remove(&lab);

    assert_eq!(lab.gate.nft_list("ruleset"), before);
}

pub(super) fn removal() {
    let lab = Lab::new();
    let _ssh = Echo::start(&lab.gate, SSH);
    let mut firewall = install(&lab, &plan());
    assert_eq!(dial(&lab.stranger, gate(&lab, 0), SSH), Answer::Silence);

    assert_eq!(lab.gate.on(Firewall::remove).expect("removes"), Removal::Removed);
    assert_eq!(lab.gate.on(Firewall::remove).expect("removes"), Removal::WasNotThere);

    assert_eq!(dial(&lab.stranger, gate(&lab, 0), SSH), Answer::Accepted);
    assert!(matches!(firewall.open(&grant(1, client(&lab, 0))), Err(FirewallError::TableGone)));
    assert!(matches!(firewall.close(&grant(1, client(&lab, 0))), Err(FirewallError::TableGone)));
    reinstall(&lab, &mut firewall, &plan());
    assert_eq!(dial(&lab.stranger, gate(&lab, 0), SSH), Answer::Silence);
}

pub(super) fn touched() {
    let lab = Lab::new();
    let mut firewall = install(&lab, &plan());
    firewall.open(&grant(1, client(&lab, 0))).expect("opens");
    firewall.watch(client(&lab, 0), MINUTE).expect("watches");
    lab.gate.nft("table inet theirs {\nchain c { type filter hook input priority 0; }\n}");
    assert_eq!(
        firewall.verify().expect("reads"),
        Integrity::Touched,
        "our own doings are fine, and so are other tables"
    );
    firewall.open(&grant(2, client(&lab, 0))).expect("opens");
    firewall.close(&grant(2, client(&lab, 0))).expect("closes");
    firewall.close(&grant(2, client(&lab, 0))).expect("closes what is closed");
    assert_eq!(firewall.verify().expect("reads"), Integrity::Whole, "nobody else has done anything");
    lab.gate.nft("add element inet knockgate grants4 { 192.0.2.7 . tcp . 22 timeout 1h }");
    assert_eq!(firewall.verify().expect("reads"), Integrity::Touched, "a door was opened");
    let meddling = [
        "flush chain inet knockgate guard",
        "flush chain inet knockgate service",
        "insert rule inet knockgate guard accept",
        "add table inet knockgate { flags dormant; }",
        "delete table inet knockgate\nadd table inet knockgate",
    ];
    for (number, meddling) in meddling.iter().enumerate() {
        lab.gate.nft(meddling);
        assert_eq!(firewall.verify().expect("reads"), Integrity::Altered, "{}", number + 1);
        reinstall(&lab, &mut firewall, &plan());
        assert_eq!(firewall.verify().expect("reads"), Integrity::Whole, "{}", number + 1);
    }
    lab.gate.nft("flush ruleset");
    assert_eq!(firewall.verify().expect("reads"), Integrity::Gone);
}

pub(super) fn foreign_doors() {
    let lab = Lab::new();
    let mut firewall = install(&lab, &plan());
    firewall.open(&grant(1, client(&lab, 0))).expect("opens");
    lab.gate.nft(
        "add element inet knockgate grants4 { 192.0.2.7 . tcp . 22 comment \"by hand\" timeout 1h }
         add element inet knockgate grants4 { 192.0.2.8 . udp . 5004 }
         add element inet knockgate grants6 { 2001:db8::7 . tcp . 22 timeout 1h comment \"kg1:1:2\" }",
    );
    let everlasting = "add element inet knockgate grants6 { 2001:db8::8 . tcp . 22 comment \"kg1:1:2:3\" }";
    lab.gate.nft(everlasting);

    let found = firewall.grants().expect("reads");
    assert_eq!(found.grants.len(), 1);
    let comments: Vec<_> = found.foreign.iter().map(|element| element.comment.as_deref()).collect();
    assert_eq!(found.foreign.len(), 4, "{found:?}");
    assert!(comments.contains(&Some("by hand")) && comments.contains(&None));
    assert!(comments.contains(&Some("kg1:1:2:3")), "a door without end is not ours");

    firewall.remove_foreign(&found.foreign).expect("shuts them");
    firewall.remove_foreign(&found.foreign).expect("shuts what is shut");
    let found = firewall.grants().expect("reads");
    assert_eq!((found.grants.len(), found.foreign.len()), (1, 0));
}

/// A table as another version might have left it: other flags, another hook, a door that never shuts.
fn older_script(lab: &Lab) -> String {
    format!(
        "add table inet knockgate
        delete table inet knockgate
        table inet knockgate {{
            set grants4 {{ type ipv4_addr . inet_proto . inet_service; flags dynamic,timeout; elements = {{
                {client} . tcp . 22 timeout 90s expires 60s comment \"kg1:5:6:1\",
                192.0.2.9 . tcp . 22 comment \"kg1:7:8:1\" }}
            }}
            chain guard {{
                type filter hook prerouting priority -5; policy accept;
                ip saddr . meta l4proto . th dport @grants4 accept
                tcp dport 22 ct state new drop
                udp dport 5004 drop
            }}
        }}",
        client = lab.client.v4,
    )
}
