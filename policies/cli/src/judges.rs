//! The engines that decide: what servers have, what gateways have, and one that nobody here wrote.

use std::sync::Arc;

use knockgate_policy_host::second::SecondPolicy;
use knockgate_policy_host::{
    Capabilities, Decision, Event, Policy, PolicyEngine, Profile, Rights, StateStore,
};

use crate::answer::{Section, Trouble};
use crate::cli::ProfileName;
use crate::embed;
use crate::policy_file::PolicyFile;

/// An engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Engine {
    /// Compiles; what a Linux host has.
    Cranelift,
    /// Interprets what was compiled before; what a gateway has.
    Pulley,
    /// An independent interpreter: a second opinion.
    Wasmi,
}

impl Engine {
    const OTHERS: [Self; 2] = [Self::Pulley, Self::Wasmi];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cranelift => "cranelift",
            Self::Pulley => "pulley",
            Self::Wasmi => "wasmi",
        }
    }

    /// Whether its fuel is counted as servers and gateways count it.
    pub(crate) const fn has_common_fuel(self) -> bool {
        match self {
            Self::Cranelift | Self::Pulley => true,
            Self::Wasmi => false,
        }
    }

    fn runs(self, file: &PolicyFile) -> bool {
        match self {
            Self::Cranelift | Self::Pulley => true,
            Self::Wasmi => !embed::is_component(&file.module),
        }
    }
}

/// A policy under one engine.
pub(crate) struct Judge {
    pub(crate) engine: Engine,
    policy: Loaded,
}

enum Loaded {
    First(Box<Policy>),
    Second(Box<SecondPolicy>),
}

impl Judge {
    pub(crate) fn decide(&self, event: &Event, state: &Arc<dyn StateStore>) -> Decision {
        match &self.policy {
            Loaded::First(policy) => policy.decide(event, state),
            Loaded::Second(policy) => policy.decide(event, state),
        }
    }
}

/// The policy under every engine that runs it, that of servers first.
pub(crate) fn panel(
    file: &PolicyFile,
    rights: &Rights,
    profile: Profile,
) -> Result<(Judge, Vec<Judge>), Trouble> {
    let first = judge(Engine::Cranelift, file, rights, profile)?;
    let others = Engine::OTHERS.into_iter().filter(|engine| engine.runs(file));
    Ok((first, others.map(|engine| judge(engine, file, rights, profile)).collect::<Result<_, _>>()?))
}

fn judge(engine: Engine, file: &PolicyFile, rights: &Rights, profile: Profile) -> Result<Judge, Trouble> {
    let (name, module) = (engine.name(), file.module.as_slice());
    let loaded = match engine {
        Engine::Cranelift => {
            PolicyEngine::new(profile, Capabilities::ALL).map_err(engine_trouble)?.load(name, module, rights)
        }
        Engine::Pulley => PolicyEngine::on_pulley(profile, Capabilities::ALL)
            .map_err(engine_trouble)?
            .load(name, module, rights),
        Engine::Wasmi => {
            let policy = SecondPolicy::load(name, module, rights, profile, Capabilities::ALL)
                .map_err(|error| Trouble::with_load(&file.path, &error))?;
            return Ok(Judge { engine, policy: Loaded::Second(Box::new(policy)) });
        }
    };
    let policy = loaded.map_err(|error| Trouble::with_load(&file.path, &error))?;
    Ok(Judge { engine, policy: Loaded::First(Box::new(policy)) })
}

/// The policy as an agent runs it.
pub(crate) fn first(file: &PolicyFile, rights: &Rights, profile: Profile) -> Result<Policy, Trouble> {
    let engine = PolicyEngine::new(profile, Capabilities::ALL).map_err(engine_trouble)?;
    engine.load("policy", &file.module, rights).map_err(|error| Trouble::with_load(&file.path, &error))
}

pub(crate) fn engine_trouble(error: knockgate_policy_host::EngineError) -> Trouble {
    Trouble::with_use(Section::WhenItDoesNotWork, error.to_string())
}

/// The profile that was chosen, else the smallest that the policy fits.
pub(crate) fn profile(
    chosen: Option<ProfileName>,
    file: &PolicyFile,
    rights: &Rights,
) -> Result<Profile, Trouble> {
    if let Some(chosen) = chosen {
        return Ok(chosen.profile());
    }
    let edge = PolicyEngine::new(Profile::Edge, Capabilities::ALL).map_err(engine_trouble)?;
    Ok(match edge.load("policy", &file.module, rights) {
        Ok(_) => Profile::Edge,
        Err(_) => Profile::Server,
    })
}

impl ProfileName {
    pub(crate) const fn profile(self) -> Profile {
        match self {
            Self::Edge => Profile::Edge,
            Self::Server => Profile::Server,
        }
    }
}

/// In what two decisions about the same event differ, if they do: verdict, actions, refused acts, lines for the operator.
pub(crate) fn difference(one: &Decision, other: &Decision) -> Option<&'static str> {
    if one.answer() != other.answer() {
        return Some("verdict");
    }
    if one.actions != other.actions {
        return Some("actions");
    }
    if one.refused != other.refused {
        return Some("refused");
    }
    (one.log != other.log).then_some("log")
}
