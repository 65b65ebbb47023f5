//! The agent as two processes: what each may, what becomes of the gate when one of them dies.

use std::fs;
use std::net::{Ipv6Addr, TcpStream};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_tests::gates::{Configuration, Gate};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::packets::{Hand, KNOCK, is_granted};
use knockgate_tests::peers::Reached;
use knockgate_tests::scenes::{APART, RESTORING, SSH, Scene, WEB};
use knockgate_tests::scrapes::Scrape;
use knockgate_tests::{Family, Lab, programs, waiting};

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("with two processes the one that strangers talk to has no right left", rights),
        story("two processes restore a flushed rule set with the open grants", restored),
        story("when the broker is killed the agent ends and the next one takes its grants over", |lab| {
            killed(lab, Victim::Broker)
        }),
        story("when the worker is killed its broker ends and the next agent takes its grants over", |lab| {
            killed(lab, Victim::Worker)
        }),
        story("two processes end when their owner removes the guard, and leave it removed", given_up),
        story("two processes keep a gate as a user without rights", as_a_user),
        story(
            "a user with one capability hands it on to its broker and knocks are heard by NFLOG",
            as_the_unit,
        ),
        story(
            "without Landlock two processes do not start if it is required, and else say so",
            without_landlock,
        ),
    ]
}

/// A second of the agent's own, and a busy machine.
const NOTICED_WITHIN: Duration = Duration::from_secs(20);
/// CAP_NET_ADMIN is number 12.
const NET_ADMIN: u64 = 1 << 12;

#[derive(Clone, Copy)]
enum Victim {
    Broker,
    Worker,
}

fn rights(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, APART)?;
    let worker = scene.gate.pid()?;
    for thread in fs::read_dir(format!("/proc/{worker}/task"))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        for (field, expected) in [("NoNewPrivs", 1), ("Seccomp", 2)] {
            ensure!(number(&status, field, 10)? == expected, "{field}:\n{status}");
        }
        for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            ensure!(number(&status, set, 16)? == 0, "{set}:\n{status}");
        }
    }
    for thread in fs::read_dir(format!("/proc/{}/task", broker_of(worker)?))? {
        let status = fs::read_to_string(thread?.path().join("status"))?;
        for (field, expected) in [("NoNewPrivs", 1), ("Seccomp", 2)] {
            ensure!(number(&status, field, 10)? == expected, "{field} of the broker:\n{status}");
        }
        for set in ["CapPrm", "CapEff", "CapBnd"] {
            ensure!(number(&status, set, 16)? == NET_ADMIN, "{set} of the broker:\n{status}");
        }
    }
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    scene.must_be_shut(&lab.client, WEB)?;
    scene.gate.tell(&["reload"])?.expect(0)?;
    let other_ports = Configuration::for_packets(lab, &lab.gate.ip(Family::V4).to_string());
    other_ports.with_services().with(APART).with("[packet]\nports = [62202]").write()?;
    let refused = scene.gate.tell(&["reload"])?.expect(1)?;
    refused.complains_of(&["agent.toml: `mode` or `ports` in [packet] cannot change", "restart it"])?;
    scene.must_be_healthy()?;
    let broker = broker_of(worker)?;
    // What is killed for a system call is no success.
    scene.gate.stop()?;
    gone(broker)
}

fn restored(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V6, APART)?;
    scene.alice.knock_for("ssh", 60)?.expect(0)?;

    lab.gate.nft("flush ruleset")?;

    waiting::until_true("the guard is back", RESTORING, || {
        matches!(scene.reached(&lab.stranger, SSH), Ok(Reached::Silence))
    })?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.client, WEB)?;
    scene.alice.knock_for("web", 60)?.expect(0)?;
    scene.must_be_open(&lab.client, WEB)?;
    scene.must_be_healthy()
}

fn killed(lab: &Lab, victim: Victim) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, APART)?;
    scene.alice.knock_for("ssh", 60)?.expect(0)?;
    let broker = broker_of(scene.gate.pid()?)?;
    match victim {
        Victim::Worker => scene.gate.kill()?,
        Victim::Broker => {
            programs::run("kill", &["-9", &broker.to_string()])?;
            waiting::until_true("the agent has ended", NOTICED_WITHIN, || !scene.gate.is_alive())?;
            let ended = scene.gate.wait_until_it_stops();
            ensure!(ended.is_err(), "an agent without its broker ended with success");
            ensure!(scene.gate.log().contains("the broker is gone"), "it does not say why it ends");
        }
    }
    gone(broker)?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_shut(&lab.stranger, SSH)?;
    scene.must_be_shut(&lab.client, WEB)?;

    scene.gate.start()?;

    scene.gate.wait_for_audit("the grant is taken over", |record| record["event"] == "grant-adopted")?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.alice.knock("web")?.expect(0)?;
    scene.must_be_open(&lab.client, WEB)?;
    scene.must_be_healthy()
}

