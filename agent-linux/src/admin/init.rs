//! `knockgated init`: a working configuration, keys and an empty roster, all of it or nothing. For a configuration that is
//! there already (written by hand, or by a tool that manages hosts) it makes the rest.
//!
//! It does not guard anything yet; `run` does. But a configuration that locks its author out is refused here, while he
//! still has a session.

pub(super) mod text;

use std::fs::DirBuilder;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, bail};
use knockgate_core::Name;
use knockgate_core::profile::Protocol;

use self::text::configuration;
use super::session;
use crate::config::{self, Config, Service};
use crate::confine::User;
use crate::state::{GateIdentity, RosterFile, StateDir, Store, system_rng};

/// Where keys and state are, unless somebody says otherwise.
pub const STATE_DIR: &str = "/var/lib/knockgate";
/// Where the audit log is, unless somebody says otherwise.
pub const AUDIT_LOG: &str = "/var/log/knockgate/audit.jsonl";

/// Who the process is that strangers talk to, if this host has that user.
const WORKER: &str = "knockgate";

/// What was asked for.
pub struct Request {
    pub config: PathBuf,
    pub address: String,
    pub services: Vec<NewService>,
    pub central: CentralPort,
    pub state_dir: PathBuf,
    pub audit_log: PathBuf,
    /// There if the configuration is for a gateway.
    pub gateway: Option<NewGateway>,
    pub worker: WorkersUser,
}

/// Whether there is the user who shall be the process that strangers talk to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkersUser {
    There,
    Missing,
}

/// What this host has.
pub fn workers_user() -> WorkersUser {
    match User::named(WORKER) {
        Ok(user) if user.can_be_had_here() => WorkersUser::There,
        Ok(_) | Err(_) => WorkersUser::Missing,
    }
}

/// A gateway on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGateway {
    /// Its own address in each family, with the prefix.
    pub own: Vec<String>,
    pub routers: Vec<IpAddr>,
    /// The machines behind it; each offers every service, until the file says otherwise.
    pub hosts: Vec<IpAddr>,
}

/// Whether clients can also ask over TCP.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum CentralPort {
    Wanted,
    NotAsked,
}

/// `--central` on the command line.
pub fn central_port(wanted: bool) -> CentralPort {
    if wanted { CentralPort::Wanted } else { CentralPort::NotAsked }
}

/// A service on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewService {
    name: Name,
    protocol: Protocol,
    ports: Vec<u16>,
}

impl NewService {
    /// What is guarded if nothing else is asked for.
    pub fn ssh() -> Self {
        let name = "ssh".parse().expect("three letters are a name");
        Self { name, protocol: Protocol::Tcp, ports: vec![22] }
    }
}

impl FromStr for NewService {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let usage =
            || "write NAME=tcp/PORT or NAME=udp/PORT, such as ssh=tcp/22 or web=tcp/80,443".to_owned();
        let (name, rest) = text.split_once('=').ok_or_else(usage)?;
        let (protocol, ports) = rest.split_once('/').ok_or_else(usage)?;
        let protocol = match protocol {
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return Err(usage()),
        };
        let port = |text: &str| text.parse().ok().filter(|port| *port != 0).ok_or_else(usage);
        let ports = ports.split(',').map(port).collect::<Result<_, _>>()?;
        let name = name.parse().map_err(|error| format!("{name:?} is no name: {error}"))?;
        Ok(Self { name, protocol, ports })
    }
}

/// Whether the port of the current session may be guarded.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Consent {
    Given,
    NotAsked,
}

/// `--yes` on the command line.
pub fn consent(yes: bool) -> Consent {
    if yes { Consent::Given } else { Consent::NotAsked }
}

/// Makes everything that a new gate needs.
pub fn run(request: &Request, consent: Consent) -> anyhow::Result<String> {
    let path = std::path::absolute(&request.config)?;
    let text = configuration(request)?;
    let config = Config::parse(&path, &text).context("these arguments make no valid configuration")?;
    refuse_to_overwrite(&config, &[&path])?;
    make(&config, Some(&text), consent)
}

/// The configuration that is made for a gate of this name which guards ssh: every key with its default.
pub fn example() -> anyhow::Result<String> {
    configuration(&Request {
        config: config::DEFAULT_PATH.into(),
        address: "gate.example".to_owned(),
        services: vec![NewService::ssh()],
        central: CentralPort::NotAsked,
        state_dir: STATE_DIR.into(),
        audit_log: AUDIT_LOG.into(),
        gateway: None,
        worker: WorkersUser::There,
    })
}

/// Makes what a configuration needs that is there already.
pub fn complete(path: &Path, consent: Consent) -> anyhow::Result<String> {
    let config = Config::load(&std::path::absolute(path)?)?;
    refuse_to_overwrite(&config, &[])?;
    make(&config, None, consent)
}

