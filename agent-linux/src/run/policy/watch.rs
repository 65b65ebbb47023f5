//! Takes up modules that have changed while the agent runs, on a thread of its own: it reads, verifies and compiles there, and
//! only the pointer to the policy changes, between two events. Whatever cannot be used leaves what is in use in force.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use knockgate_core::Name;

use crate::audit::{Audit, AuditRecord};
use crate::config::{Config, ModuleSource};
use crate::run::court::Chair;
use crate::state::FileStamp;

use super::{Loader, signature_file};

/// A changed file is taken up after two looks: at the first it may be half written, or its signature not there yet.
const EVERY: Duration = Duration::from_millis(250);

/// As much as the thread has that compiles at the start: what could be loaded then must be loadable now. Threads of the
/// standard library have a quarter, and a compiler calls itself as deep as a module is nested.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// Everything that is in use and comes from files.
pub(in crate::run) struct PolicyWatch {
    loader: Loader,
    watched: Vec<Watched>,
    audit: Arc<Audit>,
}

/// The watch while it watches. Whoever has it locked can put another one in its place; nothing is taken up meanwhile.
#[derive(Clone)]
pub(in crate::run) struct Watching(Arc<Mutex<PolicyWatch>>);

impl Watching {
    pub(in crate::run) fn pause(&self) -> MutexGuard<'_, PolicyWatch> {
        // Each policy is taken up by one statement, so a panic elsewhere has left nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A policy and the files that it comes from.
pub(super) struct Watched {
    name: Name,
    chair: Arc<Chair>,
    files: Vec<FileStamp>,
    /// Of the module in use.
    sha256: Option<String>,
    /// At the last look something was not as before.
    changing: bool,
    /// What is wrong with its files, as far as that was told.
    told: Option<String>,
}

impl Watched {
    /// The module and, where modules must be signed, its signature. None of a built-in policy.
    pub(super) fn files_of(config: &Config, name: &Name) -> Vec<FileStamp> {
        let Some(ModuleSource::File { path, .. }) = config.policy.module(name).map(|module| &module.source)
        else {
            return Vec::new();
        };
        let signature = (!config.policy.keys.is_empty()).then(|| signature_file(path));
        std::iter::once(path.clone()).chain(signature).map(FileStamp::of).collect()
    }

    pub(super) fn new(name: Name, chair: Arc<Chair>, files: Vec<FileStamp>, sha256: Option<String>) -> Self {
        Self { name, chair, files, sha256, changing: false, told: None }
    }

    /// Whether its files have changed and are at rest again.
    fn is_due(&mut self) -> bool {
        // Every one is looked at: a look is what the next is compared with.
        let changed = self.files.iter_mut().filter_map(|file| file.has_changed().then_some(())).count() > 0;
        let was_changing = std::mem::replace(&mut self.changing, changed);
        was_changing && !changed
    }
}

impl PolicyWatch {
    pub(super) fn new(loader: Loader, watched: Vec<Watched>, audit: Arc<Audit>) -> Self {
        Self { loader, watched, audit }
    }

    /// Watches for ever.
    pub(in crate::run) fn start(self) -> anyhow::Result<Watching> {
        let watching = Watching(Arc::new(Mutex::new(self)));
        let watched = watching.clone();
        std::thread::Builder::new()
            .name("policy-files".into())
            .stack_size(STACK_BYTES)
            .spawn(move || {
                loop {
                    std::thread::sleep(EVERY);
                    watched.pause().look();
                }
            })
            .map(|_| watching)
            .context("cannot start the thread that watches the policies' files")
    }

    fn look(&mut self) {
        let Self { loader, watched, audit } = self;
        watched
            .iter_mut()
            .filter_map(|one| one.is_due().then_some(one))
            .for_each(|one| one.take_up(loader, audit));
    }
}

impl Watched {
    fn take_up(&mut self, loader: &Loader, audit: &Audit) {
        let name = &self.name;
        let loaded = match loader.load(name) {
            Ok(loaded) => loaded,
            Err(error) => return self.refuse(&error, audit),
        };
        self.told = None;
        if loaded.sha256 == self.sha256 {
            return tracing::debug!(policy = %name, "its file was touched and is the same");
        }
        let (title, withheld) = (loaded.policy.title().to_owned(), loaded.policy.withheld());
        if !withheld.is_empty() {
            tracing::warn!("policy {name} asks for {withheld} and does not get it");
        }
        self.sha256.clone_from(&loaded.sha256);
        self.chair.replace(loaded);
        tracing::info!(policy = %name, %title, "took up the changed file");
        let sha256 = self.sha256.clone();
        audit.write(AuditRecord::PolicyLoaded { policy: name.to_string(), title, sha256 });
    }

    fn refuse(&mut self, error: &anyhow::Error, audit: &Audit) {
        // A lack of descriptors or memory may pass although the file stays as it is.
        if error.chain().any(<dyn std::error::Error>::is::<std::io::Error>) {
            self.files.iter_mut().for_each(FileStamp::forget);
        }
        let reason = format!("{error:#}");
        if self.told.as_ref() == Some(&reason) {
            return;
        }
        tracing::warn!("the file has changed and cannot be used, so what is in use stays: {reason}");
        self.told = Some(reason.clone());
        audit.write(AuditRecord::PolicyRefused { policy: self.name.to_string(), reason });
    }
}

#[cfg(test)]
mod tests;
