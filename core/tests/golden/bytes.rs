//! Bytes in hexadecimal, field by field, and the bytes that the examples are made of.

use core::convert::Infallible;
use core::net::IpAddr;

use rand_core::{TryCryptoRng, TryRng};

/// Bytes in hexadecimal, field by field, with what each field is.
pub(crate) type Fields = [(&'static str, &'static str)];

pub(crate) fn counting_from<const N: usize>(first: u8) -> [u8; N] {
    let mut next = first;
    [(); N].map(|()| {
        let this = next;
        next = next.wrapping_add(1);
        this
    })
}

pub(crate) fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn flat(fields: &Fields) -> String {
    fields.iter().map(|(hex, _)| *hex).collect()
}

pub(crate) fn padded(fields: &Fields, len: usize) -> String {
    format!("{:0<width$}", flat(fields), width = 2 * len)
}

pub(crate) fn bytes<const N: usize>(fields: &Fields) -> [u8; N] {
    unhex(&flat(fields)).try_into().unwrap()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// Hands out the bytes that it was given, and no more.
pub(crate) struct Generator(pub(crate) Vec<u8>);

impl TryRng for Generator {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        unreachable!("the core draws bytes")
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        unreachable!("the core draws bytes")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        let rest = self.0.split_off(bytes.len());
        bytes.copy_from_slice(&self.0);
        self.0 = rest;
        Ok(())
    }
}

impl TryCryptoRng for Generator {}
