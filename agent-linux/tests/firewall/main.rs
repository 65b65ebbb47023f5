//! The firewall against the kernel it runs on: what passes, what does not, and what others see of it.

mod brokers;
mod decoys;
mod flows;
mod forward;
mod grants;
mod guard;
mod netns;
mod packets;
mod prefixes;
mod table;
mod traffic;

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use knockgate_agent::capture::ProbeSeen;
use knockgate_agent::capture::decoy::{self, DecoyTouched};
use knockgate_agent::capture::nflog::{NflogError, ProbeLog};
use knockgate_agent::firewall::{
    Access, Firewall, FirewallError, Forward, Grant, Integrity, Mode, Packets, Plan, Protocol, Reach,
    Removal, Report, ReturnPath, Service, Statics,
};
use libtest_mimic::{Arguments, Trial};
use netns::{Host, Lab, wait_until};
use traffic::{Answer, Echo, dial, send_syn};

const MINUTE: Duration = Duration::from_secs(60);
const SSH: u16 = 22;
const WEB: u16 = 80;
const MEDIA: u16 = 5004;
const LISTENER: u16 = 40_000;
const GROUP: u16 = 62;
const HOLDER_CONNECT: Mode = Mode::Connect { listener: LISTENER, access: Access::Holder };
const CLOSED: Mode = Mode::Closed { report: Report::Nflog { group: GROUP } };

