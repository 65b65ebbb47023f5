//! The published Noise vectors through the very types that the two sides use. Sources: `tests/data/README.md`.

use super::responder::{Half, SUITE};
use super::*;
use crate::key::{SecretKey, SharedSecret};
use clatter::bytearray::ByteArray;
use serde_json::Value;
use std::string::String;
use std::vec::Vec;

const VECTORS: &str = include_str!("../../tests/data/noise_ik_25519_chachapoly_blake2s.json");
const MESSAGES_OF_THE_HANDSHAKE: usize = 2;

#[test]
fn the_published_noise_vectors_come_out_byte_for_byte() {
    let file: Value = serde_json::from_str(VECTORS).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 2, "one of cacophony, one of snow");
    for vector in vectors {
        assert_eq!(vector["protocol_name"], SUITE);
        replay(vector);
    }
}

#[test]
fn the_name_of_the_suite_is_the_one_in_the_specification() {
    assert_eq!(Noise::build_name(&noise_ik()).as_str(), "Noise_IK_25519_ChaChaPoly_BLAKE2s");
    assert_eq!(SUITE, "Noise_IK_25519_ChaChaPoly_BLAKE2s");
}

/// Both sides write their messages and read the other's, handshake first and transport after it; the gate once as it meets a
/// stranger, and once as it meets somebody with whom it has kept what they share.
fn replay(vector: &Value) {
    let shared = exchange(vector, None);
    let shared = shared.expect("what nobody had kept was made");
    assert!(exchange(vector, Some(&shared)).is_none());
}

fn exchange(vector: &Value, known: Option<&SharedSecret>) -> Option<SharedSecret> {
    let mut client = client(vector);
    let messages = vector["messages"].as_array().unwrap();
    let (handshake, transport) = messages.split_at(MESSAGES_OF_THE_HANDSHAKE);
    let [first, second] = handshake else { panic!("a handshake of two messages") };

    let (payload, expected) = (bytes(&first["payload"]), bytes(&first["ciphertext"]));
    let mut buffer = [0; 256];
    let len = client.write_message(&payload, &mut buffer).unwrap();
    assert_eq!(buffer[..len], expected, "the first message as written");
    let mut read = std::vec![0; payload.len()];
    let (prologue, own) = (bytes(&vector["resp_prologue"]), identity(vector, "resp_static"));
    let (mut gate, made) = Half::read(&prologue, &own, &expected, &mut read, |_| known).ok().unwrap();
    assert_eq!(read, payload, "the first message as read");

    let (payload, expected) = (bytes(&second["payload"]), bytes(&second["ciphertext"]));
    let mut written = std::vec![0; expected.len()];
    gate.write(&identity(vector, "resp_ephemeral"), &payload, &mut written).ok().unwrap();
    assert_eq!(written, expected, "the second message as written");
    let len = client.read_message(&expected, &mut buffer).unwrap();
    assert_eq!(buffer[..len], payload, "the second message as read");

    transport_follows(vector, client, &gate, transport);
    made
}

fn transport_follows(vector: &Value, client: Noise, gate: &Half, transport: &[Value]) {
    let mut client = client.finalize().unwrap();
    if let Some(hash) = vector.get("handshake_hash") {
        assert_eq!(client.get_handshake_hash().as_slice(), bytes(hash));
        assert_eq!(gate.hash().as_slice(), bytes(hash));
    }
    let CipherStates { initiator_to_responder: mut to_gate, responder_to_initiator: mut to_client } =
        gate.split().ok().unwrap();
    for (turn, message) in transport.iter().enumerate() {
        let (payload, expected) = (bytes(&message["payload"]), bytes(&message["ciphertext"]));
        let (mut written, mut read) = (std::vec![0; expected.len()], std::vec![0; payload.len()]);
        if turn % 2 == 0 {
            client.send(&payload, &mut written).unwrap();
            to_gate.decrypt_with_ad(&[], &expected, &mut read).unwrap();
        } else {
            to_client.encrypt_with_ad(&[], &payload, &mut written).unwrap();
            client.receive(&expected, &mut read).unwrap();
        }
        assert_eq!(written, expected, "transport message {turn} as written");
        assert_eq!(read, payload, "transport message {turn} as read");
    }
}

fn client(vector: &Value) -> Noise {
    let remote = bytes(&vector["init_remote_static"]).try_into().unwrap();
    let [own, ephemeral] = ["init_static", "init_ephemeral"].map(|name| identity(vector, name).pair());
    let prologue = bytes(&vector["init_prologue"]);
    Noise::new(noise_ik(), &prologue, true, Some(own), Some(ephemeral), Some(remote), None).unwrap()
}

fn identity(vector: &Value, name: &str) -> Identity {
    Identity::new(SecretKey::from_bytes(bytes(&vector[name]).try_into().unwrap()))
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits: Vec<char> = hex.as_str().unwrap().chars().collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
}
