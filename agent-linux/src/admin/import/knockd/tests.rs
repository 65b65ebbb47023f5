use super::*;
use crate::admin::init::WorkersUser;
use crate::config::Config;

/// What has come of such a file.
struct Outcome {
    text: String,
    report: String,
    config: Config,
}

fn import(text: &str) -> Result<Outcome, String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("knockd.conf");
    std::fs::write(&file, text).unwrap();
    let request = Request { address: Some("gate.example".into()), write: None, worker: WorkersUser::Missing };
    let shown = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
    let Imported { configuration, report } =
        run(&file, &request).map_err(|error| shown(format!("{error:#}")))?;
    let text = configuration.unwrap();
    let config = Config::parse("agent.toml".as_ref(), &text).unwrap();
    Ok(Outcome { text, report: shown(report), config })
}

impl Outcome {
    /// Every static sequence in a line, with what it opens and for how long.
    fn doors(&self) -> Vec<String> {
        let line = |one: &crate::config::StaticSequence| {
            let service = self.config.service_by_id(one.service).unwrap();
            let open = humantime::format_duration(one.open.unwrap());
            format!("{}: {one}: {} {:?} {open}", one.name, service.name, service.ports)
        };
        self.config.statics.sequences.iter().map(line).collect()
    }

    fn must_say(&self, words: &str) {
        assert!(self.report.contains(words), "no {words:?} in:\n{}", self.report);
    }
}

/// `/etc/knockd.conf` as Debian ships it with knockd 0.8.
const DEBIAN: &str = "[options]\n\tUseSyslog\n\n\
    [openSSH]\n\tsequence    = 7000,8000,9000\n\tseq_timeout = 5\n\
    \tcommand     = /sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\n\ttcpflags    = syn\n\n\
    [closeSSH]\n\tsequence    = 9000,8000,7000\n\tseq_timeout = 5\n\
    \tcommand     = /sbin/iptables -D INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\n\ttcpflags    = syn\n\n\
    [openHTTPS]\n\tsequence    = 12345,54321,24680,13579\n\tseq_timeout = 5\n\
    \tcommand     = /usr/local/sbin/knock_add -i -c INPUT -p tcp -d 443 -f %IP%\n\ttcpflags    = syn\n";

#[test]
fn a_door_that_opens_and_one_that_closes_are_one_sequence_with_a_limited_time() {
    let outcome = import(DEBIAN).unwrap();
    assert_eq!(
        outcome.doors(),
        [
            "openSSH: tcp/7000, tcp/8000, tcp/9000 within 5s: ssh [22] 1h",
            "openHTTPS: tcp/12345, tcp/54321, tcp/24680, tcp/13579 within 5s: https [443] 1h",
        ]
    );
    outcome.must_say("knockd.conf:4: [openSSH] stays open until somebody knocks [closeSSH]; here it closes by itself after 1h");
    outcome.must_say(
        "knockd.conf:13: [closeSSH] closes what [openSSH] opens; the two are one static sequence now",
    );
    outcome.must_say("knockd.conf:16: [openHTTPS] stays open for ever");
    outcome.must_say("needed no more:\n  knockd.conf:2: UseSyslog");
    assert!(!outcome.report.contains("not carried over"), "{}", outcome.report);
}

#[test]
fn the_second_example_of_the_manual_opens_every_port_and_its_name_says_which_is_meant() {
    let outcome = import(
        "[options]\n logfile = /var/log/knockd.log\n[opencloseSSH]\n sequence      = 2222:udp,3333:tcp,4444:udp\n\
         seq_timeout   = 15\n tcpflags      = syn,ack\n\
         start_command = /usr/sbin/iptables -A INPUT -s %IP% -p tcp --syn -j ACCEPT\n cmd_timeout   = 5\n\
         stop_command  = /usr/sbin/iptables -D INPUT -s %IP% -p tcp --syn -j ACCEPT\n",
    )
    .unwrap();
    assert_eq!(outcome.doors(), ["opencloseSSH: udp/2222, tcp/3333, udp/4444 within 15s: ssh [22] 5s"]);
    outcome
        .must_say("look at this:\n  knockd.conf: no Interface is named, and then knockd hears at eth0 alone");
    outcome.must_say("  knockd.conf:7: [opencloseSSH] opens every port");
    outcome.must_say("knockd.conf:6: [opencloseSSH] TCPFlags: a step is a SYN here");
}

