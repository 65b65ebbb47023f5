//! Another configuration for a running agent: what stays open, what is heard meanwhile, and what is refused.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use knockgate_core::limits::BUDGET_PERIOD;
use knockgate_tests::gates::{Configuration, Gate};
use knockgate_tests::harness::{Story, story};
use knockgate_tests::packets::{self, Hand, KNOCK, is_granted};
use knockgate_tests::peers::{PATIENCE, Quiet, Reached, Service};
use knockgate_tests::programs::{self, Running};
use knockgate_tests::scenes::{APART, SSH, Scene, WEB};
use knockgate_tests::{Family, Lab, waiting};
use rustix::fs::OFlags;

pub(crate) fn stories() -> Vec<Story> {
    vec![
        story("a service gets other ports while a connection and its grants stay", other_ports),
        story("a broken configuration changes nothing and every problem is named", broken),
        story("twenty reloads under a stream of knocks lose none", |lab| under_load(lab, "")),
        story("ten reloads over NFLOG under a stream of knocks lose none", |lab| {
            under_load(lab, "[capture]\nvia = \"nflog\"\n")
        }),
        story(
            "a static sequence that is added on SIGHUP opens and one that is removed opens no more",
            sequences,
        ),
        story("a SIGHUP that comes while the agent starts does not end it, and is heeded", early_hangup),
        story("a central port that is added is asked at, and elsewhere nobody answers any more", central),
        story("what only a restart changes is foretold by check and refused by a reload", only_by_a_restart),
        story("after a reload the status says by which means packets are heard now", other_means),
    ]
}

/// A port that is no service's before.
const OTHER: u16 = 8081;
const THIRD: u16 = 8082;

const SSH_TABLE: &str = "[service.ssh]\n";

pub(crate) fn base(lab: &Lab) -> Configuration {
    Configuration::for_packets(lab, &lab.gate.ip(Family::V4).to_string()).with_services()
}

/// Has the agent read its configuration again, and returns what it says.
pub(crate) fn reload(gate: &Gate<'_>, configuration: &Configuration) -> Result<String> {
    configuration.write()?;
    Ok(gate.tell(&["reload"])?.expect(0)?.out)
}

/// The start lasts as long as the configuration is not there to be read.
fn early_hangup(lab: &Lab) -> Result<()> {
    const WITHIN: Duration = Duration::from_secs(10);
    let gate = Gate::configured(lab, &base(lab))?;
    let (file, text) = (gate.file(), fs::read(gate.file())?);
    fs::remove_file(file)?;
    programs::run("mkfifo", &["--mode=600", &file.display().to_string()])?;
    let mut command = lab.gate.command(programs::ours("knockgated")?);
    let mut agent = Running::start(command.args(["run", "--config"]).arg(file), &lab.log("early"))?;
    let now = i32::try_from(OFlags::NONBLOCK.bits())?;
    let mut pipe = waiting::until("the agent reads", WITHIN, || {
        fs::OpenOptions::new().write(true).custom_flags(now).open(file).ok()
    })?;

    hang_up(agent.pid())?;

    fs::remove_file(file)?;
    fs::write(file, &text)?;
    pipe.write_all(&text)?;
    drop(pipe);
    agent.wait_for_text("gate up", 0, Duration::from_secs(60))?;
    gate.wait_for_audit("another look", |record| record["event"] == "reloaded" && record["by"] == "SIGHUP")?;
    ensure!(agent.terminate()?.success(), "how did it end?");
    Ok(())
}

fn hang_up(agent: u32) -> Result<()> {
    let sent = Command::new("kill").args(["-HUP", &agent.to_string()]).status()?;
    ensure!(sent.success(), "SIGHUP could not be sent");
    Ok(())
}

