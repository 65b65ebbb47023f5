//! Says where a policy can run, why not elsewhere, and what it may do on a gate.

use knockgate_policy_host::signature::{self, PublicKey};
use knockgate_policy_host::{
    Capabilities, Capability, LoadError, Manifest, Policy, PolicyEngine, Profile, Rights,
};
use serde_json::{Map, Value, json};

use super::inspect::Shape;
use super::sign::beside;
use super::{manifest_of, parse_manifest, title};
use crate::agent_toml::{self, Module};
use crate::answer::{Exit, Section, Told, Trouble, section_of};
use crate::cli::{Check, ProfileName};
use crate::grants::{self, From};
use crate::judges::engine_trouble;
use crate::policy_file::PolicyFile;
use crate::project::Meant;
use crate::text::count;

pub(crate) fn run(check: &Check) -> Result<Told, Trouble> {
    let meant = Meant::find(&check.subject.path)?;
    let mut report = Report::of(&meant.policy)?;
    if report.exit == Exit::Fine && check.profile == Some(ProfileName::Edge) {
        report.demand_edge();
    }
    if report.exit == Exit::Fine {
        report.hold_against(check, &meant)?;
    }
    Ok(report.told())
}

/// The same for what was just built, whatever its rights.
pub(super) fn of_built(file: &PolicyFile) -> Result<Told, Trouble> {
    Report::of(file).map(Report::told)
}

struct Report<'a> {
    file: &'a PolicyFile,
    title: String,
    exit: Exit,
    /// What the edge profile says.
    edge: Result<(), LoadError>,
    lines: Vec<String>,
    facts: Map<String, Value>,
}

impl<'a> Report<'a> {
    fn of(file: &'a PolicyFile) -> Result<Self, Trouble> {
        let shape = Shape::read(file);
        let strangers = shape.as_ref().map(Shape::strange_imports).unwrap_or_default();
        let text = match manifest_of(file) {
            Ok(text) => text,
            // The host says more: no WebAssembly, damaged, text.
            Err(trouble) => return load(file, Profile::Server, &Rights::default()).and(Err(trouble)),
        };
        let manifest = parse_manifest(file, text)?;
        let rights = grants::everything(&manifest);
        let mut report = Self {
            file,
            title: title(&manifest),
            exit: Exit::Fine,
            edge: try_load(file, Profile::Edge, &rights)?.map(drop),
            lines: Vec::new(),
            facts: Map::new(),
        };
        report.judge_profiles(&rights, &strangers)?;
        report.tell_demands(&manifest, shape.as_ref());
        Ok(report)
    }

    /// The verdict, and everything that stands against it.
    fn judge_profiles(&mut self, rights: &Rights, strangers: &[String]) -> Result<(), Trouble> {
        let server = try_load(self.file, Profile::Server, rights)?.map(drop);
        let (word, verdict, against) = match (&self.edge, &server) {
            (Ok(()), _) => ("edge", "edge-ok: runs on gateways and servers, with the same fuel", None),
            (Err(edge), Ok(())) => ("server", "server only", Some(edge)),
            (Err(_), Err(server)) => {
                self.exit = Exit::PolicyIsNot;
                ("none", "runs nowhere", Some(server))
            }
        };
        self.facts.insert("profile".to_owned(), word.into());
        match against {
            None => self.lines.push(verdict.to_owned()),
            Some(reason) => {
                let guide = section_of(reason).place();
                self.lines.push(format!("{verdict}: {reason}; see {guide}"));
                self.facts.insert("reason".to_owned(), reason.to_string().into());
                self.facts.insert("guide".to_owned(), guide.into());
            }
        }
        if !strangers.is_empty() {
            self.lines.push(format!("  imports that are not the policy interface: {}", strangers.join(", ")));
        }
        self.facts.insert("other-imports".to_owned(), json!(strangers));
        Ok(())
    }

