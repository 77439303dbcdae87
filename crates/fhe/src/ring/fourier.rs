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

use std::f64::consts::PI;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aligned_vec::{ABox, avec};
use dyn_stack::{PodBuffer, PodStack};
use pulp::{Arch, Simd, WithSimd};
use tfhe_fft::c64;
use tfhe_fft::ordered::FftAlgo;
use tfhe_fft::unordered::{Method, Plan};

use crate::ring::gadget::Gadget;
use crate::ring::vector::vectorised;

/// A transform for one ring degree. Clones share the tables.
#[derive(Clone, Debug)]
pub(crate) struct Fourier(Arc<Tables>);

#[derive(Debug)]
struct Tables {
    plan: Plan,
    twist_re: ABox<[f64]>,
    twist_im: ABox<[f64]>,
}

/// Working memory for one thread.
pub(crate) struct Scratch {
    stack: PodBuffer,
    /// Digits of one level in the Fourier domain, one polynomial after the other.
    digits: ABox<[c64]>,
    /// The product in the Fourier domain: mask, then body.
    sums: ABox<[c64]>,
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
        Self(Arc::new(Tables { plan: fastest_plan(half), twist_re, twist_im }))
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

    /// Adds `sum_{level, i} digit_level(input_i) key[level][i]` to the GLWE ciphertext `out`, for one or two input polynomials
    /// with the gadget's offsets added, and a `key` of shape `[levels, inputs, 2, N/2]`.
    pub(crate) fn add_product(&self, gadget: Gadget, input: &[u64], key: &[c64], out: &mut [u64], s: &mut Scratch) {
        let (size, half) = (self.size(), self.half());
        let inputs = input.len() / size;
        let Scratch { stack, digits, sums } = s;
        let stack = PodStack::new(stack);
        for (level, rows) in (1..=gadget.levels).zip(key.chunks_exact(2 * half * inputs)) {
            for (digit, polynomial) in digits.chunks_exact_mut(half).zip(input.chunks_exact(size)) {
                self.digit(polynomial, gadget, level, digit);
                self.0.plan.fwd(digit, stack);
            }
            multiply(&digits[..inputs * half], rows, sums, level == 1);
        }
        for (sum, out) in sums.chunks_exact_mut(half).zip(out.chunks_exact_mut(size)) {
            self.0.plan.inv(sum, stack);
            self.add_untwisted(sum, out);
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
            shift: u32 = shift, mask: u64 = mask, out: &'a mut [c64] = out
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

#[inline(always)]
fn digit_body(re: &[u64], im: &[u64], w_re: &[f64], w_im: &[f64], shift: u32, mask: u64, out: &mut [c64]) {
    // An integer below 2^52 under the exponent of 2^52 is that double plus 2^52: no conversion instruction needed.
    const EXPONENT: u64 = 0x4330_0000_0000_0000;
    let centre = f64::from_bits(EXPONENT | (mask.wrapping_add(1) >> 1));
    let n = out.len();
    let (re, im, w_re, w_im) = (&re[..n], &im[..n], &w_re[..n], &w_im[..n]);
    for j in 0..n {
        // No operation here is checked in development builds: a check would keep the loop from being vectorised.
        let odd = j as u64 & 1;
        let x = f64::from_bits((re[j].wrapping_shr(shift) & mask).wrapping_add(odd) | EXPONENT) - centre;
        let y = f64::from_bits((im[j].wrapping_shr(shift) & mask).wrapping_add(odd) | EXPONENT) - centre;
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

/// `out = X^power p - q + offsets` for polynomials of N coefficients and `power < 2N`, with one offset for even and one for odd
/// coefficients.
pub(crate) fn rotate_and_subtract(p: &[u64], q: &[u64], power: usize, offsets: [u64; 2], out: &mut [u64]) {
    vectorised!(rotate_body(
        p: &'a [u64] = p, q: &'a [u64] = q, power: usize = power, offsets: [u64; 2] = offsets, out: &'a mut [u64] = out
    ));
}

#[inline(always)]
fn rotate_body(p: &[u64], q: &[u64], power: usize, offsets: [u64; 2], out: &mut [u64]) {
    let n = p.len();
    let (power, negative) = if power >= n { (power - n, true) } else { (power, false) };
    // Coefficients that pass the end of the polynomial come back negated.
    let (stay, wrap) = p.split_at(n - power);
    let (low, high) = out[..n].split_at_mut(power);
    let (q_low, q_high) = q[..n].split_at(power);
    let high_offsets = if power & 1 == 0 { offsets } else { [offsets[1], offsets[0]] };
    if negative {
        subtract::<false>(low, wrap, q_low, offsets);
        subtract::<true>(high, stay, q_high, high_offsets);
    } else {
        subtract::<true>(low, wrap, q_low, offsets);
        subtract::<false>(high, stay, q_high, high_offsets);
    }
}

/// `out = ±p - q + offsets`.
#[inline(always)]
fn subtract<const NEGATIVE: bool>(out: &mut [u64], p: &[u64], q: &[u64], offsets: [u64; 2]) {
    let n = out.len();
    let (p, q) = (&p[..n], &q[..n]);
    for i in 0..n {
        let signed = if NEGATIVE { p[i].wrapping_neg() } else { p[i] };
        out[i] = signed.wrapping_sub(q[i]).wrapping_add(if i & 1 == 0 { offsets[0] } else { offsets[1] });
    }
}

struct Multiply<'a> {
    digits: &'a [c64],
    rows: &'a [c64],
    sums: &'a mut [c64],
    first: bool,
}

/// `sums (+)= sum_i digits_i rows_i`, one or two digits, each row a mask and a body.
fn multiply(digits: &[c64], rows: &[c64], sums: &mut [c64], first: bool) {
    Arch::new().dispatch(Multiply { digits, rows, sums, first });
}

impl WithSimd for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let half = self.sums.len() / 2;
        let (mask, body) = self.sums.split_at_mut(half);
        let (mask, body) = (S::as_mut_simd_c64s(mask).0, S::as_mut_simd_c64s(body).0);
        let n = mask.len();
        let row = |i: usize| &S::as_simd_c64s(&self.rows[i * half..(i + 1) * half]).0[..n];
        let digit = |i: usize| &S::as_simd_c64s(&self.digits[i * half..(i + 1) * half]).0[..n];
        let (mask, body) = (&mut mask[..n], &mut body[..n]);
        let (d, d_mask, d_body) = (digit(0), row(0), row(1));
        if self.digits.len() == half {
            for j in 0..n {
                let (x, y) = (simd.mul_c64s(d[j], d_mask[j]), simd.mul_c64s(d[j], d_body[j]));
                (mask[j], body[j]) =
                    if self.first { (x, y) } else { (simd.add_c64s(mask[j], x), simd.add_c64s(body[j], y)) };
            }
            return;
        }
        let (e, e_mask, e_body) = (digit(1), row(2), row(3));
        for j in 0..n {
            let x = simd.mul_add_c64s(d[j], d_mask[j], simd.mul_c64s(e[j], e_mask[j]));
            let y = simd.mul_add_c64s(d[j], d_body[j], simd.mul_c64s(e[j], e_body[j]));
            (mask[j], body[j]) =
                if self.first { (x, y) } else { (simd.add_c64s(mask[j], x), simd.add_c64s(body[j], y)) };
        }
    }
}
