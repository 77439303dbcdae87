//! [`Fourier`]: products in `Z[X]/(X^N + 1)` through the fast Fourier transform, with the loops around it vectorised.
//!
//! tfhe's external product spends more than half of its time outside the transform when the build has to run on every
//! x86-64, because its rotations, digits and conversions are then compiled for the oldest such machine. Here the same
//! steps are plain loops, compiled once per instruction set and chosen at run time by [`pulp`], around the same transform
//! (`tfhe-fft`); `docs/one-trip.md` has the figures.
//!
//! A polynomial `p` becomes N/2 complex numbers, the values of `p` at half of the primitive 2N-th roots of unity: fold
//! `p[j] + i p[j + N/2]`, twist by `exp(i pi j / N)`, transform (Klemsa, ePrint 2021/480). Their order depends on the plan, which
//! is chosen by measurement, so values in the Fourier domain never leave the process.
//!
//! A power of X is a root of unity at every point. In every plan its value is a number for the run of [`RUN`] neighbours in which the
//! point lies, times a number for the place in the run. So two short tables take the place of a transform.

use std::f64::consts::PI;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aligned_vec::{ABox, avec};
use dyn_stack::{PodBuffer, PodStack};
use tfhe_fft::c64;
use tfhe_fft::ordered::FftAlgo;
use tfhe_fft::unordered::{Method, Plan};

use crate::ring::gadget::Gadget;
use crate::ring::product::{AT_ONCE, Turn, Turned, multiply, multiply_turned, split};
use crate::ring::vector::vectorised;

/// A transform for one ring degree. Clones share the tables.
#[derive(Clone, Debug)]
pub(crate) struct Fourier(Arc<Tables>);

/// Points in a run.
const RUN: usize = 32;

#[derive(Debug)]
struct Tables {
    plan: Plan,
    twist_re: ABox<[f64]>,
    twist_im: ABox<[f64]>,
    /// The 2N-th roots of unity.
    roots: Vec<c64>,
    /// Of the first point of every run, which root it is.
    runs: Vec<usize>,
    /// Of every place in a run, by how many roots it is further than the first.
    places: Vec<usize>,
}

/// Working memory for one thread.
pub(crate) struct Scratch {
    stack: PodBuffer,
    /// Digits of one level in the Fourier domain, one polynomial after the other.
    digits: ABox<[c64]>,
    /// The product in the Fourier domain: mask, then body.
    sums: ABox<[c64]>,
    /// Powers of X, one after the other: a number for every run of points, and one for every place in a run, split.
    runs: ABox<[c64]>,
    places: ABox<[c64]>,
}

impl Fourier {
    /// Plans a transform for polynomials of `size` coefficients, a power of two. Takes some milliseconds.
    pub(crate) fn new(size: usize) -> Self {
        let half = size / 2;
        let mut twist_re = avec![0.0; half].into_boxed_slice();
        let mut twist_im = avec![0.0; half].into_boxed_slice();
        for (j, (re, im)) in twist_re.iter_mut().zip(twist_im.iter_mut()).enumerate() {
            (*im, *re) = (PI * j as f64 / size as f64).sin_cos();
        }
        let roots: Vec<c64> = (0..2 * size)
            .map(|k| {
                let (im, re) = (PI * k as f64 / size as f64).sin_cos();
                c64 { re, im }
            })
            .collect();
        let plan = fastest_plan(half);
        let mut out = Tables { plan, twist_re, twist_im, roots, runs: Vec::new(), places: Vec::new() };
        let points = out.points();
        let run = RUN.min(half);
        out.runs = points.iter().step_by(run).copied().collect();
        out.places = points[..run].iter().map(|point| point + 2 * size - points[0]).collect();
        Self(Arc::new(out))
    }

    /// Coefficients of a polynomial.
    pub(crate) fn size(&self) -> usize {
        2 * self.half()
    }

    /// Complex numbers of a polynomial in the Fourier domain.
    pub(crate) fn half(&self) -> usize {
        self.0.twist_re.len()
    }