    fn tell_demands(&mut self, manifest: &Manifest<'_>, shape: Option<&Shape>) {
        let bytes = self.file.module.len();
        let pages = shape.and_then(|shape| shape.pages);
        let asked = if manifest.capabilities.is_empty() {
            "nothing".to_owned()
        } else {
            manifest.capabilities.to_string()
        };
        let mut sizes = vec![count(u64::try_from(bytes).unwrap_or(u64::MAX), "byte", "bytes")];
        sizes.extend(pages.map(|pages| count(pages, "page of memory", "pages of memory")));
        sizes.extend(manifest.fuel.map(|fuel| format!("at most {fuel} fuel")));
        self.lines.push(format!("  {}", sizes.join(", ")));
        self.lines.push(format!("  asks for: {asked}"));
        let needs_wasi = shape.is_some_and(|shape| shape.imports_wasi());
        if needs_wasi {
            self.lines.push("  needs wasi = \"inert\" in its section of agent.toml".to_owned());
        }
        self.facts.extend(
            [
                ("bytes", json!(bytes)),
                ("pages", json!(pages)),
                ("fuel", json!(manifest.fuel)),
                ("capabilities", json!(names(manifest.capabilities))),
                ("wasi", json!(needs_wasi)),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
    }

    fn demand_edge(&mut self) {
        if let Err(error) = &self.edge {
            self.exit = Exit::PolicyIsNot;
            self.facts.insert("guide".to_owned(), section_of(error).place().into());
        }
    }

    /// Loads it with the rights that it would have, and says what is left of what it asks for.
    fn hold_against(&mut self, check: &Check, meant: &Meant) -> Result<(), Trouble> {
        let text = manifest_of(self.file)?;
        let manifest = parse_manifest(self.file, text)?;
        let grants = grants::gather(&check.rights, meant.rights(), &manifest)?;
        if matches!(grants.from, From::Everything) && grants.rights.parameters.is_empty() {
            // That is how the profiles were judged.
            return Ok(());
        }
        let profile = check.profile.map_or(Profile::Server, ProfileName::profile);
        match try_load(self.file, profile, &grants.rights)? {
            Ok(policy) => self.tell_rights(&policy, &grants.from),
            Err(error) => self.refuse(&grants.from, &error),
        }
        if let From::Gate(module) = &grants.from {
            self.hold_against_pin(module);
            self.hold_against_keys(check)?;
        }
        Ok(())
    }

    fn refuse(&mut self, from: &From, error: &LoadError) {
        self.exit = Exit::PolicyIsNot;
        self.lines.push(format!("{}: refused: {error}", place(from)));
        self.lines.push(format!("  see {}", section_of(error).place()));
        self.facts.insert("refused".to_owned(), error.to_string().into());
        self.facts.insert("guide".to_owned(), section_of(error).place().into());
    }

    fn tell_rights(&mut self, policy: &Policy, from: &From) {
        let rights = policy.rights();
        let name = |service: u16| match from {
            From::Gate(module) => {
                module.services.get(&service).cloned().unwrap_or_else(|| format!("#{service}"))
            }
            From::Project | From::Everything => service.to_string(),
        };
        let services: Vec<_> =
            rights.services().map(|service| (name(service), rights.max_seconds(Some(service)))).collect();
        let (granted, withheld) = (rights.capabilities(), policy.withheld());
        self.facts.extend(
            [
                ("granted", json!(names(granted))),
                ("withheld", json!(names(withheld))),
                (
                    "services",
                    json!(
                        services
                            .iter()
                            .map(|(name, most)| json!({ "name": name, "max-seconds": most }))
                            .collect::<Vec<_>>()
                    ),
                ),
            ]
            .map(|(name, value)| (name.to_owned(), value)),
        );
        self.lines.push(format!("{}: accepted", place(from)));
        self.lines.push(format!(
            "  may: {}",
            if granted.is_empty() { "nothing".to_owned() } else { granted.to_string() }
        ));
        let opens = granted.has(Capability::Open) || granted.has(Capability::OpenPrefix);
        if opens {
            let each: Vec<_> =
                services.iter().map(|(name, most)| format!("{name} for {most} s at most")).collect();
            self.lines.push(format!("  opens: {}", each.join(", ")));
        }
        if !withheld.is_empty() {
            self.lines.push(format!("  withheld: {withheld}; grant it in `capabilities`, or expect -2"));
        }
    }

    fn hold_against_pin(&mut self, module: &Module) {
        let Some(pinned) = &module.sha256 else { return };
        let found = self.file.sha256();
        let is_pinned = *pinned == found;
        self.facts.insert("pinned".to_owned(), is_pinned.into());
        if is_pinned {
            self.lines.push("  its SHA-256 is the pinned one".to_owned());
            return;
        }
        self.exit = Exit::PolicyIsNot;
        self.lines.push(format!(
            "  its SHA-256 is {found} and sha256 pins {pinned}; give the pinned file, or correct the pin; see {}",
            Section::Installing.place()
        ));
    }

    fn hold_against_keys(&mut self, check: &Check) -> Result<(), Trouble> {
        let Some(config) = &check.rights.config else { return Ok(()) };
        let agent = agent_toml::read(config)?;
        if agent.keys().is_empty() {
            return Ok(());
        }
        // A line that is no key is the configuration's mistake, which `knockgated check` names with its line.
        let keys: Vec<_> = agent.keys().iter().filter_map(|line| PublicKey::parse(line).ok()).collect();
        let signature = std::fs::read_to_string(beside(&self.file.path)).ok();
        let verified = signature::verify(&keys, &self.file.content, signature.as_deref());
        self.facts.insert("signed".to_owned(), verified.is_ok().into());
        match verified {
            Ok(()) => self.lines.push("  its signature is good".to_owned()),
            Err(error) => {
                self.exit = Exit::PolicyIsNot;
                self.lines.push(format!("  {error}; see {}", Section::Signing.place()));
            }
        }
        Ok(())
    }

    fn told(mut self) -> Told {
        let mut lines = vec![format!("{} ({})", self.title, self.file.path.display())];
        lines.append(&mut self.lines);
        self.facts.insert("policy".to_owned(), self.title.into());
        self.facts.insert("file".to_owned(), json!(self.file.path));
        self.facts.insert("sha256".to_owned(), self.file.sha256().into());
        Told { exit: self.exit, lines, facts: Value::Object(self.facts) }
    }
}

fn place(from: &From) -> String {
    match from {
        From::Gate(module) => format!("[policy-module.{}]", module.name),
        From::Project => "[rights] of policy.toml".to_owned(),
        From::Everything => "with all that it asks for".to_owned(),
    }
}

fn names(capabilities: Capabilities) -> Vec<&'static str> {
    capabilities.iter().map(Capability::name).collect()
}

fn try_load(
    file: &PolicyFile,
    profile: Profile,
    rights: &Rights,
) -> Result<Result<Policy, LoadError>, Trouble> {
    let engine = PolicyEngine::new(profile, Capabilities::ALL).map_err(engine_trouble)?;
    Ok(engine.load("policy", &file.module, rights))
}

fn load(file: &PolicyFile, profile: Profile, rights: &Rights) -> Result<(), Trouble> {
    try_load(file, profile, rights)?.map(drop).map_err(|error| Trouble::with_load(&file.path, &error))
}
