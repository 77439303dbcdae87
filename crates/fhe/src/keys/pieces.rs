//! [`Pieces`]: an evaluation key in the making, piece by piece. Pieces are drawn apart from each other, so that threads, or the workers
//! of a browser that share nothing, can each make some.

use sordino_front::threads;

use crate::keys::evaluation::{BODY_BITS, Sections};
use crate::keys::gadgets::{DecisionGadgets, RotationGadget};
use crate::keys::keyswitch::SeededKeyswitchKey;
use crate::keys::secret::wipe;
use crate::params::ParameterSet;
use crate::ring::automorphism::{automorphism, trace_exponents};
use crate::ring::gadget::Gadget;
use crate::ring::random::{Random, RandomSeed};
use crate::wire::seeded;
use crate::{EvaluationKey, FheError, SecretKey};

/// What an evaluation key is made of.
pub struct Pieces<'a> {
    secret: &'a SecretKey,
    /// The ring's key, negated.
    minus_key: Vec<u64>,
}

/// Which piece.
#[derive(Clone, Copy)]
enum Piece {
    /// The GGSW encryptions of one step by the small key of comparisons.
    Compare(usize),
    /// The GGSW encryptions of one step by the small key of refreshes.
    Refresh(usize),
    /// The keyswitch of one step of the trace.
    Trace(usize),
    /// The square of the ring's key.
    Square,
    /// The keyswitch key to the small key of comparisons.
    CompareKeyswitch,
    /// The keyswitch key to the small key of refreshes.
    RefreshKeyswitch,
}

/// The pieces in the order in which a key is written.
fn all(p: &ParameterSet) -> Vec<Piece> {
    let Sections { compare, refresh, trace, square } = Sections::of(p);
    let compare = (0..compare.blocks).map(Piece::Compare);
    let refresh = (0..refresh.blocks).map(Piece::Refresh);
    let trace = (0..trace.blocks).map(Piece::Trace);
    let square = (0..square.blocks).map(|_| Piece::Square);
    let keyswitches = [Piece::CompareKeyswitch, Piece::RefreshKeyswitch];
    compare.chain(refresh).chain(trace).chain(square).chain(keyswitches).collect()
}

impl<'a> Pieces<'a> {
    /// The pieces of an evaluation key of `secret`.
    pub fn of(secret: &'a SecretKey) -> Self {
        let minus_key = secret.glwe().as_ref().iter().map(|s| s.wrapping_neg()).collect();
        Self { secret, minus_key }
    }

    /// How many there are. The last ones take longest.
    pub fn count(parameters: &ParameterSet) -> usize {
        all(parameters).len()
    }

    /// Makes one, with the system's randomness; `None` of a number that there is not.
    pub fn make(&self, index: usize) -> Option<Vec<u8>> {
        let piece = *all(self.secret.parameters()).get(index)?;
        let mut random = Random::from_system();
        Some(self.draw(piece, [random.seed(), random.seed()]))
    }

    /// Makes all. `progress` is called from several threads, after every piece.
    pub(crate) fn draw_all(&self, random: &mut Random, progress: impl Fn() + Sync) -> Vec<Vec<u8>> {
        let drawn = all(self.secret.parameters()).into_iter().map(|piece| {
            let first = random.seed();
            // Blocks draw masks and noise from one seed; a keyswitch key has a seed of each.
            let second = matches!(piece, Piece::CompareKeyswitch | Piece::RefreshKeyswitch).then(|| random.seed());
            (piece, [first, second.unwrap_or_default()])
        });
        let make = |(piece, seeds)| {
            let bytes = self.draw(piece, seeds);
            progress();
            bytes
        };
        threads::map(drawn.collect(), make)
    }

    fn draw(&self, piece: Piece, seeds: [RandomSeed; 2]) -> Vec<u8> {
        let (secret, g) = (self.secret, DecisionGadgets::STANDARD);
        let p = secret.parameters();
        let keyswitch =
            |small, bits, gadget| SeededKeyswitchKey::encrypt(secret, small, bits, gadget, seeds).into_bytes();
        match piece {
            Piece::Compare(i) => self.block(self.step(g.compare, secret.compare(), i), seeds[0]),
            Piece::Refresh(i) => self.block(self.step(g.refresh, secret.refresh(), i), seeds[0]),
            Piece::Trace(step) => self.block(self.turned(step, g.trace), seeds[0]),
            Piece::Square => {
                let square = negacyclic_square(secret.glwe().as_ref());
                self.block(at_every_level(square, g.square), seeds[0])
            }
            Piece::CompareKeyswitch => keyswitch(p.compare, secret.compare(), g.compare_keyswitch),
            Piece::RefreshKeyswitch => keyswitch(p.refresh, secret.refresh(), g.refresh_keyswitch),
        }
    }

