//! The engine: compiles and links policies under one profile.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use knockgate_policy_abi::limits::{self, Limits};
use knockgate_policy_abi::{Capabilities, Capability, Manifest, VERSION, interface};
use wasmtime::{Engine, ExternType, Linker, Module};

use crate::imports::{self, Call};
use crate::needs::Needs;
use crate::policy::Parts;
use crate::{EffectiveRights, LoadError, Policy, Rights, settings};

/// How much a policy may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// What a gateway can carry.
    Edge,
    /// What a Linux host can carry.
    Server,
}

impl Profile {
    /// The figures.
    #[must_use]
    pub const fn limits(self) -> Limits {
        match self {
            Profile::Edge => limits::EDGE,
            Profile::Server => limits::SERVER,
        }
    }
}

/// The engine itself could not be set up.
#[derive(Debug)]
pub struct EngineError(String);

impl core::error::Error for EngineError {}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the policy engine did not start: {}; it needs some 600 MB of address space (not memory) and one thread, so look \
             for a limit on either",
            self.0
        )
    }
}

/// Loads policies. One per process is enough; policies of one engine share its clock and its pool.
pub struct PolicyEngine {
    engine: Engine,
    linker: Linker<Call>,
    limits: Limits,
    supported: Capabilities,
    #[cfg(feature = "std")]
    ticker: Option<Arc<crate::ticker::Ticker>>,
}

impl PolicyEngine {
    /// Sets up an engine for policies of `profile` on a host that can do what is in `supported`.
    ///
    /// # Errors
    /// The host refuses address space or a thread.
    pub fn new(profile: Profile, supported: Capabilities) -> Result<Self, EngineError> {
        Self::with_limits(profile.limits(), supported)
    }

    pub(crate) fn with_limits(limits: Limits, supported: Capabilities) -> Result<Self, EngineError> {
        #[cfg_attr(not(feature = "std"), expect(unused_mut))]
        let mut config = settings::shared(&limits);
        #[cfg(feature = "std")]
        settings::host(&mut config, &limits);
        let failed = |error: wasmtime::Error| EngineError(alloc::format!("{error:#}"));
        let engine = Engine::new(&config).map_err(failed)?;
        let linker = imports::link(&engine).map_err(failed)?;
        Ok(Self {
            #[cfg(feature = "std")]
            ticker: start_clock(&engine, &limits)?,
            engine,
            linker,
            limits,
            supported,
        })
    }

    /// Loads a policy from the bytes of its WebAssembly module. `name` is the host's name for it, used in messages.
    ///
    /// # Errors
    /// The module is not a policy, uses what no policy may use, is too big, asks for what this host does not have, or is
    /// left without any right. The error ends with what to do.
    #[cfg(feature = "compile")]
    pub fn load(&self, name: &str, bytes: &[u8], rights: &Rights) -> Result<Policy, LoadError> {
        let found = crate::inspect::inspect(bytes, &self.limits)?;
        found.needs.check(&Manifest::parse(&found.manifest)?, &self.limits)?;
        let module = Module::new(&self.engine, bytes)
            .map_err(|error| LoadError::Engine(alloc::format!("{error:#}")))?;
        self.link(name, &module, &found.manifest, rights)
    }

    /// The engine underneath, for a host that brings a module by itself and hands it to [`PolicyEngine::link`].
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Links a module of [`PolicyEngine::engine`] that is there already, for a host that has no compiler. `manifest` is the
    /// text of its manifest.
    ///
    /// # Errors
    /// As [`PolicyEngine::load`], but for the checks that need the module's bytes.
    pub fn link(
        &self,
        name: &str,
        module: &Module,
        manifest: &[u8],
        rights: &Rights,
    ) -> Result<Policy, LoadError> {
        let parsed = Manifest::parse(manifest)?;
        self.check_demands(&parsed)?;
        needs_of(module).check(&parsed, &self.limits)?;
        check_exports(module)?;
        let rights = EffectiveRights::new(&parsed, rights, self.supported)?;
        check_rights(&parsed, &rights)?;
        let linker = self.linker_for(module, &parsed)?;
        let pre =
            linker.instantiate_pre(module).map_err(|error| LoadError::Engine(alloc::format!("{error:#}")))?;
        Ok(Policy::new(Parts {
            name: String::from(name),
            pre,
            manifest: &parsed,
            rights: Arc::new(rights),
            limits: self.limits,
            #[cfg(feature = "std")]
            ticker: self.ticker.clone(),
        }))
    }

