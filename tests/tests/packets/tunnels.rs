//! ssh through the gate, as people will use it: as a proxy of ssh, and as a command around it.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use knockgate_tests::clients::Client;
use knockgate_tests::harness::{Story, story};
use knockgate_tests::peers::Reached;
use knockgate_tests::programs::{self, Log, Running, Said};
use knockgate_tests::scenes::Scene;
use knockgate_tests::{Family, Lab, waiting};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("ssh knocks by itself over IPv4 with knockgate as its proxy", |lab| proxy(lab, Family::V4)),
        story("ssh knocks by itself over IPv6 with knockgate as its proxy", |lab| proxy(lab, Family::V6)),
        story("a proxy that is not let in says why and ssh fails", refused_proxy),
        story("a service is open while a command runs and shut when it has ended", run_a_command),
    ]
}

const CONSOLE: u16 = 2222;

/// A gate that guards a real sshd, and bob, who may use it.
struct Console<'lab> {
    scene: Scene<'lab>,
    bob: Client<'lab>,
    _sshd: Running,
}

impl<'lab> Console<'lab> {
    /// `None` where sshd cannot run: in the sandbox of an ordinary user it cannot change to other users.
    fn set(lab: &'lab Lab, family: Family) -> Result<Option<Self>> {
        let service = format!("[service.console]\nid = 3\nprotocol = \"tcp\"\nports = [{CONSOLE}]");
        let scene = Scene::by_packet(lab, family, &service)?;
        let bob = scene.gate.enrol("bob", &["console"], &[])?;
        let bob = Client::with_profile(lab, &lab.visitor, "bob", &bob)?;
        let Some(sshd) = start_sshd(lab)? else {
            eprintln!("skipped: sshd cannot run in this sandbox; as root it can");
            return Ok(None);
        };
        Ok(Some(Self { scene, bob, _sshd: sshd }))
    }

    /// ssh to the console, to say a word there. `options` come first.
    fn ssh(&self, options: &[&str]) -> Vec<String> {
        let lab = self.scene.lab;
        let key = lab.path("ssh-key").display().to_string();
        let fixed = [
            "ssh",
            "-F",
            "none",
            "-i",
            &key,
            "-p",
            "2222",
            "-o",
            "BatchMode=yes",
            "-o",
            "IdentitiesOnly=yes",
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
            "-o",
            "ConnectTimeout=10",
        ];
        let to = format!("root@{}", lab.gate.ip(self.scene.family));
        let all = fixed.iter().chain(options).map(|word| (*word).to_owned());
        all.chain([to, "echo through the gate".to_owned()]).collect()
    }

    /// A command of bob's, on his host and with his folder.
    fn bobs(&self, words: &[String]) -> Result<Said> {
        let (program, arguments) = words.split_first().context("no program")?;
        let mut command = self.scene.lab.visitor.command(program);
        Said::by(command.args(arguments).env("KNOCKGATE_HOME", self.bob.home()))
    }
}

fn start_sshd(lab: &Lab) -> Result<Option<Running>> {
    let [host_key, key, config] = ["host-key", "ssh-key", "sshd-config"].map(|name| lab.path(name));
    for file in [&host_key, &key] {
        let file = file.display().to_string();
        programs::run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &file])?;
    }
    let text = format!(
        "Port {CONSOLE}\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nStrictModes no\nUsePAM no\n\
         PermitRootLogin yes\nPasswordAuthentication no\nUseDNS no\n",
        host_key.display(),
        lab.path("ssh-key.pub").display()
    );
    std::fs::write(&config, text)?;
    // Where sshd shuts in its unprivileged half. The sandbox's own /run.
    std::fs::create_dir_all("/run/sshd")?;
    let config = config.display().to_string();
    let sshd = sshd()?;
    if !is_everybody()? || !Said::by(Command::new(&sshd).args(["-t", "-f", &config]))?.err.is_empty() {
        return Ok(None);
    }
    let log: Log = lab.log("sshd");
    let mut running = Running::start(lab.gate.command(&sshd).args(["-D", "-e", "-f", &config]), &log)?;
    running.wait_for_text("Server listening", 0, std::time::Duration::from_secs(10))?;
    Ok(Some(running))
}

/// sshd wants to be called by its whole path.
fn sshd() -> Result<String> {
    let path =
        ["/usr/sbin/sshd", "/usr/bin/sshd", "/sbin/sshd"].into_iter().find(|path| Path::new(path).exists());
    path.map(str::to_owned).context("no sshd; run `cargo xtask setup`")
}

/// Whether there are other users than this one in the sandbox.
fn is_everybody() -> Result<bool> {
    let map = std::fs::read_to_string("/proc/self/uid_map")?;
    Ok(map.split_whitespace().nth(2).is_some_and(|count| count != "1"))
}

fn proxy(lab: &Lab, family: Family) -> Result<()> {
    let Some(console) = Console::set(lab, family)? else { return Ok(()) };
    console.scene.must_be_shut(&lab.visitor, CONSOLE)?;
    let knockgate = programs::ours("knockgate")?;
    let through = format!("ProxyCommand={} proxy bob %h %p", knockgate.display());

    let said = console.bobs(&console.ssh(&["-o", &through]))?.expect(0)?;

    ensure!(said.out.trim() == "through the gate", "{said}");
    console.scene.must_be_shut(&lab.stranger, CONSOLE)?;
    console.scene.must_be_open(&lab.visitor, CONSOLE)
}

fn refused_proxy(lab: &Lab) -> Result<()> {
    let Some(console) = Console::set(lab, Family::V4)? else { return Ok(()) };
    console.scene.gate.tell(&["client", "expire", "bob", "--in", "1s"])?.expect(0)?;
    waiting::until_true("bob's enrolment has ended", std::time::Duration::from_secs(6), || {
        console.bob.status().is_ok_and(|said| said.code != Some(0))
    })?;
    let knockgate = programs::ours("knockgate")?;
    let through = format!("ProxyCommand={} proxy bob %h %p", knockgate.display());

    let said = console.bobs(&console.ssh(&["-o", &through]))?.expect(255)?;

    ensure!(said.out.is_empty(), "{said}");
    said.complains_of(&["enrolment"])?;
    console.scene.must_be_shut(&lab.visitor, CONSOLE)
}

fn run_a_command(lab: &Lab) -> Result<()> {
    let Some(console) = Console::set(lab, Family::V4)? else { return Ok(()) };
    let knockgate = programs::ours("knockgate")?.display().to_string();
    let run = |command: &[String]| {
        let words = [knockgate.as_str(), "run", "bob", "console", "--"].map(str::to_owned);
        console.bobs(&[&words[..], command].concat())
    };

    let said = run(&console.ssh(&[]))?.expect(0)?;

    ensure!(said.out.trim() == "through the gate", "{said}");
    waiting::until_true("the port is shut behind the command", std::time::Duration::from_secs(5), || {
        matches!(console.scene.reached(&lab.visitor, CONSOLE), Ok(Reached::Silence))
    })?;
    run(&["false".to_owned()])?.expect(1)?;
    console.scene.must_be_shut(&lab.visitor, CONSOLE)
}
