//! The custom section that carries a manifest, for tools that put one into a module whose language cannot.

use core::iter;

use crate::interface::MANIFEST_SECTION;

/// Number of custom sections in modules and components alike.
const CUSTOM: u8 = 0;

/// The bytes of the section: appended to a core module or a component, they give it this manifest. The text is not checked.
pub fn manifest_section(text: &str) -> impl Iterator<Item = u8> {
    let name = MANIFEST_SECTION.as_bytes();
    let content = leb128(name.len()).chain(name.iter().copied()).chain(text.bytes());
    iter::once(CUSTOM).chain(leb128(content.clone().count())).chain(content)
}

/// A length as WebAssembly writes it: seven bits a byte, the lowest first.
fn leb128(length: usize) -> impl Iterator<Item = u8> + Clone {
    let mut left = Some(length);
    iter::from_fn(move || {
        let [low, ..] = left?.to_le_bytes();
        left = left.map(|length| length >> 7).filter(|rest| *rest > 0);
        Some(if left.is_some() { low | 0x80 } else { low & 0x7f })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_as_webassembly_reads_them() {
        let cases: [(usize, &[u8]); 6] = [
            (0, &[0]),
            (1, &[1]),
            (127, &[0x7f]),
            (128, &[0x80, 1]),
            (300, &[0xac, 2]),
            (16_384, &[0x80, 0x80, 1]),
        ];
        for (length, bytes) in cases {
            assert!(leb128(length).eq(bytes.iter().copied()), "{length}");
        }
    }

    #[test]
    fn a_section_is_its_number_its_length_its_name_and_the_text() {
        let expected = b"\0\x1a\x12knockgate.manifestabi=1.0";
        assert!(manifest_section("abi=1.0").eq(expected.iter().copied()));
    }
}
