//! What becomes of commands that do not open a port: the beginning of a policy, as a comment.

use super::file::Door;
use crate::admin::import::command::Errand;
use crate::admin::import::names;

/// Why a door's errand is not carried over and what to do, and the tables to begin with.
pub(super) fn of(door: &Door, errand: &Errand) -> (String, String) {
    let name = names::fresh(&door.name, std::iter::empty());
    let (does, with, tables) = match errand {
        Errand::Starts(unit) => {
            (format!("starts {unit}"), "start that unit", starts(&name, unit, "what the command started"))
        }
        Errand::WakesMachine => (
            "wakes a machine".to_owned(),
            "start a unit that wakes it",
            starts(
                &name,
                &format!("wake-{name}.service"),
                "a unit of your own, with that very command as ExecStart=",
            ),
        ),
        Errand::Tells => ("tells somebody".to_owned(), "notify a channel", tells(&name)),
        Errand::Runs(program) => (
            format!("runs {program}"),
            "start a unit that runs it",
            starts(
                &name,
                &format!("{name}.service"),
                "a unit of your own, with what the command did as ExecStart=",
            ),
        ),
    };
    let what = format!(
        "[{}] {does}, and Knockgate runs no commands; a policy of yours can {with} when a service is knocked for. The \
         configuration has the beginning of it as a comment, docs/policies.md the rest",
        door.name
    );
    let head = format!(
        "Of [{}]: write a policy that does this when its service is knocked for, and take the marks away.\n",
        door.name
    );
    (what, head + &tables)
}

fn starts(name: &str, unit: &str, which: &str) -> String {
    let key = key(name);
    let (unit, quoted) = (toml::Value::from(unit), toml::Value::from(name));
    format!(
        "[unit.{key}]\nid = 1\nunit = {unit}    # {which}\n\n[policy-module.{key}]\n\
         file = \"/etc/knockgate/policies/{name}.wasm\"\nservices = [\"NAME-OF-THE-SERVICE\"]\n\
         capabilities = [\"open\", \"start\"]\nunits = [{quoted}]\n"
    )
}

fn tells(name: &str) -> String {
    let key = key(name);
    let quoted = toml::Value::from(name);
    format!(
        "[channel.{key}]\nid = 1\nwebhook = \"https://HOST/PATH\"    # or socket = \"/run/NAME.sock\"\n\n\
         [policy-module.{key}]\nfile = \"/etc/knockgate/policies/{name}.wasm\"\nservices = [\"NAME-OF-THE-SERVICE\"]\n\
         capabilities = [\"open\", \"notify\"]\nchannels = [{quoted}]\n"
    )
}

fn key(name: &str) -> String {
    // A dot would begin a table within the table.
    if name.contains('.') { toml::Value::from(name).to_string() } else { name.to_owned() }
}
