//! [`DecisionGadgets`]: bases and levels of the keys of encrypted decisions.

use crate::ring::gadget::Gadget;

/// How a blind rotation is keyed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RotationGadget {
    /// Digits of the accumulator.
    pub(crate) digits: Gadget,
    /// Bits of the small key that one step takes together.
    pub(crate) bits: usize,
}

impl RotationGadget {
    /// What the bits of a step can be, all zeros apart. Each has a GGSW ciphertext.
    pub(crate) const fn patterns(self) -> usize {
        (1 << self.bits) - 1
    }
}

/// The gadgets of the encrypted decisions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DecisionGadgets {
    /// LWE keyswitch from the ring's key to the small key of comparisons.
    pub(crate) compare_keyswitch: Gadget,
    /// Blind rotations that compare.
    pub(crate) compare: RotationGadget,
    /// LWE keyswitch from the ring's key to the small key of refreshes.
    pub(crate) refresh_keyswitch: Gadget,
    /// Blind rotations that make selectors.
    pub(crate) refresh: RotationGadget,
    /// Keyswitches of the trace.
    pub(crate) trace: Gadget,
    /// Product with the key's square.
    pub(crate) square: Gadget,
    /// Selectors themselves.
    pub(crate) selector: Gadget,
}

impl DecisionGadgets {
    /// The comparison is that of the standard set; the others keep a selector's noise below that of a comparison
    /// (`docs/one-trip.md` has the table they were chosen from). A refresh has a quarter of the torus for its keyswitch, which can
    /// therefore be short. Comparisons are nine rotations in ten, so they take two bits in a step, for a key half as large again; for
    /// refreshes that would cost as much and gain little.
    pub(crate) const STANDARD: Self = Self {
        compare_keyswitch: Gadget::new(3, 6),
        compare: RotationGadget { digits: Gadget::new(23, 1), bits: 2 },
        refresh_keyswitch: Gadget::new(5, 2),
        refresh: RotationGadget { digits: Gadget::new(15, 2), bits: 1 },
        trace: Gadget::new(7, 6),
        square: Gadget::new(7, 6),
        selector: Gadget::new(4, 4),
    };
}