fn make(config: &Config, text: Option<&str>, consent: Consent) -> anyhow::Result<String> {
    if consent == Consent::NotAsked && config.gateway.is_none() {
        refuse_own_session(config, session::ssh_port())?;
    }
    let taken: Vec<u16> = config.taken_ports().collect();
    let identity =
        GateIdentity::generate(config.sequence.shape, &taken, super::moment::now(), &mut system_rng())?;
    write(config, text, &identity)?;
    Ok(report(config))
}

fn refuse_to_overwrite(config: &Config, also: &[&Path]) -> anyhow::Result<()> {
    let state = ["gate.key", "roster", "state.redb"].map(|file| config.gate.state_dir.join(file));
    let files = also.iter().copied().chain(state.iter().map(PathBuf::as_path));
    match files.into_iter().find(|file| file.symlink_metadata().is_ok()) {
        Some(file) if *file == config.path => bail!(
            "{}: exists already; leave --address out to use it as it is, or choose another --config",
            file.display()
        ),
        Some(file) => bail!(
            "{}: exists already, so this gate is set up; look at it with `knockgated check`, or choose another state directory",
            file.display()
        ),
        None => Ok(()),
    }
}

fn refuse_own_session(config: &Config, session: Option<u16>) -> anyhow::Result<()> {
    let Some(port) = session else { return Ok(()) };
    let guards = |service: &&Service| service.protocol == Protocol::Tcp && service.ports.contains(&port);
    let Some(service) = config.services.iter().find(guards) else { return Ok(()) };
    bail!(
        "{}\nthis session came in over ssh on port {port}, which service {} would guard. Sessions that are open now would \
         stay open; every new one would need a knock.\nnothing was written; if that is what you want, say --yes, and keep \
         this session until a knock has worked. Should none work, `knockgated unguard` on the console opens everything.",
        will_guard(config).trim_end(),
        service.name,
    )
}

/// Each step undoes itself if a later one fails; the configuration comes last, so that it is never there alone.
fn write(config: &Config, text: Option<&str>, identity: &GateIdentity) -> anyhow::Result<()> {
    let mut undo = Undo::default();
    let state = &config.gate.state_dir;
    undo.make_directory(state, 0o700)?;
    if let Some(log) = &config.gate.audit_log {
        undo.make_directory(parent_of(log), 0o750)?;
    }
    undo.make_directory(parent_of(&config.path), 0o755)?;
    let user = worker_of(config)?;
    if let Some(user) = &user {
        let folders = [Some(state.as_path()), config.gate.audit_log.as_deref().map(parent_of)];
        folders.into_iter().flatten().try_for_each(|folder| undo.give(folder, user))?;
    }
    let dir = StateDir::open(state)?;
    undo.file(dir.identity_file(), |_| Ok(identity.create(&dir)?))?;
    undo.file(dir.roster_file(), |_| Ok(RosterFile::create(&dir)?))?;
    undo.file(dir.store_file(), |_| Ok(Store::create(&dir, identity.id)?))?;
    if let Some(text) = text {
        undo.file(config.path.clone(), |path| {
            Ok(crate::state::private_file::create(path, text.as_bytes())?)
        })?;
    }
    if let Some(user) = &user
        && !user.can_read(&config.path)?
    {
        user.let_read(&config.path)?;
    }
    undo.keep();
    Ok(())
}

/// To whom the gate's files belong; nobody else than whoever makes them, if that is not root.
pub(super) fn worker_of(config: &Config) -> anyhow::Result<Option<User>> {
    let named = config.separation.as_ref().and_then(|separation| separation.user.as_deref());
    let named = named.filter(|_| rustix::process::geteuid().is_root());
    named.map(User::named).transpose()
}

/// An absolute path of a file has one.
fn parent_of(file: &Path) -> &Path {
    file.parent().unwrap_or(Path::new("/"))
}

/// What has been made so far, removed again unless it is kept.
#[derive(Default)]
struct Undo {
    made: Vec<PathBuf>,
}

impl Undo {
    fn make_directory(&mut self, path: &Path, mode: u32) -> anyhow::Result<()> {
        let missing: Vec<_> = path.ancestors().take_while(|ancestor| !ancestor.exists()).collect();
        for directory in missing.into_iter().rev() {
            // Parents that nobody has made yet are no secret; the directory itself has the mode that was asked for.
            let mode = if directory == path { mode } else { 0o755 };
            let made = DirBuilder::new().mode(mode).create(directory);
            made.with_context(|| format!("{}: cannot make this directory", directory.display()))
                .context("nothing was written; run as root, or choose other places")?;
            self.made.push(directory.to_owned());
        }
        Ok(())
    }