    /// Encrypts polynomials, which are wiped.
    pub(crate) fn block(&self, mut messages: Vec<u64>, seed: RandomSeed) -> Vec<u8> {
        let ring = self.secret.parameters().ring();
        let mut bytes = Vec::with_capacity(seeded::seeded_len(messages.len() / ring, ring, BODY_BITS));
        seeded::encrypt(self.secret, &messages, BODY_BITS, &mut Random::new(seed, 0), &mut bytes);
        wipe(&mut messages);
        bytes
    }

    /// The GGSW ciphertexts of a step: for every pattern but zeros, whether the step's bits are that pattern.
    pub(crate) fn step(&self, gadget: RotationGadget, small: &[u64], step: usize) -> Vec<u64> {
        let bits = &small[step * gadget.bits..(step + 1) * gadget.bits];
        // 1 where all bits agree with the pattern, without a branch on a secret.
        let is = |pattern: usize| -> u64 {
            bits.iter().enumerate().map(|(i, bit)| 1 ^ bit ^ (pattern >> i & 1) as u64).product()
        };
        (1..=gadget.patterns()).flat_map(|pattern| self.ggsw(gadget.digits, is(pattern))).collect()
    }

    fn ggsw(&self, gadget: Gadget, bit: u64) -> Vec<u64> {
        let rows = (1..=gadget.levels).flat_map(|level| {
            let weight = gadget.weight(level).wrapping_mul(bit);
            let constant = (0..self.minus_key.len()).map(move |i| if i == 0 { weight } else { 0 });
            self.minus_key.iter().map(move |s| s.wrapping_mul(weight)).chain(constant)
        });
        rows.collect()
    }

    fn turned(&self, step: usize, gadget: Gadget) -> Vec<u64> {
        let ring = self.minus_key.len();
        let mut out = vec![0; ring];
        trace_exponents(ring).nth(step).iter().for_each(|&t| automorphism(&self.minus_key, t, &mut out));
        at_every_level(out, gadget)
    }
}

impl Drop for Pieces<'_> {
    fn drop(&mut self) {
        wipe(&mut self.minus_key);
    }
}

impl EvaluationKey {
    /// Puts the pieces of one secret key together, in their order, whoever made them.
    ///
    /// # Errors
    /// [`FheError::EvaluationKey`] for another number of pieces, or one of another length.
    pub fn of_pieces(parameters: &'static ParameterSet, pieces: Vec<Vec<u8>>) -> Result<Self, FheError> {
        let (sections, g) = (Sections::of(parameters), DecisionGadgets::STANDARD);
        let block = |rows| seeded::seeded_len(rows, parameters.ring(), BODY_BITS);
        let length = |piece| match piece {
            Piece::Compare(_) => block(sections.compare.rows),
            Piece::Refresh(_) => block(sections.refresh.rows),
            Piece::Trace(_) => block(sections.trace.rows),
            Piece::Square => block(sections.square.rows),
            Piece::CompareKeyswitch => SeededKeyswitchKey::wire_bytes(parameters, g.compare_keyswitch),
            Piece::RefreshKeyswitch => SeededKeyswitchKey::wire_bytes(parameters, g.refresh_keyswitch),
        };
        let expected = all(parameters).into_iter().map(length);
        if !expected.eq(pieces.iter().map(Vec::len)) {
            return Err(FheError::EvaluationKey { what: "its pieces are not those that its parameter set implies" });
        }
        Ok(Self::assemble(parameters, pieces, None))
    }
}

/// `p`, which is wiped, times the weight of every level, most significant first.
pub(crate) fn at_every_level(mut p: Vec<u64>, gadget: Gadget) -> Vec<u64> {
    let levels = (1..=gadget.levels).map(|level| gadget.weight(level));
    let out = levels.flat_map(|weight| p.iter().map(move |x| x.wrapping_mul(weight))).collect();
    wipe(&mut p);
    out
}

/// `p^2` modulo `X^N + 1`, in a time that does not depend on `p`.
fn negacyclic_square(p: &[u64]) -> Vec<u64> {
    let mut out = vec![0u64; p.len()];
    for (i, x) in p.iter().enumerate() {
        let (stay, wrap) = p.split_at(p.len() - i);
        for (out, y) in out[i..].iter_mut().zip(stay) {
            *out = out.wrapping_add(x.wrapping_mul(*y));
        }
        for (out, y) in out.iter_mut().zip(wrap) {
            *out = out.wrapping_sub(x.wrapping_mul(*y));
        }
    }
    out
}
