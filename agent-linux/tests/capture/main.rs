//! What is heard, against the kernel it runs on: which frames reach the agent, and which do not.

mod frames;
mod heard;
mod interfaces;
#[path = "../firewall/netns.rs"]
#[allow(dead_code, reason = "the firewall's tests use the rest")]
mod netns;
mod scene;
// Frames of our own making need a packet socket that is bound to an interface.
#[path = "../../src/capture/sys.rs"]
#[allow(dead_code, reason = "the tests write frames and leave reading to the agent")]
mod sys;
mod ways;

use libtest_mimic::{Arguments, Trial};

fn main() {
    let arguments = Arguments::from_args();
    netns::enter();
    let tests: &[(&str, fn())] = &[
        ("knocks_and_steps_of_both_families_are_heard_as_they_were_sent", heard::plain),
        ("a_knock_behind_extension_headers_is_heard", heard::extension_headers),
        ("a_frame_with_a_priority_tag_counts_once_and_one_of_another_vlan_never", heard::tagged),
        ("what_nobody_asked_for_never_wakes_the_agent", heard::unasked),
        ("padding_is_no_part_of_a_packet", heard::padded),
        ("packets_in_transit_and_to_many_hosts_are_not_for_this_one", heard::foreign),
        ("what_this_host_sends_is_not_heard", heard::own),
        ("an_address_counts_while_the_host_has_it", heard::addresses),
        ("a_flood_is_survived_and_its_losses_are_counted", heard::flood),
        ("reading_allocates_nothing", heard::nothing_is_allocated),
        ("the_largest_configuration_fits_into_the_kernel", heard::large),
        ("only_interfaces_that_were_named_count", interfaces::named),
        ("interfaces_come_and_go_and_change_their_names", interfaces::come_and_go),
        ("an_interface_that_was_down_is_heard_again", interfaces::down_and_up),
        ("a_change_that_could_not_be_followed_is_tried_again", interfaces::unfollowed),
        ("without_names_a_new_interface_is_heard_at_once", interfaces::unnamed),
        ("without_the_capability_nflog_hears_the_same", ways::powerless),
        ("nflog_by_choice_hears_steps_and_leaves_them_to_the_host", ways::by_choice),
        ("packet_sockets_by_choice_name_what_is_missing", ways::refused),
        ("nothing_wanted_is_nothing_opened", ways::nothing),
    ];
    let trials = tests.iter().map(|&(name, test)| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}
