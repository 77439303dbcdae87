//! [`DecisionGadgets`]: bases and levels of the keys of encrypted decisions.

use crate::Gadget;

/// The gadgets of the encrypted decisions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DecisionGadgets {
    /// LWE keyswitch from the ring's key to the small key.
    pub keyswitch: Gadget,
    /// Blind rotations that compare.
    pub compare: Gadget,
    /// Blind rotations that make selectors.
    pub refresh: Gadget,
    /// Keyswitches of the trace.
    pub trace: Gadget,
    /// Product with the key's square.
    pub square: Gadget,
    /// Selectors themselves.
    pub selector: Gadget,
}

impl DecisionGadgets {
    /// The comparison is that of the standard set; the others keep a selector's noise below that of a comparison
    /// (`docs/one-trip.md` has the table they were chosen from).
    pub const STANDARD: Self = Self {
        keyswitch: Gadget::new(3, 6),
        compare: Gadget::new(23, 1),
        refresh: Gadget::new(15, 2),
        trace: Gadget::new(7, 6),
        square: Gadget::new(7, 6),
        selector: Gadget::new(4, 4),
    };
}
