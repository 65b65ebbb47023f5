//! One unit on its way up: asks for it and follows the job to its end.

use std::pin::pin;
use std::time::Duration;

use tokio::time::timeout;
use zbus::{Connection, OwnedObjectPath};

use super::manager::{JobRemovedStream, MANAGER, ManagerProxy, next};

/// How long a job is followed. One that only wants to run, such as a backup, may take longer than anybody waits.
const PATIENCE: Duration = Duration::from_secs(600);
/// Jobs that end before the manager has said which one is ours. There are a handful at most; the rest is not kept.
const EARLY: usize = 256;

/// How it went. `Err` says why not, with the remedy.
pub(super) enum Start {
    Started,
    /// Asked for, and not known to have come up yet.
    Starting,
}

pub(super) async fn start(connection: &Connection, unit: &str) -> Result<Start, String> {
    match timeout(PATIENCE, follow(connection, unit)).await {
        Ok(done) => done.map(|()| Start::Started),
        Err(_) => Ok(Start::Starting),
    }
}

async fn follow(connection: &Connection, unit: &str) -> Result<(), String> {
    let lost = |error: zbus::Error| format!("the service manager did not answer: {error}");
    let manager = ManagerProxy::new(connection).await.map_err(lost)?;
    // Before the job, so that its end is not missed.
    let mut removed = manager.receive_job_removed().await.map_err(lost)?;
    let (job, early) = ask(&manager, &mut removed, unit).await?;
    if let Some((_, result)) = early.into_iter().find(|(ended, _)| *ended == job) {
        return judge(unit, &result);
    }
    while let Some((ended, result)) = end_of_a_job(&mut removed).await {
        if ended == job {
            return judge(unit, &result);
        }
    }
    Err("the connection to the service manager was lost before the unit was up".into())
}

type Ended = (OwnedObjectPath, String);

/// Signals are taken while the answer is awaited: a full queue of them would keep the answer back.
async fn ask(
    manager: &ManagerProxy<'_>,
    removed: &mut JobRemovedStream,
    unit: &str,
) -> Result<(OwnedObjectPath, Vec<Ended>), String> {
    let mut answer = pin!(manager.start_unit(unit, "replace"));
    let mut early = Vec::new();
    loop {
        tokio::select! {
            answered = &mut answer => return answered.map(|job| (job, early)).map_err(|error| refused(unit, &error)),
            Some(ended) = end_of_a_job(removed) => if early.len() < EARLY { early.push(ended) },
        }
    }
}

async fn end_of_a_job(removed: &mut JobRemovedStream) -> Option<Ended> {
    loop {
        let signal = next(removed).await?;
        // A signal of another form is not by a manager that we know.
        if let Ok(args) = signal.args() {
            return Some((args.job().clone(), args.result().clone()));
        }
    }
}

/// Source for the results: org.freedesktop.systemd1(5), `JobRemoved`.
fn judge(unit: &str, result: &str) -> Result<(), String> {
    match result {
        "done" => Ok(()),
        "canceled" => Err(format!("{unit}: somebody else canceled it; see `journalctl -u {unit}`")),
        _ => Err(format!("{unit}: it ended with {result:?}; `systemctl status {unit}` says why")),
    }
}

fn refused(unit: &str, error: &zbus::Error) -> String {
    match error {
        zbus::Error::MethodError(name, said, _) => {
            let (name, said) = (name.as_str(), said.as_deref().unwrap_or("no reason given"));
            match name.strip_prefix(MANAGER).unwrap_or(name) {
                ".NoSuchUnit" => {
                    format!("{unit}: {said}; install it, or correct [unit.*] in the configuration")
                }
                ".UnitMasked" => format!("{unit}: {said}; `systemctl unmask {unit}` lets it be started"),
                "org.freedesktop.DBus.Error.AccessDenied"
                | "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired" => {
                    format!(
                        "{unit}: {said}; run knockgated as root, or let its user start units with a polkit rule"
                    )
                }
                _ => format!("{unit}: {said} ({name})"),
            }
        }
        _ => format!("{unit}: the service manager did not answer: {error}"),
    }
}
