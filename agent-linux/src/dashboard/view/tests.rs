use std::time::Duration;

use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::super::model::tests::answers;
use super::*;

/// What stands on a terminal of this size, row by row.
fn drawn(model: &Model, now: Instant, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(model, now, frame)).unwrap();
    terminal.backend().to_string()
}

fn of(answers: Answers) -> Model {
    let mut model = Model::new(Instant::now());
    model.take(Ok(answers), Instant::now());
    model
}

fn shows(screen: &str, all: &[&str]) {
    for text in all {
        assert!(screen.contains(text), "{text:?} is not on the screen:\n{screen}");
    }
}

#[test]
fn the_smallest_usual_terminal_has_room_for_everything() {
    let model = of(answers());
    let screen = drawn(&model, Instant::now(), 80, 24);
    let rows: Vec<_> = screen.lines().map(|row| row.trim_matches('"')).collect();
    assert!(
        rows[0].starts_with(" knockgated 1.2.3, process 4242, up 2:03:04: 3 clients, 1 hold "),
        "{screen}"
    );
    assert!(rows[0].ends_with(" live "), "{screen}");
    let hearing = " packet knocks: watch; central port 62201; sequences: connect, static: 0 ";
    assert!(
        rows[1].starts_with(hearing) && rows[2].starts_with(" guarded: ssh tcp/22: 2 grants "),
        "{screen}"
    );
    shows(
        &screen,
        &["by packet 12; numbers asked 5", "sequences 4, failed 1, static 0", "opened 6, closed 4"],
    );
    shows(&screen, &["7 not-allowed, 2 replayed", "17 a second, at most 17", "900 unsealed, 1 probes"]);
    shows(&screen, &["alice", "ssh", "192.0.2.7", "59:59", "198.51.100.0/24", "0:59"]);
    shows(&screen, &["office-hours", "38 us", "2.4 ms", "bob", "7 of 1000", "q quit"]);
}

#[test]
fn a_large_terminal_shows_long_names_and_addresses_whole() {
    let mut answers = answers();
    let (name, address) = ("a".repeat(32), "2001:db8:1111:2222:3333:4444:5555:6666");
    answers.grants.iter_mut().for_each(|grant| {
        (grant.client, grant.service, grant.to) = (name.clone(), name.clone(), address.to_owned());
    });
    shows(&drawn(&of(answers), Instant::now(), 240, 60), &[&name, address, "59:59"]);
}

#[test]
fn no_terminal_is_too_small_to_draw_on() {
    let mut model = of(answers());
    for (width, height) in [(1, 1), (10, 3), (80, 5), (20, 80), (300, 100)] {
        drawn(&model, Instant::now(), width, height);
    }
    shows(&drawn(&model, Instant::now(), 80, 12), &["alice", "198.51.100.0/24", "q quit"]);
    model.take(Err("gone".to_owned()), Instant::now());
    drawn(&model, Instant::now(), 1, 1);
}

#[test]
fn whoever_does_not_answer_is_told_of_with_the_remedy_and_the_last_answers_stay() {
    let mut model = of(answers());
    model.take(Err("no agent answers at /run/knockgate/status; is it running?".to_owned()), Instant::now());
    let screen = drawn(&model, Instant::now() + Duration::from_secs(7), 80, 24);
    shows(
        &screen,
        &["no answer for 7 s", "no agent answers at /run/knockgate/status; is it running?", "alice"],
    );
    assert!(!screen.contains("live"), "{screen}");
    model.take(Ok(answers()), Instant::now());
    shows(&drawn(&model, Instant::now(), 80, 24), &["live", "guarded: ssh"]);
}

#[test]
fn before_the_first_answer_it_says_that_it_asks_or_why_there_is_none() {
    let mut model = Model::new(Instant::now());
    shows(&drawn(&model, Instant::now(), 80, 24), &["asking"]);
    let why = "/run/knockgate/status: this user may not ask there; run as root, or to look as a member of `group` in [control]";
    model.take(Err(why.to_owned()), Instant::now());
    shows(&drawn(&model, Instant::now(), 80, 24), &["this user may not ask there", "`group` in [control]"]);
}

#[test]
fn a_name_with_control_characters_is_text() {
    let mut answers = answers();
    answers.grants.iter_mut().for_each(|grant| grant.client = "\u{1b}]0;x\u{7}".to_owned());
    let screen = drawn(&of(answers), Instant::now(), 80, 24);
    shows(&screen, &["\u{fffd}]0;x"]);
    assert!(!screen.contains('\u{1b}') && !screen.contains('\u{7}'), "{screen}");
}

#[test]
fn audit_records_that_were_lost_are_not_overlooked() {
    let mut answers = answers();
    answers.status.audit_lost = 3;
    shows(&drawn(&of(answers), Instant::now(), 80, 24), &["3 audit records could not be written"]);
}

#[test]
fn a_guard_that_somebody_has_changed_is_not_overlooked() {
    let mut answers = answers();
    answers.status.guard_trouble = Some("told".to_owned());
    shows(&drawn(&of(answers), Instant::now(), 80, 24), &["somebody else has changed the guard"]);
}

#[test]
fn the_latest_second_of_noise_is_at_the_right_and_a_gap_is_marked() {
    let mut model = of(answers());
    model.take(Err("gone".to_owned()), Instant::now());
    model.take(Ok(answers()), Instant::now());
    shows(&drawn(&model, Instant::now(), 80, 24), &["\u{2588}?\u{2588}\u{2502}"]);
}

#[test]
fn a_list_that_was_scrolled_says_what_is_above() {
    let mut model = of(answers());
    model.scroll(super::super::model::Scroll::Down(1));
    let screen = drawn(&model, Instant::now(), 80, 24);
    shows(&screen, &["Grants: 2, 1 above", "1:01"]);
    assert!(!screen.contains("alice"), "{screen}");
}
