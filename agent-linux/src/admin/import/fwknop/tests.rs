use super::*;
use crate::admin::init::WorkersUser;
use crate::config::Config;

struct Outcome {
    text: String,
    report: String,
    config: Config,
}

/// `more` are further files of the folder.
fn import(access: &str, more: &[(&str, &str)]) -> Result<Outcome, String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [("access.conf", access)].iter().chain(more) {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    let daemon = folder.path().join("fwknopd.conf");
    let daemon = daemon.exists().then_some(daemon.as_path());
    let request = Request { address: Some("gate.example".into()), write: None, worker: WorkersUser::Missing };
    let shown = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
    let outcome = run(&folder.path().join("access.conf"), daemon, &request);
    let Imported { configuration, report } = outcome.map_err(|error| shown(format!("{error:#}")))?;
    let text = configuration.unwrap();
    let config = Config::parse("agent.toml".as_ref(), &text).unwrap();
    Ok(Outcome { text, report: shown(report), config })
}

impl Outcome {
    /// Every service in a line.
    fn services(&self) -> Vec<String> {
        let line = |service: &crate::config::Service| {
            let [open, most] = [service.open, service.max_open].map(humantime::format_duration);
            format!("{} {}/{:?} {open} {most}", service.name, service.protocol.word(), service.ports)
        };
        self.config.services.iter().map(line).collect()
    }

    fn must_say(&self, words: &str) {
        assert!(self.report.contains(words), "no {words:?} in:\n{}", self.report);
    }
}

#[test]
fn the_example_of_the_package_names_no_port_and_one_is_proposed() {
    let outcome = import(
        "SOURCE              ANY\nKEY_BASE64          __CHANGEME__\nHMAC_KEY_BASE64     __CHANGEME__\n\
         #GPG_HOME_DIR           /homedir/path/.gnupg\n",
        &[],
    )
    .unwrap();
    assert_eq!(outcome.services(), ["ssh tcp/[22] 30s 5m"]);
    outcome.must_say("look at this:\n  access.conf:1: this stanza has no OPEN_PORTS");
    outcome.must_say("knockgated client add client-1 --service ssh    # access.conf:1\n");
    outcome.must_say("keys and passphrases: fwknop's are shared secrets");
    assert!(!outcome.report.contains("CHANGEME") && !outcome.text.contains("CHANGEME"));
}

#[test]
fn a_stanza_is_a_client_with_services_networks_and_an_end() {
    let outcome = import(
        "SOURCE 192.0.2.0/24, 2001:db8::1\nREQUIRE_USERNAME anna\nOPEN_PORTS tcp/22, udp/1194\nRESTRICT_PORTS udp/1194\n\
         FW_ACCESS_TIMEOUT 60\nMAX_FW_TIMEOUT 600\nACCESS_EXPIRE 03/01/2999\nKEY hunter2\nHMAC_KEY hunter3\n\
         SOURCE: ANY\nOPEN_PORTS tcp/22;\nFW_ACCESS_TIMEOUT 10\nACCESS_EXPIRE_EPOCH 32503680000\n\
         SOURCE 2001:db8::1,192.0.2.0/24\nOPEN_PORTS tcp/443\nKEY hunter2\n\
         SOURCE ANY\nOPEN_PORTS tcp/22\nACCESS_EXPIRE 01/01/2001\n",
        &[],
    )
    .unwrap();
    assert_eq!(outcome.services(), ["ssh tcp/[22] 10s 5m", "https tcp/[443] 30s 5m"]);
    outcome.must_say("client add anna --service ssh --expires 2999-02-28    # access.conf:1\n");
    outcome
        .must_say("client add client-2 --service ssh --expires 3000-01-01T00:00:00Z    # access.conf:10\n");
    outcome.must_say("access.conf:10: service ssh has one time for all, and stanzas disagree: it opens for 10s, 5m at most");
    outcome.must_say("access.conf:17: this stanza has ended (2000-12-31)");
    let networks =
        "[policy.clients]\nanna = [\"networks-1\", \"default\"]\nclient-3 = [\"networks-1\", \"default\"]\n";
    assert!(outcome.text.contains(networks), "{}", outcome.text);
    assert!(outcome.text.contains("networks = [\"192.0.2.0/24\", \"2001:db8::1\"]\n"), "{}", outcome.text);
    assert_eq!(outcome.text.matches("known-networks").count(), 1);
    assert!(!outcome.report.contains("hunter") && !outcome.text.contains("hunter"));
}

