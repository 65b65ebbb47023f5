//! Draws what is known. What the agent says goes through [`plain`], without exception.
//!
//! ```text
//! knockgated 1.2.3  ...                                 live
//! how it hears, or why there is no answer
//! what is guarded
//! [ knocks ] [ noise: a bar for each second, the latest at the right ]
//! [ grants, the list that grows ] [ lockouts ]
//! [ policies ] [ books ]
//! keys
//! ```
//!
//! With 80 columns and 24 rows all of it is there. On fewer rows policies and books go first, then knocks and noise.

use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Block, Paragraph, RenderDirection, Row, Sparkline, Table, Wrap};

use super::model::{Answers, Model};
use super::text::{countdown, counts, plain, took};
use crate::admin::counted;
use crate::control::{BookLevel, Guarded, Hearing, LockedOut, OpenGrant, PolicyFigures, Status};

/// Rows of the lines above everything else.
const HEAD: u16 = 3;
/// Rows of the panel of knocks, with its frame.
const KNOCKS: u16 = 7;
/// Rows that a list needs to be one: frame, heading, one row.
const LIST: u16 = 4;
/// Rows of policies and books: at least, and with all ten books.
const FOOT: (u16, u16) = (6, 13);

/// Draws all of it.
pub(super) fn draw(model: &Model, now: Instant, frame: &mut Frame<'_>) {
    let height = frame.area().height.saturating_sub(HEAD + 1);
    let knocks = if height >= KNOCKS + LIST { KNOCKS } else { 0 };
    let foot = match height.saturating_sub(KNOCKS + LIST) {
        room if room >= FOOT.0 => (room / 2).clamp(FOOT.0, FOOT.1),
        _ => 0,
    };
    let rows = [
        Constraint::Length(HEAD),
        Constraint::Length(knocks),
        Constraint::Fill(1),
        Constraint::Length(foot),
        Constraint::Length(1),
    ];
    let [head, middle, lists, foot, keys] = Layout::vertical(rows).areas(frame.area());
    draw_head(model, now, frame, head);
    frame.render_widget(Line::from(" q quit   \u{2191} \u{2193} PgUp PgDn scroll the lists").dim(), keys);
    let Some(answers) = model.answers() else { return };

    let [left, right] = halves(middle, 50);
    frame.render_widget(Paragraph::new(knocks_of(&answers.status)).block(panel("Knocks".to_owned())), left);
    draw_noise(model, &answers.status, frame, right);
    let [left, right] = halves(lists, 65);
    draw_grants(answers, model.scrolled(), frame, left);
    draw_lockouts(answers, model.scrolled(), frame, right);
    let [left, right] = halves(foot, 60);
    draw_policies(&answers.status.policies, frame, left);
    draw_books(&answers.status.books, frame, right);
}

fn halves(area: Rect, left: u16) -> [Rect; 2] {
    Layout::horizontal([Constraint::Percentage(left), Constraint::Fill(1)]).areas(area)
}

fn panel(title: String) -> Block<'static> {
    Block::bordered().border_style(Style::new().dim()).title(Line::from(format!(" {title} ")).bold())
}

