//! Published vectors of the ciphers through the very types that the core uses.
//!
//! X25519 has its vector beside the keys, Noise beside the handshake.

use chacha20::ChaCha20;
use chacha20::cipher::{KeyIvInit, StreamCipher};
use chacha20poly1305::aead::AeadInPlace;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305, XNonce};

/// RFC 8439, appendix A.1. The knock book draws from such a stream, from block 0 on.
#[test]
fn the_stream_of_the_knock_book_is_that_of_rfc_8439() {
    let (mut key_of_one, mut nonce_of_two) = ([0; 32], [0; 12]);
    (key_of_one[31], nonce_of_two[11]) = (1, 2);
    #[rustfmt::skip]
    let cases = [
        (1, [0; 32], [0; 12], 0, "76b8e0ada0f13d90405d6ae55386bd28bdd219b8a08ded1aa836efcc8b770dc7\
                                  da41597c5157488d7724e03fb8d84a376a43b8f41518a11cc387b669b2ee6586"),
        (2, [0; 32], [0; 12], 1, "9f07e7be5551387a98ba977c732d080dcb0f29a048e3656912c6533e32ee7aed\
                                  29b721769ce64e43d57133b074d839d531ed1f28510afb45ace10a1f4b794d6f"),
        (3, key_of_one, [0; 12], 1, "3aeb5224ecf849929b9d828db1ced4dd832025e8018b8160b82284f3c949aa5a\
                                     8eca00bbb4a73bdad192b5c42f73f2fd4e273644c8b36125a64addeb006c13a0"),
        (5, [0; 32], nonce_of_two, 0, "c2c64d378cd536374ae204b9ef933fcd1a8b2288b3dfa49672ab765b54ee27c7\
                                       8a970e0e955c14f3a88e741b97c286f75f8fc299e8148362fa198a39531bed6d"),
    ];
    for (vector, key, nonce, block, expected) in cases {
        let mut cipher = ChaCha20::new(&key.into(), &nonce.into());
        // As the book does it: four bytes at a time, from the front.
        let mut stream = Vec::new();
        for _ in 0..(block + 1) * 16 {
            let mut word = [0; 4];
            cipher.apply_keystream(&mut word);
            stream.extend(word);
        }
        assert_eq!(hex(&stream[block * 64..]), expected, "test vector {vector}");
    }
}

/// draft-irtf-cfrg-xchacha-03, appendix A.3.1.
#[test]
fn the_envelope_is_the_aead_of_the_xchacha_draft() {
    let key: [u8; 32] = counting_from(0x80);
    let nonce: [u8; 24] = counting_from(0x40);
    let data = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
    let mut text =
        *b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                      sunscreen would be it.";

    let tag = XChaCha20Poly1305::new(&key.into())
        .encrypt_in_place_detached(XNonce::from_slice(&nonce), &data, &mut text)
        .unwrap();

    let expected = "bd6d179d3e83d43b9576579493c0e939572a1700252bfaccbed2902c21396cbb\
                    731c7f1b0b4aa6440bf3a82f4eda7e39ae64c6708c54c216cb96b72e1213b452\
                    2f8c9ba40db5d945b11b69b982c1bb9e3f3fac2bc369488f76b2383565d3fff9\
                    21f9664c97637da9768812f615c68b13b52e";
    assert_eq!(hex(&text), expected);
    assert_eq!(hex(&tag), "c0875924c1c7987947deafd8780acf49");
}

fn counting_from<const N: usize>(first: u8) -> [u8; N] {
    let mut bytes = first..;
    [(); N].map(|()| bytes.next().expect("the vectors end below 256"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
