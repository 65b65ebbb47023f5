//! fwknop with iptables, as its package sets it up: one packet under Rijndael and an HMAC, and a rule that fwknopd has `iptables` add.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use knockgate_tests::peers::Service;
use knockgate_tests::programs::{self, Running};
use knockgate_tests::scenes::SSH;
use knockgate_tests::{Family, Lab};

use crate::installed;
use crate::peer::{Client, Knock, Observed, Peer};
use crate::wire::Wire;

/// Where fwknop's client sends its packet.
const KNOCK: u16 = 62201;

/// A default-deny firewall; fwknopd adds a chain of its own.
const RULES: [&str; 3] = [
    "-P INPUT DROP",
    "-A INPUT -m conntrack --ctstate ESTABLISHED,RELATED -j ACCEPT",
    "-A INPUT -i lo -j ACCEPT",
];

/// From start to its log line.
const START: Duration = Duration::from_secs(10);

/// How fwknopd hears.
#[derive(Clone, Copy, PartialEq, Eq)]
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
    /// All of them, or the name of one that is missing.
    pub(crate) fn find() -> Result<Self, &'static str> {
        let find = |program| installed::find(program).ok_or(program);
        Ok(Self { daemon: find("fwknopd")?, client: find("fwknop")?, iptables: find("iptables")? })
    }
}

pub(crate) struct Fwknop<'lab> {
    lab: &'lab Lab,
    wire: Wire,
    programs: Programs,
    title: String,
    keys: Keys,
    _daemon: Running,
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
        let daemon = daemon(lab, &programs, ear, &keys, says).with_context(|| lab.all_logs())?;
        let version = installed::version(&programs.daemon)?;
        let number = version.split_whitespace().find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
        Ok(Self {
            lab,
            wire: Wire::to(lab, SSH)?,
            title: format!(
                "fwknop {}, {manner}: one packet, by its client",
                number.unwrap_or("?").trim_end_matches(',')
            ),
            programs,
            keys,
            _daemon: daemon,
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
    fn title(&self) -> &str {
        &self.title
    }

    fn knock(&mut self, repetition: u32) -> Result<Knock> {
        let [client, gate] = [&self.lab.client, &self.lab.gate].map(|host| host.ip(Family::V4).to_string());
        let mut command = Command::new(&self.programs.client);
        command.env("HOME", self.lab.path(""));
        command.args([
            "-A",
            &format!("tcp/{SSH}"),
            "-a",
            &client,
            "-D",
            &gate,
            "--no-save-args",
            "--use-hmac",
        ]);
        command.args(["--key-base64-rijndael", &self.keys.rijndael, "--key-base64-hmac", &self.keys.hmac]);
        let observed = Observed::by(&mut self.wire, &self.lab.client, repetition, &mut command);
        self.shut()?;
        let knock = observed?.knock(|segment| segment.is_datagram_to(KNOCK))?;
        // It ends when it has sent the packet, and hears nothing.
        let client = knock.client.map(|client| Client { to_end: None, ..client });
        Ok(Knock { client, ..knock })
    }

    /// It was shut by hand.
    fn wait_until_shut(&mut self) -> Result<()> {
        Ok(())
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

fn daemon(lab: &Lab, programs: &Programs, ear: Ear, keys: &Keys, says: &str) -> Result<Running> {
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
    let mut daemon = Running::start(&mut command, &lab.log("fwknopd"))?;
    daemon.wait_for_text(says, 0, START)?;
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
