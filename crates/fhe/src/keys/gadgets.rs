//! [`DecisionGadgets`]: bases and levels of the keys of encrypted decisions.

use crate::ring::gadget::Gadget;

/// The gadgets of the encrypted decisions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct DecisionGadgets {
    /// LWE keyswitch from the ring's key to the small key of comparisons.
    pub(crate) compare_keyswitch: Gadget,
    /// Blind rotations that compare.
    pub(crate) compare: Gadget,
    /// LWE keyswitch from the ring's key to the small key of refreshes.
    pub(crate) refresh_keyswitch: Gadget,
    /// Blind rotations that make selectors.
    pub(crate) refresh: Gadget,
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
    /// therefore be short.
    pub(crate) const STANDARD: Self = Self {
        compare_keyswitch: Gadget::new(3, 6),
        compare: Gadget::new(23, 1),
        refresh_keyswitch: Gadget::new(5, 2),
        refresh: Gadget::new(15, 2),
        trace: Gadget::new(7, 6),
        square: Gadget::new(7, 6),
        selector: Gadget::new(4, 4),
    };
}
