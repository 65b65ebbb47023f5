//! Puts a manifest into a compiled policy.
//!
//! Languages that cannot write a custom section keep their manifest in a text file beside the source; this appends it to
//! what their compiler made: a core module or a component, whose outermost level has the same shape of sections. Nothing else
//! of the file changes. A policy that has a manifest already is refused, because a host refuses a file with two.

use knockgate_policy_abi::interface::MANIFEST_SECTION;
use knockgate_policy_abi::{Manifest, ManifestError, manifest_section};
use thiserror::Error;

/// Why a manifest was not put in.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum EmbedError {
    /// The bytes are no WebAssembly.
    #[error("not a WebAssembly module or component; give the compiled `.wasm` file")]
    NotWasm,
    /// The bytes end too early or a length is wrong.
    #[error("damaged: the section at byte {offset:#x} does not end within the file; build it anew")]
    Damaged {
        /// Where the section begins.
        offset: usize,
    },
    /// There is a manifest already.
    #[error("has a manifest already; remove it from the source or leave the text file away")]
    Twice,
    /// The text is no manifest. Its line is named.
    #[error("manifest: {0}")]
    Manifest(ManifestError),
}

/// The module or component with `text` as its manifest.
///
/// # Errors
/// The module is none or has a manifest, or the text is none.
pub fn manifest(module: &[u8], text: &str) -> Result<Vec<u8>, EmbedError> {
    Manifest::parse(text.as_bytes()).map_err(EmbedError::Manifest)?;
    if found(module)?.is_some() {
        return Err(EmbedError::Twice);
    }
    Ok(module.iter().copied().chain(manifest_section(text)).collect())
}

/// The text of the manifest at the outermost level of a module or component, if it has one.
///
/// # Errors
/// The bytes are none.
pub fn found(module: &[u8]) -> Result<Option<&[u8]>, EmbedError> {
    let is_wasm = PREAMBLES.iter().any(|preamble| module.starts_with(preamble));
    let mut rest = module.get(PREAMBLE_LEN..).filter(|_| is_wasm).ok_or(EmbedError::NotWasm)?;
    while let [kind, after @ ..] = rest {
        let offset = module.len().saturating_sub(rest.len());
        let (content, next) = split_counted(after).ok_or(EmbedError::Damaged { offset })?;
        if *kind == CUSTOM {
            let (name, text) = split_counted(content).ok_or(EmbedError::Damaged { offset })?;
            if name == MANIFEST_SECTION.as_bytes() {
                return Ok(Some(text));
            }
        }
        rest = next;
    }
    Ok(None)
}

/// Whether the bytes begin as a component does.
pub(crate) fn is_component(module: &[u8]) -> bool {
    let [_, component] = PREAMBLES;
    module.starts_with(component)
}

/// Number of custom sections in modules and components alike.
const CUSTOM: u8 = 0;
const PREAMBLE_LEN: usize = 8;
/// What a core module and a component begin with: magic, version, layer.
const PREAMBLES: [&[u8]; 2] = [b"\0asm\x01\0\0\0", b"\0asm\x0d\0\x01\0"];

/// What a length in LEB128 counts, and what follows it.
fn split_counted(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (mut len, mut rest) = (0_usize, bytes);
    // A length has 32 bits: five bytes at most.
    for shift in [0, 7, 14, 21, 28] {
        let (byte, after) = rest.split_first()?;
        len |= usize::from(byte & 0x7f).checked_shl(shift)?;
        rest = after;
        if byte & 0x80 == 0 {
            return rest.split_at_checked(len);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "abi=1.0\nname=mine\n";

    #[test]
    fn a_module_and_a_component_get_a_manifest_that_is_found_again() {
        for text in
            ["(module (func (export \"decide\") (result i32) i32.const 1))", "(component (core module))"]
        {
            let module = wat::parse_str(text).unwrap();
            assert_eq!(found(&module), Ok(None), "{text}");
            let whole = manifest(&module, TEXT).unwrap();
            assert_eq!(found(&whole), Ok(Some(TEXT.as_bytes())), "{text}");
            assert!(whole.starts_with(&module), "{text}: nothing else changes");
            wasmparser::validate(&whole).unwrap();
        }
    }

    #[test]
    fn a_long_manifest_has_a_length_of_two_bytes() {
        let module = wat::parse_str("(module)").unwrap();
        for len in [80, 100, 127, 128, 300, 2000] {
            let text = format!("{TEXT}# {}\n", "x".repeat(len));
            let whole = manifest(&module, &text).unwrap();
            assert_eq!(found(&whole), Ok(Some(text.as_bytes())), "{len}");
            wasmparser::validate(&whole).unwrap();
        }
    }

    #[test]
    fn a_second_manifest_is_refused() {
        let once = manifest(&wat::parse_str("(module)").unwrap(), TEXT).unwrap();
        assert_eq!(manifest(&once, TEXT), Err(EmbedError::Twice));
        let own = wat::parse_str(r#"(module (@custom "knockgate.manifest" "abi=1.0"))"#).unwrap();
        assert_eq!(manifest(&own, TEXT), Err(EmbedError::Twice));
    }

    #[test]
    fn a_manifest_inside_a_component_s_module_is_not_the_component_s() {
        let inner = r#"(component (core module (@custom "knockgate.manifest" "abi=1.0")))"#;
        assert_eq!(found(&wat::parse_str(inner).unwrap()), Ok(None));
    }

    #[test]
    fn a_wrong_text_is_refused_with_its_line() {
        let module = wat::parse_str("(module)").unwrap();
        let said = manifest(&module, "abi=1.0\nname=Mine\n").unwrap_err().to_string();
        assert!(said.starts_with("manifest: line 2: not a name;"), "{said}");
    }

    #[test]
    fn bytes_that_are_no_module_are_refused_wherever_they_end() {
        let whole = manifest(&wat::parse_str("(module (func))").unwrap(), TEXT).unwrap();
        for bytes in [b"".as_slice(), b"\0asm", b"(module)", b"\0asm\x02\0\0\0"] {
            assert_eq!(found(bytes), Err(EmbedError::NotWasm), "{bytes:?}");
        }
        for end in PREAMBLE_LEN..whole.len() {
            // A file may end after a section; then it has no manifest.
            assert!(!matches!(found(&whole[..end]), Ok(Some(_))), "cut at {end}");
        }
        assert_eq!(found(b"\0asm\x01\0\0\0\x00\xff\xff\xff\xff\xff"), Err(EmbedError::Damaged { offset: 8 }));
    }
}