fn given_up(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, APART)?;
    let broker = broker_of(scene.gate.pid()?)?;

    scene.gate.tell(&["unguard"])?.expect(0)?;
    scene.gate.wait_until_it_stops()?;

    gone(broker)?;
    ensure!(lab.gate.nft_ruleset()?.is_empty(), "something of the guard is left");
    scene.gate.start()?;
    scene.must_be_shut(&lab.stranger, SSH)
}

/// Needs a host that has other users than root; a sandbox of an ordinary user has none.
fn as_a_user(lab: &Lab) -> Result<()> {
    if !has_users()? {
        return Ok(());
    }
    let mut gate = gate_of_nobody(lab, "")?;
    let refused = gate.tell(&["run"])?.expect(1)?;
    ensure!(refused.err.contains("chown -R 65534"), "no remedy: {refused}");
    give_to_nobody(lab)?;
    gate.start()?;
    let status = fs::read_to_string(format!("/proc/{}/status", gate.pid()?))?;
    ensure!(number(&status, "Uid", 10)? == u64::from(NOBODY), "{status}");
    // Root writes the roster, and the agent must be able to read it.
    opens_for_carol(lab, &gate)?;
    gate.stop()
}

/// As the package's unit starts it, and where no memory becomes code.
fn as_the_unit(lab: &Lab) -> Result<()> {
    if !has_users()? {
        return Ok(());
    }
    let metrics = lab.path("run/metrics");
    let mut gate = gate_of_nobody(
        lab,
        &format!("[metrics]\nlisten = \"[::1]:{METRICS}\"\nsocket = \"{}\"", metrics.display()),
    )?;
    give_to_nobody(lab)?;
    // As systemd makes them: nobody makes a folder in these places.
    for run in [lab.path("run"), "/run/knockgate".into()] {
        fs::create_dir_all(&run)?;
        chown(&run, Some(NOBODY), Some(NOBODY))?;
        // A network namespace has the number of one that has gone, and so perhaps the mark of an agent that root had there.
        fs::read_dir(&run)?.try_for_each(|entry| chown(entry?.path(), Some(NOBODY), Some(NOBODY)))?;
    }
    let (capabilities, under_unit) = ("-all,+net_admin", programs::ours("under_unit")?.display().to_string());
    #[rustfmt::skip]
    let unit = [
        "setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", "--no-new-privs", "--inh-caps", capabilities,
        "--ambient-caps", capabilities, "--bounding-set", capabilities, &under_unit, "MemoryDenyWriteExecute=yes",
        "SystemCallFilter=~capset",
    ];

    gate.start_through(&unit)?;

    let worker = gate.pid()?;
    let broker = broker_of(worker)?;
    for (process, rights) in [(worker, 0), (broker, NET_ADMIN)] {
        ensure!(
            fs::read_to_string(format!("/proc/{process}/comm"))?.trim() == "knockgated",
            "what is its name?"
        );
        let status = fs::read_to_string(format!("/proc/{process}/status"))?;
        for set in ["CapPrm", "CapEff", "CapAmb"] {
            ensure!(number(&status, set, 16)? == rights, "{set}:\n{status}");
        }
        ensure!(number(&status, "Uid", 10)? == u64::from(NOBODY), "{status}");
    }
    ensure!(
        gate.log().contains("packets are heard by NFLOG: the capability CAP_NET_RAW is missing"),
        "by what else?"
    );
    opens_for_carol(lab, &gate)?;
    gate.tell(&["reload"])?.expect(0)?;
    opens_for_carol(lab, &gate)?;
    let scrape = Scrape::over(UnixStream::connect(metrics)?)?;
    ensure!(scrape.value("knockgate_grants_opened_total")? >= 1.0, "{scrape:?}");
    Scrape::over(lab.gate.inside(|| Ok(TcpStream::connect((Ipv6Addr::LOCALHOST, METRICS))?))?)?;
    gate.stop()?;
    gone(broker)
}

