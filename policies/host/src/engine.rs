//! The engine: compiles and links policies under one profile.

mod failure;

use alloc::string::String;
#[cfg(feature = "std")]
use alloc::sync::Arc;
#[cfg(all(feature = "compile", feature = "pulley"))]
use alloc::vec::Vec;
use core::fmt;

use knockgate_policy_abi::limits::Limits;
#[cfg(all(feature = "compile", feature = "pulley"))]
use knockgate_policy_abi::limits::SERVER_INTERPRETED;
use knockgate_policy_abi::{Capabilities, Manifest};
use wasmtime::{Config, Engine, Linker, Module};

#[cfg(all(feature = "compile", feature = "pulley"))]
use crate::Execution;
use crate::border::{self, Answer, Rules};
#[cfg(feature = "component")]
use crate::component;
use crate::imports::{self, Call};
#[cfg(feature = "compile")]
use crate::in_line::Fitness;
#[cfg(feature = "compile")]
use crate::inspect::{self, Inspected, Kind};
use crate::needs::Needs;
use crate::policy::{Code, Parts};
#[cfg(feature = "pulley")]
use crate::precompiled::{self, Precompiled, Target, Trusted};
use crate::sandbox::{Guest, Sandbox};
use crate::{LoadError, Policy, Profile, Rights, Wasi, demands, settings};

/// The engine itself could not be set up.
#[derive(Debug)]
pub struct EngineError(String);

impl core::error::Error for EngineError {}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the policy engine did not start: {}; it needs some 1.2 GB of address space (not memory) and one thread, so look \
             for a limit on either",
            self.0
        )
    }
}

