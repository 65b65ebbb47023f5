//! fwknop with iptables, as its package sets it up: one packet under Rijndael and an HMAC, and a rule that fwknopd has `iptables` add.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use knockgate_tests::peers::Service;
use knockgate_tests::programs;
use knockgate_tests::scenes::SSH;
use knockgate_tests::{Family, Lab};

use crate::addresses::Addresses;
use crate::peer::{Client, Knock, Observed, Peer};
use crate::process::Process;
use crate::wire::{Watching, Wire};
use knockgate_tests::counted::Counted;
use knockgate_tests::installed;

/// Where fwknop's client sends its packet.
const KNOCK: u16 = 62201;

/// A default-deny firewall; fwknopd adds a chain of its own.
const RULES: [&str; 3] = [
    "-P INPUT DROP",
    "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    "-A INPUT -i lo -j ACCEPT",
];

/// How fwknopd hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ear {
    /// What it does unless told otherwise: libpcap, looked at ten times a second.
    Pcap,
    /// A bound socket behind an open port.
    UdpServer,
}

/// What has to be installed for fwknop to be measured.
#[derive(Clone)]
pub(crate) struct Programs {
    daemon: PathBuf,
    client: PathBuf,
    iptables: PathBuf,
}

impl Programs {
    /// If one is missing, that is said.
    pub(crate) fn find_or_say() -> Option<Self> {
        let found = Self::find();
        found
            .inspect_err(|missing| {
                eprintln!(
                    "bench: {missing} is not installed, so fwknop is left out; `apt install fwknop-server fwknop-client iptables`"
                );
            })
            .ok()
    }

    /// All of them, or the name of one that is missing.
    pub(crate) fn find() -> Result<Self, &'static str> {
        let find = |program| installed::find(program).ok_or(program);
        Ok(Self { daemon: find("fwknopd")?, client: find("fwknop")?, iptables: find("iptables")? })
    }

    pub(crate) fn version(&self) -> Result<String> {
        installed::version_number(&self.daemon)
    }
}

pub(crate) struct Fwknop<'lab> {
    lab: &'lab Lab,
    wire: Wire,
    addresses: Addresses,
    programs: Programs,
    ear: Ear,
    title: String,
    keys: Keys,
    daemon: Counted,
    _service: Service,
}

impl<'lab> Fwknop<'lab> {
    pub(crate) fn set(lab: &'lab Lab, programs: Programs, ear: Ear) -> Result<Self> {
        let iptables = |rule: &str| {
            programs::output(lab.gate.command(&programs.iptables).args(rule.split(' '))).map(drop)
        };
        RULES.into_iter().try_for_each(iptables)?;
        let (manner, says) = match ear {
            Ear::Pcap => ("default", "Starting fwknopd main event loop"),
            Ear::UdpServer => {
                iptables(&format!("-A INPUT -p udp --dport {KNOCK} -j ACCEPT"))?;
                ("UDP server", "Kicking off UDP server")
            }
        };
        let keys = Keys::generate(lab, &programs)?;
        let daemon = daemon(lab, &programs, ear, &keys, says)?;
        let version = programs.version()?;
        Ok(Self {
            lab,
            wire: Wire::to(lab, SSH)?,
            addresses: Addresses::of(lab)?,
            ear,
            title: format!("fwknop {version}, {manner}: one packet, by its client"),
            programs,
            keys,
            daemon,
            _service: Service::start(&lab.gate, SSH, "ssh")?,
        })
    }

    /// What fwknopd has let in, it lets in no more.
    fn shut(&self) -> Result<()> {
        let mut flush = self.lab.gate.command(&self.programs.iptables);
        programs::output(flush.args(["-F", "FWKNOP_INPUT"])).map(drop)
    }
}

