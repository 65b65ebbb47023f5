//! What becomes of commands that do not open a port: the beginning of a policy, as a comment.

use super::file::Door;
use crate::admin::import::command::Errand;

/// Why a door's errand is not carried over, and what to do.
pub(super) fn reason(door: &Door, errand: &Errand) -> String {
    let (does, with) = match errand {
        Errand::Starts(unit) => (format!("starts {unit}"), "start that unit"),
        Errand::WakesMachine => ("wakes a machine".to_owned(), "start a unit that wakes it"),
        Errand::Tells => ("tells somebody".to_owned(), "notify a channel"),
        Errand::Runs(program) => (format!("runs {program}"), "start a unit that runs it"),
    };
    format!(
        "[{}] {does}, and Knockgate runs no commands; a policy of yours can {with} when a service is knocked for. The \
         configuration has the beginning of it as a comment, docs/policies.md the rest",
        door.name
    )
}

/// The tables to begin with, under a name and a number that nothing else in the file has.
pub(super) fn text(door: &Door, errand: &Errand, name: &str, id: u16) -> String {
    let tables = match errand {
        Errand::Starts(unit) => starts(name, id, unit, "what the command started"),
        Errand::WakesMachine => {
            let which = "a unit of your own, with that very command as ExecStart=";
            starts(name, id, &format!("wake-{name}.service"), which)
        }
        Errand::Tells => tells(name, id),
        Errand::Runs(_) => {
            let which = "a unit of your own, with what the command did as ExecStart=";
            starts(name, id, &format!("{name}.service"), which)
        }
    };
    format!(
        "Of [{}]: write a policy that does this when its service is knocked for, name the service here, and take the marks away.\n\
         {tables}",
        door.name
    )
}

fn starts(name: &str, id: u16, unit: &str, which: &str) -> String {
    let key = key(name);
    let (unit, quoted) = (toml::Value::from(unit), toml::Value::from(name));
    format!(
        "[unit.{key}]\nid = {id}\nunit = {unit}    # {which}\n\n[policy-module.{key}]\n\
         file = \"/etc/knockgate/policies/{name}.wasm\"\nservices = [\"NAME-OF-THE-SERVICE\"]\n\
         capabilities = [\"open\", \"start\"]\nunits = [{quoted}]\n"
    )
}

fn tells(name: &str, id: u16) -> String {
    let key = key(name);
    let quoted = toml::Value::from(name);
    format!(
        "[channel.{key}]\nid = {id}\nwebhook = \"https://HOST/PATH\"    # or socket = \"/run/NAME.sock\"\n\n\
         [policy-module.{key}]\nfile = \"/etc/knockgate/policies/{name}.wasm\"\nservices = [\"NAME-OF-THE-SERVICE\"]\n\
         capabilities = [\"open\", \"notify\"]\nchannels = [{quoted}]\n"
    )
}

fn key(name: &str) -> String {
    // A dot would begin a table within the table.
    if name.contains('.') { toml::Value::from(name).to_string() } else { name.to_owned() }
}
