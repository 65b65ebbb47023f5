//! How large firmware may be: `agent-embedded/firmware/budget.toml`.

use anyhow::{Context, Result};

const FILE: &str = "agent-embedded/firmware/budget.toml";

/// What a gateway may take.
pub(crate) struct Budget {
    /// Bytes of code and of constant and initial data.
    pub(crate) code: u32,
    /// Bytes of memory: static data, heap and stack together, each at its most.
    pub(crate) memory: u32,
}

pub(crate) fn read() -> Result<Budget> {
    let text = std::fs::read_to_string(FILE).with_context(|| format!("cannot read {FILE}"))?;
    let number = |key: &str| {
        let value = text.lines().find_map(|line| line.strip_prefix(key)?.trim().strip_prefix('='));
        let value = value.with_context(|| format!("{FILE} has no line `{key} = BYTES`; add it"))?;
        let digits = value.trim().replace('_', "");
        digits.parse().with_context(|| format!("{FILE}: {key} is {value}, which is no number of bytes"))
    };
    Ok(Budget { code: number("code")?, memory: number("memory")? })
}