    /// Working memory for one thread.
    pub(crate) fn scratch(&self) -> Scratch {
        Scratch {
            stack: PodBuffer::new(self.0.plan.fft_scratch()),
            digits: avec![c64::default(); self.size()].into_boxed_slice(),
            sums: avec![c64::default(); self.size()].into_boxed_slice(),
            runs: avec![c64::default(); AT_ONCE * self.0.runs.len()].into_boxed_slice(),
            places: avec![c64::default(); AT_ONCE * self.0.places.len()].into_boxed_slice(),
        }
    }

    /// Transforms a polynomial of torus elements, read as fractions in `[-1/2, 1/2)`.
    pub(crate) fn forward_torus(&self, polynomial: &[u64], out: &mut [c64], scratch: &mut Scratch) {
        let (re, im) = polynomial.split_at(self.half());
        vectorised!(twist_body(
            re: &'a [u64] = re, im: &'a [u64] = im,
            w_re: &'a [f64] = &self.0.twist_re, w_im: &'a [f64] = &self.0.twist_im,
            out: &'a mut [c64] = out
        ));
        self.0.plan.fwd(out, PodStack::new(&mut scratch.stack));
    }

    /// Adds `sum_{level, i} digit_level(input_i) key[level][i]` to the GLWE ciphertext `out`, for one or two input polynomials and a
    /// `key` of shape `[levels, inputs, 2, N/2]`.
    pub(crate) fn add_product(&self, gadget: Gadget, input: &[u64], key: &[c64], out: &mut [u64], s: &mut Scratch) {
        let (size, half) = (self.size(), self.half());
        let inputs = input.len() / size;
        for (level, rows) in (1..=gadget.levels).zip(key.chunks_exact(2 * half * inputs)) {
            self.digits_of_level(gadget, level, input, &mut s.digits[..inputs * half], &mut s.stack);
            multiply(&s.digits[..inputs * half], rows, &mut s.sums, level == 1);
        }
        self.add_sums(out, s);
    }

    /// The digits of a GLWE ciphertext in the Fourier domain, split, shape `[levels, 2, N/2]`.
    pub(crate) fn digits(&self, gadget: Gadget, input: &[u64], out: &mut [c64], s: &mut Scratch) {
        for (level, out) in (1..=gadget.levels).zip(out.chunks_exact_mut(self.size())) {
            self.digits_of_level(gadget, level, input, out, &mut s.stack);
        }
        split(out);
    }

    /// Adds `sum_{t, level, i} (X^power_t digits_t[level][i] - own[level][i]) key[t][level][i]` to the GLWE ciphertext `out`, for digits of
    /// shape `[levels, 2, N/2]` and a `key` of shape `[turns, levels, 2, 2, N/2]`, both split.
    pub(crate) fn add_turned(&self, turns: &[Turn], own: &[c64], key: &[c64], out: &mut [u64], s: &mut Scratch) {
        let Tables { runs, places, .. } = &*self.0;
        let levels = own.len() / self.size();
        for (i, (turns, key)) in turns.chunks(AT_ONCE).zip(key.chunks(AT_ONCE * 2 * own.len())).enumerate() {
            let at_each = s.runs.chunks_exact_mut(runs.len()).zip(s.places.chunks_exact_mut(places.len()));
            for (turn, (at_runs, at_places)) in turns.iter().zip(at_each) {
                self.power(turn.power, runs, at_runs);
                self.power(turn.power, places, at_places);
                split(at_places);
            }
            let (runs, places) = (&s.runs[..turns.len() * runs.len()], &s.places[..turns.len() * places.len()]);
            for level in 0..levels {
                let first = i == 0 && level == 0;
                multiply_turned(Turned { turns, own, key, runs, places, level, first, sums: &mut s.sums });
            }
        }
        self.add_sums(out, s);
    }

    /// `X^power` at the given points.
    fn power(&self, power: usize, points: &[usize], out: &mut [c64]) {
        let roots = &*self.0.roots;
        for (out, point) in out.iter_mut().zip(points) {
            *out = roots[(point * power) & (roots.len() - 1)];
        }
    }

    /// Adds what is in the working memory to a GLWE ciphertext.
    fn add_sums(&self, out: &mut [u64], s: &mut Scratch) {
        for (sum, out) in s.sums.chunks_exact_mut(self.half()).zip(out.chunks_exact_mut(self.size())) {
            self.0.plan.inv(sum, PodStack::new(&mut s.stack));
            self.add_untwisted(sum, out);
        }
    }

