use super::*;
use crate::key::{SecretKey, SharedSecret};
use clatter::KeyPair;
use clatter::bytearray::SensitiveByteArray;
use clatter::crypto::dh::X25519;
use clatter::error::DhResult;
use clatter::traits::{CryptoComponent, Dh, Rng};

const GATE: GateId = GateId([7; 16]);
const GATE_SECRET: [u8; 32] = [0x11; 32];
const CLIENT_SECRET: [u8; 32] = [0x22; 32];
const CLIENT_EPHEMERAL: [u8; 32] = [0x33; 32];
const GATE_EPHEMERAL: [u8; 32] = [0x44; 32];
const REQUEST: [u8; REQUEST_LEN] = [0x51; REQUEST_LEN];
const ANSWER: [u8; ANSWER_LEN] = [0x41; ANSWER_LEN];

/// Public keys whose shared secret is zero with every secret key. Source: RFC 7748, section 6.1, and the list in
/// "May the Fourth Be With You" (Genkin, Valenta, Yarom), of which these are the ones below 2^255.
#[rustfmt::skip]
const LOW_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    ONE,
    [0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a,
     0xda, 0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00],
    [0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b,
     0x04, 0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57],
    near_the_prime(0xec), // p - 1
    near_the_prime(0xed), // p, another zero
    near_the_prime(0xee), // p + 1, another one
];

mod against_snow {
    use super::*;

    #[test]
    fn our_client_and_the_gate_of_snow_understand_each_other() {
        let mut gate = snow_gate().build_responder().unwrap();
        let (client, first) = our_client();

        let mut request = [0; REQUEST_LEN];
        assert_eq!(gate.read_message(&first, &mut request).unwrap(), REQUEST_LEN);
        assert_eq!(request, REQUEST);
        assert_eq!(gate.get_remote_static().unwrap(), public(CLIENT_SECRET).0);

        let mut second = [0; INNER_LEN];
        assert_eq!(gate.write_message(&ANSWER, &mut second).unwrap(), INNER_LEN);
        assert_eq!(client.finish(&second).unwrap(), ANSWER);
        assert!(gate.is_handshake_finished());
    }

    #[test]
    fn the_client_of_snow_and_our_gate_understand_each_other() {
        let gate_key = public(GATE_SECRET).0;
        let mut client = snow_client(&gate_key).build_initiator().unwrap();
        let mut first = [0; INNER_LEN];
        assert_eq!(client.write_message(&REQUEST, &mut first).unwrap(), INNER_LEN);

        let (gate, key, request) = our_gate(&first).ok().unwrap();
        assert_eq!(request, REQUEST);
        assert_eq!(key, public(CLIENT_SECRET));

        let mut answer = [0; ANSWER_LEN];
        let read = client.read_message(&gate.answer(&ANSWER).unwrap(), &mut answer).unwrap();
        assert_eq!((read, answer), (ANSWER_LEN, ANSWER));
        assert!(client.is_handshake_finished());
    }

    #[test]
    fn with_the_same_ephemeral_keys_both_messages_are_equal_to_those_of_snow() {
        let gate_key = public(GATE_SECRET).0;
        let mut client = snow_client(&gate_key)
            .fixed_ephemeral_key_for_testing_only(&CLIENT_EPHEMERAL)
            .build_initiator()
            .unwrap();
        let mut gate =
            snow_gate().fixed_ephemeral_key_for_testing_only(&GATE_EPHEMERAL).build_responder().unwrap();
        let (mut first, mut second, mut request) = ([0; INNER_LEN], [0; INNER_LEN], [0; REQUEST_LEN]);
        client.write_message(&REQUEST, &mut first).unwrap();
        gate.read_message(&first, &mut request).unwrap();
        gate.write_message(&ANSWER, &mut second).unwrap();

        let (_, our_first) = our_client();
        let our_second = our_gate(&our_first).ok().unwrap().0.answer(&ANSWER).unwrap();

        assert_eq!(our_first, first);
        assert_eq!(our_second, second);
    }