fn other_ports(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    let (_other, _third) = (Quiet::start(&lab.gate, OTHER)?, Service::start(&lab.gate, THIRD, "third")?);
    scene.alice.knock("ssh")?.expect(0)?;
    scene.alice.knock("web")?.expect(0)?;

    let wider = base(lab).replacing("ports = [8080]", "ports = [8080, 8081]")?;
    wider.write()?;
    let said = scene.gate.tell(&["check"])?.expect(0)?.out;
    let line = "service web: ports tcp/8080 -> tcp/8080,8081; 1 grant stays";
    ensure!(said.contains(line), "check says: {said}");
    ensure!(scene.reached(&lab.stranger, OTHER)? == Reached::Mute, "check changed the guard");
    let said = reload(&scene.gate, &wider)?;
    ensure!(said == format!("{line}\n"), "reload says: {said}");
    scene.must_be_shut(&lab.stranger, OTHER)?;
    scene.must_be_open(&lab.client, WEB)?;
    let to = lab.gate.at(Family::V4, OTHER);
    let mut connection = lab.client.inside(|| Ok(TcpStream::connect_timeout(&to, PATIENCE)?))?;
    echo(&mut connection)?;

    // The connection stays; the port that it does not use is nobody's secret any more.
    let narrower = base(lab).replacing("ports = [8080]", "ports = [8081]")?;
    ensure!(reload(&scene.gate, &narrower)?.contains("; 1 grant stays"), "the grant of web");
    scene.must_be_open(&lab.stranger, WEB)?;
    scene.must_be_shut(&lab.stranger, OTHER)?;

    // Moved altogether, and its old port to another service: what was open for it opens nothing there.
    let moved = base(lab)
        .replacing("ports = [8080]", "ports = [8082]")?
        .with("[service.vault]\nid = 3\nprotocol = \"tcp\"\nports = [8081]");
    let said = reload(&scene.gate, &moved)?;
    ensure!(said.contains("service web: ports tcp/8081 -> tcp/8082; 1 grant ends"), "{said}");
    ensure!(said.contains("service vault: is guarded, tcp/8081"), "{said}");
    for (port, host) in [(OTHER, &lab.client), (THIRD, &lab.client), (THIRD, &lab.stranger)] {
        scene.must_be_shut(host, port)?;
    }
    echo(&mut connection)?;
    scene.must_be_open(&lab.client, SSH)?;

    // And no longer than is allowed from now on.
    let brief = moved.replacing("[service.ssh]\n", "[service.ssh]\nopen = \"1s\"\nmax-open = \"2s\"\n")?;
    ensure!(reload(&scene.gate, &brief)?.contains("max-open"), "the times of ssh");
    scene.wait_until_shut(&lab.client, SSH)?;
    scene.alice.knock("web")?.expect(0)?;
    scene.must_be_open(&lab.client, THIRD)?;
    ensure!(reload(&scene.gate, &brief)? == "nothing has changed\n", "the same file again");
    scene.must_be_healthy()
}

fn echo(connection: &mut TcpStream) -> Result<()> {
    connection.set_read_timeout(Some(PATIENCE))?;
    connection.write_all(b"here")?;
    let mut heard = [0; 4];
    connection.read_exact(&mut heard).context("the connection is cut")?;
    Ok(())
}

fn broken(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    let rules = lab.gate.nft_ruleset()?;
    let wrong = base(lab).replacing("ports = [8080]", "ports = [70000]")?.with("[lockout]\nduraton = \"1m\"");
    wrong.write()?;
    let (ports, key) = (wrong.line_of("70000")?, wrong.line_of("duraton")?);
    let places = [format!("agent.toml:{ports}:"), format!("agent.toml:{key}:")];
    let said: Vec<_> = places.iter().map(String::as_str).chain(["goes on as before"]).collect();
    scene.gate.tell(&["reload"])?.expect(1)?.complains_of(&said)?;
    scene.gate.wait_for_audit("a refusal of what cannot be read", |record| {
        record["event"] == "reload-refused" && record["problems"].to_string().contains(&places[1])
    })?;

    let seen = scene.gate.log().len();
    hang_up(scene.gate.pid()?)?;
    scene.gate.wait_for_log(&format!("agent.toml:{key}:"), seen)?;

    // What only shows when it is tried: the port of another program, a policy that is not there, a place that is fixed.
    let _taken = Service::start(&lab.gate, THIRD, "somebody else")?;
    let state = format!("state-dir = \"{}\"", lab.path("state").display());
    let cases = [
        (base(lab).with("[central]\nport = 8082"), "the central port cannot use TCP port 8082"),
        (
            base(lab).with("[policy]\nchain = [\"no\"]\n[policy-module.no]\nfile = \"/nowhere\"\nservices = [\"ssh\"]\ncapabilities = [\"open\"]"),
            "/nowhere cannot be read",
        ),
        (base(lab).replacing(&state, "state-dir = \"/elsewhere\"")?, "`state-dir` cannot change"),
    ];
    for (configuration, problem) in cases {
        configuration.write()?;
        scene.gate.tell(&["reload"])?.expect(1)?.complains_of(&[problem, "goes on as before"])?;
    }
    let (roster, good) = (lab.path("state/roster"), base(lab));
    let clients = fs::read(&roster)?;
    good.write()?;
    fs::write(&roster, b"damaged")?;
    scene.gate.tell(&["reload"])?.expect(1)?.complains_of(&["state/roster", "goes on as before"])?;
    fs::write(&roster, clients)?;
    // The agent looks by itself as well, twice a second: whoever is first tells.
    let mut words = ["on", "off"].into_iter().cycle();
    waiting::until_true("a reload tells of the roster", Duration::from_secs(60), || {
        let changed = words.next().map(|word| scene.gate.tell(&["client", "confirm", "alice", word]));
        let said = scene.gate.tell(&["reload"]);
        changed.is_some_and(|changed| changed.is_ok())
            && said.is_ok_and(|said| said.out == "the roster: 0 added, 0 removed, 1 changed\n")
    })?;
    ensure!(lab.gate.nft_ruleset()? == rules, "a refused configuration changed the guard");
    scene.gate.wait_for_audit("a refusal", |record| record["event"] == "reload-refused")?;
    scene.alice.knock("web")?.expect(0)?;
    scene.must_be_open(&lab.client, WEB)?;
    scene.must_be_healthy()
}

