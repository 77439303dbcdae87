//! [`SparsePacking`]: where single encrypted numbers are, and what it takes to unpack them.

use crate::layout::SEED_BYTES;

/// Numbers in the coefficients of as few ciphertexts as hold them: a threshold, or the rows of selectors by which a client asks for
/// groups.
///
/// The server takes them apart in a tree. Step `k` of `log2 N` splits a polynomial in `X^(2^k)` into the parts with even and with odd
/// powers of that, each by one automorphism. Numbers lie as far apart as they can: then the first steps have one node each, and there are
/// hardly more automorphisms than numbers. Only the coefficients that hold one travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SparsePacking {
    ring: usize,
    count: usize,
}

impl SparsePacking {
    /// `count` numbers in ciphertexts of ring degree `ring`, a power of two.
    pub fn new(ring: usize, count: usize) -> Self {
        Self { ring, count }
    }

    /// Numbers.
    pub fn count(&self) -> usize {
        self.count
    }

    /// How many numbers each ciphertext holds.
    pub fn ciphertexts(&self) -> impl Iterator<Item = usize> {
        let Self { ring, count } = *self;
        (0..count.div_ceil(ring)).map(move |c| (count - c * ring).min(ring))
    }

    /// How far apart the numbers of a ciphertext of `count` lie.
    pub fn stride(&self, count: usize) -> usize {
        self.ring / count.next_power_of_two()
    }

    /// Bytes on the wire: a seed, and a whole coefficient for each number; nothing of none.
    pub fn bytes(&self) -> usize {
        if self.count == 0 { 0 } else { SEED_BYTES + 8 * self.count }
    }

    /// Automorphisms of unpacking: one for every node of the tree that has a number below it.
    pub fn automorphisms(&self) -> usize {
        let nodes = |count: usize| {
            let stride = self.stride(count);
            (0..self.ring.ilog2()).map(|step| count.min(((1 << step) / stride).max(1))).sum::<usize>()
        };
        self.ciphertexts().map(nodes).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_has_few_nodes() {
        // One number: the trace. Four of sixteen: one node in each of the first two steps and the first split, then two.
        assert_eq!(SparsePacking::new(16, 1).automorphisms(), 4);
        assert_eq!(SparsePacking::new(16, 4).automorphisms(), 1 + 1 + 1 + 2);
        assert_eq!(SparsePacking::new(16, 3).automorphisms(), 1 + 1 + 1 + 2);
        // All of them: a node for every pair in the last step.
        assert_eq!(SparsePacking::new(16, 16).automorphisms(), 15);
        assert_eq!(SparsePacking::new(16, 20).ciphertexts().collect::<Vec<_>>(), [16, 4]);
        assert_eq!(SparsePacking::new(16, 20).automorphisms(), 15 + 5);
        assert_eq!(SparsePacking::new(16, 20).bytes(), 32 + 160);
        assert_eq!((SparsePacking::new(16, 0).automorphisms(), SparsePacking::new(16, 0).bytes()), (0, 0));
    }
}
