//! Compiles a policy for hosts that have no compiler.

use crate::answer::{Section, Told, Trouble};
use crate::cli::{Compile, TargetName};
use crate::grants;
use crate::judges;
use crate::project::Meant;

pub(crate) fn run(compile: &Compile) -> Result<Told, Trouble> {
    let file = Meant::find(&compile.subject.path)?.policy;
    let manifest = super::parse_manifest(&file, super::manifest_of(&file)?)?;
    match compile.target {
        TargetName::Gateway => {
            judges::first(&file, &grants::everything(&manifest), knockgate_policy_host::Profile::Edge)
                .map(drop)?;
        }
    }
    Err(Trouble::with_use(
        Section::Compile,
        "this version makes no compiled policies yet; give the gateway's image the `.wasm` file",
    ))
}
