//! knockd with nftables, as its users set it up: a fixed sequence of three ports, and a command that opens.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use knockgate_tests::peers::Service;
use knockgate_tests::programs::{self, Running};
use knockgate_tests::scenes::SSH;
use knockgate_tests::{Lab, waiting};

use crate::installed;
use crate::peer::{Knock, Peer};
use crate::wire::Wire;

const SEQUENCE: [u16; 3] = [7_000, 8_000, 9_000];

/// A default-deny firewall with a set that knockd's command fills.
const RULES: &str = "\
table inet door {
	set open { type ipv4_addr . inet_service; flags timeout; }
	chain incoming {
		type filter hook input priority 0; policy drop;
		ct state established,related accept
		iif lo accept
		ip saddr . tcp dport @open accept
	}
}
";

/// From start to the line in its log.
const START: Duration = Duration::from_secs(10);

pub(crate) struct Knockd<'lab> {
    lab: &'lab Lab,
    wire: Wire,
    title: String,
    _daemon: Running,
    _service: Service,
}

impl<'lab> Knockd<'lab> {
    pub(crate) fn set(lab: &'lab Lab, program: &Path) -> Result<Self> {
        lab.gate.nft(RULES)?;
        let (file, log_file) = (lab.path("knockd.conf"), lab.path("knockd.log"));
        std::fs::write(&file, configuration(&log_file))?;
        let mut command = lab.gate.command(program);
        command.args(["-4", "-i", "eth0", "-c"]).arg(&file);
        let daemon = Running::start(&mut command, &lab.log("knockd"))?;
        waiting::until_true("knockd listens", START, || {
            std::fs::read_to_string(&log_file).is_ok_and(|log| log.contains("listening on eth0"))
        })
        .with_context(|| lab.all_logs())?;
        Ok(Self {
            lab,
            wire: Wire::to(lab, SSH)?,
            title: format!(
                "{}: fixed sequence of three SYNs, by the benchmark",
                installed::version(program)?
            ),
            _daemon: daemon,
            _service: Service::start(&lab.gate, SSH, "ssh")?,
        })
    }

    fn shut(&self) -> Result<()> {
        programs::output(self.lab.gate.command("nft").args(["flush", "set", "inet", "door", "open"]))
            .map(drop)
    }
}

impl Peer for Knockd<'_> {
    fn title(&self) -> &str {
        &self.title
    }

    /// The three SYNs without a pause, until the port is open; then it is shut again.
    fn knock(&mut self, repetition: u32) -> Result<Knock> {
        let seen = self.lab.client.inside(|| {
            self.wire
                .observe(repetition, |wire| SEQUENCE.into_iter().try_for_each(|port| wire.send_syn(port)))
        });
        self.shut()?;
        let ((), seen) = seen?;
        let seen = seen?;
        let begun = seen.begun(|segment| segment.is_attempt() && segment.to.port() == SEQUENCE[0])?;
        let to_open = seen.open.since(begun);
        Ok(Knock { to_open, to_answer: None, client: None, phases: Vec::new(), seen })
    }

    /// It was shut by hand.
    fn wait_until_shut(&mut self) -> Result<()> {
        Ok(())
    }
}

fn configuration(log_file: &Path) -> String {
    let [first, second, third] = SEQUENCE;
    format!(
        "[options]\n\
         \tlogfile = {log}\n\
         [open]\n\
         \tsequence = {first},{second},{third}\n\
         \tseq_timeout = 5\n\
         \ttcpflags = syn\n\
         \tcommand = nft add element inet door open {{ %IP% . {SSH} timeout 30s }}\n",
        log = log_file.display()
    )
}
