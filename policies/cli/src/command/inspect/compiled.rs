//! Shows what is in a compiled policy.

use knockgate_policy_host::precompiled::{ENGINE_VERSION, Precompiled, Target};
use serde_json::json;

use crate::answer::{Exit, Section, Told, Trouble};
use crate::policy_file::{PolicyFile, hex};
use crate::text::count;

pub(super) fn run(file: &PolicyFile) -> Result<Told, Trouble> {
    let path = file.path.display();
    let compiled = Precompiled::parse(&file.content)
        .map_err(|error| Trouble::with_policy(Section::Compile, format!("{path}: {error}")))?;
    let manifest = String::from_utf8_lossy(compiled.manifest());
    let (bytes, code) = (file.content.len(), compiled.code().len());
    let (hosts, module) = (hosts(compiled.target()), hex(compiled.module_sha256()));
    let mut lines = vec![
        format!("{path}: compiled policy for {hosts}, {}", count(bytes, "byte", "bytes")),
        format!("  sha256 {}", file.sha256()),
        format!(
            "  runs on engine {ENGINE_VERSION} and no other: {} of byte code",
            count(code, "byte", "bytes")
        ),
        format!("  made from the module with sha256 {module}"),
        "manifest:".to_owned(),
    ];
    lines.extend(manifest.lines().map(|line| format!("  {line}")));
    let facts = json!({
        "file": file.path, "kind": "compiled", "bytes": bytes, "sha256": file.sha256(), "target": hosts,
        "engine": ENGINE_VERSION, "code-bytes": code, "module-sha256": module, "manifest": manifest,
    });
    Ok(Told { exit: Exit::Fine, lines, facts })
}

const fn hosts(target: Target) -> &'static str {
    match target {
        Target::Gateway => "gateways",
        Target::Wide => "gateways' tests on a larger machine",
    }
}