    /// What the manifest asks for must exist here.
    fn check_demands(&self, manifest: &Manifest<'_>) -> Result<(), LoadError> {
        if !VERSION.runs(manifest.abi) {
            return Err(LoadError::AbiTooNew { wanted: manifest.abi, have: VERSION });
        }
        let wanted = manifest.fuel.unwrap_or(self.limits.fuel);
        if wanted > self.limits.fuel {
            return Err(LoadError::TooMuchFuel {
                wanted,
                limit: self.limits.fuel,
                profile: self.limits.name,
            });
        }
        let missing = manifest.capabilities.without(self.supported);
        match missing.iter().find(|capability| !manifest.optional.has(capability.name())) {
            Some(capability) => Err(LoadError::NotOnThisHost(capability)),
            None => Ok(()),
        }
    }

    /// The linker, with an answer for every optional interface that this host lacks.
    fn linker_for(&self, module: &Module, manifest: &Manifest<'_>) -> Result<Linker<Call>, LoadError> {
        let mut linker = self.linker.clone();
        for import in module.imports() {
            let (interface, function) = (import.module(), import.name());
            let ExternType::Func(found) = import.ty() else {
                return Err(LoadError::ImportsNoFunction {
                    interface: interface.into(),
                    name: function.into(),
                });
            };
            match interface::find(interface, function) {
                Some(known) if imports::has_type(&found, known) => {}
                Some(known) => {
                    return Err(LoadError::ImportType {
                        interface: interface.into(),
                        name: function.into(),
                        expected: imports::type_text(known),
                    });
                }
                None if !interface::knows(interface) && manifest.optional.has(interface) => {
                    imports::answer_not_here(&mut linker, interface, function, found)
                        .map_err(|error| LoadError::Engine(alloc::format!("{error:#}")))?;
                }
                None => return Err(LoadError::unknown_import(interface, function)),
            }
        }
        Ok(linker)
    }
}

#[cfg(feature = "std")]
fn start_clock(engine: &Engine, limits: &Limits) -> Result<Option<Arc<crate::ticker::Ticker>>, EngineError> {
    if limits.deadline_ms.is_none() {
        return Ok(None);
    }
    let ticker =
        crate::ticker::Ticker::start(engine).map_err(|error| EngineError(alloc::format!("{error}")))?;
    Ok(Some(Arc::new(ticker)))
}

fn needs_of(module: &Module) -> Needs {
    let needs = module.resources_required();
    Needs {
        pages: needs.max_initial_memory_size.unwrap_or(0),
        tables: needs.num_tables,
        table_elements: needs.max_initial_table_size.unwrap_or(0),
    }
}

fn check_exports(module: &Module) -> Result<(), LoadError> {
    let ty = match module.get_export(interface::DECIDE) {
        Some(ExternType::Func(ty)) => ty,
        Some(_) => return Err(LoadError::DecideIsNoFunction),
        None => return Err(LoadError::NoDecide),
    };
    let no_params = ty.params().len() == 0;
    let mut results = ty.results();
    let one_i32 = matches!((results.next(), results.next()), (Some(result), None) if result.is_i32());
    if !(no_params && one_i32) {
        return Err(LoadError::DecideType(alloc::format!("{ty}")));
    }
    let has_memory = matches!(module.get_export(interface::MEMORY), Some(ExternType::Memory(_)));
    let pointer = module.imports().find(|import| {
        interface::find(import.module(), import.name()).is_some_and(|function| function.uses_memory)
    });
    match pointer {
        Some(import) if !has_memory => Err(LoadError::NoMemory(import.name().into())),
        _ => Ok(()),
    }
}

/// A policy that can do nothing at all is a mistake in the configuration, better said now than at the first knock.
fn check_rights(manifest: &Manifest<'_>, rights: &EffectiveRights) -> Result<(), LoadError> {
    let wanted = manifest.capabilities;
    let granted = rights.capabilities();
    if !wanted.is_empty() && granted.is_empty() {
        return Err(LoadError::NoCapability(wanted));
    }
    let opens = granted.has(Capability::Open) || granted.has(Capability::OpenPrefix);
    if opens && rights.services().next().is_none() {
        return Err(LoadError::NoService);
    }
    if opens && rights.max_seconds(None) == 0 {
        return Err(LoadError::NoTime);
    }
    Ok(())
}
