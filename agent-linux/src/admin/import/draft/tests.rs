use super::*;
use crate::admin::import::command::Audience;

fn draft() -> Draft {
    Draft::new("knockd", "/etc/knockd.conf".as_ref(), "gate.example".into(), WorkersUser::Missing)
}

fn tcp(ports: &[u16]) -> Opening {
    let audience = Audience::Knocker;
    Opening {
        protocol: Protocol::Tcp,
        ports: ports.into(),
        forward: None,
        audience,
        seconds: None,
        conditions: Vec::new(),
    }
}

fn to(inner: &str) -> Opening {
    Opening { forward: Some(inner.parse().unwrap()), ..tcp(&[22]) }
}

fn door(steps: &[&str], service: &str) -> Door {
    let steps = steps.iter().map(|step| (*step).to_owned()).collect();
    let (name, origin) = ("open ssh".to_owned(), "[open ssh] of /etc/knockd.conf:1".to_owned());
    Door { name, steps, service: service.into(), open: 60, within: 5, origin }
}

#[test]
fn a_port_belongs_to_one_service() {
    let mut draft = draft();
    assert!(matches!(draft.place(&tcp(&[80])), Ok(Placed::Alone(name)) if name == "http"));
    assert!(matches!(draft.place(&tcp(&[80, 443])), Ok(Placed::Alone(name)) if name == "http"));
    assert!(matches!(draft.place(&tcp(&[443])), Ok(Placed::WithOthers(name)) if name == "http"));
    assert!(matches!(draft.place(&tcp(&[22])), Ok(Placed::Alone(name)) if name == "ssh"));
    assert!(draft.place(&tcp(&[22, 80])).is_err_and(|reason| reason.contains("knock for each of them")));
    draft.check().unwrap();
}

#[test]
fn a_forwarded_port_goes_to_one_host_of_each_family() {
    let mut draft = draft();
    assert!(draft.place(&to("10.0.0.5:22")).is_ok());
    assert!(draft.place(&to("[fd00::5]:22")).is_ok());
    for other in [&to("10.0.0.6:22"), &tcp(&[22])] {
        assert!(draft.place(other).is_err_and(|reason| reason.contains("choose another outer port")));
    }
    assert!(draft.text().contains("forward = [\"10.0.0.5:22\", \"[fd00::5]:22\"]\n"), "{}", draft.text());
    draft.check().unwrap();
}

#[test]
fn a_door_that_the_agent_refuses_leaves_nothing_behind() {
    let mut draft = draft();
    draft.place(&tcp(&[22])).unwrap();
    #[rustfmt::skip]
    let cases: [(u8, &[&str], &str); 5] = [
        (1, &["7000/tcp", "7001/tcp", "7002/tcp"], "leave gaps between its ports"),
        (2, &["7000/tcp", "8000/tcp"], "2 ports"),
        (3, &["7000/tcp", "8000/tcp", "7000/tcp"], "twice"),
        (4, &["7000/tcp", "22/tcp", "9000/tcp"], "guarded as service ssh"),
        (5, &["7000/tcp", "62201/udp", "9000/tcp"], "for packet knocks"),
    ];
    let before = draft.text();
    for (case, steps, reason) in cases {
        let mut door = door(steps, "ssh");
        door.open = 86_400;
        let refused = draft.add_door(door).unwrap_err();
        assert!(refused.contains(reason), "case {case}: {refused}");
        assert_eq!(draft.text(), before, "case {case}");
    }
}

#[test]
fn a_long_grant_raises_what_its_service_allows() {
    let mut draft = draft();
    draft.place(&tcp(&[22])).unwrap();
    let long = Door { open: 7_200, ..door(&["7000/tcp", "8000/tcp", "9000/tcp"], "ssh") };
    draft.add_door(long).unwrap();
    let text = draft.text();
    assert!(text.contains("max-open = \"2h\"\n") && text.contains("name = \"open-ssh\"\n"), "{text}");
    draft.check().unwrap();
}

#[test]
fn the_agent_is_two_processes_where_init_would_make_it_two() {
    for (worker, expected) in [(WorkersUser::There, Some("knockgate")), (WorkersUser::Missing, None)] {
        let mut draft = Draft { worker, ..draft() };
        draft.place(&tcp(&[22])).unwrap();
        let separation = draft.check().unwrap().separation;
        assert_eq!(separation.and_then(|separation| separation.user).as_deref(), expected);
    }
}

#[test]
fn without_a_service_there_is_no_configuration() {
    let refusal = draft().check().map(drop).unwrap_err().to_string();
    assert!(refusal.starts_with("/etc/knockd.conf: nothing in it opens a port"), "{refusal}");
}

#[test]
fn networks_are_written_as_policies_take_them() {
    #[rustfmt::skip]
    let cases = [
        (1, "192.0.2.1", Some("192.0.2.1")), (2, "192.0.2.0/24", Some("192.0.2.0/24")), (3, "2001:db8::/32", Some("2001:db8::/32")),
        (4, "10.0.0.0/255.0.0.0", Some("10.0.0.0/8")), (5, "10.0.0.0/255.0.255.0", None), (6, "10.0.0.0/33", None),
        (7, "gate.example", None), (8, "", None),
    ];
    for (case, text, expected) in cases {
        assert_eq!(network(text).ok().as_deref(), expected, "case {case}");
    }
}