    /// One digit of every coefficient of several polynomials, in the Fourier domain.
    fn digits_of_level(&self, gadget: Gadget, level: u32, input: &[u64], out: &mut [c64], stack: &mut PodBuffer) {
        for (polynomial, out) in input.chunks_exact(self.size()).zip(out.chunks_exact_mut(self.half())) {
            self.digit(polynomial, gadget, level, out);
            self.0.plan.fwd(out, PodStack::new(stack));
        }
    }

    /// Adds the inverse transform of `sum`, modulo 1, to a polynomial of torus elements. `sum` is used up.
    pub(crate) fn add_inverse(&self, sum: &mut [c64], out: &mut [u64], scratch: &mut Scratch) {
        self.0.plan.inv(sum, PodStack::new(&mut scratch.stack));
        self.add_untwisted(sum, out);
    }

    /// One digit of every coefficient, twisted: in `[-B/2, B/2)` for even coefficients, and `(-B/2, B/2]` for odd ones.
    fn digit(&self, polynomial: &[u64], gadget: Gadget, level: u32, out: &mut [c64]) {
        let (re, im) = polynomial.split_at(self.half());
        let shift = 64 - gadget.base_log * level;
        let mask = (1 << gadget.base_log) - 1;
        vectorised!(digit_body(
            re: &'a [u64] = re, im: &'a [u64] = im,
            w_re: &'a [f64] = &self.0.twist_re, w_im: &'a [f64] = &self.0.twist_im,
            offsets: [u64; 2] = gadget.offsets(), shift: u32 = shift, mask: u64 = mask, out: &'a mut [c64] = out
        ));
    }

    fn add_untwisted(&self, sum: &[c64], out: &mut [u64]) {
        let (re, im) = out.split_at_mut(self.half());
        vectorised!(untwist_body(
            sum: &'a [c64] = sum, w_re: &'a [f64] = &self.0.twist_re, w_im: &'a [f64] = &self.0.twist_im,
            re: &'a mut [u64] = re, im: &'a mut [u64] = im
        ));
    }
}

impl Tables {
    /// Which of the 2N-th roots of unity each value in the Fourier domain is taken at.
    fn points(&self) -> Vec<usize> {
        let mut values = avec![c64::default(); self.twist_re.len()];
        // The polynomial X, twisted.
        values[1] = c64 { re: self.twist_re[1], im: self.twist_im[1] };
        self.plan.fwd(&mut values, PodStack::new(&mut PodBuffer::new(self.plan.fft_scratch())));
        let turn = self.roots.len() as f64;
        values.iter().map(|x| (x.arg() / (2.0 * PI) * turn).round().rem_euclid(turn) as usize).collect()
    }
}

/// The plan of `size` complex numbers that is fastest on this machine. tfhe-fft has such a choice too, by mean times of one plan after the
/// other; where other work comes and goes, those differ more than the plans do, and it took a slower one half of the time. The least of
/// several times, taken in turn, does not.
fn fastest_plan(size: usize) -> Plan {
    const ALGORITHMS: [FftAlgo; 6] =
        [FftAlgo::Dif4, FftAlgo::Dit4, FftAlgo::Dif8, FftAlgo::Dit8, FftAlgo::Dif16, FftAlgo::Dit16];
    const TURNS: usize = 8;
    const RUNS: usize = 16;
    // The sizes that the inner transform of a plan can have.
    let bases = [size, size / 2, size / 4]
        .into_iter()
        .filter(|&base| (base == size && size <= 1024) || (32..=1024).contains(&base));
    let methods = bases.flat_map(|base_n| ALGORITHMS.map(|base_algo| Method::UserProvided { base_algo, base_n }));
    let mut plans: Vec<(Duration, Plan)> = methods.map(|method| (Duration::MAX, Plan::new(size, method))).collect();
    for _ in 0..TURNS {
        for (least, plan) in &mut plans {
            let mut stack = PodBuffer::new(plan.fft_scratch());
            let mut values = avec![c64::default(); size];
            let start = Instant::now();
            for _ in 0..RUNS {
                plan.fwd(&mut values, PodStack::new(&mut stack));
                plan.inv(&mut values, PodStack::new(&mut stack));
            }
            *least = start.elapsed().min(*least);
        }
    }
    let fastest = plans.into_iter().min_by_key(|(least, _)| *least).map(|(_, plan)| plan);
    fastest.unwrap_or_else(|| Plan::new(size, Method::Measure(Duration::from_millis(10))))
}