fn under_load(lab: &Lab, sections: &str) -> Result<()> {
    /// An answer that comes late, after a reload, is none that was lost.
    const NOT_LOST: Duration = Duration::from_secs(10);
    let mut scene = Scene::by_packet(lab, Family::V4, sections)?;
    let hand = Hand::of(&lab.path("alice.kgp"))?;
    let to = lab.gate.at(Family::V4, KNOCK);
    // Another watch each time, another rule set, another book of policies.
    let plain = base(lab).with(sections);
    let other = base(lab)
        .with(sections)
        .with("[packet]\nports = [62201, 62300]")
        .with("[service.vault]\nid = 3\nprotocol = \"tcp\"\nports = [8083]")
        .with("[[static-sequence]]\nname = \"lab\"\nsequence = [7000, 8000, 9000]\nservice = \"ssh\"");
    let is_over = AtomicBool::new(false);
    let (gate, over) = (&scene.gate, &is_over);
    let knocks = std::thread::scope(|scope| -> Result<usize> {
        let stream = scope.spawn(move || -> Result<usize> {
            let mut knocks = 0;
            let sources = [&lab.client, &lab.visitor, &lab.stranger];
            // Each is sent once: whatever is lost, is missed. No faster than the budget of a source allows.
            for source in sources.into_iter().cycle() {
                if over.load(Ordering::Relaxed) {
                    break;
                }
                let sealed = hand.seal(&hand.open_ssh(60))?;
                let heard = packets::exchange_within(NOT_LOST, source, to, &sealed.message)?;
                let answer = heard.map(|bytes| sealed.read(&bytes)).transpose()?;
                ensure!(is_granted(answer.as_ref()), "knock {knocks}: {answer:?}");
                knocks += 1;
                waiting::let_pass(BUDGET_PERIOD / 3);
            }
            Ok(knocks)
        });
        let rounds = if sections.is_empty() { 10 } else { 5 };
        let reloaded = (0..rounds).try_for_each(|_| {
            reload(gate, &other)?;
            reload(gate, &plain).map(drop)
        });
        is_over.store(true, Ordering::Relaxed);
        let knocks = stream.join().map_err(|_| anyhow::anyhow!("the stream of knocks panicked"))?;
        reloaded.and(knocks)
    })?;
    ensure!(knocks > 20, "only {knocks} knocks");
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_healthy()
}

fn sequences(lab: &Lab) -> Result<()> {
    const LAB: &str = "[[static-sequence]]\nname = \"lab\"\nsequence = [7000, 8000, 9000]\nservice = \"ssh\"";
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    let knock =
        || [7000, 8000, 9000].iter().try_for_each(|port| scene.reached(&lab.visitor, *port).map(drop));
    knock()?;
    scene.must_be_shut(&lab.visitor, SSH)?;

    let seen = scene.gate.log().len();
    base(lab).with(LAB).write()?;
    hang_up(scene.gate.pid()?)?;
    scene.gate.wait_for_log("static sequence lab: new", seen)?;
    scene.gate.wait_for_audit("the reload", |record| record["event"] == "reloaded")?;
    knock()?;
    waiting::until_true("ssh is open", Duration::from_secs(2), || {
        matches!(scene.reached(&lab.visitor, SSH), Ok(Reached::Greeting(_)))
    })?;

    // With the sequence goes what it has opened.
    let said = reload(&scene.gate, &base(lab))?;
    ensure!(said.contains("static sequence lab: is gone"), "{said}");
    scene.wait_until_shut(&lab.visitor, SSH)?;
    knock()?;
    scene.must_be_shut(&lab.visitor, SSH)?;
    scene.must_be_healthy()
}

