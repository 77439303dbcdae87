//! The automorphisms `X -> X^t` of the ring, and those of them that make the trace.

/// The automorphisms `X -> X^t` of the trace, in order: each doubles what the ones before left of the subring that it fixes.
pub(crate) fn trace_exponents(size: usize) -> impl ExactSizeIterator<Item = usize> {
    let log2 = size.ilog2();
    (0..log2).map(move |i| (size >> i) + 1)
}

/// `sigma_t(p) = p(X^t)` modulo `X^N + 1`, for odd `t < 2N`.
pub(crate) fn automorphism(p: &[u64], t: usize, out: &mut [u64]) {
    let size = p.len();
    let mut power = 0;
    for x in p {
        if power < size {
            out[power] = *x;
        } else {
            out[power - size] = x.wrapping_neg();
        }
        power += t;
        if power >= 2 * size {
            power -= 2 * size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn automorphisms_are_ring_homomorphisms() {
        // X^3 -> X^15 = -X^7 in Z[X]/(X^8 + 1).
        let mut out = [0; 8];
        automorphism(&[1, 0, 0, 5, 0, 0, 0, 0], 5, &mut out);
        assert_eq!(out, [1, 0, 0, 0, 0, 0, 0, 5u64.wrapping_neg()]);
    }

    #[test]
    fn the_trace_visits_log2_n_automorphisms() {
        assert_eq!(trace_exponents(16).collect::<Vec<_>>(), [17, 9, 5, 3]);
    }
}
