//! Random numbers for a check: whoever starts it gives the seed, so they are nobody's secret, and the keys made of them are
//! nobody's keys.

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

#[derive(Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    fn step(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

impl TryRng for Chance {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let [_, _, _, _, high @ ..] = self.step().to_le_bytes();
        Ok(u32::from_le_bytes(high))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.step())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            chunk.iter_mut().zip(self.step().to_le_bytes()).for_each(|(to, from)| *to = from);
        }
        Ok(())
    }
}

/// Good enough where nothing is secret.
impl TryCryptoRng for Chance {}
