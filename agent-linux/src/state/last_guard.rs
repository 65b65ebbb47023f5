//! What was guarded last: for a start of the machine at which the configuration cannot be read.
//!
//! The guard goes with a reboot. If a mistake in the configuration kept it away then, whatever it guarded would stand open. So
//! the agent keeps here what it guards, without what only its own knocks need. Nothing in it is secret, but whoever could change
//! it could keep a service from being guarded: it is private as everything else here is.

use std::path::{Path, PathBuf};

use crate::firewall::Plan;

use super::{StateDir, StateError, private_file};

/// Its name in the state directory.
const NAME: &str = "last-guard";

/// Keeps it, unless it is kept already: most starts change nothing, and flash wears.
///
/// # Errors
/// It cannot be written; then what was kept before stays.
pub fn keep(dir: &StateDir, plan: &Plan) -> Result<(), StateError> {
    let path = dir.path().join(NAME);
    let text = serde_json::to_vec_pretty(plan).expect("a plan has no map and no float, so it is JSON");
    match private_file::read_own(&path) {
        Ok(kept) if kept == text => Ok(()),
        Ok(_) | Err(_) => private_file::replace(&path, &text),
    }
}

/// What was kept, and where; `None` if nothing ever was.
///
/// # Errors
/// It cannot be read, or is not what [`keep`] writes.
pub fn recall(dir: &Path) -> Result<Option<(Plan, PathBuf)>, StateError> {
    let path = StateDir::open(dir)?.path().join(NAME);
    if private_file::is_missing(&path) {
        return Ok(None);
    }
    let text = private_file::read_own(&path)?;
    let plan = serde_json::from_slice::<Plan>(&text).map_err(|error| {
        let what = format!("is not what an agent writes there: {error}");
        StateError::refused(&path, what, "mend the configuration; the next start of the agent writes it anew")
    })?;
    Ok(Some((plan, path)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;
    use crate::config::Config;

    #[test]
    fn what_is_kept_is_recalled_and_written_only_if_it_is_new() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::create(&dir.path().join("state")).unwrap();
        assert!(recall(state.path()).unwrap().is_none());

        keep(&state, &plan(22)).unwrap();
        let file = state.path().join(NAME);
        assert_eq!(recall(state.path()).unwrap(), Some((plan(22), file.clone())));
        let inode = || std::fs::metadata(&file).unwrap().ino();
        let written = inode();
        keep(&state, &plan(22)).unwrap();
        assert_eq!(inode(), written, "it was written again, with nothing new in it");
        keep(&state, &plan(2222)).unwrap();
        assert_eq!(recall(state.path()).unwrap(), Some((plan(2222), file)));
    }

    #[test]
    fn what_others_could_have_written_or_no_agent_did_is_not_guarded_by() {
        let dir = tempfile::tempdir().unwrap();
        let state = StateDir::create(&dir.path().join("state")).unwrap();
        private_file::create(&state.path().join(NAME), b"{\"services\": []}").unwrap();
        let error = recall(state.path()).unwrap_err().to_string();
        assert!(error.contains("last-guard") && error.contains("mend the configuration"), "{error}");

        keep(&state, &plan(22)).unwrap();
        let everybodys = std::os::unix::fs::PermissionsExt::from_mode(0o666);
        std::fs::set_permissions(state.path().join(NAME), everybodys).unwrap();
        assert!(recall(state.path()).is_err());
    }

    fn plan(port: u16) -> Plan {
        let text = format!(
            "[gate]\naddress = \"g\"\nstate-dir = \"/s\"\naudit-log = \"/l\"\ninterfaces = [\"eth0\"]\n\
             [service.ssh]\nid = 1\nprotocol = \"tcp\"\nports = [{port}]\nprefix-v4 = 24\n"
        );
        crate::run::bare_plan(&Config::parse(Path::new("agent.toml"), &text).unwrap())
    }
}