#[test]
fn one_time_sequences_are_a_matter_for_clients_with_keys_and_the_service_is_there() {
    // The third and the fourth example of the manual.
    let third = "[opencloseSMTP]\n one_time_sequences = /etc/knockd/smtp_sequences\n seq_timeout = 15\n tcpflags = fin,!ack\n\
                 start_command = /usr/sbin/iptables -A INPUT -s %IP% -p tcp --dport 25 -j ACCEPT\n cmd_timeout = 5\n\
                 stop_command = /usr/sbin/iptables -D INPUT -s %IP% -p tcp --dport 25 -j ACCEPT\n";
    let fourth = third.replace(
        "cmd_timeout",
        "start_command_6 = /usr/sbin/ip6tables -A INPUT -s %IP% -p tcp --dport 25 -j ACCEPT\n cmd_timeout",
    );
    for (text, is_of_one_family) in [(third, true), (fourth.as_str(), false)] {
        let outcome = import(text).unwrap();
        assert!(outcome.doors().is_empty(), "{:?}", outcome.doors());
        assert_eq!(outcome.config.service("smtp").unwrap().ports, [25]);
        outcome.must_say("not carried over:\n  knockd.conf:2: [opencloseSMTP] One_Time_Sequences");
        outcome.must_say("`knockgated client add NAME` gives every client a book of its own");
        assert_eq!(outcome.report.contains("over IPv6"), is_of_one_family, "{}", outcome.report);
    }
}

#[test]
fn blanks_case_comments_and_line_ends_are_as_knockd_takes_them() {
    let outcome = import(
        "# a comment\r\n\r\n [Options] \r\n  Interface=eth1\r\n\t[door]\r\n  SEQUENCE = 7000 , 8000:TCP,9000: udp \r\n\
         Command=iptables -I INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\r\n  # Stop_Command = x\r\nTCPFLAGS=Syn,!ACK\r\n",
    )
    .unwrap();
    assert_eq!(outcome.doors(), ["door: tcp/7000, tcp/8000, udp/9000 within 25s: ssh [22] 1h"]);
    assert_eq!(outcome.config.gate.interfaces, ["eth1"]);
    assert!(!outcome.report.contains("no Interface"), "{}", outcome.report);
    assert!(!outcome.report.contains("TCPFlags"), "{}", outcome.report);
}

#[test]
fn what_a_stop_command_or_the_firewall_itself_ends_lasts_as_long() {
    let door = |name: &str, first: u16, rest: &str| {
        format!("[{name}]\nsequence = {first},{},{}\ntcpflags = syn\n{rest}\n", first + 1000, first + 2000)
    };
    let text = door(
        "a",
        7000,
        "command = ufw allow from %IP% to any port 22\ncmd_timeout = 90\nstop_command = ufw delete allow from %IP% to any port 22",
    ) + &door("b", 7100, "command = nft add element inet f s { %IP% . 443 timeout 5m }")
        + &door(
            "c",
            7200,
            "command = ufw allow 80/tcp\nstop_command = ufw delete allow 80/tcp; logger hunter2",
        )
        + &door(
            "d",
            7300,
            "command = ufw allow from %IP% to any port 25\ncmd_timeout = 9999999\nstop_command = ufw delete allow 25",
        );
    let outcome = import(&text).unwrap();
    let ends: Vec<_> = outcome
        .doors()
        .iter()
        .filter_map(|door| door.rsplit_once("] ").map(|end| end.1.to_owned()))
        .collect();
    assert_eq!(ends, ["1m 30s", "5m", "10s", "30days"]);
    outcome.must_say("[c] opened to everybody; Knockgate opens to the address that has knocked");
    outcome.must_say("[c] Stop_Command does more than to close");
    outcome.must_say("[d] stays open for longer than 30days");
}

