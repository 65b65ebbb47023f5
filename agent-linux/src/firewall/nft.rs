//! The one process this program ever starts: `nft -f -`, when the rule set is installed, or `nft -c -f -`, when it might be.

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use super::error::FirewallError;

/// Where distributions keep it; a daemon's `PATH` often lacks the sbin folders.
const PLACES: [&str; 4] = ["/usr/sbin/nft", "/sbin/nft", "/usr/local/sbin/nft", "/usr/bin/nft"];

/// Does what the script says, whole or not at all.
pub(crate) fn apply(script: &str) -> Result<(), FirewallError> {
    run(&["-f", "-"], script)
}

/// Whether nft and the kernel would do what the script says. Nothing is changed.
pub(crate) fn check(script: &str) -> Result<(), FirewallError> {
    run(&["-c", "-f", "-"], script)
}

fn run(arguments: &[&str], script: &str) -> Result<(), FirewallError> {
    let program = PLACES.iter().find(|place| Path::new(place).exists()).copied().unwrap_or("nft");
    let spawned = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(FirewallError::NftMissing),
        other => other?,
    };
    // nft reads to the end before it says a word, so this cannot wait for each other. If it dies early, its own words
    // say more than our broken pipe.
    let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(script.as_bytes()));
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(written?);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    if words.contains("Operation not permitted") {
        return Err(FirewallError::NotAllowed);
    }
    Err(FirewallError::Refused(first_error(&words)))
}

/// The first line that names an error: nft repeats itself for every rule of a transaction.
fn first_error(words: &str) -> String {
    let mut lines = words.lines();
    let error = lines.by_ref().find(|line| line.contains("Error")).unwrap_or("no reason given");
    let rule = lines.next().unwrap_or_default().trim();
    if rule.is_empty() { error.to_owned() } else { format!("{error}: {rule}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_error_names_the_rule() {
        let words = "/dev/stdin:3:1-5: Error: Could not process rule: Not supported\n\t\tdrop\n^^^^\nmore\n";
        assert_eq!(
            first_error(words),
            "/dev/stdin:3:1-5: Error: Could not process rule: Not supported: drop"
        );
        assert_eq!(first_error(""), "no reason given");
    }
}