fn central(lab: &Lab) -> Result<()> {
    let mut scene = Scene::set(lab, Family::V4)?;
    scene.alice.knock("ssh")?.expect(0)?;
    let address = lab.gate.ip(Family::V4).to_string();
    let moved = Configuration::bare(lab, &address).with_services().with("[central]\nport = 4444");
    let said = reload(&scene.gate, &moved)?;
    ensure!(said == "the central port: 62201 -> 4444\n", "{said}");
    let reached = [62201, 4444].map(|port| scene.reached(&lab.stranger, port));
    ensure!(matches!(reached, [Ok(Reached::Refused), Ok(Reached::Mute)]), "{reached:?}");

    let profile = scene.gate.enrol("bob", &["ssh"], &[])?;
    let bob = knockgate_tests::clients::Client::with_profile(lab, &lab.visitor, "bob", &profile)?;
    bob.knock("ssh")?.expect(0)?;
    scene.must_be_open(&lab.visitor, SSH)?;
    scene.must_be_open(&lab.client, SSH)?;

    // From closed mode on another kind of knock counts, and the clients need nothing new.
    reload(&scene.gate, &moved.with("[sequence]\nmode = \"closed\""))?;
    bob.knock("ssh")?.expect(0)?;
    ensure!(scene.gate.is_alive(), "the agent has ended");
    Ok(())
}

/// With a broker, which opens what it was started to open, and a worker, which has what it was started with.
fn only_by_a_restart(lab: &Lab) -> Result<()> {
    let started =
        base(lab).with(APART).replacing(SSH_TABLE, "[service.ssh]\nopen = \"1m\"\nmax-open = \"2m\"\n")?;
    let mut scene = Scene::set_with_configuration(lab, Family::V4, &started)?;
    scene.alice.knock("ssh")?.expect(0)?;
    let longer = started.clone().replacing("\"2m\"", "\"10m\"")?.replacing("\"1m\"", "\"5m\"")?;
    #[rustfmt::skip]
    let cases = [
        (longer, "service ssh: `max-open` is 10m, and the broker was started to open it for 2m at most; restart the agent"),
        (started.clone().replacing("[8080]", "[8080, 8081]")?, "service web: what is guarded cannot change"),
        (started.clone().with("[capture]\nvia = \"nflog\""), "`via` in [capture] cannot change"),
        (started.clone().with("[audit]\nkeep = 3"), "when the audit log is put away cannot change"),
        (started.clone().with("[policy]\nengine = \"compiler\""), "started without the right to make machine code"),
    ];
    for (configuration, problem) in cases {
        configuration.write()?;
        let said = scene.gate.tell(&["check"])?.expect(0)?.out;
        ensure!(
            said.contains("running   a reload would be refused") && said.contains(problem),
            "check: {said}"
        );
        ensure!(!said.contains("grant stays"), "check promises a grant: {said}");
        scene.gate.tell(&["reload"])?.expect(1)?.complains_of(&[
            "agent.toml: ",
            problem,
            "goes on as before",
        ])?;
    }
    let elsewhere = "[policy]\nchain = [\"own\"]\n[policy-module.own]\nfile = \"/elsewhere/own.wasm\"\nservices = [\"ssh\"]\n\
         capabilities = [\"open\"]";
    started.clone().with(elsewhere).write()?;
    let unreadable = "/elsewhere/own.wasm is in a folder that the agent was not started with";
    scene.gate.tell(&["reload"])?.expect(1)?.complains_of(&[unreadable, "restart the agent"])?;
    let run = format!("directory = \"{}\"", lab.path("run").display());
    started.clone().replacing(&run, "directory = \"/nowhere\"")?.write()?;
    let said = scene.gate.tell(&["check"])?.expect(0)?.out;
    ensure!(said.contains("running   no agent answers at /nowhere/control; "), "check: {said}");

    // Less than at the start is taken, and then all of it again.
    let shorter = started.clone().replacing("\"2m\"", "\"90s\"")?;
    ensure!(reload(&scene.gate, &shorter)? == "service ssh: max-open: 2m -> 1m 30s; 1 grant stays\n");
    ensure!(reload(&scene.gate, &started)?.contains("max-open: 1m 30s -> 2m"));
    scene.alice.knock_for("ssh", 120)?.expect(0)?;
    scene.must_be_open(&lab.client, SSH)?;
    scene.must_be_healthy()
}

fn other_means(lab: &Lab) -> Result<()> {
    let mut scene = Scene::by_packet(lab, Family::V4, "")?;
    let is_heard = |scene: &Scene<'_>, means: &str| -> Result<()> {
        let said = scene.gate.tell(&["status"])?.expect(0)?.out;
        ensure!(said.contains(means), "not {means}: {said}");
        Ok(())
    };
    is_heard(&scene, "packets are heard by packet sockets")?;
    reload(&scene.gate, &base(lab).with("[capture]\nvia = \"nflog\""))?;
    is_heard(&scene, "packets are heard by NFLOG: the configuration wants it so")?;
    reload(&scene.gate, &base(lab).with("[packet]\nmode = \"socket\""))?;
    is_heard(&scene, "no packets are watched")?;
    scene.must_be_healthy()
}