#[test]
fn what_is_no_opening_becomes_a_proposal_and_its_arguments_stay_where_they_are() {
    let text = "[ssh]\nsequence = 7000,8000,9000\ntcpflags = syn\n\
        command = iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT; curl -u joe:hunter2 https://hooks.example/%IP%\n\
        [vpn]\nsequence = 7100,8100,9100\ncommand = systemctl start openvpn@lab\n\
        [wake]\nsequence = 7200,8200,9200\ncommand = etherwake 00:11:22:33:44:55\n\
        [script]\nsequence = 7300,8300,9300\ncommand = /opt/bin/do-it.sh hunter2\n";
    let outcome = import(text).unwrap();
    assert_eq!(outcome.doors().len(), 1);
    outcome.must_say("knockd.conf:7: [vpn] starts openvpn@lab.service, and Knockgate runs no commands; a policy of yours can start that unit");
    outcome.must_say("knockd.conf:13: [script] runs do-it.sh, and Knockgate runs no commands");
    for table in [
        "# [unit.vpn]",
        "# unit = \"openvpn@lab.service\"",
        "# [channel.ssh]",
        "# unit = \"wake-wake.service\"",
    ] {
        assert!(outcome.text.contains(table), "no {table:?} in:\n{}", outcome.text);
    }
    assert!(
        !outcome.text.contains("hunter2") && !outcome.report.contains("hunter2"),
        "{}{}",
        outcome.text,
        outcome.report
    );
}

#[test]
fn proposals_are_tables_that_the_agent_knows() {
    for errand in ["systemctl start x", "etherwake 00:11:22:33:44:55", "logger y", "/opt/x"] {
        let text = format!(
            "[ssh]\nsequence = 7000,8000,9000\ncommand = ufw allow from %IP% to any port 22; {errand}\n"
        );
        let outcome = import(&text).unwrap();
        let (before, proposal) = outcome.text.split_once("# Of [ssh]").unwrap();
        let proposal = proposal.replace("NAME-OF-THE-SERVICE", "ssh");
        let lines = proposal.lines().skip(1).map(|line| format!("{}\n", line.trim_start_matches("# ")));
        let text = format!("{before}\n{}", lines.collect::<String>());
        Config::parse("agent.toml".as_ref(), &text).unwrap();
    }
}

#[test]
fn the_marks_of_all_proposals_can_be_taken_away_at_once() {
    let door = |name: &str, first: u16, errands: &str| {
        let sequence = format!("{first},{},{}", first + 1000, first + 2000);
        format!("[{name}]\nsequence = {sequence}\ncommand = ufw allow from %IP% to any port 22; {errands}\n")
    };
    let text = door("a b", 7000, "logger x; curl y; systemctl start x; /opt/x")
        + &door("a-b", 7100, "logger x; etherwake 00:11:22:33:44:55")
        + &door("default", 7200, "logger x; /opt/x")
        + &door("a.b", 7300, "/opt/x; /opt/y");
    let outcome = import(&text).unwrap();
    outcome.must_say("10 proposals as a comment");

    // The head of each is a sentence; a mark before it is there to stay.
    let line = |line: &str| match line.strip_prefix("# ") {
        Some(line) if !line.starts_with("Of [") => format!("{line}\n"),
        _ => format!("{line}\n"),
    };
    let (before, proposals) = outcome.text.split_once("# Of [").unwrap();
    let proposals: String =
        proposals.replace("NAME-OF-THE-SERVICE", "ssh").lines().skip(1).map(line).collect();
    let config = Config::parse("agent.toml".as_ref(), &format!("{before}{proposals}")).unwrap();
    assert_eq!((config.units.len(), config.channels.len()), (6, 4));
}

#[test]
fn of_proposals_without_end_there_are_a_few() {
    let text = format!("[x]\nsequence = 7000,8000,9000\ncommand = ufw allow ssh{}\n", ";x".repeat(60_000));
    import(&text).unwrap().must_say("64 proposals as a comment");
}