fn draw_head(model: &Model, now: Instant, frame: &mut Frame<'_>, area: Rect) {
    let [first, second, third] = Layout::vertical([Constraint::Length(1); 3]).areas(area);
    let state = match (model.silent_for(now), model.answers()) {
        (Some(silent), _) => Line::from(format!("no answer for {} s ", silent.as_secs())).red().bold(),
        (None, Some(_)) => Line::from("live ").green(),
        (None, None) => Line::from("asking ").dim(),
    };
    let width = u16::try_from(state.width()).unwrap_or(first.width);
    let [left, right] = Layout::horizontal([Constraint::Fill(1), Constraint::Length(width)]).areas(first);
    frame.render_widget(state.alignment(Alignment::Right), right);
    if let Some(Answers { status, .. }) = model.answers() {
        frame.render_widget(Line::from(who(status)).bold(), left);
        frame.render_widget(guarded(&status.guarded), third);
    }
    match (model.trouble(), model.answers()) {
        // It names the remedy, so it may take the line below as well.
        (Some(why), _) => {
            let both = Rect { height: second.height.saturating_add(third.height), ..second };
            frame.render_widget(ratatui::widgets::Clear, both);
            let why = Paragraph::new(format!(" {}", plain(why))).wrap(Wrap { trim: false });
            frame.render_widget(why.style(Color::Red), both);
        }
        (None, Some(Answers { status, .. })) if status.guard_trouble.is_some() => {
            let why = " somebody else has changed the guard, or it cannot be looked at; the log says why";
            frame.render_widget(Line::from(why).red(), second);
        }
        (None, Some(Answers { status, .. })) if status.audit_failing => {
            frame.render_widget(
                Line::from(" the audit log cannot be written; the log says why").red(),
                second,
            );
        }
        (None, Some(Answers { status, .. })) if status.audit_lost > 0 => {
            let lost = format!(" {} audit records could not be written; the log says why", status.audit_lost);
            frame.render_widget(Line::from(lost).red(), second);
        }
        (None, Some(Answers { status, .. })) => frame.render_widget(heard(&status.hearing), second),
        (None, None) => {}
    }
}

fn who(status: &Status) -> String {
    let Status { agent, pid, up_seconds, counts, .. } = status;
    let up = countdown(*up_seconds);
    let now = [counted(counts.clients, "client"), counted(counts.holds, "hold")].join(", ");
    format!(" knockgated {}, process {pid}, up {up}: {now}", plain(agent))
}

fn heard(hearing: &Hearing) -> Line<'static> {
    let Hearing { packets, central_port, sequences, static_sequences, .. } = hearing;
    let central = central_port.map_or("no central port".to_owned(), |port| format!("central port {port}"));
    let (packets, sequences) = (plain(packets), plain(sequences));
    Line::from(format!(
        " packet knocks: {packets}; {central}; sequences: {sequences}, static: {static_sequences}"
    ))
}

fn guarded(services: &[Guarded]) -> Line<'static> {
    let service = |guarded: &Guarded| {
        let Guarded { service, protocol, ports, grants, policies: _ } = guarded;
        let ports: Vec<_> = ports.iter().map(u16::to_string).collect();
        format!("{} {}/{}: {}", plain(service), plain(protocol), ports.join(","), counted(*grants, "grant"))
    };
    Line::from(format!(" guarded: {}", services.iter().map(service).collect::<Vec<_>>().join("; ")))
}

fn knocks_of(status: &Status) -> Vec<Line<'static>> {
    let knocks = &status.knocks;
    let lease = match (&status.lease.until, status.lease.wanted) {
        (Some(_), _) => Line::from("in force"),
        (None, true) => Line::from("none: knocks wait for the disk").yellow(),
        (None, false) => Line::from("none is wanted"),
    };
    let lines: [(&str, Line<'static>); 5] = [
        ("by packet", format!("{}; numbers asked {}", knocks.packets, knocks.numbers).into()),
        (
            "sequences",
            format!(
                "{}, failed {}, static {}",
                knocks.sequences, knocks.failed_sequences, knocks.static_sequences
            )
            .into(),
        ),
        ("grants", format!("opened {}, closed {}", knocks.opened, knocks.closed).into()),
        ("refused", counts(&status.refusals).into()),
        ("lease", lease),
    ];
    let line = |(name, mut what): (&str, Line<'static>)| {
        what.spans.insert(0, format!("{name:10}").dim());
        what
    };
    lines.into_iter().map(line).collect()
}