impl Peer for Fwknop<'_> {
    fn id(&self) -> &'static str {
        match self.ear {
            Ear::Pcap => "fwknop",
            Ear::UdpServer => "fwknop-udp",
        }
    }

    fn title(&self) -> &str {
        &self.title
    }

    fn lab(&self) -> &Lab {
        self.lab
    }

    fn process(&self) -> Option<Process> {
        Some(Process(self.daemon.pid()))
    }

    fn written(&self) -> u64 {
        self.daemon.written()
    }

    /// For an address that nobody had before, and from none in particular: the packet says for whom it is.
    fn knock(&mut self, watching: Watching) -> Result<Knock> {
        let address = self.addresses.fresh();
        self.wire.speak_as(address);
        let gate = self.lab.gate.ip(Family::V4).to_string();
        let mut command = Command::new(&self.programs.client);
        command.env("HOME", self.lab.path(""));
        command.args(["-A", &format!("tcp/{SSH}"), "-a", &address.to_string(), "-D", &gate]);
        command.args(["--no-save-args", "--use-hmac"]);
        command.args(["--key-base64-rijndael", &self.keys.rijndael, "--key-base64-hmac", &self.keys.hmac]);
        let observed = Observed::by(&mut self.wire, &self.lab.client, watching, &mut command);
        self.shut()?;
        let knock = observed?.knock(|segment| segment.is_datagram_to(KNOCK))?;
        // It ends when it has sent the packet, and hears nothing.
        let client = knock.client.map(|client| Client { to_end: None, ..client });
        Ok(Knock { client, ..knock })
    }
}

struct Keys {
    rijndael: String,
    hmac: String,
}

impl Keys {
    /// `KEY_BASE64: ...` and `HMAC_KEY_BASE64: ...`.
    fn generate(lab: &Lab, programs: &Programs) -> Result<Self> {
        let mut generate = Command::new(&programs.client);
        let said = programs::output(generate.env("HOME", lab.path("")).arg("--key-gen"))?;
        let key = |name: &str| {
            let found = said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            found.map(|key| key.trim().to_owned()).with_context(|| format!("no {name} from fwknop --key-gen"))
        };
        Ok(Self { rijndael: key("KEY_BASE64")?, hmac: key("HMAC_KEY_BASE64")? })
    }
}

fn daemon(lab: &Lab, programs: &Programs, ear: Ear, keys: &Keys, says: &str) -> Result<Counted> {
    let (settings, access) = (lab.path("fwknopd.conf"), lab.path("access.conf"));
    write_private(&settings, &configuration(lab, programs, ear))?;
    let Keys { rijndael, hmac } = keys;
    write_private(
        &access,
        &format!(
            "SOURCE ANY\nKEY_BASE64 {rijndael}\nHMAC_KEY_BASE64 {hmac}\nOPEN_PORTS tcp/{SSH}\n\
             FW_ACCESS_TIMEOUT 30\nREQUIRE_SOURCE_ADDRESS Y\n"
        ),
    )?;
    let mut command = lab.gate.command(&programs.daemon);
    command.arg("-f").arg("-c").arg(&settings).arg("-a").arg(&access);
    let mut daemon = Counted::start(&mut command, None)?;
    daemon.wait_for(says).context("fwknopd does not come up")?;
    Ok(daemon)
}

/// Nothing but places and names, and the open port if there is to be one: the rest is fwknopd's own choice.
fn configuration(lab: &Lab, programs: &Programs, ear: Ear) -> String {
    let folder = lab.path("");
    let (folder, iptables) = (folder.display(), programs.iptables.display());
    let server = match ear {
        Ear::Pcap => String::new(),
        Ear::UdpServer => format!("ENABLE_UDP_SERVER Y;\nUDPSERV_PORT {KNOCK};\n"),
    };
    format!(
        "PCAP_INTF eth0;\nENABLE_PCAP_PROMISC N;\nPCAP_FILTER udp port {KNOCK};\nFWKNOP_RUN_DIR {folder};\n\
         FWKNOP_PID_FILE {folder}/fwknopd.pid;\nDIGEST_FILE {folder}/digest.cache;\nFIREWALL_EXE {iptables};\n{server}"
    )
}

/// fwknopd refuses files that others can read.
fn write_private(path: &std::path::Path, text: &str) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text)?;
    Ok(std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?)
}