#[inline(always)]
fn twist_body(re: &[u64], im: &[u64], w_re: &[f64], w_im: &[f64], out: &mut [c64]) {
    const TORUS: f64 = 1.0 / 18_446_744_073_709_551_616.0;
    let n = out.len();
    let (re, im, w_re, w_im) = (&re[..n], &im[..n], &w_re[..n], &w_im[..n]);
    for j in 0..n {
        let (x, y) = ((re[j] as i64) as f64 * TORUS, (im[j] as i64) as f64 * TORUS);
        out[j] = c64 { re: x * w_re[j] - y * w_im[j], im: x * w_im[j] + y * w_re[j] };
    }
}

#[expect(clippy::too_many_arguments, reason = "a macro passes them one by one")]
#[inline(always)]
fn digit_body(
    re: &[u64],
    im: &[u64],
    w_re: &[f64],
    w_im: &[f64],
    offsets: [u64; 2],
    shift: u32,
    mask: u64,
    out: &mut [c64],
) {
    // An integer below 2^52 under the exponent of 2^52 is that double plus 2^52: no conversion instruction needed.
    const EXPONENT: u64 = 0x4330_0000_0000_0000;
    let centre = f64::from_bits(EXPONENT | (mask.wrapping_add(1) >> 1));
    let n = out.len();
    let (re, im, w_re, w_im) = (&re[..n], &im[..n], &w_re[..n], &w_im[..n]);
    for j in 0..n {
        // No operation here is checked in development builds: a check would keep the loop from being vectorised.
        let odd = j as u64 & 1;
        let offset = if odd == 0 { offsets[0] } else { offsets[1] };
        let digit = |x: u64| (x.wrapping_add(offset).wrapping_shr(shift) & mask).wrapping_add(odd);
        let x = f64::from_bits(digit(re[j]) | EXPONENT) - centre;
        let y = f64::from_bits(digit(im[j]) | EXPONENT) - centre;
        out[j] = c64 { re: x * w_re[j] - y * w_im[j], im: x * w_im[j] + y * w_re[j] };
    }
}

/// The 51 leading bits of `x` modulo 1. Adding 1.5 * 2^52 rounds `2^51 x` into the low mantissa bits; 51 and not 52, because
/// `x` can be exactly one half, and `2^52 / 2` would carry into the exponent.
#[inline(always)]
fn torus(x: f64) -> u64 {
    const SCALE: f64 = (1u64 << 51) as f64;
    const ROUND: f64 = 3.0 * SCALE;
    ((x - x.round_ties_even()) * SCALE + ROUND).to_bits() << 13
}

#[inline(always)]
fn untwist_body(sum: &[c64], w_re: &[f64], w_im: &[f64], re: &mut [u64], im: &mut [u64]) {
    let n = sum.len();
    let scale = 1.0 / n as f64;
    let (re, im, w_re, w_im) = (&mut re[..n], &mut im[..n], &w_re[..n], &w_im[..n]);
    for j in 0..n {
        let (x, y) = (sum[j].re * scale, sum[j].im * scale);
        re[j] = re[j].wrapping_add(torus(x * w_re[j] + y * w_im[j]));
        im[j] = im[j].wrapping_add(torus(y * w_re[j] - x * w_im[j]));
    }
}