#[test]
fn an_inner_host_is_a_service_that_is_forwarded() {
    let outcome = import(
        "SOURCE ANY\nOPEN_PORTS tcp/2222\nFORCE_NAT 10.0.0.5 22\nFORCE_MASQUERADE Y\n\
         SOURCE ANY\nOPEN_PORTS tcp/2222\nFORCE_NAT 10.0.0.6 22\n",
        &[],
    )
    .unwrap();
    assert!(outcome.text.contains("forward = [\"10.0.0.5:22\"]\nmasquerade = true\n"), "{}", outcome.text);
    outcome.must_say("access.conf:5: tcp/2222 the port is that of service tcp-2222, which goes to 10.0.0.5:22; choose another outer port");
    outcome.must_say("access.conf:5: this stanza opens nothing that could be named");
}

#[test]
fn a_port_that_no_service_can_have_is_left_out_with_the_agents_reason() {
    let outcome = import("SOURCE ANY\nOPEN_PORTS tcp/22,udp/62201\n", &[]).unwrap();
    assert_eq!(outcome.services(), ["ssh tcp/[22] 30s 5m"]);
    outcome.must_say("not carried over:\n  access.conf:1: udp/62201 ");
}

#[test]
fn commands_and_gnupg_are_told_as_lost() {
    let outcome = import(
        "SOURCE ANY\nOPEN_PORTS tcp/22\nENABLE_CMD_EXEC Y\nENABLE_FORWARD_ACCESS N\nCMD_CYCLE_OPEN /opt/x --password hunter2\n\
         GPG_DECRYPT_ID ABCD1234\nGPG_DECRYPT_PW hunter2\nDESTINATION 192.0.2.1\nREQUIRE_SOURCE_ADDRESS Y\nREQUIRE_SOURCE Y\n",
        &[],
    )
    .unwrap();
    for words in [
        "access.conf:3: ENABLE_CMD_EXEC: Knockgate runs no commands",
        "access.conf:5: CMD_CYCLE_OPEN: Knockgate runs no commands",
        "access.conf:6: GPG_DECRYPT_ID: there is no GnuPG here",
        "access.conf:8: DESTINATION: a grant opens a service at every address",
        "access.conf:9: REQUIRE_SOURCE_ADDRESS: a grant is for the address that the knock has come from",
        "access.conf:10: REQUIRE_SOURCE: a grant is for the address that the knock has come from",
    ] {
        outcome.must_say(words);
    }
    assert!(!outcome.report.contains("ENABLE_FORWARD_ACCESS") && !outcome.report.contains("hunter2"));
}

#[test]
fn included_files_are_read_and_those_with_keys_are_not() {
    let outcome = import(
        "%include more/one.conf\n%include_folder folder\nSOURCE ANY\nOPEN_PORTS tcp/22\n%include_keys /does/not/exist\n",
        &[
            ("more/one.conf", "SOURCE ANY\nREQUIRE_USERNAME one\nOPEN_PORTS tcp/25\n"),
            ("folder/b.conf", "SOURCE ANY\nREQUIRE_USERNAME two\nOPEN_PORTS tcp/80\n"),
            ("folder/a.txt", "not looked at"),
        ],
    )
    .unwrap();
    outcome.must_say("client add one --service smtp    # more/one.conf:1\n");
    outcome.must_say("client add two --service http    # folder/b.conf:1\n");
    outcome.must_say("client add client-3 --service ssh    # access.conf:3\n");
}

#[test]
fn a_file_whose_name_means_harm_is_named_without_it() {
    let name = "folder/\u{1b}[2J\n.conf";
    let read = import("%include_folder folder\n", &[(name, "SOURCE ANY\nOPEN_PORTS tcp/22\n")]).unwrap();
    read.must_say("# folder/?[2J?.conf:1\n");
    let refused = import("%include_folder folder\n", &[(name, "x\n")]).map(|read| read.text).unwrap_err();
    for said in [read.report, read.text, refused] {
        assert!(!said.contains('\u{1b}'), "{said:?}");
    }
}

#[test]
fn the_daemons_configuration_says_where_knocks_come_in() {
    let access = "SOURCE ANY\nOPEN_PORTS tcp/22\n";
    let daemon = "# x\nPCAP_INTF   eth1;\nPCAP_FILTER udp dst portrange 10000-20000;\nMAX_SPA_PACKET_AGE 120;\nENABLE_SPA_OVER_HTTP Y;\n";
    let outcome = import(access, &[("fwknopd.conf", daemon)]).unwrap();
    assert_eq!(outcome.config.gate.interfaces, ["eth1"]);
    assert!(
        outcome.text.contains("[packet]\nports = [\"10000-20000\"]\nmax-age = \"2m\"\n"),
        "{}",
        outcome.text
    );
    outcome.must_say("fwknopd.conf:5: ENABLE_SPA_OVER_HTTP: knocks are datagrams");

    let outcome = import(access, &[("fwknopd.conf", "ENABLE_UDP_SERVER Y;\n")]).unwrap();
    assert!(outcome.text.contains("[packet]\nports = [62200]\n"), "{}", outcome.text);
    let outcome = import(access, &[("fwknopd.conf", "PCAP_FILTER udp port 62201;\n")]).unwrap();
    assert!(!outcome.text.contains("[packet]"), "{}", outcome.text);
}

