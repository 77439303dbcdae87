//! Circuit bootstrapping: an encrypted bit becomes a GGSW ciphertext, which can drive a CMUX.
//!
//! One blind rotation of an interleaved table puts `m q/B^level` for every level of the selector's gadget into neighbouring
//! coefficients of one GLWE ciphertext. For each level the trace to the integers then clears all coefficients but that one:
//! `log2 N` steps `c + sigma_t(c)`, each with a keyswitch from `sigma_t(s)` to `s`; it multiplies what stays by N, so the ciphertext is
//! divided by N first, which is exact up to rounding because multiples of q vanish again. The rows with `-s m` follow from one
//! product with an encryption of `s^2`. (Wang et al., "Circuit Bootstrapping: Faster and Smaller", Eurocrypt 2024; Chen, Dai,
//! Kim and Song, ACNS 2021, for the trace.)
//!
//! A bit that the client encrypted needs no rotation. It sends `m q/B^level` for every level, many in the coefficients of one ciphertext,
//! and the same automorphisms take them apart in a tree: where a step of the trace keeps `c + sigma_t(c)`, the other half of
//! the coefficients is in `c - sigma_t(c)` (Angel, Chen, Laine and Setty, "PIR with Compressed Queries", S&P 2018; Chen, Dai, Kim
//! and Song, ACNS 2021).
//!
//! The keys of the trace and of the square are 2.4 MB together, where private functional keyswitches would take 134 to 269 MB
//! and forty times the time; `docs/one-trip.md` has both measured.

use rayon::prelude::*;

use crate::bootstrap::blind_rotation::Table;
use crate::ring::automorphism::{automorphism, trace_exponents};
use crate::ring::fourier::{Fourier, Scratch};
use crate::ring::gadget::Gadget;
use crate::ring::ggsw::{GadgetKey, Ggsw};
use crate::ring::glwe::Glwe;

/// What turns the result of a blind rotation into a GGSW ciphertext.
pub(crate) struct CircuitBootstrapKey {
    selector: Gadget,
    /// For every exponent of [`trace_exponents`], a key that encrypts `-sigma_t(s)`.
    trace: Vec<GadgetKey>,
    /// Encrypts `s^2`.
    square: GadgetKey,
}

/// The table whose rotation by a bit, encrypted as a positive or negative phase, holds `±q/(2 B^level)` in coefficient `level - 1`.
pub(crate) fn level_table(size: usize, selector: Gadget) -> Table {
    let stride_log2 = selector.levels.next_power_of_two().ilog2();
    Table::new(size, 0, stride_log2, |index| {
        let level = (index as u32 & ((1 << stride_log2) - 1)) + 1;
        if level <= selector.levels { selector.weight(level) / 2 } else { 0 }
    })
}

impl CircuitBootstrapKey {
    /// Keys for the exponents of [`trace_exponents`], in order, and for the square.
    pub(crate) fn new(selector: Gadget, trace: Vec<GadgetKey>, square: GadgetKey) -> Self {
        Self { selector, trace, square }
    }

    /// The gadget of the selectors.
    pub(crate) fn gadget(&self) -> Gadget {
        self.selector
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.trace.iter().chain([&self.square]).map(GadgetKey::bytes).sum()
    }

    /// The GGSW ciphertext of the bit by which a [`level_table`] was rotated.
    pub(crate) fn selector(&self, rotated: &Glwe, fourier: &Fourier, scratch: &mut Scratch) -> Ggsw {
        let messages: Vec<Glwe> = (1..=self.selector.levels)
            .map(|level| {
                let mut message = rotated.divide_by_monomial(level as usize - 1);
                let body = &mut message.body_mut()[0];
                *body = body.wrapping_add(self.selector.weight(level) / 2);
                self.trace(&message, fourier, scratch)
            })
            .collect();
        self.selector_of(&messages, fourier, scratch)
    }

    /// The GGSW ciphertext of the bit `m` from encryptions of `m q/B^level`, one for every level.
    pub(crate) fn selector_of(&self, messages: &[Glwe], fourier: &Fourier, scratch: &mut Scratch) -> Ggsw {
        let mut rows = Vec::with_capacity(2 * messages.len());
        for message in messages {
            rows.push(self.times_minus_key(message, fourier, scratch));
            rows.push(message.clone());
        }
        Ggsw::from_rows(self.selector, rows.iter().map(Glwe::as_slice), fourier, scratch)
    }

    /// The first `count` of the numbers that lie `stride` coefficients apart, each alone in coefficient 0 of a ciphertext.
    pub(crate) fn unpack(&self, packed: &Glwe, count: usize, stride: usize, fourier: &Fourier) -> Vec<Glwe> {
        // A node holds, in powers of X^(2^step), the numbers whose coefficients are its own modulo 2^step.
        let mut nodes = vec![(0, divided(packed))];
        for (step, (t, key)) in trace_exponents(packed.size()).zip(&self.trace).enumerate() {
            let split = |scratch: &mut Scratch, (own, mut even): (usize, Glwe)| {
                let turned = turned(&even, t, key, fourier, scratch);
                let other = own + (1 << step);
                let odd = (other % stride == 0 && other / stride < count).then(|| {
                    let mut odd = even.clone();
                    odd.sub_assign(&turned);
                    (other, odd.divide_by_monomial(1 << step))
                });
                even.add_assign(&turned);
                [Some((own, even)), odd].into_iter().flatten()
            };
            nodes = nodes.into_par_iter().map_init(|| fourier.scratch(), split).flatten_iter().collect();
        }
        nodes.sort_unstable_by_key(|(own, _)| *own);
        nodes.into_iter().map(|(_, number)| number).collect()
    }

    /// Keeps the message of coefficient 0 and clears the others.
    pub(crate) fn trace(&self, input: &Glwe, fourier: &Fourier, scratch: &mut Scratch) -> Glwe {
        let mut out = divided(input);
        for (t, key) in trace_exponents(input.size()).zip(&self.trace) {
            let turned = turned(&out, t, key, fourier, scratch);
            out.add_assign(&turned);
        }
        out
    }

    /// An encryption of `-s m` from one of `m`: the phase `b - a s` times `-s` is `a s^2 - b s`.
    pub(crate) fn times_minus_key(&self, message: &Glwe, fourier: &Fourier, scratch: &mut Scratch) -> Glwe {
        let mut out = Glwe::zero(message.size());
        out.as_mut_slice()[..message.size()].copy_from_slice(message.body());
        self.square.add_product(message.mask(), &mut out, fourier, scratch);
        out
    }
}

/// A ciphertext divided by N. A carry past 2^64 is a multiple of q / N then, which the steps of a trace turn into a multiple of q.
fn divided(input: &Glwe) -> Glwe {
    let log2 = input.size().ilog2();
    let mut out = input.clone();
    out.as_mut_slice().iter_mut().for_each(|x| *x = x.wrapping_add(1 << (log2 - 1)) >> log2);
    out
}

/// The image of a ciphertext under `X -> X^t`, under the key again.
fn turned(input: &Glwe, t: usize, key: &GadgetKey, fourier: &Fourier, scratch: &mut Scratch) -> Glwe {
    let mut out = Glwe::zero(input.size());
    automorphism(input.body(), t, out.body_mut());
    let mut image = vec![0; input.size()];
    automorphism(input.mask(), t, &mut image);
    key.add_product(&image, &mut out, fourier, scratch);
    out
}