fn main() {
    // The broker of a test is this program, as an agent's is the agent.
    if std::env::args().nth(1).as_deref() == Some("broker") {
        return knockgate_agent::broker::main().expect("serves");
    }
    let arguments = Arguments::from_args();
    netns::enter();
    let tests: &[(&str, fn())] = &[
        ("a_guarded_port_is_silent_without_a_grant_and_answers_with_one", grants::silent_until_granted),
        ("a_grant_counts_for_its_source_port_protocol_and_family_alone", grants::grant_is_narrow),
        ("a_grant_ends_by_the_kernels_own_clock", grants::grant_ends),
        ("opening_again_moves_the_deadline_both_ways", grants::open_again),
        ("closing_is_idempotent_and_leaves_established_connections_alone", grants::close_twice),
        ("a_door_that_is_opened_again_has_the_name_and_the_deadline_of_the_last_grant", grants::renamed_door),
        ("all_sixteen_ports_of_a_service_open_and_close_together", grants::sixteen_ports),
        ("grants_without_end_or_ports_are_refused", grants::endless_grants),
        ("a_new_install_finds_the_grants_of_the_old_one", table::grants_survive),
        ("an_older_table_is_replaced_with_its_grants", table::older_table),
        ("reinstalling_never_opens_a_gap", table::no_gap),
        ("installing_again_leaves_the_rules_of_one_install", table::twice),
        ("a_refused_plan_changes_nothing", table::refused_plan),
        ("other_tables_are_as_they_were_after_install_and_removal", table::other_tables),
        ("removal_takes_the_guard_away_and_may_be_repeated", table::removal),
        ("somebody_who_touches_the_table_is_noticed", table::touched),
        ("doors_that_others_open_in_our_table_are_found_and_shut", table::foreign_doors),
        ("sessions_from_before_the_guard_go_on", guard::old_sessions),
        ("broadcast_multicast_and_link_local_do_not_slip_past", guard::side_doors),
        ("a_port_published_by_somebody_elses_nat_is_guarded", guard::published_port),
        ("only_the_named_interfaces_are_guarded", guard::named_interfaces),
        ("a_hundred_decoys_answer_the_holder_with_their_own_port", decoys::hundred_decoys),
        ("decoys_answer_nobody_else_and_the_listener_is_out_of_reach", decoys::decoys_are_the_holders),
        ("decoys_for_everybody_answer_everybody", decoys::decoys_for_all),
        ("closed_mode_reports_the_holders_probes_in_order_and_stays_silent", decoys::closed_holder),
        ("closed_mode_changes_nothing_for_strangers", decoys::closed_stranger),
        ("a_flood_of_probes_is_counted_and_survived", decoys::flood),
        ("without_the_capability_the_errors_say_so", decoys::powerless),
        ("one_nflog_group_has_one_reader", decoys::one_reader),
        ("a_forwarded_service_is_guarded_and_reaches_the_inner_host", forward::forwarded),
        ("a_masqueraded_service_shows_the_inner_host_the_gate", forward::masqueraded),
        ("forwarding_that_is_off_is_reported", forward::forwarding_off),
        ("packet_knocks_are_seen_and_nothing_answers_on_their_ports", packets::watched),
        ("a_packet_knock_in_fragments_is_seen_whole", packets::fragments),
        ("a_packet_knock_is_answered_from_where_it_was_asked_without_an_open_port", packets::answered),
        ("a_neighbour_on_the_link_is_answered_over_its_interface", packets::answered_on_the_link),
        ("an_answer_takes_the_route_of_its_source_address", packets::answers_take_their_route),
        ("the_answerer_receives_nothing", packets::the_answerer_is_deaf),
        ("the_hosts_own_flows_from_a_watched_port_get_their_answers", packets::the_hosts_own_flows),
        ("packet_knocks_anywhere_take_nothing_from_services_decoys_and_flows", packets::anywhere),
        ("a_bound_socket_answers_from_the_address_that_was_asked", packets::bound),
        ("packet_knocks_without_the_capability_name_the_remedy", packets::powerless),
        (
            "an_answer_without_the_capability_comes_from_where_it_was_asked_too",
            packets::answered_without_power,
        ),
        ("a_grant_for_a_prefix_lets_the_neighbours_in_and_nobody_else", prefixes::neighbours),
        ("a_grant_for_a_prefix_ends_by_the_kernels_own_clock", prefixes::prefix_grant_ends),
        ("a_prefix_of_another_length_than_its_services_is_refused", prefixes::lengths_never_mix),
        ("grants_for_prefixes_survive_unless_their_length_has_changed", prefixes::prefix_grants_survive),
        ("prefixes_that_others_open_in_our_table_are_found_and_shut", prefixes::foreign_prefixes),
        ("a_forwarded_service_opens_to_a_prefix_too", prefixes::forwarded_to_neighbours),
        ("a_broker_opens_and_closes_what_is_planned_and_says_what_is_open", brokers::opens_as_planned),
        ("a_broker_opens_nothing_that_is_not_planned", brokers::refuses_the_rest),
        ("a_broker_restores_the_guard_and_shuts_what_others_have_opened", brokers::restores_and_cleans),
        ("a_tcp_session_is_a_flow_until_one_side_ends_it", flows::tcp_sessions),
        ("a_udp_exchange_is_a_flow_once_it_was_answered", flows::udp_exchanges),
        ("a_udp_flow_ends_when_conntrack_forgets_it", flows::forgotten),
        ("a_forwarded_session_is_found_by_its_outer_port", flows::forwarded_sessions),
        ("flows_without_the_capability_are_refused", flows::powerless),
    ];
    let trials = tests.iter().map(|&(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn plan() -> Plan {
    Plan {
        interfaces: vec![],
        services: vec![
            service(1, "ssh", Protocol::Tcp, SSH),
            service(2, "web", Protocol::Tcp, WEB),
            service(3, "media", Protocol::Udp, MEDIA),
        ],
        decoys: vec![10_001],
        mode: HOLDER_CONNECT,
        packets: Packets::Off,
        statics: Statics::none(),
    }
}

fn forwarding_plan(lab: &Lab, return_path: ReturnPath) -> Plan {
    let v4 = Some((lab.inner.v4.parse().expect("an address"), 22));
    let v6 = Some((lab.inner.v6.parse().expect("an address"), 22));
    let inner = Service {
        forward: Some(Forward { v4, v6, return_path }),
        ..service(4, "inner-ssh", Protocol::Tcp, 8022)
    };
    let same_port_here = service(1, "ssh", Protocol::Tcp, SSH);
    Plan { services: vec![same_port_here, inner], ..plan() }
}

fn service(id: u16, name: &str, protocol: Protocol, port: u16) -> Service {
    Service { id, name: name.to_owned(), protocol, ports: vec![port], forward: None, prefix: None }
}

fn grant(id: u32, source: IpAddr) -> Grant {
    let (protocol, ports) = (Protocol::Tcp, [SSH].into());
    Grant { id, client: 1, service: 1, source, reach: Reach::Address, protocol, ports, timeout: MINUTE }
}

/// Waits for the next probe.
fn next_probe(log: &mut ProbeLog) -> ProbeSeen {
    let mut next = None;
    wait_until("a probe is reported", || {
        next = log.try_recv().expect("reads");
        next.is_some()
    });
    next.expect("it has come")
}

fn install(lab: &Lab, plan: &Plan) -> Firewall {
    lab.gate.on(|| Firewall::install(plan).expect("installs"))
}

fn reinstall(lab: &Lab, firewall: &mut Firewall, plan: &Plan) {
    lab.gate.on(|| firewall.reinstall(plan).expect("reinstalls"));
}

fn remove(lab: &Lab) {
    assert_eq!(lab.gate.on(Firewall::remove).expect("removes"), Removal::Removed);
}

/// Family 0 is IPv4, family 1 is IPv6.
fn address(host: &Host, family: usize) -> IpAddr {
    [host.v4, host.v6][family].parse().expect("an address")
}

fn gate(lab: &Lab, family: usize) -> IpAddr {
    address(&lab.gate, family)
}

fn client(lab: &Lab, family: usize) -> IpAddr {
    address(&lab.client, family)
}

fn stranger(lab: &Lab, family: usize) -> IpAddr {
    address(&lab.stranger, family)
}
