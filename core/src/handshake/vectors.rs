//! The published Noise vectors through the very type that the handshake uses. Sources: `tests/data/README.md`.

use super::*;
use crate::key::SecretKey;
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
        assert_eq!(vector["protocol_name"], Noise::build_name(&noise_ik()).as_str());
        replay(vector);
    }
}

#[test]
fn the_name_of_the_suite_is_the_one_in_the_specification() {
    assert_eq!(Noise::build_name(&noise_ik()).as_str(), "Noise_IK_25519_ChaChaPoly_BLAKE2s");
}

/// Both sides write their messages and read the other's, handshake first and transport after it.
fn replay(vector: &Value) {
    let (mut client, mut gate) = (side(vector, "init", true), side(vector, "resp", false));
    let messages = vector["messages"].as_array().unwrap();
    let (handshake, transport) = messages.split_at(MESSAGES_OF_THE_HANDSHAKE);
    for (turn, message) in handshake.iter().enumerate() {
        let (writer, reader) = if turn == 0 { (&mut client, &mut gate) } else { (&mut gate, &mut client) };
        let (payload, expected) = (bytes(&message["payload"]), bytes(&message["ciphertext"]));
        let (mut written, mut read) = ([0; 256], [0; 256]);
        let len = writer.write_message(&payload, &mut written).unwrap();
        assert_eq!(written[..len], expected, "message {turn} as written");
        let len = reader.read_message(&expected, &mut read).unwrap();
        assert_eq!(read[..len], payload, "message {turn} as read");
    }

    let (mut client, mut gate) = (client.finalize().unwrap(), gate.finalize().unwrap());
    if let Some(hash) = vector.get("handshake_hash") {
        assert_eq!(client.get_handshake_hash().as_slice(), bytes(hash));
    }
    for (turn, message) in transport.iter().enumerate() {
        let (writer, reader) =
            if turn % 2 == 0 { (&mut client, &mut gate) } else { (&mut gate, &mut client) };
        let (payload, expected) = (bytes(&message["payload"]), bytes(&message["ciphertext"]));
        let (mut written, mut read) = ([0; 256], [0; 256]);
        let len = writer.send(&payload, &mut written).unwrap();
        assert_eq!(written[..len], expected, "transport message {turn} as written");
        let len = reader.receive(&expected, &mut read).unwrap();
        assert_eq!(read[..len], payload, "transport message {turn} as read");
    }
}

fn side(vector: &Value, who: &str, initiator: bool) -> Noise {
    let field = |name: &str| bytes(&vector[std::format!("{who}_{name}")]);
    let pair = |name: &str| Identity::new(SecretKey::from_bytes(field(name).try_into().unwrap())).pair();
    let remote = initiator.then(|| field("remote_static").try_into().unwrap());
    Noise::new(
        noise_ik(),
        &field("prologue"),
        initiator,
        Some(pair("static")),
        Some(pair("ephemeral")),
        remote,
        None,
    )
    .unwrap()
}

fn bytes(hex: &Value) -> Vec<u8> {
    let digits: Vec<char> = hex.as_str().unwrap().chars().collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap()).collect()
}
