use std::path::Path;

use super::*;

const BASE: &str = "[gate]\naddress = \"g\"\nstate-dir = \"/s\"\naudit-log = \"/l\"\n[central]\nport = 4444\n\
     [service.web]\nid = 3\nprotocol = \"tcp\"\nports = [80]\n";

fn config(text: &str) -> Config {
    Config::parse(Path::new("agent.toml"), text).unwrap()
}

#[test]
fn every_change_is_a_line_and_what_is_the_same_is_none() {
    let moved = |from: &str, to: &str| BASE.replace(from, to);
    let more = |text: &str| format!("{BASE}{text}");
    let lab = "[[static-sequence]]\nname = \"lab\"\nsequence = [7000, 8000, 9000]\nservice = \"web\"\n";
    #[rustfmt::skip]
    let cases: [(u8, String, &[&str]); 16] = [
        (1, more("# a comment\n"), &[]),
        (2, moved("[80]", "[80, 443]"), &["service web: ports tcp/80 -> tcp/80,443"]),
        (3, moved("4444", "5555"), &["the central port: 4444 -> 5555"]),
        (4, moved("id = 3", "id = 4"), &["service web: is guarded no more", "service web: is guarded, tcp/80"]),
        (5, moved("[service.web]", "[service.www]"), &["service web: is called: web -> www"]),
        (6, more("open = \"1m\"\nmax-open = \"2m\"\n"), &["service web: max-open: 1h -> 2m"]),
        (7, more("[lockout]\nduration = \"7m\"\n"), &["a lockout: "]),
        (8, more(lab), &["static sequence lab: new, tcp/7000, tcp/8000, tcp/9000 within ", "the traps of static sequences: 0 -> "]),
        (9, more("[packet]\nports = [\"1000-1002\"]\n"), &["the ports of packet knocks: 62201 -> 1000-1002"]),
        (10, moved("\"/l\"", "\"/m\""), &["the audit log: /l -> /m"]),
        (11, more("[process]\nseparate = true\nuser = \"u\"\n"), &["the processes: one -> a worker and a broker, user u, sandbox as far as"]),
        (12, more("[audit]\nkeep = 3\n"), &["the audit log is put away: at 16 MiB"]),
        (13, more("[capture]\nvia = \"nflog\"\n"), &["how packets are heard: auto -> nflog"]),
        (14, more("[metrics]\nlisten = \"127.0.0.1:1\"\n"), &["the address of the metrics: none -> 127.0.0.1:1"]),
        (15, more("[control]\ndirectory = \"/c\"\n"), &["the control sockets: /run/knockgate -> /c"]),
        (16, more(&format!("{}sha256 = \"{}\"\n", module(), "0a".repeat(32))), &["policy module own: new, /m.wasm, pinned to 0a0a0a0a...; may "]),
    ];
    let base = config(BASE);
    for (case, text, expected) in cases {
        let texts: Vec<_> = changes(&base, &config(&text)).into_iter().map(|change| change.text).collect();
        assert_eq!(texts.len(), expected.len(), "case {case}: {texts:?}");
        for (text, expected) in texts.iter().zip(expected) {
            assert!(text.starts_with(expected), "case {case}: {text}");
        }
    }
}

#[test]
fn another_pin_of_the_same_file_is_a_change() {
    let pinned = |byte: &str| config(&format!("{BASE}{}sha256 = \"{}\"\n", module(), byte.repeat(32)));
    let texts: Vec<_> = changes(&pinned("0a"), &pinned("0b")).into_iter().map(|change| change.text).collect();
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(texts[0].contains("pinned to 0a0a0a0a") && texts[0].contains("pinned to 0b0b0b0b"), "{texts:?}");
}

fn module() -> &'static str {
    "[policy-module.own]\nfile = \"/m.wasm\"\nservices = [\"web\"]\ncapabilities = [\"open\"]\n"
}
