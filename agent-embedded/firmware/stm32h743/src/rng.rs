//! Random numbers from the chip's generator, which watches itself and starts anew when it finds itself wanting.

use core::convert::Infallible;

use embassy_stm32::peripherals::RNG;
use rand_core::{TryCryptoRng, TryRng};

pub(crate) struct Rng(pub(crate) embassy_stm32::rng::Rng<'static, RNG>);

impl TryRng for Rng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

impl TryCryptoRng for Rng {}
