//! What a confined process can still do, tried by one: every case is this program again, confined, with one act to try.

use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Command, ExitCode};

use knockgate_agent::confine::{Confinement, Forbidden, MachineCode, Sandbox};
use knockgate_policy_host::{Capabilities, Execution, PolicyEngine, Rights, ServiceRight, builtin};
use libtest_mimic::{Arguments, Failed, Trial};
use rustix::net::{AddressFamily, SocketType, socket};

/// The act to try, for a child.
const ACT: &str = "KNOCKGATE_ACT";
/// Where it may write, and read.
const FOLDER: &str = "KNOCKGATE_FOLDER";
/// What a child ends with whose act has failed.
const REFUSED: i32 = 77;

type Act = fn(&Path) -> std::io::Result<()>;

/// In the order of what they are about: files, programs, sockets, rights.
const ACTS: [(&str, Expected, Act); 16] = [
    ("writes a file of its own", Expected::Done, |own| std::fs::write(own.join("state/file"), b"x")),
    ("reads its configuration", Expected::Done, |own| std::fs::read(own.join("config/file")).map(drop)),
    ("starts a thread", Expected::Done, |_| {
        std::thread::Builder::new().spawn(|| ())?.join().map_err(|_| std::io::ErrorKind::Other.into())
    }),
    ("connects to a webhook", Expected::Done, |_| match TcpStream::connect("127.0.0.1:9") {
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
        other => other.map(drop),
    }),
    ("asks for an address over UDP", Expected::Done, |_| UdpSocket::bind("127.0.0.1:0").map(drop)),
    ("interprets a policy", Expected::Done, |_| load_a_policy(Execution::Interpreted)),
    ("compiles a policy", Expected::Refused, |_| load_a_policy(Execution::Compiled)),
    ("writes to its configuration", Expected::Refused, |own| std::fs::write(own.join("config/file"), b"x")),
    ("reads a file of somebody else", Expected::Refused, |own| {
        std::fs::read(own.join("others/file")).map(drop)
    }),
    ("reads the users of the host", Expected::Refused, |_| std::fs::read("/etc/passwd").map(drop)),
    ("looks into the root", Expected::Refused, |_| std::fs::read_dir("/").map(drop)),
    ("runs a program", Expected::Refused, |_| Command::new("/bin/true").status().map(drop)),
    ("opens a raw socket", Expected::Refused, |_| {
        let icmp = Some(rustix::net::ipproto::ICMP);
        Ok(socket(AddressFamily::INET, SocketType::RAW, icmp).map(drop)?)
    }),
    ("opens a packet socket", Expected::Refused, |_| {
        Ok(socket(AddressFamily::PACKET, SocketType::DGRAM, None).map(drop)?)
    }),
    ("speaks with the firewall", Expected::Refused, |_| {
        let netfilter = Some(rustix::net::netlink::NETFILTER);
        Ok(socket(AddressFamily::NETLINK, SocketType::RAW, netfilter).map(drop)?)
    }),
    ("listens at a new TCP port", Expected::Refused, |_| TcpListener::bind("127.0.0.1:0").map(drop)),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    Done,
    Refused,
}

fn main() -> ExitCode {
    if let (Some(act), Some(folder)) = (std::env::var_os(ACT), std::env::var_os(FOLDER)) {
        return try_confined(&act.to_string_lossy(), Path::new(&folder));
    }
    let trials = ACTS.iter().map(|&(name, expected, _)| {
        let (verb, sentence) = match expected {
            Expected::Done => ("still", name),
            Expected::Refused => ("never", name),
        };
        let title = format!("a_confined_process_{verb}_{}", sentence.replace(' ', "_"));
        Trial::test(title, move || outcome_of(name, expected))
    });
    libtest_mimic::run(&Arguments::from_args(), trials.collect()).exit_code()
}

fn outcome_of(name: &str, expected: Expected) -> Result<(), Failed> {
    let folder = tempfile::tempdir()?;
    for part in ["state", "config", "others"] {
        std::fs::create_dir(folder.path().join(part))?;
        std::fs::write(folder.path().join(part).join("file"), b"content")?;
    }
    let mut child = Command::new(std::env::current_exe()?);
    let output = child.env(ACT, name).env(FOLDER, folder.path()).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    match (output.status.code(), expected) {
        (Some(0), Expected::Done) | (Some(REFUSED), Expected::Refused) => Ok(()),
        (code, _) => Err(format!("ended with {code:?}: {said}").into()),
    }
}

fn load_a_policy(execution: Execution) -> std::io::Result<()> {
    let engine = PolicyEngine::of_server(execution, Capabilities::ALL).map_err(std::io::Error::other)?;
    let rights = Rights {
        services: vec![ServiceRight { service: 1, max_seconds: 60 }],
        capabilities: Capabilities::ALL,
        max_seconds: 60,
        ..Rights::default()
    };
    engine.load("default", builtin::DEFAULT, &rights).map(drop).map_err(std::io::Error::other)
}

/// There is one thread here: nothing has started another one.
fn try_confined(name: &str, folder: &Path) -> ExitCode {
    let (_, _, act) =
        ACTS.iter().find(|(known, ..)| *known == name).expect("a parent names an act of the table");
    let confinement = Confinement {
        user: None,
        sandbox: Sandbox::Require,
        forbidden: Forbidden::Refuse,
        code: MachineCode::Never,
        writes: vec![folder.join("state")],
        reads: vec![folder.join("config")],
    };
    if let Err(error) = confinement.enter() {
        eprintln!("{error:#}");
        return ExitCode::FAILURE;
    }
    match act(folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(u8::try_from(REFUSED).unwrap_or(1))
        }
    }
}
