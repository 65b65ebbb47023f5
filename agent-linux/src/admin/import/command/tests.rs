use super::*;

fn opening(protocol: Protocol, ports: &[u16]) -> Opening {
    Opening { protocol, ports: ports.into(), forward: None, audience: Audience::Knocker, seconds: None }
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
        (7, "iptables -A INPUT -s %IP% -p tcp --syn -j ACCEPT", Deed::OpensAll),
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
        (21, "ufw allow from %IP%", Deed::OpensAll),
        (22, r#"firewall-cmd --add-rich-rule='rule family="ipv4" source address="%IP%" port port="22" protocol="tcp" accept'"#,
            Deed::Opens(tcp(&[22]))),
        (23, r#"firewall-cmd --timeout=60 --add-rich-rule='rule source address=%IP% service name="ssh" accept'"#,
            Deed::Opens(for_a_while(&[22], 60))),
        (24, "firewall-cmd --remove-port=8080/tcp", Deed::Closes(to_all(&[8080]))),
        (25, "ipset add knocked %IP%", Deed::ChangesSet),
        (26, "sudo -n iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT", Deed::Opens(tcp(&[22]))),
        (27, "PATH=/sbin sudo iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT", Deed::Opens(tcp(&[22]))),
        (28, "sh -c 'iptables -A INPUT -s %IP% -p tcp --dport 22 -j ACCEPT'", Deed::Opens(tcp(&[22]))),
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
