use super::*;

fn opening(protocol: Protocol, ports: &[u16]) -> Opening {
    Opening {
        protocol,
        ports: ports.into(),
        forward: None,
        audience: Audience::Knocker,
        seconds: None,
        conditions: vec![],
    }
}

fn tcp(ports: &[u16]) -> Opening {
    opening(Protocol::Tcp, ports)
}

#[test]
fn commands_that_open_or_close_ports_are_recognised() {
    let to_all = |ports: &[u16]| Opening { audience: Audience::Everybody, ..tcp(ports) };
    let for_a_while = |ports: &[u16], seconds| Opening { seconds: Some(seconds), ..tcp(ports) };
    let forward = Some("10.0.0.5:22".parse().unwrap());
    #[rustfmt::skip]
    let cases = [
        (1, "/sbin/iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT", Deed::Opens(tcp(&[22]))),
        (2, "/sbin/iptables -D INPUT -s %IP% --dport 22 -j ACCEPT", Deed::Closes(tcp(&[22]))),
        (3, "iptables -I INPUT 1 -s %IP% -p udp --dport=1194 -j ACCEPT", Deed::Opens(opening(Protocol::Udp, &[1194]))),
        (4, "ip6tables -A INPUT -s %IP% -p tcp -m multiport --dports 80,443,6000:6002 -j ACCEPT",
            Deed::Opens(tcp(&[80, 443, 6000, 6001, 6002]))),
        (5, "iptables -A INPUT -p tcp --dport ssh -j ACCEPT", Deed::Opens(to_all(&[22]))),
        (6, "iptables -D INPUT -p tcp --dport 22 -s %IP% -j DROP", Deed::Opens(tcp(&[22]))),
        (7, "iptables -A INPUT -s %IP% -p tcp --syn -j ACCEPT", Deed::OpensAll(vec![])),
        (8, "iptables -D INPUT -s %IP% -j ACCEPT", Deed::ClosesAll),
        (9, "iptables -t nat -A PREROUTING -s %IP% -p tcp --dport 2222 -j DNAT --to-destination 10.0.0.5:22",
            Deed::Opens(Opening { forward, ..tcp(&[2222]) })),
        (10, "/usr/local/sbin/knock_add -i -c INPUT -p tcp -d 443 -f %IP%", Deed::Opens(tcp(&[443]))),
        (11, "/usr/sbin/knock_helper_ipt.sh -x -f %IP% -d 22", Deed::Closes(tcp(&[22]))),
        (12, "nft add rule inet filter input ip saddr %IP% tcp dport 22 accept", Deed::Opens(tcp(&[22]))),
        (13, "nft 'insert rule inet filter input ip saddr %IP% udp dport { 53, 123 } counter accept'",
            Deed::Opens(opening(Protocol::Udp, &[53, 123]))),
        (14, "nft add element inet filter knocked { %IP% . 22 timeout 1m }", Deed::Opens(for_a_while(&[22], 60))),
        (15, "nft delete element inet filter knocked { %IP% . 22 }", Deed::Closes(tcp(&[22]))),
        (16, "nft add element inet filter knocked { %IP% }", Deed::ChangesSet),
        (17, "ufw allow from %IP% to any port 22", Deed::Opens(tcp(&[22]))),
        (18, "ufw insert 1 allow proto udp from %IP% to any port 1194", Deed::Opens(opening(Protocol::Udp, &[1194]))),
        (19, "ufw delete allow from %IP% to any port 22 proto tcp", Deed::Closes(tcp(&[22]))),
        (20, "ufw allow OpenSSH", Deed::Opens(to_all(&[22]))),
        (21, "ufw allow from %IP%", Deed::OpensAll(vec![])),
        (22, r#"firewall-cmd --add-rich-rule='rule family="ipv4" source address="%IP%" port port="22" protocol="tcp" accept'"#,
            Deed::Opens(tcp(&[22]))),
        (23, r#"firewall-cmd --timeout=60 --add-rich-rule='rule source address=%IP% service name="ssh" accept'"#,
            Deed::Opens(for_a_while(&[22], 60))),
        (24, "firewall-cmd --remove-port=8080/tcp", Deed::Closes(to_all(&[8080]))),
        (25, "ipset add knocked %IP%", Deed::ChangesSet),
        (26, "sudo -n iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT", Deed::Opens(tcp(&[22]))),
        (27, "PATH=/sbin sudo iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT", Deed::Opens(tcp(&[22]))),
        (29, "ufw allow from %IP% port 5000 to any app OpenSSH", Deed::Opens(Opening {
            conditions: vec![Condition::other("sport")], ..tcp(&[22]) })),
        (28, "sh -c 'iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT'", Deed::Opens(tcp(&[22]))),
    ];
    for (case, line, expected) in cases {
        assert_eq!(deeds(line), [expected], "case {case}");
    }
}

