//! A draft as the text of a configuration, and as what to do next.

use std::fmt::Write;
use std::path::Path;

use super::{Door, Draft, Masquerade, NewClient, NewService, duration};
use crate::admin::counted;
use crate::admin::import::finding::shown;
use crate::admin::init::text::process;
use crate::config::DEFAULT_PATH;

impl Draft {
    /// A configuration that the agent reads.
    pub(in crate::admin::import) fn text(&self) -> String {
        let mut text = format!(
            "# Made by `knockgated import` of {}. `knockgated check` says what it means.\n\n[gate]\naddress = {}\n\
             state-dir = \"/var/lib/knockgate\"\naudit-log = \"/var/log/knockgate/audit.jsonl\"\n",
            shown(&self.file),
            quoted(&self.address)
        );
        if !self.interfaces.is_empty() {
            text += &format!("interfaces = {}\n", list(&self.interfaces));
        }
        text += &self.packet();
        text += &process(self.worker);
        for (id, service) in (1_u16..).zip(&self.services) {
            text += &service_text(id, service);
        }
        self.doors.iter().for_each(|door| text += &door_text(door));
        text += &self.policies();
        self.proposals.iter().for_each(|proposal| text += &commented(&proposal.text));
        text
    }

    fn packet(&self) -> String {
        if self.packet_port.is_none() && self.max_age.is_none() {
            return String::new();
        }
        let port = self.packet_port.as_ref().map_or_else(String::new, |port| format!("ports = [{port}]\n"));
        let age =
            self.max_age.map_or_else(String::new, |age| format!("max-age = {}\n", quoted(&duration(age))));
        format!("\n[packet]\n{port}{age}")
    }

    /// From where each client may knock. Clients with the same networks share a policy, of which there are few.
    fn policies(&self) -> String {
        let bound: Vec<&NewClient> =
            self.clients.iter().filter(|client| !client.networks.is_empty()).collect();
        if bound.is_empty() {
            return String::new();
        }
        let mut sets: Vec<&[String]> = bound.iter().map(|client| client.networks.as_slice()).collect();
        sets.sort_unstable();
        sets.dedup();
        let mut text = "\n# From where clients may knock.\n[policy.clients]\n".to_owned();
        for client in bound {
            let at = sets.iter().position(|set| *set == client.networks).unwrap_or_default();
            text += &format!("{} = [\"networks-{}\", \"default\"]\n", key(&client.name), at + 1);
        }
        for (number, set) in (1..).zip(sets) {
            text += &format!(
                "\n[policy-module.networks-{number}]\nbuilt-in = \"known-networks\"\n\n\
                 [policy-module.networks-{number}.parameters]\nnetworks = {}\n",
                list(set)
            );
        }
        text
    }

    /// What it is, in a line.
    pub(in crate::admin::import) fn summary(&self) -> String {
        let mut parts = vec![counted(self.services.len(), "service")];
        if self.old == "knockd" {
            parts.push(counted(self.doors.len(), "static sequence"));
        } else {
            parts.push(counted(self.clients.len(), "client"));
        }
        if !self.proposals.is_empty() {
            parts.push(format!("{} as a comment", counted(self.proposals.len(), "proposal")));
        }
        format!("{} of {}: {}\n", self.old, shown(&self.file), parts.join(", "))
    }

    /// From this file to a gate that runs.
    pub(in crate::admin::import) fn next_steps(&self, path: &Path) -> String {
        let option = if path == Path::new(DEFAULT_PATH) {
            String::new()
        } else {
            format!(" --config {}", path.display())
        };
        let mut text = format!(
            "next:\n  knockgated init{option}    # keys and state for this configuration\n  knockgated check{option}\n"
        );
        for client in &self.clients {
            let services: String = client.services.iter().map(|name| format!(" --service {name}")).collect();
            let expires =
                client.expires.as_ref().map_or_else(String::new, |when| format!(" --expires {when}"));
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "  knockgated client add {}{services}{expires}{option}    # {}",
                client.name, client.origin
            );
        }
        if self.clients.is_empty() {
            text +=
                &format!("  knockgated client add NAME{option}    # for everybody who can run `knockgate`\n");
        }
        text + "docs/migrating.md says how both run beside each other meanwhile, and how to go back\n"
    }
}

fn service_text(id: u16, service: &NewService) -> String {
    let ports: Vec<_> = service.ports.iter().map(u16::to_string).collect();
    let mut text = format!(
        "\n[service.{}]\nid = {id}    # never change it: profiles and policies use it\nprotocol = \"{}\"\nports = [{}]\n",
        key(&service.name),
        service.protocol.word(),
        ports.join(", "),
    );
    for (name, seconds) in [("open", service.open), ("max-open", service.max_open)] {
        text +=
            &seconds.map_or_else(String::new, |seconds| format!("{name} = {}\n", quoted(&duration(seconds))));
    }
    if !service.forward.is_empty() {
        let forward: Vec<_> = service.forward.iter().map(ToString::to_string).collect();
        text += &format!("forward = {}\n", list(&forward));
        if service.masquerade == Masquerade::Wanted {
            text += "masquerade = true\n";
        }
    }
    text
}

fn door_text(door: &Door) -> String {
    format!(
        "\n# {}\n[[static-sequence]]\nname = {}\nsequence = {}\nservice = {}\nopen = {}\nwithin = {}\n",
        one_line(&door.origin),
        quoted(&door.name),
        list(&door.steps),
        quoted(&door.service),
        quoted(&duration(door.open)),
        quoted(&duration(door.within)),
    )
}

fn commented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("# {line}").trim_end().to_owned() + "\n");
    format!("\n{}", lines.collect::<String>())
}

/// For a comment: a name of a file may have any character.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, "?")
}

fn key(name: &str) -> String {
    // A dot would begin a table within the table.
    if name.contains('.') { quoted(name) } else { name.to_owned() }
}

fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
