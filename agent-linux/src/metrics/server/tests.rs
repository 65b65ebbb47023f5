use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::oneshot;

use super::*;
use crate::control::Status;

/// Has a status, and counts how often it was asked.
#[derive(Clone, Default)]
struct Counting(Arc<AtomicUsize>);

impl Desk for Counting {
    async fn answer(&self, _: Asked) -> Reply {
        self.0.fetch_add(1, Ordering::Relaxed);
        Reply::Status(Box::new(Status::example()))
    }
}

/// Serves on a thread of its own until this is dropped.
struct Served {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
    _stop: oneshot::Sender<()>,
}

fn served() -> Served {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (desk, (stop, stopped)) = (Counting::default(), oneshot::channel::<()>());
    let asked = Arc::clone(&desk.0);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || {
        runtime.block_on(async {
            serve(vec![Listener::Loopback(listener)], &desk).unwrap();
            let _ = stopped.await;
        });
    });
    Served { address, asked, _stop: stop }
}

fn answer_to(address: SocketAddr, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let _ = stream.write_all(request);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut answer = Vec::new();
    // Whoever sent more than was read may find a reset behind the answer.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

#[test]
fn one_path_is_answered_by_one_method() {
    let served = served();
    let status = |request: &str| {
        let answer = answer_to(served.address, request.as_bytes());
        answer.lines().next().unwrap_or_default().to_owned()
    };
    #[rustfmt::skip]
    let cases = [
        (1, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK"),
        (2, "GET /metrics?x=y HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK"),
        (3, "GET / HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found"),
        (4, "GET /metrics/../etc/passwd HTTP/1.1\r\n\r\n", "HTTP/1.1 404 Not Found"),
        (5, "POST /metrics HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 405 Method Not Allowed"),
        (6, "\x16\x03\x01\x02\r\n\r\n", "HTTP/1.1 400 Bad Request"),
        (7, "GET /metrics HTTP/1.1\r\nHost:", ""),
        (8, "", ""),
    ];
    for (case, request, expected) in cases {
        assert_eq!(status(request), expected, "case {case}");
    }
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(MAX_REQUEST));
    assert_eq!(understand(&long.as_bytes()[..MAX_REQUEST]), None);
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(MAX_HEADERS + 1));
    assert_eq!(understand(many.as_bytes()), Some(Heard::TooMuch));
}

#[test]
fn an_answer_says_its_format_and_its_length() {
    let answer = answer_to(served().address, b"GET /metrics HTTP/1.1\r\n\r\n");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("Content-Type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    assert!(body.ends_with('\n') && body.contains("\nknockgate_clients 3\n"), "{body}");
}

#[test]
fn scrapers_who_ask_without_end_or_never_read_cost_a_question_a_second_and_keep_nobody_waiting() {
    let served = served();
    let begun = std::time::Instant::now();
    let silent: Vec<_> = (0..200).map(|_| TcpStream::connect(served.address).unwrap()).collect();
    for _ in 0..100 {
        assert!(answer_to(served.address, b"GET /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 200"));
    }
    let seconds = usize::try_from(begun.elapsed().as_secs()).unwrap();
    let asked = served.asked.load(Ordering::Relaxed);
    assert!(asked <= seconds + 1, "{asked} questions in {seconds} s");
    drop(silent);
}
