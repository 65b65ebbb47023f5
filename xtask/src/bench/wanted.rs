//! What the command line of the benchmarks asks for.

use super::build::Profile;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Wanted {
    /// Everything, or the part that is named.
    Run(Run),
    /// A comparison in a minute, with what is built for tests.
    Short,
    /// Page and plots once more, from what is kept.
    Render,
    /// What a policy's decision costs.
    Policies(Profile),
    /// Where the time of the gate's thread goes.
    Functions(Run),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Run {
    /// Knocks of each kind.
    pub(super) repetitions: u32,
    pub(super) flood_seconds: u32,
    pub(super) only: Option<String>,
    pub(super) profile: Profile,
}

/// Fewer say too little about a 99th percentile to be kept.
const ENOUGH: u32 = 50;
/// Ten minutes.
const LONG: u32 = 600;

impl Default for Run {
    fn default() -> Self {
        Self { repetitions: 100, flood_seconds: LONG, only: None, profile: Profile::Release }
    }
}

impl Run {
    /// Whether its result replaces the one that is kept.
    pub(super) fn is_complete(&self) -> bool {
        let Self { repetitions, flood_seconds, only, profile } = self;
        *profile == Profile::Release && *repetitions >= ENOUGH && *flood_seconds >= LONG && only.is_none()
    }

    /// For the benchmark's own program.
    pub(super) fn arguments(&self) -> Vec<String> {
        let Self { repetitions, flood_seconds, only, profile: _ } = self;
        let mut arguments = vec![
            "--reps".to_owned(),
            repetitions.to_string(),
            "--flood-seconds".to_owned(),
            flood_seconds.to_string(),
        ];
        arguments.extend(only.iter().flat_map(|part| ["--only".to_owned(), part.clone()]));
        arguments
    }
}

impl Wanted {
    /// `None` if there is no such thing.
    pub(crate) fn from(arguments: &[String]) -> Option<Self> {
        match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["--short"] => Some(Self::Short),
            ["--render"] => Some(Self::Render),
            ["policy"] => Some(Self::Policies(Profile::Release)),
            ["policy", "--profile", profile] => Profile::named(profile).map(Self::Policies),
            ["profile"] => Some(Self::Functions(Run::default())),
            ["profile", "--reps", number] => {
                Some(Self::Functions(Run { repetitions: above_zero(number)?, ..Run::default() }))
            }
            options => run(options).map(Self::Run),
        }
    }
}

fn run(options: &[&str]) -> Option<Run> {
    let mut run = Run::default();
    for option in options.chunks(2) {
        match option {
            ["--reps", number] => run.repetitions = above_zero(number)?,
            ["--flood-seconds", number] => run.flood_seconds = above_zero(number)?,
            ["--only", part] => run.only = Some((*part).to_owned()),
            ["--profile", profile] => run.profile = Profile::named(profile)?,
            _ => return None,
        }
    }
    Some(run)
}

fn above_zero(number: &str) -> Option<u32> {
    number.parse().ok().filter(|number| *number > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(line: &str) -> Option<Wanted> {
        Wanted::from(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_belong_to_the_runs_that_know_them() {
        #[rustfmt::skip]
        let cases = [
            (1, "", true), (2, "--reps 5", true), (3, "policy", true), (4, "policy --profile dev", true), (5, "policy --reps 5", false),
            (6, "--reps 0", false), (7, "--reps", false), (8, "policies", false), (9, "--profile fast", false), (10, "--short", true),
            (11, "--short --reps 5", false), (12, "--render", true), (13, "--flood-seconds 60 --only noise", true), (14, "profile", true),
        ];
        for (case, line, good) in cases {
            assert_eq!(wanted(line).is_some(), good, "case {case}: {line}");
        }
    }

    #[test]
    fn only_a_whole_run_of_a_release_build_is_kept() {
        #[rustfmt::skip]
        let cases = [
            (1, "", true), (2, "--reps 50", true), (3, "--reps 49", false), (4, "--profile dev", false), (5, "--only noise", false),
            (6, "--flood-seconds 599", false), (7, "--flood-seconds 600 --reps 200", true),
        ];
        for (case, line, kept) in cases {
            let Some(Wanted::Run(run)) = wanted(line) else { panic!("case {case}: {line}") };
            assert_eq!(run.is_complete(), kept, "case {case}: {line}");
        }
    }
}
