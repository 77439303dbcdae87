//! [`PositionReader`]: the position of a tournament's winner, read from the root down, without a thread that waits.
//!
//! A bit takes two steps: a sign, and a refresh that makes a selector of it. The signs of *both* matches that can come next are
//! taken, and the selector of the bit above chooses one, so signs wait only for the selectors of the bits before that. Whoever finishes
//! a selector therefore goes on to the signs two rounds below; and of that selector and the signs one round below, on which the next
//! selector rests, whichever comes last leads to it. On two threads each alternates between a refresh and a pair of signs, half
//! a turn apart, and none waits; with more, the refreshes follow each other at once.

use std::slice;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::Scope;

use crate::bootstrap::evaluator::Evaluator;
use crate::decision::tournament::{Round, selected};
use crate::ring::ggsw::Ggsw;
use crate::ring::glwe::{Glwe, Lwe};

/// A position that is being read. Depth 0 is the root's round.
pub(crate) struct PositionReader<'a> {
    evaluator: &'a Evaluator<'a>,
    /// From the candidates up.
    rounds: &'a [Round],
    bits: Vec<OnceLock<Ggsw>>,
    /// The signs of both matches that can come next, `None` where nobody is below.
    signs: Vec<OnceLock<[Option<Glwe>; 2]>>,
    /// Whether one of the two things on which a bit rests is there: its signs, and the bit above.
    started: Vec<AtomicBool>,
    aside: Aside<'a>,
}

/// Another ciphertext of which the sign becomes a selector on the way.
struct Aside<'a> {
    input: Option<&'a Lwe>,
    sign: OnceLock<Lwe>,
    /// Whether its sign is there, or the bit beside which it becomes a selector.
    started: AtomicBool,
    bit: OnceLock<Ggsw>,
}

impl<'a> PositionReader<'a> {
    /// The winner's position in the tournament of `rounds`, whose root had the sign `root`, as selectors, the most significant bit first;
    /// and a selector for the sign of `aside`.
    pub(crate) fn read(
        evaluator: &'a Evaluator<'a>,
        rounds: &'a [Round],
        root: Option<&Lwe>,
        aside: Option<&'a Lwe>,
    ) -> (Vec<Ggsw>, Option<Ggsw>) {
        let mut reading = Self {
            evaluator,
            rounds,
            bits: rounds.iter().map(|_| OnceLock::new()).collect(),
            signs: rounds.iter().map(|_| OnceLock::new()).collect(),
            started: rounds.iter().map(|_| AtomicBool::new(false)).collect(),
            aside: Aside {
                input: aside,
                sign: OnceLock::new(),
                started: AtomicBool::new(rounds.len() < 2),
                bit: OnceLock::new(),
            },
        };
        let this = &reading;
        rayon::scope(|scope| {
            match rounds.len() {
                0 | 1 => scope.spawn(|scope| this.finish_aside(scope)),
                _ => scope.spawn(|scope| this.look(scope, 1)),
            }
            if let Some(root) = root {
                this.make(scope, 0, root);
            }
        });
        (reading.bits.drain(..).filter_map(OnceLock::into_inner).collect(), reading.aside.bit.into_inner())
    }

    /// Makes the bit at `depth` of its sign.
    fn make<'s>(&'s self, scope: &Scope<'s>, depth: usize, sign: &Lwe) {
        let Some(bit) = self.evaluator.selectors(slice::from_ref(sign)).pop() else { return };
        // Nobody else makes this bit.
        let _ = self.bits[depth].set(bit);
        if self.comes_last(depth + 1) {
            scope.spawn(move |scope| self.choose(scope, depth + 1));
        }
        if depth + 2 < self.rounds.len() {
            self.look(scope, depth + 2);
        } else if depth + 2 == self.rounds.len() {
            // A thread would wait while the last bit is made.
            self.finish_aside(scope);
        }
    }

    /// Takes the signs of both matches at `depth` that can come next, while the bit above is made.
    fn look<'s>(&'s self, scope: &Scope<'s>, depth: usize) {
        let leads = &self.rounds[self.rounds.len() - 1 - depth].leads;
        let bits: Vec<&Ggsw> = self.bits[..depth - 1].iter().filter_map(OnceLock::get).collect();
        let side = |side: usize| -> Option<Lwe> {
            let leads: Vec<Option<Lwe>> = leads.iter().skip(side).step_by(2).cloned().collect();
            leads.iter().any(Option::is_some).then(|| selected(self.evaluator, &leads, &bits))
        };
        let sides = [side(0), side(1)];
        // The other sign goes with the first of these.
        let aside = self.aside.input.filter(|_| depth == 1);
        let inputs: Vec<Lwe> = sides.iter().flatten().chain(aside).cloned().collect();
        let mut signs = self.evaluator.signs(&inputs);
        if let Some(sign) = aside.and_then(|_| signs.pop()) {
            let _ = self.aside.sign.set(sign);
            self.finish_aside(scope);
        }
        let mut signs = signs.iter().map(Glwe::embed);
        let _ = self.signs[depth].set(sides.map(|side| side.and_then(|_| signs.next())));
        if self.comes_last(depth) {
            self.choose(scope, depth);
        }
    }

    /// Chooses one of the signs at `depth` by the bit above, and makes a bit of it.
    fn choose<'s>(&'s self, scope: &Scope<'s>, depth: usize) {
        let (Some(signs), Some(above)) = (self.signs[depth].get(), self.bits[depth - 1].get()) else { return };
        if let Some(sign) = self.evaluator.select(signs.iter().map(Option::as_ref), slice::from_ref(above)) {
            self.make(scope, depth, &sign.extract(0));
        }
    }

    /// Whether the other one of the two things on which the bit at `depth` rests is there already.
    fn comes_last(&self, depth: usize) -> bool {
        self.started.get(depth).is_some_and(|started| started.swap(true, Ordering::AcqRel))
    }

    /// Makes the other selector, when its sign is there and a thread would wait.
    fn finish_aside<'s>(&'s self, scope: &Scope<'s>) {
        let Some(input) = self.aside.input.filter(|_| self.aside.started.swap(true, Ordering::AcqRel)) else { return };
        scope.spawn(move |_| {
            let sign = match self.aside.sign.get() {
                Some(sign) => vec![sign.clone()],
                // No other signs are taken that it could have gone with.
                None => self.evaluator.signs(slice::from_ref(input)),
            };
            if let Some(bit) = self.evaluator.selectors(&sign).pop() {
                // Nobody else makes it.
                let _ = self.aside.bit.set(bit);
            }
        });
    }
}