#[test]
fn sequences_that_are_none_here_are_told_with_the_agents_reason() {
    let door = |name: &str, ports: &str| {
        format!(
            "[{name}]\nsequence = {ports}\ntcpflags = syn\ncommand = ufw allow from %IP% to any port 22\n"
        )
    };
    let text = door("walk", "7000,7001,7002")
        + &door("short", "7000,8000")
        + &door("good", "7000,9000,8000")
        + &door("twin", "7000,9000,8000");
    let outcome = import(&text).unwrap();
    assert_eq!(outcome.doors(), ["good: tcp/7000, tcp/9000, tcp/8000 within 25s: ssh [22] 1h"]);
    outcome.must_say(
        "knockd.conf:2: [walk] its sequence is none here; service ssh is there for clients with keys.",
    );
    outcome.must_say("leave gaps between its ports");
    outcome.must_say("knockd.conf:6: [short] its sequence is none here");
    outcome.must_say("opens good instead; take other ports");
}

#[test]
fn what_differs_is_said() {
    let text = "[a]\nsequence = 7000,8000,9000\nseq_timeout = 600\ntarget = 192.0.2.7\n\
        command = iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT\ncommand_6 =\n\
        [b]\nsequence = 7100,8100,9100\ncommand = ipset add knocked %IP%\n\
        [c]\nsequence = 7200,8200,9200\ncommand = iptables -A INPUT -s %IP% -j ACCEPT\n\
        [d]\nsequence = 7300,8300,9300\n\
        [e]\nsequence = 7400,8400,9400\ncommand = iptables -D INPUT -s %IP% -p tcp --dport 99 -j ACCEPT\n";
    let outcome = import(text).unwrap();
    assert_eq!(outcome.doors(), ["a: tcp/7000, tcp/8000, tcp/9000 within 1m: ssh [22] 1h"]);
    for words in [
        "knockd.conf:3: [a] Seq_Timeout of 600 s",
        "knockd.conf:4: [a] Target",
        "knockd.conf:6: [a] did nothing for a knock over IPv6",
        "knockd.conf:1: [a] has no TCPFlags",
        "knockd.conf:9: [b] adds to a set of addresses",
        "knockd.conf:12: [c] opens every port",
        "knockd.conf:13: [d] has no command",
        "knockd.conf:17: [e] closes tcp/99, which no door opens",
    ] {
        outcome.must_say(words);
    }
}

