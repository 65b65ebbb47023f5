//! The text format of Prometheus, version 0.0.4.
//!
//! Written here, because it is three kinds of lines: crates for it bring registries of counters, and the agent counts already.
//! Rule: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::{self, Write};

/// What an answer says it is.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How a figure moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only upwards, until the agent is started anew.
    Counter,
    Gauge,
}

/// A text that grows family by family.
#[derive(Default)]
pub(super) struct Exposition(String);

/// Label and value, if a figure is one of several.
pub(super) type Label<'l> = Option<(&'static str, &'l str)>;

impl Exposition {
    /// A figure, or one for each label; none at all if there are no samples. `name` is one of the program's own, of the letters that
    /// the format allows.
    pub(super) fn family<'l>(
        &mut self,
        (name, kind, help): (&str, Kind, &str),
        samples: impl IntoIterator<Item = (Label<'l>, f64)>,
    ) {
        let mut samples = samples.into_iter().peekable();
        if samples.peek().is_none() {
            return;
        }
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
        };
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
        for (label, value) in samples {
            match label {
                None => self.line(format_args!("{name} {value}")),
                Some((label, of)) => self.line(format_args!("{name}{{{label}=\"{}\"}} {value}", Escaped(of))),
            }
        }
    }

    /// All of it.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        // A string takes whatever is written into it.
        let _ = self.0.write_fmt(line);
        self.0.push('\n');
    }
}

/// The value of a label. Names of the configuration have none of these letters; a name from elsewhere could end the line.
struct Escaped<'t>(&'t str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            other => f.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_its_help_and_its_kind_once_and_a_line_for_each_sample() {
        let mut text = Exposition::default();
        text.family(
            ("a_total", Kind::Counter, "What a is."),
            [(Some(("of", "x")), 1.0), (Some(("of", "y")), 1e15)],
        );
        text.family(("b", Kind::Gauge, "What b is."), [(None, 0.5)]);
        let expected = "# HELP a_total What a is.\n# TYPE a_total counter\na_total{of=\"x\"} 1\n\
                        a_total{of=\"y\"} 1000000000000000\n# HELP b What b is.\n# TYPE b gauge\nb 0.5\n";
        assert_eq!(text.into_text(), expected);
    }

    #[test]
    fn a_label_cannot_end_its_line() {
        let mut text = Exposition::default();
        text.family(("a", Kind::Gauge, "a"), [(Some(("of", "x\"} 1\nb\\")), 2.0)]);
        assert!(text.into_text().ends_with("a{of=\"x\\\"} 1\\nb\\\\\"} 2\n"));
    }

    #[test]
    fn a_family_without_samples_is_left_out() {
        let mut text = Exposition::default();
        text.family(("a", Kind::Gauge, "a"), []);
        assert_eq!(text.into_text(), "");
    }
}