#[test]
fn what_a_rule_asks_for_beside_port_and_knocker_is_kept() {
    let from = |network: &str| Condition::From(Some(network.to_owned()));
    let to = |address: &str| Condition::To(Some(address.to_owned()));
    let at = |link: &str| Condition::At(Some(link.to_owned()));
    let other = |word: &str| Condition::Other(word.to_owned());
    let when = || Condition::When;
    #[rustfmt::skip]
    let cases = [
        (1, "iptables -A INPUT -d 10.0.0.1 -i eth1 -s %IP% -p tcp --dport 22 -j ACCEPT", vec![to("10.0.0.1"), at("eth1")]),
        (2, "iptables -w -t filter -A INPUT -s %IP% -p tcp -m tcp --dport 22 -m state --state NEW -m comment --comment x -j ACCEPT", vec![]),
        (3, "iptables -A INPUT -s %IP% -p tcp --dport 22 -m time --timestart 9:00 --timestop 17:00 -m limit --limit 3/min -j ACCEPT",
            vec![when(), other("limit")]),
        (4, "iptables -A INPUT -s %IP% -p tcp --sport 1024:65535 --dport 22 -m conntrack --ctstate ESTABLISHED -j ACCEPT",
            vec![other("--sport"), other("state")]),
        (5, "iptables -A INPUT --in-interface=eth1 -s 10.0.0.0/8,%IP% -p tcp --dport 22 -j ACCEPT", vec![at("eth1"), from("10.0.0.0/8")]),
        (6, "iptables -A INPUT -s %IP% -p tcp --dport 22 --password=hunter2 -xhunter2 -j ACCEPT", vec![other("--password"), other("-x")]),
        (7, "nft add rule inet filter input iifname eth1 ip daddr 10.0.0.1 ip saddr { %IP%, 192.168.0.0/16 } tcp dport 22 accept",
            vec![at("eth1"), to("10.0.0.1"), from("192.168.0.0/16")]),
        (8, "nft add rule filter input position 3 ip saddr %IP% ct state { new, established } tcp dport 22 counter log prefix x accept",
            vec![]),
        (9, "nft 'add rule inet f i meta hour \"09:00\"-\"17:00\" ip saddr %IP% tcp dport 22 limit rate 3/minute accept comment \"hunter2\"'",
            vec![when(), other("limit")]),
        (10, "nft add rule inet f i ip saddr %IP% tcp sport 1024-65535 tcp dport 22 ct state established accept",
            vec![other("sport"), other("state")]),
        (11, "nft add element inet f s { eth1 . %IP% . 22 }", vec![other("eth1")]),
        (12, "ufw allow in on eth1 log from %IP% to 10.0.0.1 port 22 proto tcp comment 'from 10.0.0.0/8'",
            vec![at("eth1"), to("10.0.0.1")]),
        (13, "ufw limit from %IP% port 5000 to any port 22", vec![other("sport"), other("limit")]),
        (14, "firewall-cmd --permanent --zone=work --add-rich-rule='rule family=ipv4 source address=%IP% destination \
              address=10.0.0.1 port port=22 protocol=tcp log prefix=x limit value=1/m accept limit value=3/m'",
            vec![other("--zone"), to("10.0.0.1"), other("limit")]),
        (15, "firewall-cmd --add-rich-rule='rule source address=%IP% source-port port=5000 protocol=tcp service name=ssh accept'",
            vec![other("source-port")]),
        (16, "knock_add -a -p tcp -d 22 -f %IP%", vec![]),
    ];
    for (case, line, conditions) in cases {
        assert_eq!(deeds(line), [Deed::Opens(Opening { conditions, ..tcp(&[22]) })], "case {case}");
    }
}