    /// Makes a folder a user's. One that was there before may be for others too, and stays whose it is.
    fn give(&self, folder: &Path, user: &User) -> anyhow::Result<()> {
        if self.made.iter().any(|made| made == folder) {
            return user.give(folder);
        }
        if user.owns(folder)? {
            return Ok(());
        }
        let (folder, name) = (folder.display(), &user.name);
        bail!(
            "{folder}: is not user \"{name}\"'s, who writes there by [process] user; nothing was written. Choose a folder \
             that is for this gate alone, or `chown {name} {folder}` if it is"
        )
    }

    fn file(&mut self, path: PathBuf, make: impl FnOnce(&Path) -> anyhow::Result<()>) -> anyhow::Result<()> {
        make(&path).context("nothing was written")?;
        self.made.push(path);
        Ok(())
    }

    fn keep(mut self) {
        self.made.clear();
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        for path in self.made.iter().rev() {
            // A directory into which somebody else has put something meanwhile stays.
            let _ = if path.is_dir() { std::fs::remove_dir(path) } else { std::fs::remove_file(path) };
        }
    }
}

fn will_guard(config: &Config) -> String {
    let services = config.services.iter().map(super::check::service_line).collect::<Vec<_>>();
    let who = if config.gateway.is_some() { "the gateway" } else { "`knockgated run`" };
    format!("{who} will guard:\n  {}\n", services.join("\n  "))
}

fn report(config: &Config) -> String {
    let (path, state) = (config.path.display(), config.gate.state_dir.display());
    let option = if config.path == Path::new(config::DEFAULT_PATH) {
        String::new()
    } else {
        format!(" --config {path}")
    };
    let next = match config.gateway {
        None => format!(
            "Nothing is guarded yet. Connections that are open then stay open; new ones need a knock.\n\
             Next: `knockgated client add NAME{option}`, bring the profile to the client, then `knockgated run{option}`.\n\
             Should you lock yourself out: `knockgated unguard` on the console.\n"
        ),
        Some(_) => format!(
            "Next: `knockgated client add NAME{option}` for everybody who may knock, with `--service console` for who may \
             administer;\n`knockgate-policy keygen NAME` makes a key to sign with, `knockgated gateway image{option}` the image.\n"
        ),
    };
    format!("{path} and {state} are ready\n{}{next}", will_guard(config))
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn a_service_is_a_name_a_protocol_and_ports() {
        #[rustfmt::skip]
        let cases = [
            (1, "ssh=tcp/22", true), (2, "web=tcp/80,443", true), (3, "dns=udp/53", true), (4, "ssh", false), (5, "ssh=22", false),
            (6, "ssh=tcp/", false), (7, "ssh=tcp/0", false), (8, "ssh=tcp/70000", false), (9, "=tcp/22", false),
            (10, "ssh=sctp/22", false), (11, "a b=tcp/22", false), (12, "ssh=tcp/22,", false),
        ];
        for (case, text, good) in cases {
            assert_eq!(text.parse::<NewService>().is_ok(), good, "case {case}");
        }
    }

    #[test]
    fn no_folder_is_given_away_that_was_there_before() {
        let dir = tempfile::tempdir().unwrap();
        let owner = || std::fs::metadata(dir.path()).unwrap().uid();
        let (before, nobody) = (owner(), User::named("nobody").unwrap());

        let refused = Undo::default().give(dir.path(), &nobody).unwrap_err().to_string();

        assert_eq!(owner(), before);
        assert!(refused.contains("nothing was written") && refused.contains("chown nobody"), "{refused}");
    }

    #[test]
    fn a_configuration_that_is_there_can_be_read_by_the_agents_user_when_the_rest_is_made() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
        // Only root can give something away, and in a sandbox not even root.
        if std::os::unix::fs::chown(dir.path(), Some(65534), None).is_err() {
            return;
        }
        let (path, place) = (dir.path().join("agent.toml"), dir.path().display());
        let text = format!(
            "[gate]\naddress = \"g\"\nstate-dir = \"{place}/state\"\naudit-log = \"{place}/log/audit.jsonl\"\n\
             [process]\nseparate = true\nuser = \"nobody\"\n[service.web]\nid = 1\nprotocol = \"tcp\"\nports = [80]\n"
        );
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();

        complete(&path, Consent::Given).unwrap();

        let nobody = User::named("nobody").unwrap();
        assert!(nobody.can_read(&path).unwrap() && !nobody.owns(&path).unwrap());
        for made in ["state", "state/gate.key", "log"] {
            assert!(nobody.owns(&dir.path().join(made)).unwrap(), "{made}");
        }
    }
}
