//! The record that `read-head` fills: the attributes that almost every policy reads, in one call.

/// 56 bytes in the guest's memory, little-endian, aligned to 8. Frozen: it never grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Head {
    /// Attribute `time`.
    pub time: u64,
    /// Attribute `client`.
    pub client: u64,
    /// Attribute `address-high`.
    pub address_high: u64,
    /// Attribute `address-low`.
    pub address_low: u64,
    /// Attribute `cause`.
    pub cause: u32,
    /// Attribute `service`.
    pub service: u32,
    /// Attribute `seconds`.
    pub seconds: u32,
    /// Attribute `client-failures`.
    pub failures: u32,
    /// Attribute `client-grants`.
    pub grants: u32,
    /// Flags, see [`crate::attr::bits`].
    pub bits: u32,
}

// A guest may hand the record's own memory to `read-head`, so the layout is the wire format.
const _: () = assert!(size_of::<Head>() == Head::SIZE && align_of::<Head>() == 8);

impl Head {
    /// Bytes of the record.
    pub const SIZE: usize = 56;

    /// The bytes that the host writes.
    #[must_use]
    pub fn encode(&self) -> [u8; Self::SIZE] {
        let mut out = [0; Self::SIZE];
        let (longs, words) = out.split_at_mut(32);
        let values = [self.time, self.client, self.address_high, self.address_low];
        for (place, value) in longs.chunks_exact_mut(8).zip(values) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        let values = [self.cause, self.service, self.seconds, self.failures, self.grants, self.bits];
        for (place, value) in words.chunks_exact_mut(4).zip(values) {
            place.copy_from_slice(&value.to_le_bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_has_these_bytes_for_ever() {
        let head = Head {
            time: 0x0807_0605_0403_0201,
            client: 0x18,
            address_high: 0x2001_0db8_0000_0000,
            address_low: 1,
            cause: 1,
            service: 0x0102,
            seconds: 60,
            failures: 3,
            grants: 2,
            bits: 0x8000_0001,
        };
        #[rustfmt::skip]
        let golden = [
            0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, // time
            0x18, 0, 0, 0, 0, 0, 0, 0,                      // client
            0, 0, 0, 0, 0xb8, 0x0d, 0x01, 0x20,             // address-high
            1, 0, 0, 0, 0, 0, 0, 0,                         // address-low
            1, 0, 0, 0,                                     // cause
            0x02, 0x01, 0, 0,                               // service
            60, 0, 0, 0,                                    // seconds
            3, 0, 0, 0,                                     // failures
            2, 0, 0, 0,                                     // grants
            0x01, 0, 0, 0x80,                               // bits
        ];
        assert_eq!(head.encode(), golden);
    }

    #[test]
    fn layout_in_memory_is_the_record() {
        assert_eq!(core::mem::offset_of!(Head, time), 0);
        assert_eq!(core::mem::offset_of!(Head, address_low), 24);
        assert_eq!(core::mem::offset_of!(Head, cause), 32);
        assert_eq!(core::mem::offset_of!(Head, bits), 52);
    }
}