    #[test]
    fn snow_refuses_what_we_write_for_another_gate() {
        let other = GateId([8; 16]);
        let (_, first) = start(public(GATE_SECRET), other, CLIENT_SECRET).ok().unwrap();
        let mut request = [0; REQUEST_LEN];
        assert!(snow_gate().build_responder().unwrap().read_message(&first, &mut request).is_err());
    }

    fn builder<'a>() -> snow::Builder<'a> {
        snow::Builder::new("Noise_IK_25519_ChaChaPoly_BLAKE2s".parse().unwrap())
    }

    /// `knockgate/1` and the gate's id, written out: the same bytes as in `docs/protocol.md`, section 4.1.
    const PROLOGUE: [u8; 27] =
        *b"knockgate/1\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07\x07";

    fn snow_client(gate_key: &[u8; 32]) -> snow::Builder<'_> {
        builder()
            .prologue(&PROLOGUE)
            .and_then(|builder| builder.local_private_key(&CLIENT_SECRET))
            .and_then(|builder| builder.remote_public_key(gate_key))
            .unwrap()
    }

    fn snow_gate<'a>() -> snow::Builder<'a> {
        builder().prologue(&PROLOGUE).and_then(|builder| builder.local_private_key(&GATE_SECRET)).unwrap()
    }
}

#[test]
fn both_ends_understand_each_other() {
    let (client, first) = our_client();
    let (gate, key, request) = our_gate(&first).ok().unwrap();
    assert_eq!((key, request), (public(CLIENT_SECRET), REQUEST));
    assert_eq!(client.finish(&gate.answer(&ANSWER).unwrap()), Ok(ANSWER));
}

#[test]
fn with_what_was_kept_every_byte_of_the_answer_is_the_same_and_nothing_is_made_anew() {
    let (_, first) = our_client();
    let (anew, question) = our_gate_knowing(&first, |_| None).ok().unwrap();
    let shared = question.made.unwrap();

    let (knowing, question) = our_gate_knowing(&first, |key| {
        assert_eq!(*key, public(CLIENT_SECRET));
        Some(&shared)
    })
    .ok()
    .unwrap();

    assert_eq!((question.client, question.request), (public(CLIENT_SECRET), REQUEST));
    assert!(question.made.is_none());
    assert_eq!(knowing.answer(&ANSWER).unwrap(), anew.answer(&ANSWER).unwrap());
}

#[test]
fn what_was_kept_is_what_its_two_keys_make_in_every_handshake() {
    let made = |first: &Inner| our_gate_knowing(first, |_| None).ok().unwrap().1.made.unwrap();
    let start = |ephemeral| {
        let client = identity(CLIENT_SECRET);
        Initiator::start(&client, identity(ephemeral), public(GATE_SECRET), GATE, &REQUEST).ok().unwrap().1
    };
    assert_eq!(made(&start([0x33; 32])).bytes(), made(&start([0x34; 32])).bytes());
}

#[test]
fn what_was_kept_of_somebody_else_opens_nothing() {
    let (_, of_another) = start(public(GATE_SECRET), GATE, [0x23; 32]).ok().unwrap();
    let of_another = our_gate_knowing(&of_another, |_| None).ok().unwrap().1.made.unwrap();
    let (_, first) = our_client();
    assert!(our_gate_knowing(&first, |_| Some(&of_another)).is_err());
}

#[test]
fn a_damaged_byte_is_noticed_with_what_was_kept_too() {
    let (_, first) = our_client();
    let shared = our_gate_knowing(&first, |_| None).ok().unwrap().1.made.unwrap();
    for damaged in damages(&first) {
        assert!(our_gate_knowing(&damaged, |_| Some(&shared)).is_err());
    }
}

#[test]
fn a_damaged_byte_anywhere_in_the_first_message_is_noticed() {
    let (_, first) = our_client();
    for damaged in damages(&first) {
        assert!(our_gate(&damaged).is_err());
    }
}

