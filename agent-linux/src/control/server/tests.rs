use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::UnixStream as Blocking;
use std::path::Path;

use tokio::sync::oneshot;

use super::super::client::Client;
use super::*;
use crate::config::Control;

/// Answers everything.
#[derive(Clone)]
struct Yes;

impl Desk for Yes {
    async fn answer(&self, _: Asked) -> Reply {
        Reply::refused("as asked")
    }
}

/// Serves on a thread of its own until this is dropped.
struct Served(#[expect(dead_code, reason = "its end is the signal")] oneshot::Sender<()>);

fn served(directory: &Path) -> Served {
    let control = Control { directory: directory.to_owned(), group: None };
    let sockets = Sockets::open(&control).unwrap();
    let (stop, stopped) = oneshot::channel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    std::thread::spawn(move || {
        runtime.block_on(async {
            serve(sockets, &Yes).unwrap();
            let _ = stopped.await;
        });
    });
    Served(stop)
}

fn is_answered(directory: &Path) -> bool {
    let reply = Client::connect(directory, Door::Control).and_then(|mut client| client.ask(&Request::Status));
    matches!(reply, Err(super::super::AskError::Refused(why)) if why == "as asked")
}

#[test]
fn whatever_a_caller_sends_the_next_one_is_answered() {
    let folder = tempfile::tempdir().unwrap();
    let _served = served(folder.path());
    let call = || Blocking::connect(Door::Status.path(folder.path())).unwrap();
    let answer = |sent: &[u8]| {
        let mut stream = call();
        // Whoever is let go in the middle cannot send the rest.
        let _ = stream.write_all(sent);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        // Whoever sent more than was read may find a reset behind the answer instead of an end.
        if let Err(error) = stream.read_to_end(&mut answer) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        }
        String::from_utf8(answer).unwrap()
    };
    let garbage = answer(b"\x00\xff{{{{\n");
    assert!(garbage.contains("not understood"), "{garbage}");
    assert_eq!(answer(b"{\"version\":1,\"requ"), "", "half a line");
    let long = answer(&vec![b'x'; 1 << 20]);
    assert!(long.contains("4096 bytes at most"), "{long}");
    assert!(is_answered(folder.path()));
}

#[test]
fn a_thousand_connections_and_callers_who_never_read_keep_nobody_waiting() {
    let folder = tempfile::tempdir().unwrap();
    let _served = served(folder.path());
    let line = protocol::encode(&Request::Status).unwrap();
    let mut silent = Vec::new();
    for number in 0..1000 {
        let mut stream = Blocking::connect(Door::Control.path(folder.path())).unwrap();
        if number % 2 == 0 {
            stream.set_nonblocking(true).unwrap();
            // More answers than a socket holds: until it is full, and nobody reads.
            while stream.write_all(&line).is_ok() {}
        }
        silent.push(stream);
    }
    assert!(is_answered(folder.path()));
}

#[test]
fn a_change_needs_the_other_socket_and_its_owner() {
    let (root, owner, other) = (0, 100, 1000);
    let may = |door, uid| admit(&Request::Status, door, Caller { uid, pid: None }, owner).is_ok();
    assert!(may(Door::Status, other) && may(Door::Status, root));
    assert!(may(Door::Control, owner) && may(Door::Control, root) && !may(Door::Control, other));
}
