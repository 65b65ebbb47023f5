//! What has to hold between the rows of a short run. The margins are wide: they tell a broken hot path from a busy machine.

/// What was measured of one peer.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) id: &'static str,
    pub(super) words: String,
    /// Milliseconds, without noise.
    pub(super) median: f64,
    pub(super) opened: u32,
    pub(super) opened_in_noise: u32,
}

/// Ours and the floor of the same kind.
const PAIRS: [(&str, &str); 2] = [("static", "floor"), ("packet", "floor-packet")];
/// A release build on a quiet machine is below half of it.
const FLOORS: f64 = 6.0;
/// knockd waits for its timer and starts a process; it is a hundred times slower on a quiet machine.
const KNOCKD: f64 = 5.0;
/// Knocks that a busy machine may lose, of ours and not of the floor's.
const UNLUCKY: u32 = 2;

/// A sentence for each that does not hold. Without knockd nothing is said about it.
pub(super) fn failures(rows: &[Row]) -> Vec<String> {
    let mut failures: Vec<String> =
        PAIRS.iter().flat_map(|(ours, floor)| beside_floor(rows, ours, floor)).collect();
    failures.extend(beside_knockd(rows));
    failures
}

fn beside_floor(rows: &[Row], ours: &str, floor: &str) -> Vec<String> {
    let (Some(ours), Some(floor)) = (row(rows, ours), row(rows, floor)) else {
        return vec![format!("{ours} and {floor} were not both measured")];
    };
    let mut failures = Vec::new();
    // A median of nothing is no number, and near nothing.
    let is_near = ours.median <= FLOORS * floor.median;
    if !is_near {
        failures.push(format!(
            "{} takes {:.2} ms and the floor {:.2} ms, which is more than {FLOORS} times as long",
            ours.id, ours.median, floor.median
        ));
    }
    let counts =
        [("", ours.opened, floor.opened), (" under noise", ours.opened_in_noise, floor.opened_in_noise)];
    for (when, opened, of_floor) in counts {
        if opened + UNLUCKY < of_floor {
            failures.push(format!("{} opened {opened} times{when}, and the floor {of_floor} times", ours.id));
        }
    }
    failures
}

fn beside_knockd(rows: &[Row]) -> Option<String> {
    let (ours, knockd) = (row(rows, "static")?, row(rows, "knockd")?);
    (ours.median * KNOCKD > knockd.median).then(|| {
        format!(
            "a static sequence takes {:.2} ms and knockd {:.2} ms, which is not {KNOCKD} times as long",
            ours.median, knockd.median
        )
    })
}

fn row<'r>(rows: &'r [Row], id: &str) -> Option<&'r Row> {
    rows.iter().find(|row| row.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(id: &'static str, median: f64, opened: u32, opened_in_noise: u32) -> Row {
        Row { id, words: id.to_owned(), median, opened, opened_in_noise }
    }

    fn good() -> Vec<Row> {
        vec![
            of("floor", 0.2, 15, 15),
            of("floor-packet", 0.2, 15, 14),
            of("static", 0.4, 15, 14),
            of("packet", 0.9, 14, 13),
            of("knockd", 33.0, 15, 8),
        ]
    }

    /// A good run in which one row is another one.
    fn but(row: Row) -> Vec<Row> {
        let mut rows = good();
        rows.retain(|other| other.id != row.id);
        rows.push(row);
        rows
    }

    #[test]
    fn a_good_run_passes_with_knockd_and_without() {
        assert_eq!(failures(&good()), Vec::<String>::new());
        assert_eq!(failures(&good()[..4]), Vec::<String>::new());
    }

    #[test]
    fn each_law_that_is_broken_is_said() {
        #[rustfmt::skip]
        let cases = [
            (1, but(of("static", 1.3, 15, 15)), "static takes"), (2, but(of("packet", 1.3, 15, 15)), "packet takes"),
            (3, but(of("static", f64::NAN, 0, 15)), "static takes"), (4, but(of("packet", 0.5, 12, 15)), "packet opened 12"),
            (5, but(of("static", 0.4, 15, 12)), "under noise"), (6, but(of("packet", 0.5, 15, 11)), "under noise"),
            (7, but(of("knockd", 1.9, 15, 8)), "knockd"), (8, good()[1..].to_vec(), "not both measured"),
        ];
        for (case, rows, said) in cases {
            let failures = failures(&rows);
            assert!(failures.iter().any(|failure| failure.contains(said)), "case {case}: {failures:?}");
        }
    }

    #[test]
    fn a_machine_on_which_the_floor_is_slow_and_deaf_is_no_fault_of_ours() {
        let busy = vec![
            of("floor", 3.0, 9, 5),
            of("floor-packet", 3.0, 9, 5),
            of("static", 9.0, 8, 3),
            of("packet", 12.0, 8, 3),
            of("knockd", 90.0, 9, 0),
        ];
        assert_eq!(failures(&busy), Vec::<String>::new());
    }
}
