//! What the gate notes, and how every agent's audit log tells it: both write the same words under the same names. Client 1 is called
//! alice and service 3 ssh; other numbers have no name.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::time::Duration;

use knockgate_core::address::SourcePrefix;
use knockgate_core::book::BookId;
use knockgate_core::message::Kind;
use knockgate_core::note::{CloseReason, KnockEnd, Locked, Note};
use knockgate_core::{ClientId, GrantId, Network, Refusal};

const ALICE: ClientId = ClientId(1);
const NAMELESS: ClientId = ClientId(2);
const V4: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));
const V6: IpAddr = IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 7));
const BOOK: BookId = BookId([0xab; 8]);

/// Notes, each with its line but for the time and the number that every line has.
pub(crate) fn notes() -> [(Note, &'static str); 19] {
    let ended = |end, seen: &[u16]| Note::KnockEnded {
        client: ALICE,
        source: V4,
        book: BOOK,
        number: 7,
        service: 3,
        end,
        seen: seen.iter().copied().collect(),
    };
    let opened = |to, lasts| Note::GrantOpened { grant: GrantId(9), client: ALICE, to, service: 3, lasts };
    let closed = |client, service, reason| Note::GrantClosed {
        grant: GrantId(9),
        client,
        to: Network::host(V4),
        service,
        reason,
    };
    let locked = |who| Note::LockedOut { who, lasts: Duration::from_secs(60) };
    [
        (
            Note::Offered { client: ALICE, source: V4, book: BOOK, number: 7, left: 992 },
            r#"{"event":"offered","client":"alice","source":"192.0.2.7","book":"abababababababab","number":7,"left":992}"#,
        ),
        (
            Note::Refused { client: NAMELESS, source: V6, service: None, refusal: Refusal::CodeWanted },
            r##"{"event":"refused","client":"#2","source":"2001:db8:0:1::7","reason":"code-wanted"}"##,
        ),
        (
            Note::Refused { client: ALICE, source: V4, service: Some(3), refusal: Refusal::Denied },
            r#"{"event":"refused","client":"alice","source":"192.0.2.7","reason":"denied","service":"ssh"}"#,
        ),
        (
            Note::SequenceRefused { client: ALICE, source: V4, service: 3, refusal: Refusal::Unavailable },
            r#"{"event":"refused","client":"alice","source":"192.0.2.7","reason":"unavailable","service":"ssh"}"#,
        ),
        (
            Note::Packet { client: ALICE, source: V4, kind: Kind::Open, service: 3 },
            r#"{"event":"packet-knock","client":"alice","source":"192.0.2.7","kind":"open","service":"ssh"}"#,
        ),
        (
            Note::Packet { client: ALICE, source: V4, kind: Kind::Renew, service: 4 },
            r##"{"event":"packet-knock","client":"alice","source":"192.0.2.7","kind":"renew","service":"#4"}"##,
        ),
        (
            Note::Packet { client: ALICE, source: V4, kind: Kind::Close, service: 0 },
            r#"{"event":"packet-knock","client":"alice","source":"192.0.2.7","kind":"close","service":null}"#,
        ),
        (
            Note::StaticKnock { client: ALICE, source: V4, service: 3 },
            r#"{"event":"static-knock","client":"alice","source":"192.0.2.7","service":"ssh"}"#,
        ),
        (
            Note::Console { client: ALICE, source: V4 },
            r#"{"event":"console","client":"alice","source":"192.0.2.7"}"#,
        ),
        (
            ended(KnockEnd::Complete, &[10_001, 10_002]),
            r#"{"event":"knock","client":"alice","source":"192.0.2.7","book":"abababababababab","number":7,"service":"ssh","ended":"complete","ports-seen":[10001,10002]}"#,
        ),
        (
            ended(KnockEnd::Failed(Refusal::TooLate), &[]),
            r#"{"event":"knock","client":"alice","source":"192.0.2.7","book":"abababababababab","number":7,"service":"ssh","ended":"too-late","ports-seen":[]}"#,
        ),
        (
            locked(Locked::Source(SourcePrefix::of(V6))),
            r#"{"event":"lockout","who":"2001:db8:0:1::/64","seconds":60}"#,
        ),
        (locked(Locked::Client(ALICE)), r#"{"event":"lockout","who":"client alice","seconds":60}"#),
        (locked(Locked::Client(NAMELESS)), r##"{"event":"lockout","who":"client #2","seconds":60}"##),
        (locked(Locked::Everybody), r#"{"event":"lockout","who":"everybody","seconds":60}"#),
        (
            opened(Network::host(V4), Duration::from_millis(59_001)),
            r#"{"event":"grant-opened","grant":9,"client":"alice","source":"192.0.2.7","service":"ssh","seconds":60}"#,
        ),
        (
            opened(Network::of(V4, 24), Duration::from_secs(60)),
            r#"{"event":"grant-opened","grant":9,"client":"alice","source":"192.0.2.0/24","service":"ssh","seconds":60}"#,
        ),
        (
            closed(ALICE, 3, CloseReason::Expired),
            r#"{"event":"grant-closed","grant":9,"client":"alice","source":"192.0.2.7","service":"ssh","reason":"expired"}"#,
        ),
        (
            closed(NAMELESS, 4, CloseReason::ByClient),
            r##"{"event":"grant-closed","grant":9,"client":"#2","source":"192.0.2.7","service":"#4","reason":"by-client"}"##,
        ),
    ]
}