#[test]
fn a_damaged_byte_anywhere_in_the_second_message_is_noticed() {
    let (_, first) = our_client();
    let second = our_gate(&first).ok().unwrap().0.answer(&ANSWER).unwrap();
    for damaged in damages(&second) {
        let (client, _) = our_client();
        assert_eq!(client.finish(&damaged), Err(Failed));
    }
}

#[test]
fn a_message_for_another_gate_is_refused() {
    #[rustfmt::skip]
    let cases = [
        (1, public(GATE_SECRET), GATE, true),
        (2, public([0x12; 32]), GATE, false),
        (3, public(GATE_SECRET), GateId([8; 16]), false),
    ];
    for (case, gate_key, gate, accepted) in cases {
        let (_, first) = start(gate_key, gate, CLIENT_SECRET).ok().unwrap();
        assert_eq!(our_gate(&first).is_ok(), accepted, "case {case}");
    }
}

#[test]
fn an_answer_to_another_question_is_refused() {
    let (_, first) = our_client();
    let second = our_gate(&first).ok().unwrap().0.answer(&ANSWER).unwrap();
    let other =
        Initiator::start(&identity(CLIENT_SECRET), identity([0x34; 32]), public(GATE_SECRET), GATE, &REQUEST);
    assert_eq!(other.ok().unwrap().0.finish(&second), Err(Failed));
}

#[test]
fn an_answer_of_somebody_else_than_the_gate_is_refused() {
    let (client, _) = our_client();
    // Without the gate's secret key he cannot read the question; all he can answer is one to himself.
    let impostor = identity([0x12; 32]);
    let (_, to_him) = start(impostor.public(), GATE, CLIENT_SECRET).ok().unwrap();
    let (impostor, ..) = Responder::read(&impostor, &identity(GATE_EPHEMERAL), GATE, &to_him).ok().unwrap();
    assert_eq!(client.finish(&impostor.answer(&ANSWER).unwrap()), Err(Failed));
}

#[test]
fn a_question_is_not_an_answer() {
    let (client, first) = our_client();
    assert_eq!(client.finish(&first), Err(Failed));
}

#[test]
fn junk_is_refused() {
    for byte in [0x00, 0x01, 0x80, 0xff] {
        assert!(our_gate(&[byte; INNER_LEN]).is_err(), "{byte:#04x}");
        assert_eq!(our_client().0.finish(&[byte; INNER_LEN]), Err(Failed), "{byte:#04x}");
    }
}

#[test]
fn a_client_key_of_low_order_is_refused() {
    for key in LOW_ORDER {
        let first = forged_first(key, public(CLIENT_EPHEMERAL).0);
        assert!(
            read_without_our_check(&first).is_ok(),
            "the forgery must be perfect, or the test shows nothing: {key:02x?}"
        );
        assert!(our_gate(&first).is_err(), "{key:02x?}");
    }
}

#[test]
fn an_ephemeral_key_of_low_order_is_refused() {
    for key in LOW_ORDER {
        let first = forged_first(public(CLIENT_SECRET).0, key);
        assert!(read_without_our_check(&first).is_ok(), "the forgery must be perfect: {key:02x?}");
        assert!(our_gate(&first).is_err(), "{key:02x?}");
    }
}

#[test]
fn a_gate_key_of_low_order_is_refused_before_anything_is_sent() {
    for key in LOW_ORDER {
        assert!(start(PublicKey(key), GATE, CLIENT_SECRET).is_err(), "{key:02x?}");
    }
}

fn identity(secret: [u8; 32]) -> Identity {
    Identity::new(SecretKey::from_bytes(secret))
}

fn public(secret: [u8; 32]) -> PublicKey {
    identity(secret).public()
}

fn start(gate_key: PublicKey, gate: GateId, client: [u8; 32]) -> Result<(Initiator, Inner), Failed> {
    Initiator::start(&identity(client), identity(CLIENT_EPHEMERAL), gate_key, gate, &REQUEST)
}

fn our_client() -> (Initiator, Inner) {
    start(public(GATE_SECRET), GATE, CLIENT_SECRET).ok().unwrap()
}