fn draw_noise(model: &Model, status: &Status, frame: &mut Frame<'_>, area: Rect) {
    let block = panel("Noise".to_owned());
    let [first, second, bars] =
        Layout::vertical([Constraint::Length(1), Constraint::Length(1), Constraint::Fill(1)])
            .areas(block.inner(area));
    frame.render_widget(block, area);
    let highest = model.noise().flatten().max().unwrap_or(0);
    let rate = format!("{} a second, at most {highest}", status.strangers.per_second);
    frame.render_widget(Line::from(rate), first);
    frame.render_widget(Line::from(counts(&status.strangers.since_start)).dim(), second);
    let bars_of_seconds = Sparkline::default()
        .data(model.noise())
        .direction(RenderDirection::RightToLeft)
        .absent_value_symbol("?")
        .style(Color::Yellow);
    frame.render_widget(bars_of_seconds, bars);
}

fn draw_grants(answers: &Answers, scrolled: usize, frame: &mut Frame<'_>, area: Rect) {
    let row = |grant: &OpenGrant| {
        let OpenGrant { client, to, service, left_seconds, .. } = grant;
        [plain(client), plain(service), plain(to), countdown(*left_seconds)]
    };
    let widths = [Constraint::Fill(2), Constraint::Fill(2), Constraint::Fill(4), Constraint::Length(9)];
    let rows = answers.grants.iter().map(row);
    let list = List { name: "Grants", heading: ["CLIENT", "SERVICE", "OPEN TO", "LEFT"], scrolled };
    list.draw(rows, widths, frame, area);
}

fn draw_lockouts(answers: &Answers, scrolled: usize, frame: &mut Frame<'_>, area: Rect) {
    let row = |lockout: &LockedOut| [plain(&lockout.who), countdown(lockout.left_seconds)];
    let rows = answers.lockouts.iter().map(row);
    let list = List { name: "Lockouts", heading: ["WHO", "LEFT"], scrolled };
    list.draw(rows, [Constraint::Fill(1), Constraint::Length(8)], frame, area);
}

fn draw_policies(policies: &[PolicyFigures], frame: &mut Frame<'_>, area: Rect) {
    let row = |figures: &PolicyFigures| {
        let PolicyFigures { policy, decisions, failures, median_us, worst_us } = figures;
        [plain(policy), decisions.to_string(), failures.to_string(), took(*median_us), took(*worst_us)]
    };
    let heading = ["POLICY", "ASKED", "FAILED", "MEDIAN", "WORST"];
    let narrow = [7, 6, 8, 8].map(Constraint::Length);
    let [asked, failed, median, worst] = narrow;
    let list = List { name: "Policies", heading, scrolled: 0 };
    list.draw(policies.iter().map(row), [Constraint::Fill(1), asked, failed, median, worst], frame, area);
}

fn draw_books(books: &[BookLevel], frame: &mut Frame<'_>, area: Rect) {
    let row = |level: &BookLevel| [plain(&level.client), format!("{} of {}", level.left, level.of)];
    let list = List { name: "Books", heading: ["CLIENT", "NUMBERS LEFT"], scrolled: 0 };
    list.draw(books.iter().map(row), [Constraint::Fill(1), Constraint::Length(16)], frame, area);
}

/// A table in a frame.
struct List<const N: usize> {
    name: &'static str,
    heading: [&'static str; N],
    /// Rows that are above the frame.
    scrolled: usize,
}

impl<const N: usize> List<N> {
    fn draw(
        self,
        rows: impl ExactSizeIterator<Item = [String; N]>,
        widths: [Constraint; N],
        frame: &mut Frame<'_>,
        area: Rect,
    ) {
        let Self { name, heading, scrolled } = self;
        let title = match scrolled.min(rows.len()) {
            0 => format!("{name}: {}", rows.len()),
            above => format!("{name}: {}, {above} above", rows.len()),
        };
        let table = Table::new(rows.skip(scrolled).map(Row::new), widths);
        frame.render_widget(table.header(Row::new(heading).dim()).block(panel(title)), area);
    }
}

#[cfg(test)]
mod tests;