#[test]
fn what_fwknopd_passes_over_is_passed_over_and_said() {
    let outcome = import(
        "FW_ACCESS_TIMEOUT 9\n; a note\nSOURCE ANY\nOPEN_PORTS tcp/22; # note\nCOLOUR red\nopen_ports tcp/80\nhunter2! x\n\
         %exec x\n%include more.conf\nFW_ACCESS_TIMEOUT 40;\n",
        &[("more.conf", "OPEN_PORTS tcp/25\nSOURCE ANY\nOPEN_PORTS tcp/443\n")],
    )
    .unwrap();
    assert_eq!(outcome.services(), ["ssh tcp/[22] 40s 5m", "https tcp/[443] 30s 5m"]);
    for words in [
        "access.conf:1: FW_ACCESS_TIMEOUT stands above the first SOURCE of its file",
        "access.conf:5: COLOUR is no setting of access.conf",
        "access.conf:6: this line is no setting of access.conf",
        "access.conf:7: this line is no setting of access.conf",
        "access.conf:8: this line is no setting of access.conf",
        "more.conf:1: OPEN_PORTS stands above the first SOURCE of its file",
    ] {
        outcome.must_say(words);
    }
    assert!(!outcome.report.contains("hunter2"), "{}", outcome.report);
}

#[test]
fn a_client_that_cannot_be_bound_to_its_networks_is_not_proposed() {
    let unread = "SOURCE names no network that can be read, so no client is proposed";
    #[rustfmt::skip]
    let cases = [
        (1, "SOURCE gate.example\n".to_owned(), unread),
        (2, "SOURCE ,\n".to_owned(), unread),
        (3, format!("SOURCE {}\n", (0..86).map(|n| format!("192.0.2.{n}")).collect::<Vec<_>>().join(",")),
            "SOURCE: a policy knows 85 networks"),
    ];
    for (case, source, words) in cases {
        let outcome = import(&format!("{source}OPEN_PORTS tcp/22\n"), &[]).unwrap();
        assert!(
            outcome.report.contains(&format!("access.conf:1: {words}")),
            "case {case}: {}",
            outcome.report
        );
        assert!(
            !outcome.report.contains("knockgated client add client-1"),
            "case {case}: {}",
            outcome.report
        );
    }
    // What can be read of it is less than before, and enough.
    let outcome = import("SOURCE gate.example, 192.0.2.1\nOPEN_PORTS tcp/22\n", &[]).unwrap();
    outcome.must_say("access.conf:1: SOURCE: \"gate.example\" is no network");
    outcome.must_say("knockgated client add client-1");
    assert!(outcome.text.contains("networks = [\"192.0.2.1\"]\n"), "{}", outcome.text);
}

#[test]
fn bad_files_are_refused_with_line_value_and_remedy() {
    #[rustfmt::skip]
    let cases = [
        (1, "", "access.conf: has no stanza"),
        (2, "OPEN_PORTS tcp/22\n", "access.conf: has no stanza"),
        (3, "SOURCE ANY\nOPEN_PORTS tcp/0\n", "access.conf:2: OPEN_PORTS: \"tcp/0\" is no port; write tcp/PORT"),
        (4, "SOURCE ANY\nOPEN_PORTS 22\n", "OPEN_PORTS: \"22\" is no port"),
        (5, "SOURCE ANY\nFW_ACCESS_TIMEOUT soon\n", "access.conf:2: FW_ACCESS_TIMEOUT: \"soon\" is no number of seconds"),
        (6, "SOURCE ANY\nACCESS_EXPIRE 2027-01-31\n", "access.conf:2: ACCESS_EXPIRE: \"2027-01-31\" is no date; write MM/DD/YYYY"),
        (7, "SOURCE ANY\nFORCE_NAT 10.0.0.5\n", "access.conf:2: FORCE_NAT: \"10.0.0.5\" is no inner host"),
        (8, "%include access.conf\n", "access.conf:1: files include each other more than 3 deep"),
        (9, "%include_folder nowhere\n", "access.conf:1: nowhere:"),
        (10, "SOURCE ANY\nOPEN_PORTS tcp/22 # note\n", "access.conf:2: OPEN_PORTS: \"tcp/22 # note\" is no port"),
    ];
    for (case, text, expected) in cases {
        let refusal = import(text, &[]).map(|outcome| outcome.text).unwrap_err();
        assert!(refusal.contains(expected), "case {case}: {refusal}");
        assert!(!refusal.to_lowercase().contains("hunter2"), "case {case}: {refusal}");
    }
}