#[test]
fn a_source_that_stands_in_the_command_is_not_everybody() {
    let conditions = vec![Condition::From(Some("192.168.0.0/16".into()))];
    let named = || Opening { audience: Audience::Named, conditions: conditions.clone(), ..tcp(&[22]) };
    #[rustfmt::skip]
    let cases = [
        (1, "iptables -A INPUT -s 192.168.0.0/16 -p tcp --dport 22 -j ACCEPT", Deed::Opens(named())),
        (2, "nft add rule inet filter input ip saddr 192.168.0.0/16 tcp dport 22 accept", Deed::Opens(named())),
        (3, "ufw allow from 192.168.0.0/16 to any port 22", Deed::Opens(named())),
        (4, "firewall-cmd --add-rich-rule='rule source address=192.168.0.0/16 service name=ssh accept'", Deed::Opens(named())),
        (5, "knock_helper_ipt.sh -i -f 192.168.0.0/16 -d 22", Deed::Opens(named())),
        (6, "iptables -A INPUT -s 192.168.0.0/16 -j ACCEPT", Deed::OpensAll(conditions.clone())),
        (7, "ufw allow from 192.168.0.0/16", Deed::OpensAll(conditions.clone())),
    ];
    for (case, line, expected) in cases {
        assert_eq!(deeds(line), [expected], "case {case}");
    }
}

#[test]
fn a_line_of_nothing_but_ranges_costs_no_memory() {
    let line = format!("iptables -A INPUT -p tcp --dports {} -j ACCEPT", "1:65535,".repeat(30_000));
    assert_eq!(deeds(&line), [Deed::Errand(Errand::Runs("iptables".into()))]);
}

#[test]
fn commands_that_do_something_else_are_not_taken_for_openings() {
    let other = |program: &str| Deed::Errand(Errand::Runs(program.into()));
    let starts = |unit: &str| Deed::Errand(Errand::Starts(unit.into()));
    #[rustfmt::skip]
    let cases = [
        (1, "systemctl start openvpn", starts("openvpn.service")),
        (2, "/bin/systemctl --no-block start backup.target", starts("backup.target")),
        (3, "service apache2 restart", starts("apache2.service")),
        (4, "systemctl stop openvpn", other("systemctl")),
        (5, "etherwake -i eth0 00:11:22:33:44:55", Deed::Errand(Errand::WakesMachine)),
        (6, "curl -H 'Authorization: Bearer hunter2' https://hooks.example/%IP%", Deed::Errand(Errand::Tells)),
        (7, "/opt/open.sh --password hunter2", other("open.sh")),
        (8, "iptables -A INPUT -s %IP% -p tcp ! --dport 22 -j ACCEPT", other("iptables")),
        (9, "iptables -A INPUT -s %IP% -p tcp --dport 1:60000 -j ACCEPT", other("iptables")),
        (10, "iptables -A INPUT -s %IP% -p icmp -j ACCEPT", other("iptables")),
        (11, "iptables -A INPUT -p tcp --dport 99999 -j ACCEPT", other("iptables")),
        (12, "nft add rule inet filter input tcp dport 22 drop", other("nft")),
        (13, "nft flush ruleset", other("nft")),
        (14, "iptables -A FORWARD -s %IP% -p tcp --dport 22 -j ACCEPT", other("iptables")),
        (17, "nft add rule inet filter input ip saddr != %IP% tcp dport 22 accept", other("nft")),
        (18, "ufw route allow from %IP% to any port 22", other("ufw")),
        (19, "ufw allow out to any port 53", other("ufw")),
        (20, "firewall-cmd --add-rich-rule='rule source NOT address=%IP% service name=ssh accept'", other("firewall-cmd")),
        (21, "firewall-cmd --add-port=22/tcp --add-port=80/tcp", other("firewall-cmd")),
        (15, "'/opt/a b;c/\x20'", other("")),
        (16, "pw2=hunter2 /opt/open.sh", other("open.sh")),
    ];
    for (case, line, expected) in cases {
        assert_eq!(deeds(line), [expected], "case {case}");
    }
}

#[test]
fn a_line_may_have_several_commands() {
    let line = "iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT; logger \"a; b\" && /opt/x 'c && d'";
    assert_eq!(
        deeds(line),
        [Deed::Opens(tcp(&[22])), Deed::Errand(Errand::Tells), Deed::Errand(Errand::Runs("x".into()))]
    );
    assert_eq!(deeds(""), []);
}