#[test]
fn what_differs_between_the_families_is_said() {
    const FOUR: &str = "start_command = ufw allow from %IP% to any port 22";
    const SIX: &str = "start_command_6 = ufw allow from %IP% to any port 22";
    const STOP: &str = "stop_command = ufw delete allow from %IP% to any port 22";
    const TABLES: &str = "start_command = /sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT";
    const TABLES_6: &str = "start_command_6 = /sbin/ip6tables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT";
    let nothing = |over: &str| format!("did nothing for a knock over {over}; here");
    let otherwise = "ends otherwise over IPv6".to_owned();
    #[rustfmt::skip]
    let cases = [
        (1, vec![SIX], Some(nothing("IPv4"))),
        (2, vec!["start_command =", SIX], Some(nothing("IPv4"))),
        (3, vec![FOUR, "start_command_6 ="], Some(nothing("IPv6"))),
        (4, vec![FOUR, SIX], None),
        (5, vec![FOUR], None),
        (6, vec![FOUR, "start_command_6 = ufw allow from %IP% to any port 80"], Some("does something else over IPv6".into())),
        (7, vec![FOUR, STOP, "stop_command_6 ="], Some(otherwise.clone())),
        (8, vec![FOUR, "stop_command_6 = ufw delete allow from %IP% to any port 22"], Some(otherwise)),
        (9, vec![FOUR, SIX, STOP, "stop_command_6 = ufw delete allow from %IP% to any port 22"], None),
        (10, vec![TABLES], Some(nothing("IPv6"))),
        (11, vec![TABLES, TABLES_6], None),
        (12, vec!["start_command = ip6tables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT"], Some(nothing("IPv4"))),
        (13, vec!["start_command = iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT; ip6tables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT"], None),
        (14, vec!["start_command = nft add rule inet filter input ip saddr %IP% tcp dport 22 accept"], Some(nothing("IPv6"))),
        (15, vec!["start_command = nft add rule inet filter input ip6 saddr %IP% tcp dport 22 accept"], Some(nothing("IPv4"))),
        (16, vec!["start_command = firewall-cmd --add-rich-rule='rule family=\"ipv4\" source address=\"%IP%\" port port=\"22\" protocol=\"tcp\" accept'"], Some(nothing("IPv6"))),
        (17, vec!["start_command = ip6tables -D INPUT -s %IP% -p tcp --dport 22 -j DROP; logger x"], Some(nothing("IPv4"))),
        (18, vec!["start_command = iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT; ufw allow from %IP% to any port 22"], None),
    ];
    for (case, lines, expected) in cases {
        let text = format!("[x]\nsequence = 7000,8000,9000\n{}\n", lines.join("\n"));
        let Outcome { report, .. } = import(&text).unwrap();
        let families = report.lines().filter(|line| line.contains("over IPv")).collect::<Vec<_>>();
        match expected {
            Some(words) => {
                assert!(families.len() == 1 && families[0].contains(&words), "case {case}: {families:?}");
            }
            None => assert!(families.is_empty(), "case {case}: {families:?}"),
        }
    }
}

#[test]
fn only_a_stop_command_that_may_close_ends_a_door() {
    const MORE: &str = "does more than to close";
    const ELSE: &str = "does something else than to close";
    const SUPPOSED: &str = "is taken for one that closes";
    #[rustfmt::skip]
    let cases: [(u8, &str, &str, &[&str]); 6] = [
        (1, "stop_command = ufw delete allow from %IP% to any port 22", "10s", &[]),
        (2, "stop_command = ufw delete allow from %IP% to any port 22; logger x", "10s", &[MORE]),
        (3, "stop_command = logger x", "1h", &[ELSE, "stays open for ever"]),
        (4, "stop_command =", "1h", &["stays open for ever"]),
        (5, "stop_command = /opt/close.sh", "10s", &[SUPPOSED]),
        (6, "stop_command = logger x\nstop_command_6 = ufw delete allow from %IP% to any port 22", "10s", &[ELSE]),
    ];
    for (case, stop, open, expected) in cases {
        let text =
            format!("[x]\nsequence = 7000,8000,9000\ncommand = ufw allow from %IP% to any port 22\n{stop}\n");
        let outcome = import(&text).unwrap();
        let doors = outcome.doors();
        assert!(doors[0].ends_with(open), "case {case}: {doors:?}");
        for words in [MORE, ELSE, SUPPOSED, "stays open for ever"] {
            assert_eq!(outcome.report.contains(words), expected.contains(&words), "case {case}: {words}");
        }
    }
}

#[test]
fn what_a_command_asks_for_and_a_grant_does_not_is_said() {
    let text = "[x]\nsequence = 7000,8000,9000\n\
        command = iptables -A INPUT -d 10.0.0.1 -i eth1 -s %IP% -p tcp --dport 22 -m time --timestop 17:00 -j ACCEPT; \
        iptables -A INPUT -i eth1 -s %IP% -p tcp --dport 80 -m hashlimit --hashlimit-name x -j ACCEPT\n\
        [y]\nsequence = 7100,8100,9100\ncommand = iptables -A INPUT -s 192.168.0.0/16 -p tcp --dport 443 -j ACCEPT\n";
    let outcome = import(text).unwrap();
    for words in [
        "knockd.conf:3: [x] its command is for the address 10.0.0.1 alone",
        "knockd.conf:3: [x] its command is for the link eth1 alone",
        "knockd.conf:3: [x] its command is for certain times alone",
        "knockd.conf:3: [x] its command asks for more (hashlimit)",
        "knockd.conf:6: [y] its command names the source 192.168.0.0/16",
    ] {
        outcome.must_say(words);
        assert_eq!(outcome.report.matches(words).count(), 1, "{words}");
    }
    assert!(!outcome.report.contains("opened to everybody"), "{}", outcome.report);
}

