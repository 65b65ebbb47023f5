//! Random numbers from QEMU's virtio-rng, which has them from the kernel of the machine that it runs on.

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};
use virtio_drivers::transport::mmio::MmioTransport;

use crate::fault;
use crate::net::Negotiated;
use crate::sys::{Ring, Telling, Use};

/// Bytes that are fetched at once: a private key and half a word.
const FETCH: usize = 64;
/// How often an answer is looked for before the machine is taken for broken: some seconds.
const PATIENCE: usize = 100_000_000;

/// The generator. Each of its bytes is used once.
pub(crate) struct Rng {
    card: MmioTransport<'static>,
    ring: Ring<1>,
    /// Bytes of the buffer that were used or never filled.
    used: usize,
    filled: usize,
}

impl Rng {
    pub(crate) fn start(mut card: MmioTransport<'static>) -> Option<Self> {
        let negotiated = Negotiated::with(&mut card, 0)?;
        let ring = Ring::new(0, &mut card, FETCH, Telling::Silent);
        negotiated.finish(&mut card);
        Some(Self { card, ring, used: 0, filled: 0 })
    }

    /// Ends the program if there are none: nothing could be kept secret without them.
    fn fetch(&mut self) {
        self.ring.hand_over(0, &mut self.card, Use::Receive);
        for _ in 0..PATIENCE {
            let Some((_, filled)) = self.ring.take_back() else { continue };
            if filled > 0 {
                (self.used, self.filled) = (0, filled);
                return;
            }
            self.ring.hand_over(0, &mut self.card, Use::Receive);
        }
        fault::give_up("virtio-rng gives no random numbers; look at what feeds it");
    }

    fn next(&mut self) -> u8 {
        if self.used >= self.filled {
            self.fetch();
        }
        let place = self.ring.bytes(0).and_then(|bytes| bytes.get_mut(self.used));
        self.used += 1;
        // What was handed out is not kept.
        core::mem::take(place.expect("fetch has filled the buffer, which is ours until the next one"))
    }
}

impl TryRng for Rng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.fill_with(|| self.next());
        Ok(())
    }
}

impl TryCryptoRng for Rng {}
