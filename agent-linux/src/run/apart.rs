//! One process or two: starts the broker and gives this process's own rights up, if the configuration wants it so.
//!
//! Rights go in one of two ways. Root gives its capabilities up when every socket is open. Where the service manager has started the agent
//! as a user with some, they go earlier and without any call for it: the process becomes itself anew, which leaves it none; its broker,
//! which has them still, opens what takes a right. Either way that is before anything else runs beside.

use std::path::{Path, PathBuf};

use anyhow::Context;
use knockgate_policy_host::Execution;

use crate::broker::{Bounds, BrokerError, FlowLever, NewBroker, Prepared};
use crate::config::{Config, Destination, ModuleSource, PolicyModule, Separation};
use crate::confine::{self, BrokersSandbox, Confinement, MachineCode, User};
use crate::firewall::Plan;
use crate::state::{StateDir, private_file};

/// Becomes a worker without rights, if this process is a user's that has some and the configuration wants two processes.
///
/// # Errors
/// It could not.
pub(super) fn shed_rights(path: &Path) -> anyhow::Result<()> {
    let config = Config::load(path)?;
    if config.separation.is_none() || !confine::has_capabilities_of_a_user()? {
        return Ok(());
    }
    let broker = NewBroker::start()?;
    confine::leave_none_to_the_next_program()?;
    Err(broker.become_worker(path).into())
}

/// The broker, if there shall be one.
pub(super) fn broker(config: &Config, there: Option<NewBroker>) -> Result<Option<NewBroker>, BrokerError> {
    match (&config.separation, there) {
        (None, _) => Ok(None),
        (Some(_), Some(broker)) => Ok(Some(broker)),
        (Some(_), None) => NewBroker::start().map(Some),
    }
}

/// Who shuts the gate, and who looks at its connections.
pub(super) fn divide(
    config: &Config,
    dir: &StateDir,
    plan: &Plan,
    broker: Option<NewBroker>,
) -> anyhow::Result<(Prepared, FlowLever)> {
    let (Some(separation), Some(broker)) = (&config.separation, broker) else {
        return Ok((Prepared::Here(plan.clone()), FlowLever::Here(None)));
    };
    let confinement = confinement(config, separation)?;
    let &Separation { sandbox, forbidden, .. } = separation;
    let (prepared, flows) =
        broker.guard_by(plan.clone(), bounds(config), BrokersSandbox { sandbox, forbidden })?;
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
pub(super) fn bounds(config: &Config) -> Bounds {
    let longest = config.services.iter().map(|service| (service.id, service.max_open));
    Bounds { longest: longest.collect(), hold: config.sequence.hold }
}

fn confinement(config: &Config, separation: &Separation) -> anyhow::Result<Confinement> {
    let user = separation.user.as_deref().map(User::named).transpose()?;
    let &Separation { sandbox, forbidden, .. } = separation;
    Ok(Confinement {
        user,
        sandbox,
        forbidden,
        code: machine_code(config),
        writes: writes(config),
        reads: reads(config),
    })
}

/// Whether the worker can make code.
pub(super) fn machine_code(config: &Config) -> MachineCode {
    match config.policy.engine {
        Execution::Interpreted => MachineCode::Never,
        Execution::Compiled => MachineCode::Made,
    }
}

fn writes(config: &Config) -> Vec<PathBuf> {
    let audit_log = config.gate.audit_log.as_deref().and_then(Path::parent);
    [Some(config.gate.state_dir.as_path()), audit_log].into_iter().flatten().map(Path::to_path_buf).collect()
}

/// Folders and not files: what is replaced by another file of its name is read anew.
fn reads(config: &Config) -> Vec<PathBuf> {
    let modules = config.policy.modules.iter().filter_map(file_of);
    let files = [config.path.as_path()].into_iter().chain(modules).chain(secrets(config));
    files.filter_map(Path::parent).map(Path::to_path_buf).collect()
}

/// What `config` wants read that a worker cannot read which was started with another one, as far as the paths tell.
pub(super) fn out_of_reach(started: &Config, config: &Config) -> Vec<PathBuf> {
    let folders = [reads(started), writes(started)].concat();
    let in_use = config.policy.in_use().into_iter().filter_map(|name| config.policy.module(name));
    let wanted = in_use.filter_map(file_of).chain(secrets(config));
    let is_out = |file: &&Path| !confine::is_of_the_system(file) && !is_in_one_of(file, &folders);
    wanted.filter(is_out).map(Path::to_path_buf).collect()
}

fn is_in_one_of(file: &Path, folders: &[PathBuf]) -> bool {
    folders.iter().any(|folder| file.starts_with(folder))
}

fn file_of(module: &PolicyModule) -> Option<&Path> {
    match &module.source {
        ModuleSource::File { path, .. } => Some(path.as_path()),
        ModuleSource::BuiltIn(_) => None,
    }
}

/// Files that webhooks need.
fn secrets(config: &Config) -> impl Iterator<Item = &Path> {
    let webhooks = config.channels.iter().filter_map(|channel| match &channel.to {
        Destination::Webhook(webhook) => Some(webhook),
        Destination::Socket(_) => None,
    });
    let files = webhooks.flat_map(|webhook| [&webhook.header_file, &webhook.ca_file]);
    files.flatten().map(PathBuf::as_path)
}