fn our_gate(first: &Inner) -> Result<(Responder, PublicKey, [u8; REQUEST_LEN]), Failed> {
    Responder::read(&identity(GATE_SECRET), &identity(GATE_EPHEMERAL), GATE, first)
}

fn our_gate_knowing<'known>(
    first: &Inner,
    known: impl FnOnce(&PublicKey) -> Option<&'known SharedSecret>,
) -> Result<(Responder, Opened), Failed> {
    Responder::read_knowing(&identity(GATE_SECRET), &identity(GATE_EPHEMERAL), GATE, first, known)
}

/// The message with the lowest, the highest, and every bit of one byte flipped, for each byte.
fn damages(message: &Inner) -> impl Iterator<Item = Inner> {
    (0..INNER_LEN).flat_map(move |at| {
        [0x01, 0x80, 0xff].map(|flip| {
            let mut damaged = *message;
            damaged[at] ^= flip;
            damaged
        })
    })
}

/// A first message whose writer names these public keys; with one of low order, he has the secret of neither.
fn forged_first(client_key: [u8; 32], ephemeral_key: [u8; 32]) -> Inner {
    let secret = |public_key: [u8; 32], honest: [u8; 32]| {
        let secret = if LOW_ORDER.contains(&public_key) { Forger::KNOWS_IT_IS_ZERO } else { honest };
        KeyPair { public: public_key, secret: SensitiveByteArray::new(secret) }
    };
    let mut forger = ForgedNoise::new(
        noise_ik(),
        &prologue(GATE),
        true,
        Some(secret(client_key, CLIENT_SECRET)),
        Some(secret(ephemeral_key, CLIENT_EPHEMERAL)),
        Some(public(GATE_SECRET).0),
        None,
    )
    .unwrap();
    let mut first = [0; INNER_LEN];
    forger.write_message(&REQUEST, &mut first).unwrap();
    first
}

fn read_without_our_check(first: &Inner) -> Result<usize, clatter::error::HandshakeError> {
    let (gate, ephemeral) = (identity(GATE_SECRET).pair(), identity(GATE_EPHEMERAL).pair());
    let mut noise =
        ForgedNoise::new(noise_ik(), &prologue(GATE), false, Some(gate), Some(ephemeral), None, None)
            .unwrap();
    noise.read_message(first, &mut [0; REQUEST_LEN])
}

type ForgedNoise = NqHandshakeCore<Forger, ChaChaPoly, Blake2s, sealed_generator::NoGenerator>;

/// X25519 of somebody who knows that the gate computes a shared secret of zeros, because he sent a key of low order.
#[derive(Clone)]
struct Forger;

impl Forger {
    const KNOWS_IT_IS_ZERO: [u8; 32] = [0; 32];
}

impl CryptoComponent for Forger {
    fn name() -> &'static str {
        X25519::name()
    }
}

impl Dh for Forger {
    type PrivateKey = SensitiveByteArray<[u8; 32]>;
    type PubKey = [u8; 32];
    type Output = SensitiveByteArray<[u8; 32]>;

    fn genkey_rng<R: Rng>(rng: &mut R) -> DhResult<KeyPair<Self::PubKey, Self::PrivateKey>> {
        X25519::genkey_rng(rng)
    }

    fn pubkey(secret: &Self::PrivateKey) -> Self::PubKey {
        X25519::pubkey(secret)
    }

    fn dh(secret: &Self::PrivateKey, public: &Self::PubKey) -> DhResult<Self::Output> {
        if **secret == Self::KNOWS_IT_IS_ZERO {
            return Ok(SensitiveByteArray::new([0; 32]));
        }
        X25519::dh(secret, public)
    }
}

const ONE: [u8; 32] = {
    let mut key = [0; 32];
    key[0] = 1;
    key
};

/// The prime is 2^255 - 19, whose bytes are `ed ff .. ff 7f`.
const fn near_the_prime(low: u8) -> [u8; 32] {
    let mut key = [0xff; 32];
    key[0] = low;
    key[31] = 0x7f;
    key
}