#[test]
fn bad_files_are_refused_with_line_value_and_remedy() {
    let door = |lines: &str| format!("[x]\ncommand = ufw allow 22\n{lines}\n");
    #[rustfmt::skip]
    let cases = [
        (1, String::new(), "knockd.conf: has no knock"),
        (2, "sequence = 1,2,3".into(), "knockd.conf:1: stands in no section"),
        (3, door("sequence = 7000,80000,9000"), "knockd.conf:3: \"80000\" is no step of a sequence; write PORT"),
        (4, door("sequence = 7000,8000:icmp,9000"), "\"8000:icmp\" is no step"),
        (5, door("sequence = 7000,,9000"), "\"\" is no step"),
        (6, door("tcpflags = syn"), "knockd.conf:1: [x] has no sequence"),
        (7, door("tcpflags = sin"), "knockd.conf:3: \"sin\" is no TCP flag"),
        (8, door("cmd_timeout = soon"), "knockd.conf:3: cmd_timeout = \"soon\" is no number of seconds"),
        (9, door("colour = red"), "knockd.conf:3: \"colour\" is no setting of knockd in [x]"),
        (10, door("-----BEGIN KEY----- hunter2"), "knockd.conf:3: this line is no setting of knockd in [x]"),
        (11, "[options]\nInterface = a/b\n".into(), "knockd.conf:2: \"a/b\" cannot be an interface"),
        (12, "[]\n".into(), "knockd.conf:1: a section without a name"),
        (13, door("sequence = 7000,8000\u{1b}[2J"), "knockd.conf:3: this line has a control character"),
        (14, "[x]\nsequence = 7000,8000,9000\ncommand = /opt/x\n".into(), "nothing in it opens a port that could be named"),
    ];
    for (case, text, expected) in cases {
        let refusal = import(&text).map(|outcome| outcome.text).unwrap_err();
        assert!(refusal.contains(expected), "case {case}: {refusal}");
        assert!(!refusal.contains("hunter2"), "case {case}: {refusal}");
    }
}

/// Pieces of such files, and what might stand among them.
const PIECES: [&str; 24] = [
    "[options]",
    "[a]",
    "[b b]",
    "[a.b]",
    "sequence = 7000,8000,9000",
    "sequence=7000:udp,9000,8000 , 4000",
    "Sequence = 1,2,3",
    "one_time_sequences = /x",
    "seq_timeout = 0",
    "cmd_timeout = 99999999999",
    "tcpflags = syn",
    "tcpflags = !syn,fin",
    "command = iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT",
    "command = ufw allow 22,80,443/tcp; x 'y",
    "start_command = nft add element inet f s { %IP% . 8000 timeout 1s }",
    "stop_command = \\",
    "command_6 =",
    "target = x",
    "command = iptables -t nat -A PREROUTING -p tcp --dport 22 -j DNAT --to-destination [::1]:22",
    "command = systemctl start \"a b\".",
    "interface = eth0",
    "usesyslog",
    "# [c]",
    "=",
];

proptest::proptest! {
    #[test]
    fn any_file_is_refused_or_makes_a_good_configuration(
        chosen in proptest::collection::vec(0..PIECES.len(), 0..24),
    ) {
        let text: String = chosen.iter().map(|at| format!("{}\n", PIECES[*at])).collect();
        // Whatever comes of it is read by the agent's own reader.
        let outcome = import(&format!("[x]\nsequence = 6000,5000,4000\ncommand = ufw allow ssh\n{text}"));
        if let Err(refusal) = outcome {
            proptest::prop_assert!(refusal.contains("knockd.conf:"), "{}", refusal);
        }
    }
}
