//! A loaded policy, ready to decide.

use alloc::string::String;
use alloc::sync::Arc;

use knockgate_policy_abi::limits::Limits;
use knockgate_policy_abi::{Capabilities, Cause, Causes, Manifest};

use crate::native::{self, Decide};
#[cfg(feature = "engine")]
use crate::sandbox::Sandbox;
use crate::{Decision, EffectiveRights, Event, StateStore, Transaction};

/// A loaded policy.
pub struct Policy {
    name: String,
    title: String,
    code: Code,
    rights: Arc<EffectiveRights>,
    limits: Limits,
    causes: Causes,
    withheld: Capabilities,
}

// One engine serves every thread of an agent.
const _: () = {
    const fn shared<T: Send + Sync>() {}
    shared::<Policy>();
    #[cfg(feature = "engine")]
    shared::<crate::PolicyEngine>();
};

/// What decides.
pub(crate) enum Code {
    /// A function of this program.
    Native(Decide),
    #[cfg(feature = "engine")]
    Sandboxed(Sandbox),
}

pub(crate) struct Parts<'a> {
    pub(crate) name: String,
    pub(crate) code: Code,
    pub(crate) manifest: &'a Manifest<'a>,
    pub(crate) rights: Arc<EffectiveRights>,
    pub(crate) limits: Limits,
}

impl Policy {
    pub(crate) fn new(parts: Parts<'_>) -> Self {
        let Parts { manifest, rights, mut limits, .. } = parts;
        // What the author promises to need is held against him: a policy that runs away stops sooner.
        limits.fuel = manifest.fuel.unwrap_or(limits.fuel);
        limits.pages = manifest.pages.unwrap_or(limits.pages);
        Self {
            name: parts.name,
            title: title(manifest),
            code: parts.code,
            limits,
            causes: manifest.causes,
            withheld: manifest.capabilities.without(rights.capabilities()),
            rights,
        }
    }

    /// What decides.
    #[cfg(feature = "std")]
    pub(crate) fn code(&self) -> &Code {
        &self.code
    }

    /// A decision about `event` that has not begun.
    pub(crate) fn transaction(&self, event: Event, state: &Arc<dyn StateStore>) -> Transaction {
        Transaction::new(event, Arc::clone(&self.rights), Arc::clone(state), self.limits)
    }

    /// The host's name for it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Name and version by its own manifest.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Whether it wants to be asked about this.
    #[must_use]
    pub fn wants(&self, cause: Cause) -> bool {
        self.causes.has(cause)
    }

    /// The cause under which it is asked about something; `None` if it does not want to be. One that makes no difference between
    /// keeping and opening judges the one as the other.
    #[must_use]
    pub fn asked_as(&self, cause: Cause) -> Option<Cause> {
        let asked = match cause {
            Cause::Renew if !self.wants(Cause::Renew) => Cause::Packet,
            Cause::Sequence
            | Cause::Packet
            | Cause::Renew
            | Cause::Close
            | Cause::Expiry
            | Cause::Lockout
            | Cause::FailedAttempt
            | Cause::StartUp => cause,
        };
        self.wants(asked).then_some(asked)
    }

    /// What it may do here.
    #[must_use]
    pub fn rights(&self) -> &EffectiveRights {
        &self.rights
    }

    /// What its manifest asks for and it does not get: worth a line when it is loaded.
    #[must_use]
    pub fn withheld(&self) -> Capabilities {
        self.withheld
    }

    /// Its limits: the profile's, lowered by the manifest.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Decides about one event in a fresh instance. Never panics and never takes longer than the limits allow; whatever goes
    /// wrong denies. What the policy stored is committed to `state` before this returns.
    #[must_use]
    pub fn decide(&self, event: &Event, state: &Arc<dyn StateStore>) -> Decision {
        match &self.code {
            Code::Native(decide) => native::run(*decide, self.transaction(event.clone(), state)),
            #[cfg(feature = "engine")]
            Code::Sandboxed(sandbox) => sandbox.decide(self, event, state),
        }
    }
}

fn title(manifest: &Manifest<'_>) -> String {
    match manifest.version {
        "" => manifest.name.into(),
        version => alloc::format!("{} {version}", manifest.name),
    }
}
