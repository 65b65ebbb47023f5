//! Shows what is in a policy.

mod compiled;

use knockgate_policy_abi::interface;
use knockgate_policy_host::precompiled::Precompiled;
use serde_json::{Value, json};
use wasmparser::{ExternalKind, Parser, Payload, TypeRef};

use super::sign::beside;
use crate::answer::{Exit, Told, Trouble};
use crate::cli::Inspect;
use crate::embed;
use crate::policy_file::{PolicyFile, WrittenAs};
use crate::project::Meant;
use crate::text::count;

pub(crate) fn run(inspect: &Inspect) -> Result<Told, Trouble> {
    let file = Meant::find(&inspect.subject.path)?.policy;
    if Precompiled::is_meant_by(&file.content) {
        return compiled::run(&file);
    }
    let manifest = super::manifest_of(&file).map(String::from_utf8_lossy)?;
    let shape = Shape::read(&file).unwrap_or_default();
    let kind = kind(&file);
    let is_signed = beside(&file.path).exists();
    let bytes = file.module.len();
    let mut lines = vec![
        format!(
            "{}: {kind}, {}",
            file.path.display(),
            count(u64::try_from(bytes).unwrap_or(u64::MAX), "byte", "bytes")
        ),
        format!("  sha256 {}", file.sha256()),
        format!("  signature: {}", if is_signed { "there is one beside it" } else { "none beside it" }),
    ];
    lines.extend(shape.pages.map(|pages| format!("  memory: {}", count(pages, "page", "pages of 64 KiB"))));
    lines.extend(
        shape.elements.map(|elements| format!("  table: {}", count(elements, "element", "elements"))),
    );
    lines.push("manifest:".to_owned());
    lines.extend(manifest.lines().map(|line| format!("  {line}")));
    lines.push("imports:".to_owned());
    lines.extend(shape.imports.iter().map(|(from, name)| format!("  {}", joined(from, name))));
    lines.push("exports:".to_owned());
    lines.extend(shape.exports.iter().map(|name| format!("  {name}")));
    lines.push("sections:".to_owned());
    lines.extend(shape.sections.iter().map(|(name, bytes)| format!("  {bytes:>8}  {name}")));
    let imports: Vec<_> =
        shape.imports.iter().map(|(from, name)| json!({ "from": from, "name": name })).collect();
    let sections: Vec<Value> =
        shape.sections.iter().map(|(name, bytes)| json!({ "name": name, "bytes": bytes })).collect();
    let facts = json!({
        "file": file.path, "kind": kind, "bytes": bytes, "sha256": file.sha256(), "signed": is_signed,
        "pages": shape.pages, "table-elements": shape.elements, "manifest": manifest, "imports": imports,
        "exports": shape.exports, "sections": sections,
    });
    Ok(Told { exit: Exit::Fine, lines, facts })
}

fn kind(file: &PolicyFile) -> &'static str {
    match file.written_as {
        WrittenAs::Text => "WebAssembly text, as a module",
        WrittenAs::Binary if embed::is_component(&file.module) => "component",
        WrittenAs::Binary => "module",
    }
}

fn joined(from: &str, name: &str) -> String {
    if name.is_empty() { from.to_owned() } else { format!("{from} {name}") }
}

/// What a module or component declares, at its outermost level.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// Pages of memory at the start.
    pub(super) pages: Option<u64>,
    /// Elements of its largest table.
    elements: Option<u64>,
    /// From where, and what; a component imports whole interfaces, whose second half is empty.
    imports: Vec<(String, String)>,
    exports: Vec<String>,
    /// Custom sections and their sizes.
    sections: Vec<(String, usize)>,
}

impl Shape {
    /// `None` for what is damaged; the host says where.
    pub(super) fn read(file: &PolicyFile) -> Option<Self> {
        let mut shape = Self::default();
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(&file.module) {
            match payload.ok()? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                payload if depth == 0 => shape.take(payload)?,
                _ => {}
            }
        }
        Some(shape)
    }

    fn take(&mut self, payload: Payload<'_>) -> Option<()> {
        match payload {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    let import = import.ok()?;
                    let is_function = matches!(import.ty, TypeRef::Func(_) | TypeRef::FuncExact(_));
                    let kind = if is_function { "" } else { " (not a function)" };
                    self.imports.push((import.module.to_owned(), format!("{}{kind}", import.name)));
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export.ok()?;
                    self.exports.push(format!("{} ({})", export.name, export_kind(export.kind)));
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.pages = self.pages.max(Some(memory.ok()?.initial));
                }
            }
            Payload::TableSection(tables) => {
                for table in tables {
                    self.elements = self.elements.max(Some(table.ok()?.ty.initial));
                }
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports {
                    self.imports.push((import.ok()?.name.name.to_owned(), String::new()));
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports {
                    self.exports.push(export.ok()?.name.name.to_owned());
                }
            }
            Payload::CustomSection(section) => {
                self.sections.push((section.name().to_owned(), section.data().len()))
            }
            // Code, data and types are the compiler's matter.
            _ => {}
        }
        Some(())
    }

    /// Imports that no host of this version has for anybody.
    pub(super) fn strange_imports(&self) -> Vec<String> {
        let is_known = |from: &str, name: &str| {
            if is_wasi(from) {
                return true;
            }
            if name.is_empty() { interface::knows(from) } else { interface::find(from, name).is_some() }
        };
        let strange = self.imports.iter().filter(|(from, name)| !is_known(from, name));
        strange.map(|(from, name)| joined(from, name)).collect()
    }

    pub(super) fn imports_wasi(&self) -> bool {
        self.imports.iter().any(|(from, _)| is_wasi(from))
    }
}

/// Preview 1 of core modules, or the packages of components.
fn is_wasi(from: &str) -> bool {
    from == "wasi_snapshot_preview1" || from.starts_with("wasi:")
}

fn export_kind(kind: ExternalKind) -> &'static str {
    match kind {
        ExternalKind::Func | ExternalKind::FuncExact => "function",
        ExternalKind::Table => "table",
        ExternalKind::Memory => "memory",
        ExternalKind::Global => "global",
        ExternalKind::Tag => "tag",
    }
}
