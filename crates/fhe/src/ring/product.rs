//! Sums of products in the Fourier domain, point by point: what an external product, and a step of a blind rotation, are between their
//! transforms.

use pulp::bytemuck::{cast_slice, cast_slice_mut};
use pulp::{Arch, Simd, WithSimd};
use tfhe_fft::c64;

struct Multiply<'a> {
    digits: &'a [c64],
    rows: &'a [c64],
    sums: &'a mut [c64],
    first: bool,
}

/// `sums (+)= sum_i digits_i rows_i`, one or two digits, each row a mask and a body.
pub(crate) fn multiply(digits: &[c64], rows: &[c64], sums: &mut [c64], first: bool) {
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

/// How many turns are added up in one pass over the points: as many as a step for two bits has.
pub(crate) const AT_ONCE: usize = 3;

/// What a step turns: `X^power` times the polynomials of `digits`, of shape `[levels, 2, N/2]`.
#[derive(Clone, Copy)]
pub(crate) struct Turn<'a> {
    pub(crate) power: usize,
    pub(crate) digits: &'a [c64],
}

/// The arguments of [`multiply_turned`]. Digits, key and powers are [`split`].
pub(crate) struct Turned<'a> {
    /// At most [`AT_ONCE`].
    pub(crate) turns: &'a [Turn<'a>],
    /// Digits of shape `[levels, 2, N/2]`, which are subtracted from each turn.
    pub(crate) own: &'a [c64],
    /// Shape `[turns, levels, 2, 2, N/2]`.
    pub(crate) key: &'a [c64],
    /// For every turn, the power's factor of each run of points.
    pub(crate) runs: &'a [c64],
    /// For every turn, the power's factor of each place in a run.
    pub(crate) places: &'a [c64],
    /// Which level of the digits, counted from 0.
    pub(crate) level: usize,
    /// Whether `sums` are overwritten and not added to.
    pub(crate) first: bool,
    /// Mask, then body, not split.
    pub(crate) sums: &'a mut [c64],
}

/// `sums (+)= sum_{t, i} (X^power_t digits_t[level][i] - own[level][i]) key[t][level][i]`.
pub(crate) fn multiply_turned(call: Turned) {
    let arch = Arch::new();
    match call.turns.len() {
        1 => arch.dispatch(ByTurns::<1>(call)),
        2 => arch.dispatch(ByTurns::<2>(call)),
        _ => arch.dispatch(ByTurns::<AT_ONCE>(call)),
    }
}

/// Parts real and imaginary parts, by turns a vector of each, in the order that costs the machine least. What is split can be multiplied
/// without a shuffle, which would be a third of all instructions.
pub(crate) fn split(values: &mut [c64]) {
    Arch::new().dispatch(Split(values));
}

struct Split<'a>(&'a mut [c64]);

impl WithSimd for Split<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for points in points_mut::<S>(self.0) {
            *points = simd.deinterleave_shfl_f64s(*points);
        }
    }
}

/// [`Turned`] with the number of turns known to the compiler.
struct ByTurns<'a, const T: usize>(Turned<'a>);

/// Real and imaginary part of as many points as a vector has room for.
type Points<S> = [<S as Simd>::f64s; 2];

impl<const T: usize> WithSimd for ByTurns<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Turned { turns, own, key, runs, places, level, first, sums } = self.0;
        let half = sums.len() / 2;
        let (levels, runs_each, run) = (own.len() / (2 * half), runs.len() / T, places.len() / T);
        let width = run / S::F64_LANES;
        debug_assert!(run.is_multiple_of(S::F64_LANES) && turns.len() == T);
        let polynomial = |i: usize| i * half..(i + 1) * half;
        let own: [&[Points<S>]; 2] = [0, 1].map(|i| points::<S>(&own[polynomial(2 * level + i)]));
        let turned: [[&[Points<S>]; 2]; T] =
            std::array::from_fn(|t| [0, 1].map(|i| points::<S>(&turns[t].digits[polynomial(2 * level + i)])));
        let rows: [[&[Points<S>]; 4]; T] = std::array::from_fn(|t| {
            [0, 1, 2, 3].map(|row| points::<S>(&key[polynomial(4 * (t * levels + level) + row)]))
        });
        let places: [&[Points<S>]; T] = std::array::from_fn(|t| &points::<S>(&places[t * run..(t + 1) * run])[..width]);
        let (mask, body) = sums.split_at_mut(half);
        let (mask, body) = (points_mut::<S>(mask), points_mut::<S>(body));
        let zero = [simd.splat_f64s(0.0); 2];
        for (r, (mask, body)) in mask.chunks_exact_mut(width).zip(body.chunks_exact_mut(width)).enumerate() {
            let (start, end) = (r * width, (r + 1) * width);
            let (own_mask, own_body) = (&own[0][start..end], &own[1][start..end]);
            let mut step = [zero; T];
            for t in 0..T {
                let c64 { re, im } = runs[t * runs_each + r];
                step[t] = [simd.splat_f64s(re), simd.splat_f64s(im)];
            }
            for j in 0..width {
                let (mut u, mut v) = (zero, zero);
                if !first {
                    (u, v) = (simd.deinterleave_shfl_f64s(mask[j]), simd.deinterleave_shfl_f64s(body[j]));
                }
                for t in 0..T {
                    let power = add_times(simd, zero, step[t], places[t][j]);
                    let x = times_less(simd, power, turned[t][0][start + j], own_mask[j]);
                    let y = times_less(simd, power, turned[t][1][start + j], own_body[j]);
                    u = add_times(simd, add_times(simd, u, x, rows[t][0][start + j]), y, rows[t][2][start + j]);
                    v = add_times(simd, add_times(simd, v, x, rows[t][1][start + j]), y, rows[t][3][start + j]);
                }
                (mask[j], body[j]) = (simd.interleave_shfl_f64s(u), simd.interleave_shfl_f64s(v));
            }
        }
    }
}

/// `x y - less`.
#[inline(always)]
fn times_less<S: Simd>(simd: S, x: Points<S>, y: Points<S>, less: Points<S>) -> Points<S> {
    let re = simd.sub_f64s(simd.mul_f64s(x[0], y[0]), less[0]);
    let im = simd.sub_f64s(simd.mul_f64s(x[0], y[1]), less[1]);
    [simd.mul_add_f64s(simd.neg_f64s(x[1]), y[1], re), simd.mul_add_f64s(x[1], y[0], im)]
}

/// `sum + x y`.
#[inline(always)]
fn add_times<S: Simd>(simd: S, sum: Points<S>, x: Points<S>, y: Points<S>) -> Points<S> {
    let re = simd.mul_add_f64s(x[0], y[0], sum[0]);
    let im = simd.mul_add_f64s(x[0], y[1], sum[1]);
    [simd.mul_add_f64s(simd.neg_f64s(x[1]), y[1], re), simd.mul_add_f64s(x[1], y[0], im)]
}

#[inline(always)]
fn points<S: Simd>(of: &[c64]) -> &[Points<S>] {
    cast_slice(S::as_simd_c64s(of).0)
}

#[inline(always)]
fn points_mut<S: Simd>(of: &mut [c64]) -> &mut [Points<S>] {
    cast_slice_mut(S::as_mut_simd_c64s(of).0)
}
