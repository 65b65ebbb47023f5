//! A real system bus of the lab's gate, and a stand-in for systemd on it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use anyhow::{Context, Result, ensure};
use knockgate_tests::Lab;
use tokio::sync::oneshot;
use zbus::object_server::SignalEmitter;
use zbus::{OwnedObjectPath, connection, interface};

const NAME: &str = "org.freedesktop.systemd1";
const PLACE: &str = "/org/freedesktop/systemd1";
const JOB: &str = "/org/freedesktop/systemd1/job/7";

/// `dbus-daemon`; ends with the test.
pub(crate) struct Bus(Child);

impl Bus {
    pub(crate) fn start(lab: &Lab) -> Result<Self> {
        let address = lab.bus_address();
        let config = lab.path("bus.conf");
        let text = format!(
            r#"<busconfig>
                <type>session</type>
                <listen>{address}</listen>
                <auth>EXTERNAL</auth>
                <policy context="default"><allow send_destination="*"/><allow receive_sender="*"/><allow own="*"/></policy>
            </busconfig>"#
        );
        std::fs::write(&config, text)?;
        let mut daemon = Command::new("dbus-daemon");
        daemon.arg(format!("--config-file={}", config.display())).args(["--print-address", "--nofork"]);
        let child = daemon.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let mut bus = Self(child.context("cannot start `dbus-daemon`; run `cargo xtask setup`")?);
        let mut line = String::new();
        BufReader::new(bus.0.stdout.as_mut().context("no output")?).read_line(&mut line)?;
        ensure!(line.starts_with(&address), "`dbus-daemon` listens on {line:?} instead of {address:?}");
        Ok(bus)
    }
}

impl Drop for Bus {
    fn drop(&mut self) {
        // Both fail only if it has ended already, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts every unit that it is asked to start, and remembers them. Leaves the bus when it is dropped.
pub(crate) struct StandIn {
    started: Arc<Mutex<Vec<String>>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl StandIn {
    pub(crate) fn on(lab: &Lab, _bus: &Bus) -> Result<Self> {
        let started = Arc::<Mutex<Vec<String>>>::default();
        let (ready, is_ready) = mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let (address, manager) = (lab.bus_address(), Manager { started: Arc::clone(&started) });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let standing = async move {
            let connection = serve(&address, manager).await;
            // Whoever waits for it has given up if it cannot be told.
            let _ = ready.send(connection.as_ref().map(drop).map_err(ToString::to_string));
            let _ = stopped.await;
        };
        let thread = std::thread::spawn(move || runtime.block_on(standing));
        let stand_in = Self { started, stop: Some(stop), thread: Some(thread) };
        is_ready.recv()?.map_err(|why| anyhow::anyhow!("no stand-in for systemd on the bus: {why}"))?;
        Ok(stand_in)
    }

    /// What it was asked to start so far, in order.
    pub(crate) fn started(&self) -> Vec<String> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A thread that panicked has already said so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn serve(address: &str, manager: Manager) -> zbus::Result<zbus::Connection> {
    connection::Builder::address(address).serve_at(PLACE, manager).name(NAME).build().await
}

struct Manager {
    started: Arc<Mutex<Vec<String>>>,
}

#[interface(name = "org.freedesktop.systemd1.Manager")]
impl Manager {
    async fn subscribe(&self) {}

    async fn start_unit(
        &self,
        name: String,
        mode: String,
        #[zbus(signal_emitter)] emitter: SignalEmitter<'_>,
    ) -> zbus::fdo::Result<OwnedObjectPath> {
        let job = OwnedObjectPath::try_from(JOB)?;
        self.started.lock().unwrap_or_else(PoisonError::into_inner).push(format!("{name} {mode}"));
        Self::job_removed(&emitter, 7, job.clone(), name, "done".to_owned()).await?;
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
