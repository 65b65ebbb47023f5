//! One process or two: starts the broker and gives this process's own rights up, if the configuration wants it so.
//!
//! To be called when every socket is open that needs a right, and before anything else runs beside.

use std::path::{Path, PathBuf};

use anyhow::Context;
use knockgate_policy_host::Execution;

use crate::broker::{self, Bounds, FlowLever, Prepared};
use crate::config::{Config, Destination, ModuleSource, Separation};
use crate::confine::{Confinement, MachineCode, User};
use crate::firewall::Plan;
use crate::state::{StateDir, private_file};

/// Who shuts the gate, and who looks at its connections.
pub(super) fn divide(config: &Config, dir: &StateDir, plan: &Plan) -> anyhow::Result<(Prepared, FlowLever)> {
    let Some(separation) = &config.separation else {
        return Ok((Prepared::Here(plan.clone()), FlowLever::Here(None)));
    };
    let confinement = confinement(config, separation)?;
    let (prepared, flows) = broker::spawn(plan.clone(), bounds(config))?;
    confinement.enter().context("the process that strangers talk to cannot be confined")?;
    if rustix::process::geteuid().is_root() {
        tracing::warn!(
            "the process that strangers talk to has no capability, but other services still obey it as root; \
             name a user of its own with `user` in [process]"
        );
    }
    private_file::check(&dir.identity_file()).context("the confined process cannot read its key")?;
    Ok((prepared, flows))
}

/// How long the broker opens at most.
fn bounds(config: &Config) -> Bounds {
    let longest = config.services.iter().map(|service| (service.id, service.max_open));
    Bounds { longest: longest.collect(), hold: config.sequence.hold }
}

fn confinement(config: &Config, separation: &Separation) -> anyhow::Result<Confinement> {
    let user = separation.user.as_deref().map(User::named).transpose()?;
    let writes =
        [Some(config.gate.state_dir.as_path()), config.gate.audit_log.as_deref().and_then(Path::parent)];
    let &Separation { sandbox, forbidden, .. } = separation;
    let writes = writes.into_iter().flatten().map(Path::to_path_buf).collect();
    let code = match config.policy.engine {
        Execution::Interpreted => MachineCode::Never,
        Execution::Compiled => MachineCode::Made,
    };
    Ok(Confinement { user, sandbox, forbidden, code, writes, reads: reads(config) })
}

/// Folders and not files: what is replaced by another file of its name is read anew.
fn reads(config: &Config) -> Vec<PathBuf> {
    let modules = config.policy.modules.iter().filter_map(|module| match &module.source {
        ModuleSource::File { path, .. } => Some(path.as_path()),
        ModuleSource::BuiltIn(_) => None,
    });
    let webhooks = config.channels.iter().filter_map(|channel| match &channel.to {
        Destination::Webhook(webhook) => Some(webhook),
        Destination::Socket(_) => None,
    });
    let secrets = webhooks.flat_map(|webhook| [&webhook.header_file, &webhook.ca_file]).flatten();
    let files = [config.path.as_path()].into_iter().chain(modules).chain(secrets.map(PathBuf::as_path));
    files.filter_map(Path::parent).map(Path::to_path_buf).collect()
}