/// Loads policies. One per process is enough; policies of one engine share its clock and its pool.
pub struct PolicyEngine {
    engine: Engine,
    linker: Linker<Call>,
    #[cfg(feature = "component")]
    components: wasmtime::component::Linker<Call>,
    profile: Profile,
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
        Self::with_limits(profile, profile.limits(), supported)
    }

    /// Sets up an engine that compiles to Pulley's byte code and interprets it, as a gateway does: same verdicts, same acts,
    /// same fuel as [`PolicyEngine::new`], several times slower. There is no deadline; fuel alone bounds a decision.
    ///
    /// # Errors
    /// The host refuses address space.
    #[cfg(all(feature = "compile", feature = "pulley"))]
    pub fn on_pulley(profile: Profile, supported: Capabilities) -> Result<Self, EngineError> {
        let limits = Limits { deadline_ms: None, ..profile.limits() };
        let config = settings::interpreted(&limits, profile, "pulley64").map_err(|error| failed(&error))?;
        Self::with_config(&config, profile, limits, supported)
    }

    /// The engine of a server: its profile, with its deadline, run as the configuration says.
    ///
    /// # Errors
    /// The host refuses address space or a thread.
    #[cfg(all(feature = "compile", feature = "pulley"))]
    pub fn of_server(execution: Execution, supported: Capabilities) -> Result<Self, EngineError> {
        let limits = match execution {
            Execution::Compiled => return Self::new(Profile::Server, supported),
            Execution::Interpreted => SERVER_INTERPRETED,
        };
        let config = settings::interpreted(&limits, Profile::Server, "pulley64");
        let mut config = config.map_err(|error| failed(&error))?;
        settings::host(&mut config, &limits);
        Self::with_config(&config, Profile::Server, limits, supported)
    }

    /// The engine of a gateway: the edge profile on Pulley's byte code, also in a program that could compile.
    ///
    /// # Errors
    /// The host refuses address space.
    #[cfg(feature = "pulley")]
    pub fn of_gateway(supported: Capabilities) -> Result<Self, EngineError> {
        #[cfg(feature = "compile")]
        let engine = Self::on_pulley(Profile::Edge, supported);
        #[cfg(not(feature = "compile"))]
        let engine = Self::new(Profile::Edge, supported);
        engine
    }

    pub(crate) fn with_limits(
        profile: Profile,
        limits: Limits,
        supported: Capabilities,
    ) -> Result<Self, EngineError> {
        #[cfg_attr(not(feature = "std"), expect(unused_mut))]
        let mut config = settings::shared(&limits);
        #[cfg(feature = "std")]
        settings::host(&mut config, &limits);
        #[cfg(feature = "component")]
        settings::components(&mut config, profile);
        Self::with_config(&config, profile, limits, supported)
    }

    fn with_config(
        config: &Config,
        profile: Profile,
        limits: Limits,
        supported: Capabilities,
    ) -> Result<Self, EngineError> {
        let engine = Engine::new(config).map_err(|error| failed(&error))?;
        let linker = imports::link(&engine).map_err(|error| failed(&error))?;
        Ok(Self {
            #[cfg(feature = "component")]
            components: component::link(&engine).map_err(|error| failed(&error))?,
            #[cfg(feature = "std")]
            ticker: start_clock(&engine, &limits)?,
            engine,
            linker,
            profile,
            limits,
            supported,
        })
    }

    /// Loads a policy from the bytes of its WebAssembly module or, in the server profile, component. `name` is the host's name
    /// for it, used in messages.
    ///
    /// # Errors
    /// It is not a policy, uses what no policy may use, is too big, asks for what this host does not have, or is left without
    /// any right. The error ends with what to do.
    #[cfg(feature = "compile")]
    pub fn load(&self, name: &str, bytes: &[u8], rights: &Rights) -> Result<Policy, LoadError> {
        let found = inspect::inspect(bytes, &self.limits)?;
        match found.kind {
            Kind::Module => self.load_module(name, bytes, &found, rights),
            Kind::Component => self.load_component(name, bytes, &found, rights),
        }
    }

    #[cfg(feature = "compile")]
    fn load_module(
        &self,
        name: &str,
        bytes: &[u8],
        found: &Inspected,
        rights: &Rights,
    ) -> Result<Policy, LoadError> {
        let parsed = Manifest::parse(&found.manifest)?;
        found.needs.check(&parsed, &self.limits)?;
        let module = Module::new(&self.engine, bytes).map_err(|error| self.not_compiled(&error))?;
        let sandbox = self.sandbox(self.bind(&module, &parsed, rights.wasi)?);
        self.finish(name, sandbox.with_fitness(Fitness::of(bytes, found)), &parsed, rights)
    }

    #[cfg(feature = "component")]
    fn load_component(
        &self,
        name: &str,
        bytes: &[u8],
        found: &Inspected,
        rights: &Rights,
    ) -> Result<Policy, LoadError> {
        if self.profile == Profile::Edge {
            return Err(LoadError::Component);
        }
        let parsed = Manifest::parse(&found.manifest)?;
        demands::check(&parsed, &self.limits, self.supported)?;
        let component = wasmtime::component::Component::new(&self.engine, bytes)
            .map_err(|error| self.not_compiled(&error))?;
        component::check(&parsed, &component, &self.limits)?;
        let rules = Rules { manifest: &parsed, wasi: rights.wasi, profile: self.profile };
        let guest = Guest::Component(component::bind(&self.components, &component, rules)?);
        self.finish(name, self.sandbox(guest), &parsed, rights)
    }

    /// Whether it is this module that is not compiled, or any: then memory does not become executable here.
    #[cfg(feature = "compile")]
    fn not_compiled(&self, error: &wasmtime::Error) -> LoadError {
        match Module::new(&self.engine, SMALLEST) {
            Ok(_) => refused(error),
            Err(error) => LoadError::NoMachineCode(alloc::format!("{error:#}")),
        }
    }

    #[cfg(all(feature = "compile", not(feature = "component")))]
    fn load_component(&self, _: &str, _: &[u8], _: &Inspected, _: &Rights) -> Result<Policy, LoadError> {
        Err(LoadError::Component)
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
        let guest = self.bind(module, &parsed, rights.wasi)?;
        self.finish(name, self.sandbox(guest), &parsed, rights)
    }

    /// Links a module that was compiled ahead, for a host that has no compiler. Its code is copied.
    ///
    /// # Errors
    /// It was compiled for another kind of host or with other settings; else as [`PolicyEngine::load`].
    #[cfg(feature = "pulley")]
    pub fn load_precompiled(
        &self,
        name: &str,
        policy: &Trusted<'_>,
        rights: &Rights,
    ) -> Result<Policy, LoadError> {
        self.load_compiled(name, policy.policy(), rights, |engine| policy.module(engine))
    }

    /// As [`PolicyEngine::load_precompiled`], for a host that has little memory: the code is used where it lies, in flash.
    ///
    /// # Errors
    /// As there, and if the code does not begin at a multiple of 16 bytes.
    #[cfg(feature = "pulley")]
    pub fn load_in_place(
        &self,
        name: &str,
        policy: &Trusted<'static>,
        rights: &Rights,
    ) -> Result<Policy, LoadError> {
        let code = policy.policy().code();
        if !code.as_ptr().addr().is_multiple_of(precompiled::ALIGNMENT) {
            return Err(LoadError::Misplaced);
        }
        self.load_compiled(name, policy.policy(), rights, |engine| policy.module_in_place(engine))
    }

    #[cfg(feature = "pulley")]
    fn load_compiled(
        &self,
        name: &str,
        policy: &Precompiled<'_>,
        rights: &Rights,
        module: impl FnOnce(&Engine) -> wasmtime::Result<Module>,
    ) -> Result<Policy, LoadError> {
        let (compiled_for, here) = (policy.target(), Target::of_this_program());
        if !self.engine.is_pulley() || compiled_for != here {
            let host = if self.engine.is_pulley() { here.name() } else { "its processor's machine code" };
            return Err(LoadError::OtherTarget { compiled_for: compiled_for.name(), host });
        }
        let module =
            module(&self.engine).map_err(|error| LoadError::OtherSettings(alloc::format!("{error:#}")))?;
        self.link(name, &module, policy.manifest(), rights)
    }

    /// Checks a module without giving it rights, and returns its manifest.
    #[cfg(all(feature = "compile", feature = "pulley"))]
    pub(crate) fn check(&self, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        let found = inspect::inspect(bytes, &self.limits)?;
        if found.kind == Kind::Component {
            return Err(LoadError::Component);
        }
        let parsed = Manifest::parse(&found.manifest)?;
        found.needs.check(&parsed, &self.limits)?;
        let module = Module::new(&self.engine, bytes).map_err(|error| refused(&error))?;
        self.bind(&module, &parsed, Wasi::None)?;
        Ok(found.manifest)
    }

    /// A module with an answer for each of its imports, if manifest, sizes, imports and exports are what they must be.
    fn bind(&self, module: &Module, parsed: &Manifest<'_>, wasi: Wasi) -> Result<Guest, LoadError> {
        demands::check(parsed, &self.limits, self.supported)?;
        needs_of(module).check(parsed, &self.limits)?;
        let pointer = module.imports().find(|import| border::uses_memory(import.module(), import.name()));
        border::check_exports(
            |name| module.get_export(name).map(|ty| imports::item(&ty)),
            pointer.as_ref().map(wasmtime::ImportType::name),
        )?;
        let rules = Rules { manifest: parsed, wasi, profile: self.profile };
        let linker = self.linker_for(module, rules)?;
        linker.instantiate_pre(module).map(Guest::Module).map_err(|error| refused(&error))
    }

    fn sandbox(&self, guest: Guest) -> Sandbox {
        Sandbox::new(
            guest,
            #[cfg(feature = "std")]
            self.ticker.clone(),
        )
    }

    fn finish(
        &self,
        name: &str,
        sandbox: Sandbox,
        manifest: &Manifest<'_>,
        rights: &Rights,
    ) -> Result<Policy, LoadError> {
        Ok(Policy::new(Parts {
            name: String::from(name),
            code: Code::Sandboxed(sandbox),
            manifest,
            rights: demands::rights(manifest, rights, self.supported)?,
            limits: self.limits,
        }))
    }

    /// The linker, with an answer for everything that the policy imports beside the interface.
    fn linker_for(&self, module: &Module, rules: Rules<'_>) -> Result<Linker<Call>, LoadError> {
        let mut linker = self.linker.clone();
        // The same function may be imported twice.
        linker.allow_shadowing(true);
        for import in module.imports() {
            let ty = import.ty();
            let answer = rules.answer(import.module(), import.name(), &imports::item(&ty))?;
            let bound = match (answer, ty.func()) {
                (Answer::NotHere, Some(ty)) => imports::answer_not_here(&mut linker, &import, ty),
                #[cfg(feature = "std")]
                (Answer::Wasi, Some(ty)) => imports::answer_wasi(&mut linker, &import, ty),
                #[cfg(not(feature = "std"))]
                (Answer::Wasi, _) => return Err(border::wasi_on_edge(import.module(), import.name())),
                (Answer::Interface, _) | (_, None) => Ok(()),
            };
            bound.map_err(|error| refused(&error))?;
        }
        Ok(linker)
    }
}

/// A module with one function, which does nothing.
#[cfg(feature = "compile")]
const SMALLEST: &[u8] = b"\0asm\x01\0\0\0\x01\x04\x01\x60\0\0\x03\x02\x01\0\x0a\x04\x01\x02\0\x0b";

fn refused(error: &wasmtime::Error) -> LoadError {
    LoadError::Engine(alloc::format!("{error:#}"))
}

fn failed(error: &wasmtime::Error) -> EngineError {
    EngineError(alloc::format!("{error:#}"))
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
        memories: needs.num_memories,
        pages: needs.max_initial_memory_size.unwrap_or(0),
        tables: needs.num_tables,
        table_elements: needs.max_initial_table_size.unwrap_or(0),
    }
}