/// `out = X^power p - q` for polynomials of N coefficients and `power < 2N`.
pub(crate) fn turn_and_subtract(p: &[u64], q: &[u64], power: usize, out: &mut [u64]) {
    vectorised!(turn_body(p: &'a [u64] = p, q: &'a [u64] = q, power: usize = power, out: &'a mut [u64] = out));
}

#[inline(always)]
fn turn_body(p: &[u64], q: &[u64], power: usize, out: &mut [u64]) {
    let n = p.len();
    let (power, negative) = if power >= n { (power - n, true) } else { (power, false) };
    // Coefficients that pass the end of the polynomial come back negated.
    let (stay, wrap) = p.split_at(n - power);
    let (low, high) = out[..n].split_at_mut(power);
    let (q_low, q_high) = q[..n].split_at(power);
    if negative {
        subtract::<false>(low, wrap, q_low);
        subtract::<true>(high, stay, q_high);
    } else {
        subtract::<true>(low, wrap, q_low);
        subtract::<false>(high, stay, q_high);
    }
}

/// `out = ±p - q`.
#[inline(always)]
fn subtract<const NEGATIVE: bool>(out: &mut [u64], p: &[u64], q: &[u64]) {
    let n = out.len();
    let (p, q) = (&p[..n], &q[..n]);
    for i in 0..n {
        let signed = if NEGATIVE { p[i].wrapping_neg() } else { p[i] };
        out[i] = signed.wrapping_sub(q[i]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ring::random::Random;

    /// In the plan that is chosen on this machine and in every other.
    #[test]
    fn a_power_of_x_is_one_number_a_run_times_one_number_a_place() {
        for size in [128, 512, 2048] {
            let fourier = Fourier::new(size);
            let tables = &*fourier.0;
            for power in [0, 1, 5, size - 1, size, 2 * size - 3] {
                let mut polynomial = vec![0u64; size];
                // One, or minus one, as a fraction of the torus.
                polynomial[power % size] = if power < size { 1 << 62 } else { (1u64 << 62).wrapping_neg() };
                let mut expected = avec![c64::default(); size / 2];
                fourier.forward_torus(&polynomial, &mut expected, &mut fourier.scratch());
                let (mut runs, mut places) =
                    (vec![c64::default(); tables.runs.len()], vec![c64::default(); tables.places.len()]);
                fourier.power(power, &tables.runs, &mut runs);
                fourier.power(power, &tables.places, &mut places);
                for (i, expected) in expected.iter().enumerate() {
                    let found = runs[i / places.len()] * places[i % places.len()];
                    assert!((found - expected * 4.0).norm() < 1e-12, "X^{power} of {size}, point {i}");
                }
            }
        }
    }

    /// A step's product, against the same by rotations of coefficients and plain external products, for any number of turns.
    #[test]
    fn turning_what_is_transformed_is_turning_coefficients() {
        const SIZE: usize = 256;
        let (fourier, gadget) = (Fourier::new(SIZE), Gadget::new(8, 2));
        let (mut scratch, mut random) = (fourier.scratch(), Random::from_insecure_seed("turns", 1));
        for count in 1..=7 {
            let mut input = vec![0; 2 * SIZE];
            // Digits of which a turn and a difference leave no carry.
            random.uniform(&mut input);
            input.iter_mut().for_each(|x| *x &= 0x3f3f_0000_0000_0000);
            let mut key = avec![c64::default(); count * 2 * 4 * SIZE / 2];
            let mut rows = vec![0; key.len() * 2];
            random.uniform(&mut rows);
            for (row, out) in rows.chunks_exact(SIZE).zip(key.chunks_exact_mut(SIZE / 2)) {
                fourier.forward_torus(row, out, &mut scratch);
            }
            let powers: Vec<usize> = (0..count).map(|i| (37 * i + 5) % (2 * SIZE)).collect();
            let mut expected = vec![0; 2 * SIZE];
            for (power, key) in powers.iter().zip(key.chunks_exact(4 * SIZE)) {
                let mut difference = vec![0; 2 * SIZE];
                for (p, out) in input.chunks_exact(SIZE).zip(difference.chunks_exact_mut(SIZE)) {
                    turn_and_subtract(p, p, *power, out);
                }
                fourier.add_product(gadget, &difference, key, &mut expected, &mut scratch);
            }
            let mut digits = avec![c64::default(); 2 * SIZE];
            fourier.digits(gadget, &input, &mut digits, &mut scratch);
            let turns: Vec<Turn> = powers.iter().map(|&power| Turn { power, digits: &digits }).collect();
            split(&mut key);
            let mut found = vec![0; 2 * SIZE];
            fourier.add_turned(&turns, &digits, &key, &mut found, &mut scratch);
            for (found, expected) in found.iter().zip(&expected) {
                let off = found.wrapping_sub(*expected) as i64;
                assert!(off.abs() < 1 << 30, "{count} turns: off by {off}");
            }
        }
    }
}
