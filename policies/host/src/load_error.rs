//! Why a policy was not loaded, and what to do about it.

use alloc::string::String;

use knockgate_policy_abi::{Capabilities, Capability, ManifestError, Version, interface};

use crate::ParameterError;

/// Why a policy was not loaded.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The file is larger than the profile allows.
    #[error(
        "the module has {bytes} bytes and the {profile} profile allows {limit}; strip it (`-Wl,--strip-all`, \
         `strip = true`), or use a language with a smaller runtime"
    )]
    TooBig {
        /// Its size.
        bytes: usize,
        /// What is allowed.
        limit: usize,
        /// By which profile.
        profile: &'static str,
    },
    /// It is no WebAssembly.
    #[error("not a WebAssembly module; give the compiled `.wasm` file")]
    NotWasm,
    /// It is WebAssembly in text form.
    #[error(
        "this is WebAssembly text; translate it first, for example with `wat2wasm` or `wasm-tools parse`"
    )]
    Text,
    /// It is a component, which this profile does not run.
    #[error(
        "this is a component, which only the server profile runs; build a core module (leave out `wasm-tools component new`), or \
         let a server decide"
    )]
    Component,
    /// It is a component that wants modules of others.
    #[error("this component imports modules or components; compose it into one that brings everything along")]
    OpenComponent,
    /// It is a component of too many parts.
    #[error(
        "this component has {memories} memories and {tables} tables and may have 4 and 8; compose fewer parts into it"
    )]
    ComponentTooLarge {
        /// Memories of all its modules.
        memories: u32,
        /// Tables of all its modules.
        tables: u32,
    },
    /// It is damaged.
    #[error("damaged module: {message} at byte {offset:#x}; build it anew")]
    Invalid {
        /// The validator's words.
        message: String,
        /// Where.
        offset: u64,
    },
    /// It uses WebAssembly that no policy may use.
    #[error(
        "uses WebAssembly that a policy must not use: {message} at byte {offset:#x}; build for the MVP with sign extension, \
         bulk memory, multi-value and reference types only (no SIMD, threads, tail calls, exceptions, memory64)"
    )]
    ForbiddenFeature {
        /// The validator's words.
        message: String,
        /// Where.
        offset: u64,
    },
    /// It has no manifest.
    #[error(
        "no manifest; add a custom section `{}` with at least `abi=1.0` and `name=...`",
        interface::MANIFEST_SECTION
    )]
    NoManifest,
    /// It has more than one manifest.
    #[error("more than one section `{}`; keep one", interface::MANIFEST_SECTION)]
    TwoManifests,
    /// Its manifest is wrong.
    #[error("manifest: {0}")]
    Manifest(ManifestError),
    /// It was built for a newer ABI.
    #[error(
        "built for policy ABI {wanted} and this host has {have}; update Knockgate, or build the policy for {have}"
    )]
    AbiTooNew {
        /// What it wants.
        wanted: Version,
        /// What there is.
        have: Version,
    },
    /// It asks for more fuel than the profile has.
    #[error("the manifest asks for {wanted} fuel and the {profile} profile has {limit}; ask for less")]
    TooMuchFuel {
        /// What it asks for.
        wanted: u64,
        /// What there is.
        limit: u64,
        /// In which profile.
        profile: &'static str,
    },
    /// It needs more memory than it may have.
    #[error(
        "needs {wanted} pages of memory and the {whose}{} allows {limit}; for C, C++ and Rust a small stack helps: `-z \
         stack-size=4096`",
        if *.whose == "manifest" { "" } else { " profile" }
    )]
    TooManyPages {
        /// What it needs, in pages of 64 KiB.
        wanted: u64,
        /// What is allowed.
        limit: u64,
        /// By which profile, or `manifest`.
        whose: &'static str,
    },
    /// It has more than one table.
    #[error("has more than one table; build it with one")]
    TooManyTables,
    /// Its table is larger than the profile allows.
    #[error(
        "has a table of {wanted} elements and the {profile} profile allows {limit}; use fewer function pointers"
    )]
    TableTooLarge {
        /// Its size.
        wanted: u64,
        /// What is allowed.
        limit: u32,
        /// By which profile.
        profile: &'static str,
    },
    /// It has no `decide`.
    #[error("exports no `decide`; export a function of that name that takes nothing and returns an i32")]
    NoDecide,
    /// Its `decide` is something else.
    #[error(
        "its `decide` is not a function; export a function of that name that takes nothing and returns an i32"
    )]
    DecideIsNoFunction,
    /// Its `decide` has another type.
    #[error("its `decide` has the type {0}; it must take nothing and return an i32")]
    DecideType(String),
    /// Its `_initialize` is no function that can be called before `decide`.
    #[error("its `_initialize` has the type {0}; it must take nothing and return nothing")]
    InitializeType(String),
    /// It gives pointers to the host and does not export the memory that they point into.
    #[error("imports `{0}`, which works on memory, and exports no `memory`; export it")]
    NoMemory(String),
    /// It imports a function that no version of the ABI has here.
    #[error(
        "imports `{name}` from `{interface}`, which no policy host has; leave it out, or \
         list `{interface}` under `optional=` in the manifest"
    )]
    UnknownImport {
        /// The interface.
        interface: String,
        /// The function.
        name: String,
    },
    /// It imports an operating system, which the configuration does not give it.
    #[error(
        "imports `{name}` from `{interface}`: the language's runtime wants an operating system; build without it, or write \
         `wasi = \"inert\"` in the policy's section, and it finds one in which nothing can be read, written or waited for"
    )]
    WasiNotGranted {
        /// The interface.
        interface: String,
        /// The function.
        name: String,
    },
    /// It imports an operating system, which no gateway has.
    #[error(
        "imports `{name}` from `{interface}`: the language's runtime wants an operating system, which the edge profile never \
         gives; build without it, or let a server decide"
    )]
    WasiOnEdge {
        /// The interface.
        interface: String,
        /// The function.
        name: String,
    },
    /// It was built against a newer interface.
    #[error(
        "needs the interface `{interface}`, which this host does not have; update Knockgate, or list it under `optional=` in \
         the manifest if the policy can do without"
    )]
    NewerInterface {
        /// The interface.
        interface: String,
    },
    /// It imports a memory, table or global.
    #[error("imports `{name}` from `{interface}`, which is not a function; define it in the module")]
    ImportsNoFunction {
        /// The interface.
        interface: String,
        /// The name.
        name: String,
    },
    /// It imports a function by another type.
    #[error(
        "imports `{name}` from `{interface}` with another type than {expected}; use the SDK's declaration"
    )]
    ImportType {
        /// The interface.
        interface: String,
        /// The function.
        name: String,
        /// Its type.
        expected: String,
    },
    /// It asks for something that this host cannot do.
    #[error(
        "asks for the capability `{}`, which this host does not have; write `optional={}` in the manifest if the policy can do \
         without",
        .0.name(), .0.name()
    )]
    NotOnThisHost(Capability),
    /// The configuration grants nothing of what it asks for.
    #[error("asks for `{0}` and the configuration grants nothing of it; grant it in `capabilities`")]
    NoCapability(Capabilities),
    /// It may open, but no service.
    #[error("may open, but no service is both in the manifest's `services=` and granted; name one in both")]
    NoService,
    /// It may open, but for 0 seconds.
    #[error("may open, but for 0 seconds; grant more in `max-seconds`")]
    NoTime,
    /// The configuration gives a parameter that the policy does not take so.
    #[error("parameter `{name}`: {error}")]
    Parameter {
        /// Its name in the configuration.
        name: String,
        /// What is wrong.
        error: ParameterError,
    },
    /// It was compiled for other hosts.
    #[error(
        "compiled for hosts that run {compiled_for}, and this one runs {host}; compile it for this kind of host, or give the \
         `.wasm` file to a host that has a compiler"
    )]
    OtherTarget {
        /// What it was compiled for.
        compiled_for: &'static str,
        /// What this host runs.
        host: &'static str,
    },
    /// It was compiled with other settings than this host has.
    #[error(
        "compiled with other settings: {0}; compile it again with the `knockgate-policy` of the host's version"
    )]
    OtherSettings(String),
    /// Its code does not lie where it can be used without a copy.
    #[error(
        "its code does not begin at a multiple of 16 bytes in memory; make the site image anew with the tools of the host's version"
    )]
    Misplaced,
    /// This process can run no machine code that it makes.
    #[error(
        "no policy becomes machine code in this process: {0}; set engine = \"interpreter\" in [policy], or lift what keeps memory \
         from becoming executable (`MemoryDenyWriteExecute=` of its unit) and start it again"
    )]
    NoMachineCode(String),
    /// It needs the engine, and this program was built without.
    #[error(
        "only the built-in policy `default` runs in a program that was built without the policy engine; use that, or a build \
         with the engine"
    )]
    NoEngine,
    /// The engine refused it.
    #[error("the engine refused the module: {0}; rebuild it with current tools")]
    Engine(String),
}

// Not derived: that would make it a source, and a chain of errors would print it twice.
impl From<ManifestError> for LoadError {
    fn from(error: ManifestError) -> Self {
        LoadError::Manifest(error)
    }
}

impl From<(String, ParameterError)> for LoadError {
    fn from((name, error): (String, ParameterError)) -> Self {
        LoadError::Parameter { name, error }
    }
}

#[cfg(feature = "engine")]
impl LoadError {
    /// Tells an interface that this version does not have yet from one that never was.
    pub(crate) fn unknown_import(interface: &str, name: &str) -> Self {
        if interface.starts_with(interface::PACKAGE) && !interface::knows(interface) {
            LoadError::NewerInterface { interface: interface.into() }
        } else {
            LoadError::UnknownImport { interface: interface.into(), name: name.into() }
        }
    }
}
