//! What a module needs before its first instruction, held against what it may have.

use knockgate_policy_abi::Manifest;
use knockgate_policy_abi::limits::Limits;

use crate::LoadError;

/// The sizes that a module declares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Number of memories.
    pub(crate) memories: u32,
    /// Pages of memory.
    pub(crate) pages: u64,
    /// Number of tables.
    pub(crate) tables: u32,
    /// Elements of the largest table.
    pub(crate) table_elements: u64,
}

impl Needs {
    /// Checks what a module declares against the profile and the manifest's own promise.
    pub(crate) fn check(self, manifest: &Manifest<'_>, limits: &Limits) -> Result<(), LoadError> {
        if self.tables > 1 {
            return Err(LoadError::TooManyTables);
        }
        self.check_sizes(manifest, limits)
    }

    /// Checks what all modules of a component declare. Each may have a table and a memory of its own;
    /// what the memories have together is counted when they are made.
    #[cfg(feature = "component")]
    pub(crate) fn check_component(self, manifest: &Manifest<'_>, limits: &Limits) -> Result<(), LoadError> {
        let (memories, tables) = (self.memories, self.tables);
        if memories > crate::component::MEMORIES || tables > crate::component::TABLES {
            return Err(LoadError::ComponentTooLarge { memories, tables });
        }
        self.check_sizes(manifest, limits)
    }

    fn check_sizes(self, manifest: &Manifest<'_>, limits: &Limits) -> Result<(), LoadError> {
        let allowed = manifest.pages.unwrap_or(limits.pages);
        let (wanted, whose) = if allowed > limits.pages {
            (u64::from(allowed), limits.name)
        } else if allowed < limits.pages {
            (self.pages, "manifest")
        } else {
            (self.pages, limits.name)
        };
        let limit = u64::from(allowed.min(limits.pages));
        if wanted > limit {
            return Err(LoadError::TooManyPages { wanted, limit, whose });
        }
        if self.table_elements > u64::from(limits.table_elements) {
            return Err(LoadError::TableTooLarge {
                wanted: self.table_elements,
                limit: limits.table_elements,
                profile: limits.name,
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use knockgate_policy_abi::limits::{EDGE, SERVER};

    use super::*;

    #[test]
    fn pages_are_held_against_the_profile_and_the_manifest() {
        let cases = [
            ("", 1, &EDGE, Ok(())),
            ("", 2, &EDGE, Err((2, 1, "edge"))),
            ("pages=2", 1, &EDGE, Err((2, 1, "edge"))),
            ("pages=2", 2, &SERVER, Ok(())),
            ("pages=2", 3, &SERVER, Err((3, 2, "manifest"))),
            ("", 256, &SERVER, Ok(())),
            ("", 257, &SERVER, Err((257, 256, "server"))),
        ];
        for (number, (line, pages, limits, expected)) in cases.into_iter().enumerate() {
            let text = alloc::format!("abi=1.0\nname=x\n{line}");
            let needs = Needs { pages, ..Needs::default() };
            let expected =
                expected.map_err(|(wanted, limit, whose)| LoadError::TooManyPages { wanted, limit, whose });
            let manifest = Manifest::parse(text.as_bytes()).unwrap();
            assert_eq!(needs.check(&manifest, limits), expected, "case {number}");
        }
    }

    #[test]
    fn who_allows_so_few_pages_is_said_in_words() {
        for (whose, words) in [("edge", "the edge profile allows 1;"), ("manifest", "the manifest allows 1;")]
        {
            let text = alloc::format!("{}", LoadError::TooManyPages { wanted: 2, limit: 1, whose });
            assert!(text.contains(words), "{text}");
        }
    }
}
