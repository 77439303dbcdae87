//! Rounding torus elements to their leading bits, and packing those bits without gaps.

/// The leading `bits` bits of `x`, rounded to nearest, as an integer below `2^bits`.
pub(crate) fn round(x: u64, bits: u32) -> u64 {
    match bits {
        64.. => x,
        0 => 0,
        _ => x.wrapping_add(1 << (63 - bits)) >> (64 - bits),
    }
}

/// The torus element whose leading bits are `value`.
fn restore(value: u64, bits: u32) -> u64 {
    if bits == 0 { 0 } else { value << (64 - bits) }
}

/// Bytes of `count` numbers of `bits` bits.
pub(crate) fn packed_len(count: usize, bits: u32) -> usize {
    // In 64 bits: the count of bits may not fit a `usize` of 32.
    (count as u64 * u64::from(bits)).div_ceil(8) as usize
}

/// Appends the leading `bits` bits of every value to `out`, lowest bit first.
pub(crate) fn pack(values: impl IntoIterator<Item = u64>, bits: u32, out: &mut Vec<u8>) {
    let (mut pending, mut filled) = (0u128, 0);
    for value in values {
        pending |= u128::from(round(value, bits)) << filled;
        filled += bits;
        while filled >= 8 {
            out.push(pending as u8);
            pending >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(pending as u8);
    }
}

/// Reads what [`pack`] wrote, one torus element per element of `out`. Bits that `bytes` lacks are zero.
pub(crate) fn unpack(bytes: &[u8], bits: u32, out: &mut [u64]) {
    let (mut pending, mut filled) = (0u128, 0);
    let mask = if bits >= 64 { u64::MAX } else { (1 << bits) - 1 };
    let mut words = bytes.chunks(8).map(|chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        u64::from_le_bytes(word)
    });
    for out in out {
        if filled < bits {
            pending |= u128::from(words.next().unwrap_or(0)) << filled;
            filled += 64;
        }
        *out = restore(pending as u64 & mask, bits);
        pending >>= bits;
        filled -= bits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_values_come_back_rounded() {
        let values: Vec<u64> = (0..97u64).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).collect();
        for bits in 1..=64 {
            let mut bytes = Vec::new();
            pack(values.iter().copied(), bits, &mut bytes);
            assert_eq!(bytes.len(), packed_len(values.len(), bits));
            let mut restored = vec![0; values.len()];
            unpack(&bytes, bits, &mut restored);
            for (x, y) in values.iter().zip(&restored) {
                let error = (y.wrapping_sub(*x) as i64).unsigned_abs();
                assert!(
                    bits == 64 && error == 0 || bits < 64 && error <= 1 << (63 - bits),
                    "{bits} bits: {x:#x} became {y:#x}"
                );
            }
        }
    }
}
