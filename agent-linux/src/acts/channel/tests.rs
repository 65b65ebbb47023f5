//! Against a real listener for HTTP and a real Unix socket.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc;
use std::time::Instant;

use tempfile::TempDir;

use super::*;
use crate::config::Config;

#[test]
fn a_webhook_is_sent_the_notice_as_json_with_the_headers_of_its_file() {
    let scene = Scene::new();
    let server = Server::start(vec![Reply::Status(204)]);
    let file = scene.dir.path().join("ops.header");
    crate::state::private_file::create(&file, b"Authorization: Bearer secret-token\n").unwrap();
    let channel = scene.webhook(&server, &format!("header-file = {file:?}"));

    channel.notify(42, notice());

    let request = server.request();
    assert!(request.starts_with("POST /hook/secret-path HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: Bearer secret-token\r\n"), "{request}");
    assert!(request.contains("content-type: application/json\r\n"), "{request}");
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(
        (body["code"].as_u64(), body["channel"].as_str(), body["client"].as_str()),
        (Some(42), Some("ops"), Some("anna"))
    );
    let line = scene.told();
    assert!(line.contains(r#""channel":"ops","code":42,"policy":"hours","client":"anna","outcome":"sent","tries":1,"why":null"#), "{line}");
}

#[test]
fn a_server_in_trouble_is_asked_again_until_it_takes_the_notice() {
    #[rustfmt::skip]
    let cases = [
        (1, Reply::Status(500)), (2, Reply::Status(503)), (3, Reply::Status(429)), (4, Reply::Close), (5, Reply::CloseInHeader),
        (6, Reply::NoHttp),
    ];
    for (case, first) in cases {
        let scene = Scene::new();
        let server = Server::start(vec![first, Reply::Status(200)]);
        let channel = scene.webhook(&server, "");
        channel.notify(1, notice());
        let line = scene.told();
        assert!(line.contains(r#""outcome":"sent","tries":2"#), "case {case}: {line}");
    }
}

#[test]
fn a_slow_server_is_given_up_after_the_timeout_and_the_tries() {
    let scene = Scene::new();
    let server = Server::start(vec![Reply::Silence, Reply::Silence]);
    let channel = scene.webhook(&server, "timeout = \"1s\"\nretries = 1");
    let begun = Instant::now();

    channel.notify(1, notice());

    let line = scene.told();
    assert!(
        line.contains(r#""outcome":"failed","tries":2"#) && line.contains("did not answer within 1s"),
        "{line}"
    );
    assert!(begun.elapsed() >= Duration::from_secs(2));
}

#[test]
fn what_would_be_refused_again_is_not_sent_again() {
    #[rustfmt::skip]
    let cases = [
        (1, Reply::Status(404), "answered 404; correct the path"), (2, Reply::Status(401), "answered 401; correct the path"),
        (3, Reply::Redirect, "answered 302, which leads elsewhere; write that address"),
    ];
    for (case, reply, expected) in cases {
        let scene = Scene::new();
        let server = Server::start(vec![reply]);
        let channel = scene.webhook(&server, "");
        channel.notify(1, notice());
        let line = scene.told();
        assert!(
            line.contains(r#""outcome":"failed","tries":1"#) && line.contains(expected),
            "case {case}: {line}"
        );
        assert!(!line.contains("secret"), "case {case}: {line}");
    }
}

#[test]
fn a_redirect_leads_nowhere() {
    let scene = Scene::new();
    let elsewhere = Server::start(vec![Reply::Status(200)]);
    let server = Server::start(vec![Reply::RedirectTo(elsewhere.port), Reply::Status(200)]);
    let channel = scene.webhook(&server, "");

    channel.notify(1, notice());

    assert!(scene.told().contains(r#""outcome":"failed""#));
    assert!(elsewhere.requests.try_recv().is_err());
}

#[test]
fn a_server_that_is_not_there_is_a_reason_and_no_secret() {
    let scene = Scene::new();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let channel =
        scene.channel(&format!("webhook = \"http://127.0.0.1:{port}/hook/secret-path\"\nretries = 2"));

    channel.notify(1, notice());

    let line = scene.told();
    assert!(line.contains(r#""outcome":"failed","tries":3"#) && line.contains("refused"), "{line}");
    assert!(!line.contains("secret"), "{line}");
}

#[test]
fn a_socket_is_sent_one_line_for_each_notice() {
    let scene = Scene::new();
    let path = scene.dir.path().join("ops.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let channel = scene.channel(&format!("socket = {path:?}"));

    for code in [1, 2] {
        channel.notify(code, notice());
        let (connection, _) = listener.accept().unwrap();
        let lines: Vec<_> = BufReader::new(connection).lines().map(Result::unwrap).collect();
        let [line] = lines.as_slice() else { panic!("{lines:?}") };
        let read: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!((read["code"].as_u64(), read["gate"].as_str()), (Some(code.into()), Some("gate.example")));
    }
}

#[test]
fn a_socket_that_comes_late_gets_the_notice() {
    let scene = Scene::new();
    let path = scene.dir.path().join("ops.sock");
    let channel = scene.channel(&format!("socket = {path:?}\nretries = 10"));

    channel.notify(1, notice());
    let listener = UnixListener::bind(&path).unwrap();

    assert!(listener.accept().is_ok());
    assert!(scene.told().contains(r#""outcome":"sent""#));
}

#[test]
fn a_socket_that_nobody_reads_is_given_up_with_the_reason() {
    let scene = Scene::new();
    let path = scene.dir.path().join("ops.sock");
    drop(UnixListener::bind(&path).unwrap());
    let channel = scene.channel(&format!("socket = {path:?}\nretries = 1"));
    channel.notify(1, notice());
    let line = scene.told();
    assert!(line.contains(r#""tries":2"#) && line.contains("nobody listens; start the program"), "{line}");

    let scene = Scene::new();
    let channel = scene.channel("socket = \"/nonexistent/ops.sock\"\nretries = 0");
    channel.notify(1, notice());
    assert!(scene.told().contains("there is no such socket; start the program"));
}

#[test]
fn a_receiver_who_never_accepts_keeps_nobody_waiting_longer_than_the_timeout() {
    let scene = Scene::new();
    let path = scene.dir.path().join("ops.sock");
    let full = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    full.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
    full.listen(0).unwrap();
    let channel = scene.channel(&format!("socket = {path:?}\nretries = 0\ntimeout = \"1s\""));

    // One finds room in the queue of the kernel; the next ones do not.
    for code in 0..3 {
        channel.notify(code, notice());
    }

    until("one is given up", || scene.log().contains("it was not taken within 1s"));
}

pub(in super::super) fn notice() -> Notice {
    Notice {
        time: Some(1_782_000_000),
        policy: "hours".into(),
        cause: "packet",
        client: Some("anna".into()),
        source: Some([192, 0, 2, 1].into()),
        service: Some("ssh".into()),
        seconds: Some(60),
    }
}

/// Everything that the audit log has so far.
pub(in super::super) fn audit_lines(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

/// Waits for a condition, for as long as a busy machine may take.
pub(in super::super) fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

struct Scene {
    dir: TempDir,
    audit: Arc<Audit>,
}

impl Scene {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let audit = Arc::new(Audit::open(&dir.path().join("audit.jsonl")).unwrap());
        Self { dir, audit }
    }

    fn webhook(&self, server: &Server, more: &str) -> Channel {
        self.channel(&format!("webhook = \"http://127.0.0.1:{}/hook/secret-path\"\n{more}", server.port))
    }

    fn channel(&self, keys: &str) -> Channel {
        let text = format!(
            "[gate]\naddress = \"gate.example\"\nstate-dir = \"/s\"\naudit-log = \"/l\"\n\
             [service.ssh]\nid = 1\nprotocol = \"tcp\"\nports = [22]\n[channel.ops]\nid = 1\n{keys}\n"
        );
        let config = Config::parse(Path::new("agent.toml"), &text).unwrap();
        let audit = Arc::clone(&self.audit);
        start_with(&config.channels[0], &config.gate.address, audit, Duration::from_millis(20)).unwrap()
    }

    fn log(&self) -> String {
        audit_lines(&self.dir.path().join("audit.jsonl"))
    }

    /// The first record of a notice.
    fn told(&self) -> String {
        until("a notice is recorded", || self.log().contains(r#""event":"notice""#));
        self.log().lines().find(|line| line.contains(r#""event":"notice""#)).unwrap().to_owned()
    }
}

/// How a server answers one request.
enum Reply {
    Status(u16),
    Redirect,
    RedirectTo(u16),
    Silence,
    Close,
    CloseInHeader,
    NoHttp,
}

/// Answers the first requests as told, each on a connection of its own.
struct Server {
    port: u16,
    requests: mpsc::Receiver<String>,
}

impl Server {
    fn start(replies: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (sender, requests) = mpsc::channel();
        std::thread::spawn(move || {
            let mut open = Vec::new();
            for reply in replies {
                let (mut connection, _) = listener.accept().unwrap();
                // The test may be over by now.
                let _ = sender.send(read_request(&mut connection));
                open.extend(answer(connection, &reply));
            }
            // Silent connections stay open until nobody waits for them.
            let _ = listener.accept();
        });
        Self { port, requests }
    }

    fn request(&self) -> String {
        self.requests.recv_timeout(Duration::from_secs(60)).unwrap()
    }
}

/// Up to the end of the body; headers in lower case.
fn read_request(connection: &mut TcpStream) -> String {
    let mut reader = BufReader::new(connection);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = Vec::new();
        if reader.read_until(b'\n', &mut line).unwrap() == 0 || line == b"\r\n" {
            break;
        }
        let line = String::from_utf8_lossy(&line).into_owned();
        if !line.contains(':') && !line.contains("HTTP/") {
            return line;
        }
        if let Some(number) = line.to_lowercase().strip_prefix("content-length:") {
            length = number.trim().parse().unwrap();
        }
        let (name, rest) = line.split_once(':').unwrap_or((&line, ""));
        let separator = if rest.is_empty() { "" } else { ":" };
        head +=
            &if rest.is_empty() { line.clone() } else { format!("{}{separator}{rest}", name.to_lowercase()) };
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    format!("{head}\r\n{}", String::from_utf8(body).unwrap())
}

fn answer(mut connection: TcpStream, reply: &Reply) -> Option<TcpStream> {
    let text = match reply {
        Reply::Status(code) => format!("HTTP/1.1 {code} X\r\ncontent-length: 0\r\n\r\n"),
        Reply::Redirect => {
            "HTTP/1.1 302 X\r\nlocation: https://secret.example/\r\ncontent-length: 0\r\n\r\n".into()
        }
        Reply::RedirectTo(port) => {
            format!("HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:{port}/\r\ncontent-length: 0\r\n\r\n")
        }
        Reply::Silence => return Some(connection),
        Reply::Close => return None,
        Reply::CloseInHeader => "HTTP/1.1 200 X\r\ncontent-".into(),
        Reply::NoHttp => "220 smtp.example ESMTP\r\n".into(),
    };
    // Whoever has hung up already needs no answer.
    let _ = connection.write_all(text.as_bytes());
    None
}