/// As on a kernel that was built without.
fn without_landlock(lab: &Lab) -> Result<()> {
    let under_unit = programs::ours("under_unit")?.display().to_string();
    let older = [under_unit.as_str(), "SystemCallFilter=~landlock_create_ruleset:ENOSYS"];
    let mut scene = Scene::by_packet(lab, Family::V4, APART)?;
    scene.gate.stop()?;
    let refused = scene.gate.tell_through(&older, &["run"])?.expect(1)?;
    refused.complains_of(&[
        "this kernel has no usable Landlock",
        "set sandbox = \"best-effort\" in [process]",
    ])?;

    let address = lab.gate.ip(Family::V4).to_string();
    let best_effort = Configuration::for_packets(lab, &address).with_services().with(APART);
    best_effort.replacing("\"require\"", "\"best-effort\"")?.write()?;
    let seen = scene.gate.log().len();
    scene.gate.start_through(&older)?;
    let said = scene.gate.log().split_off(seen);
    // Each of the two processes says it.
    let warnings = said.matches("this kernel has no usable Landlock").count();
    ensure!(warnings == 2 && said.contains("going on with what there is"), "{said}");
    let status = fs::read_to_string(format!("/proc/{}/status", scene.gate.pid()?))?;
    ensure!(number(&status, "CapEff", 16)? == 0 && number(&status, "Seccomp", 10)? == 2, "{status}");
    scene.alice.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_healthy()
}

const METRICS: u16 = 9191;
const NOBODY: u32 = 65534;

/// A gate that is still root's, whose worker shall be nobody.
fn gate_of_nobody<'lab>(lab: &'lab Lab, more: &str) -> Result<Gate<'lab>> {
    let address = lab.gate.ip(Family::V4).to_string();
    let configuration = Configuration::for_packets(lab, &address)
        .with_services()
        .with(&format!("{APART}\nuser = \"nobody\""))
        .with(more)
        .replacing("audit.jsonl", "logs/audit.jsonl")?;
    fs::create_dir(lab.path("logs"))?;
    fs::set_permissions(lab.path(""), fs::Permissions::from_mode(0o755))?;
    Gate::configured(lab, &configuration)
}

fn give_to_nobody(lab: &Lab) -> Result<()> {
    let state = lab.path("state");
    let files = fs::read_dir(&state)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let paths = files.into_iter().chain([state, lab.path("logs")]);
    paths.into_iter().try_for_each(|path| Ok(chown(path, Some(NOBODY), Some(NOBODY))?))
}

/// Enrols Carol, if nobody has, and lets her in.
fn opens_for_carol(lab: &Lab, gate: &Gate<'_>) -> Result<()> {
    let profile = lab.path("carol.kgp");
    let profile = if profile.exists() { profile } else { gate.enrol("carol", &["ssh"], &[])? };
    let carol = Hand::of(&profile)?;
    let answer = carol.ask(&lab.visitor, lab.gate.at(Family::V4, KNOCK), &carol.open_ssh(5))?;
    ensure!(is_granted(answer.as_ref()), "{answer:?}");
    Ok(())
}

/// Whether user 65534 is one here.
fn has_users() -> Result<bool> {
    let map = fs::read_to_string("/proc/self/uid_map")?;
    Ok(map.split_whitespace().nth(2).is_some_and(|count| count.parse().is_ok_and(|count: u32| count > 65534)))
}

fn broker_of(worker: u32) -> Result<u32> {
    let children = fs::read_to_string(format!("/proc/{worker}/task/{worker}/children"))?;
    let child = children.split_whitespace().next().context("the agent has no broker")?;
    let broker = child.parse()?;
    let words = fs::read_to_string(format!("/proc/{broker}/cmdline"))?;
    ensure!(words.contains("broker"), "the agent's child is {words:?}");
    Ok(broker)
}

fn gone(broker: u32) -> Result<()> {
    let stat = format!("/proc/{broker}/stat");
    waiting::until_true("the broker has ended", NOTICED_WITHIN, || {
        // What nobody has waited for is dead nevertheless.
        fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "))
    })
}

/// The first number behind a field of `/proc/PID/status`.
fn number(status: &str, field: &str, radix: u32) -> Result<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    let word = value.and_then(|value| value.split_whitespace().next()).context("no such field")?;
    Ok(u64::from_str_radix(word, radix)?)
}
