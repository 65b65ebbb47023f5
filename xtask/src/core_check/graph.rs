//! The dependency graph of a package for a target, as cargo resolves it.

use anyhow::Result;

use crate::tool;

/// One crate in a graph, with the features that are on.
pub(crate) struct Crate {
    pub(crate) name: String,
    features: Vec<String>,
}

impl Crate {
    /// The features that would bring the standard library or a heap.
    pub(crate) fn std_features(&self) -> impl Iterator<Item = &String> {
        self.features.iter().filter(|feature| ["std", "alloc"].contains(&feature.as_str()))
    }
}

/// Everything that ends up in the package when it is built alone for the target: no development dependencies, no build
/// scripts, no procedural macros. The package itself is included.
pub(crate) fn normal(package: &str, target: &str) -> Result<Vec<Crate>> {
    let mut tree = tool::cargo();
    tree.args(["tree", "--quiet", "--locked", "-p", package, "--target", target]);
    tree.args(["--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}|{f}"]);
    let mut crates: Vec<Crate> = tool::output(&mut tree)?.lines().filter_map(parse).collect();
    crates.sort_by(|a, b| a.name.cmp(&b.name));
    crates.dedup_by(|a, b| a.name == b.name && a.features == b.features);
    Ok(crates)
}

/// `serde v1.0.200 (*)|derive,std`; the mark of a repeated crate follows the features.
fn parse(line: &str) -> Option<Crate> {
    let (package, features) = line.split_once('|')?;
    let name = package.split_whitespace().next()?.to_owned();
    let features = features.trim_end_matches("(*)").trim();
    Some(Crate { name, features: features.split(',').filter(|f| !f.is_empty()).map(str::to_owned).collect() })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_line_of_the_tree_is_a_crate_with_its_features() {
        for (line, name, std) in [
            ("heapless v0.9.1|serde", "heapless", false),
            ("serde v1.0.228|derive,std", "serde", true),
            ("serde_core v1.0.228|alloc (*)", "serde_core", true),
            ("knockgate-core v0.1.0 (/somewhere/core)|", "knockgate-core", false),
        ] {
            let parsed = parse(line).expect("a crate");
            assert_eq!((parsed.name.as_str(), parsed.std_features().count() > 0), (name, std), "{line}");
        }
    }
}
