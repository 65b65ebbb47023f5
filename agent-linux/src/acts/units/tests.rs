//! Against a real `dbus-daemon`, with a stand-in for the service manager on it.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;

use knockgate_policy_host::{Capabilities, Capability};
use tempfile::TempDir;
use tokio::sync::oneshot;
use zbus::object_server::SignalEmitter;
use zbus::{OwnedObjectPath, fdo, interface};

use super::super::Acts;
use super::super::channel::tests::{audit_lines, notice, until};
use super::*;
use crate::config::Config;

#[test]
fn a_unit_is_started_and_followed_until_it_is_up() {
    let scene = Scene::new();
    let (_bus, _manager) = scene.with_manager();
    let acts = scene.acts();
    until("the manager is noticed", || acts.lacking().is_empty());

    acts.start_unit(1, notice());

    let line = scene.unit_start();
    assert!(
        line.contains(r#""unit":"good","policy":"hours","client":"anna","outcome":"started","why":null"#),
        "{line}"
    );
}

#[test]
fn what_does_not_come_up_is_told_with_the_reason() {
    let scene = Scene::new();
    let (_bus, _manager) = scene.with_manager();
    let acts = scene.acts();
    until("the manager is noticed", || acts.lacking().is_empty());
    for (id, expected) in [
        (2, "bad.service: it ended with \\\"failed\\\"; `systemctl status bad.service` says why"),
        (3, "missing.service: Unit missing.service not found.; install it, or correct [unit.*]"),
    ] {
        acts.start_unit(id, notice());
        until(expected, || scene.log().contains(expected));
    }
    assert_eq!(scene.log().matches(r#""outcome":"failed""#).count(), 2);
}

#[test]
fn a_unit_that_takes_long_keeps_no_other_one_back() {
    let scene = Scene::new();
    let (_bus, _manager) = scene.with_manager();
    let acts = scene.acts();
    until("the manager is noticed", || acts.lacking().is_empty());

    acts.start_unit(4, notice());
    acts.start_unit(1, notice());

    assert!(scene.unit_start().contains(r#""unit":"good""#));
}

#[test]
fn without_a_bus_start_is_lacking_and_nothing_is_kept_waiting() {
    let scene = Scene::new();
    let acts = scene.acts();

    acts.start_unit(1, notice());

    let line = scene.unit_start();
    assert!(line.contains(r#""outcome":"failed","why":"no service manager answers: "#), "{line}");
    assert_eq!(acts.lacking(), Capabilities::of(&[Capability::Start]));
}

#[test]
fn a_bus_without_a_manager_is_watched_until_it_has_one() {
    let scene = Scene::new();
    let bus = scene.bus();
    let acts = scene.acts();
    // Only one who has looked at the bus can have failed to start this.
    acts.start_unit(1, notice());
    assert!(scene.unit_start().contains(r#""outcome":"failed""#));
    assert!(acts.lacking().has(Capability::Start));

    let manager = StandIn::on(&bus);
    until("the manager is noticed", || acts.lacking().is_empty());

    drop(manager);
    until("its end is noticed", || acts.lacking().has(Capability::Start));
}

#[test]
fn a_bus_that_is_started_anew_is_found_again() {
    let scene = Scene::new();
    let (bus, manager) = scene.with_manager();
    let acts = scene.acts();
    until("the manager is noticed", || acts.lacking().is_empty());

    drop((bus, manager));
    until("its end is noticed", || acts.lacking().has(Capability::Start));

    let (_bus, _manager) = scene.with_manager();
    until("the new one is noticed", || acts.lacking().is_empty());
    acts.start_unit(1, notice());
    until("the unit is started", || scene.log().contains(r#""outcome":"started""#));
}

/// A directory with the socket of a bus, a configuration and an audit log.
struct Scene {
    dir: TempDir,
    audit: Arc<Audit>,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let audit = Arc::new(Audit::open(&dir.path().join("audit.jsonl")).unwrap());
        Self { dir, audit }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.path("bus").display())
    }

    fn acts(&self) -> Acts {
        let text = r#"
            [gate]
            address = "gate.example"
            state-dir = "/s"
            audit-log = "/l"
            [service.ssh]
            id = 1
            protocol = "tcp"
            ports = [22]
            [unit.good]
            id = 1
            unit = "good.service"
            [unit.bad]
            id = 2
            unit = "bad.service"
            [unit.missing]
            id = 3
            unit = "missing.service"
            [unit.endless]
            id = 4
            unit = "endless.service"
        "#;
        let config = Config::parse(Path::new("agent.toml"), text).unwrap();
        Acts::start_on(Bus::At(self.address()), &config, &self.audit).unwrap()
    }

    fn bus(&self) -> Daemon {
        Daemon::start(&self.path("bus.conf"), &self.address())
    }

    fn with_manager(&self) -> (Daemon, StandIn) {
        let bus = self.bus();
        let manager = StandIn::on(&bus);
        (bus, manager)
    }

    fn log(&self) -> String {
        audit_lines(&self.path("audit.jsonl"))
    }

    /// The first record of a unit.
    fn unit_start(&self) -> String {
        until("a unit is recorded", || self.log().contains(r#""event":"unit-start""#));
        self.log().lines().find(|line| line.contains("unit-start")).unwrap().to_owned()
    }
}

/// A bus of its own; ends with the test.
struct Daemon {
    child: Child,
    address: String,
}

impl Daemon {
    fn start(config: &Path, address: &str) -> Self {
        let text = format!(
            r#"<busconfig>
                <type>session</type>
                <listen>{address}</listen>
                <auth>EXTERNAL</auth>
                <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
            </busconfig>"#
        );
        std::fs::write(config, text).unwrap();
        let mut daemon = Command::new("dbus-daemon");
        daemon.arg(format!("--config-file={}", config.display())).args(["--print-address", "--nofork"]);
        let mut child = daemon
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("`dbus-daemon` is missing; `cargo xtask setup` installs it");
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        Self { child, address: line.trim().to_owned() }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Owns the manager's name on a bus until it is dropped.
struct StandIn {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    fn on(bus: &Daemon) -> Self {
        let (ready, is_ready) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let address = bus.address.clone();
        let stand = async move {
            let builder =
                connection::Builder::address(address.as_str()).serve_at("/org/freedesktop/systemd1", Manager);
            let _connection = builder.name(MANAGER).build().await.unwrap();
            ready.send(()).unwrap();
            let _ = stopped.await;
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let thread = std::thread::spawn(move || runtime.block_on(stand));
        is_ready.recv().unwrap();
        Self { stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.stop.take());
        self.thread.take().unwrap().join().unwrap();
    }
}

#[derive(zbus::DBusError, Debug)]
#[zbus(prefix = "org.freedesktop.systemd1")]
enum ManagerError {
    #[zbus(error)]
    ZBus(zbus::Error),
    NoSuchUnit(String),
}

struct Manager;

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    async fn subscribe(&self) -> fdo::Result<()> {
        Ok(())
    }

    /// Sends the end of the job before its path, as may happen: whoever waits must have listened before he asked.
    async fn start_unit(
        &self,
        name: &str,
        mode: &str,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> Result<OwnedObjectPath, ManagerError> {
        assert_eq!(mode, "replace");
        let job = OwnedObjectPath::try_from("/org/freedesktop/systemd1/job/7").unwrap();
        let other = OwnedObjectPath::try_from("/org/freedesktop/systemd1/job/6").unwrap();
        Self::job_removed(&emitter, 6, other, name.to_owned(), "canceled".to_owned()).await?;
        let result = match name {
            "good.service" => "done",
            "bad.service" => "failed",
            "endless.service" => {
                return Ok(OwnedObjectPath::try_from("/org/freedesktop/systemd1/job/9").unwrap());
            }
            _ => return Err(ManagerError::NoSuchUnit(format!("Unit {name} not found."))),
        };
        Self::job_removed(&emitter, 7, job.clone(), name.to_owned(), result.to_owned()).await?;
        Ok(job)
    }

    #[zbus(signal)]
    async fn job_removed(
        emitter: &SignalEmitter<'_>,
        id: u32,
        job: OwnedObjectPath,
        unit: String,
        result: String,
    ) -> zbus::Result<()>;
}
