//! [`LinearStage`]: the weights of a stage, prepared once in the Fourier domain, and their product with a query.
//!
//! The product streams every weight from memory once per query, so its layout is the order in which it is read, and memory
//! bandwidth is its limit. Real and imaginary parts of [`LANES`] points lie side by side; [`TILE`] output ciphertexts are
//! computed together, so that one load of the query serves them all:
//!
//! ```text
//! weights  [tile][N/2 / LANES][input][TILE][re, im][LANES]
//! query           [N/2 / LANES][input][mask re, mask im, body re, body im][LANES]
//! ```
//!
//! Weights can also stay the integers that they are, an eighth of the bytes. A tile is then transformed in every query.

use std::collections::HashMap;

use aligned_vec::{ABox, avec};
use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;
use sordino_model::cost::{Counts, WeightForm};
use sordino_model::layout::Packing;
use sordino_model::stage::Stage;
use tfhe_fft::c64;

use crate::ring::fourier::{Fourier, Scratch};
use crate::ring::glwe::Glwe;
use crate::ring::vector::vectorised;
use crate::wire::encoding::Encoding;

/// Points that are multiplied together: a whole AVX-512 register of double-precision numbers.
const LANES: usize = 8;

/// Output ciphertexts that are computed together.
const TILE: usize = 4;

/// Weights of one stage and one packing.
pub(crate) struct LinearStage {
    packing: Packing,
    /// The output ciphertexts that are held: all, or those of some columns.
    held: Vec<usize>,
    weights: Weights,
    /// Bias of every output ciphertext, on the torus: coefficient and value.
    bias: Vec<Vec<(usize, u64)>>,
}

enum Weights {
    Transformed(ABox<[f64]>),
    /// Coefficients of every weight polynomial, shape `[ciphertext, input, N]`.
    Integers(Vec<i8>),
}

/// Working memory for transforms.
struct Room {
    scratch: Scratch,
    polynomial: Vec<u64>,
    transformed: Vec<c64>,
}

/// A query vector in the Fourier domain.
pub(crate) struct FourierVector {
    inputs: usize,
    values: ABox<[f64]>,
}

impl LinearStage {
    /// Prepares the weights of `stage`.
    pub(crate) fn new(
        stage: &Stage,
        packing: Packing,
        encoding: Encoding,
        form: WeightForm,
        fourier: &Fourier,
    ) -> Self {
        Self::holding(stage, packing, (0..packing.columns()).collect(), encoding, form, fourier)
    }

    /// The same of some columns alone, in this order.
    pub(crate) fn holding(
        stage: &Stage,
        packing: Packing,
        columns: Vec<usize>,
        encoding: Encoding,
        form: WeightForm,
        fourier: &Fourier,
    ) -> Self {
        let (ring, inputs, lanes) = (packing.ring(), packing.inputs(), packing.lanes());
        let held: Vec<usize> = columns.iter().flat_map(|column| column * lanes..(column + 1) * lanes).collect();
        let weights = match form {
            WeightForm::Transformed => {
                let tile_len = TILE * inputs * ring;
                let mut weights = avec![0.0; tiles(held.len()) * tile_len].into_boxed_slice();
                let tiles = weights.par_chunks_exact_mut(tile_len).enumerate();
                tiles.for_each_init(
                    || Room::new(fourier),
                    |room, (tile, out)| {
                        let size = (held.len(), inputs);
                        transform_tile(size, tile, out, fourier, room, |polynomial, ciphertext, input| {
                            fill(polynomial, stage, &packing, held[ciphertext], input);
                        });
                    },
                );
                Weights::Transformed(weights)
            }
            WeightForm::Integers => {
                let mut weights = vec![0; held.len() * inputs * ring];
                let polynomials = weights.par_chunks_exact_mut(ring).enumerate();
                polynomials.for_each_init(
                    || vec![0u64; ring],
                    |polynomial, (i, out)| {
                        fill(polynomial, stage, &packing, held[i / inputs], i % inputs);
                        out.iter_mut().zip(polynomial.iter()).for_each(|(out, x)| *out = (x >> 56) as i8);
                    },
                );
                Weights::Integers(weights)
            }
        };
        let place_of: HashMap<usize, usize> = held.iter().enumerate().map(|(place, &held)| (held, place)).collect();
        let mut bias = vec![Vec::new(); held.len()];
        for (group, &count) in stage.counts().iter().enumerate() {
            for slot in (0..count).filter(|&slot| stage.bias(group, slot) != 0) {
                let place = packing.place(group, slot);
                let value = encoding.encode(stage.bias(group, slot).into());
                if let Some(&at) = place_of.get(&(place.column * lanes + place.lane)) {
                    bias[at].push((place.coefficient, value));
                }
            }
        }
        Self { packing, held, weights, bias }
    }

    /// Bytes of the prepared weights.
    pub(crate) fn bytes(&self) -> usize {
        match &self.weights {
            Weights::Transformed(weights) => size_of_val(&**weights),
            Weights::Integers(weights) => weights.len(),
        }
    }

    /// Brings the ciphertexts of a query to the Fourier domain.
    pub(crate) fn transform(query: &[Glwe], fourier: &Fourier) -> FourierVector {
        let (half, inputs) = (fourier.half(), query.len());
        let transformed: Vec<Vec<c64>> = query
            .par_iter()
            .map_init(
                || fourier.scratch(),
                |scratch, glwe| {
                    let mut out = vec![c64::default(); 2 * half];
                    let (mask, body) = out.split_at_mut(half);
                    fourier.forward_torus(glwe.mask(), mask, scratch);
                    fourier.forward_torus(glwe.body(), body, scratch);
                    out
                },
            )
            .collect();
        let mut values = avec![0.0; inputs * 4 * half].into_boxed_slice();
        for (input, glwe) in transformed.iter().enumerate() {
            for (part, polynomial) in glwe.chunks_exact(half).enumerate() {
                for (chunk, points) in polynomial.chunks_exact(LANES).enumerate() {
                    let at = ((chunk * inputs + input) * 4 + 2 * part) * LANES;
                    for (lane, point) in points.iter().enumerate() {
                        values[at + lane] = point.re;
                        values[at + LANES + lane] = point.im;
                    }
                }
            }
        }
        FourierVector { inputs, values }
    }

    /// All scores: every output ciphertext, bias included. Parallel over output ciphertexts.
    pub(crate) fn evaluate(&self, query: &FourierVector, fourier: &Fourier) -> Vec<Glwe> {
        debug_assert_eq!(query.inputs, self.packing.inputs());
        let half = fourier.half();
        let (ciphertexts, tile_len) = (self.held.len(), TILE * query.inputs * 2 * half);
        // Where weights stay integers, a tile of them in the Fourier domain.
        let made = if matches!(self.weights, Weights::Integers(_)) { tile_len } else { 0 };
        let tiles = (0..tiles(ciphertexts)).into_par_iter().map_init(
            || (Room::new(fourier), avec![0.0; made], vec![c64::default(); TILE * 2 * half]),
            |(room, made, sums), tile| {
                let weights = match &self.weights {
                    Weights::Transformed(weights) => &weights[tile * tile_len..(tile + 1) * tile_len],
                    Weights::Integers(weights) => {
                        let widened = |polynomial: &mut [u64], ciphertext: usize, input: usize| {
                            let at = (ciphertext * query.inputs + input) * 2 * half;
                            let integers = &weights[at..at + 2 * half];
                            vectorised!(widen(integers: &'a [i8] = integers, out: &'a mut [u64] = polynomial));
                        };
                        transform_tile((ciphertexts, query.inputs), tile, made, fourier, room, widened);
                        &**made
                    }
                };
                multiply_accumulate(weights, &query.values, query.inputs, sums);
                let outputs = sums.chunks_exact_mut(2 * half).take(ciphertexts - tile * TILE).enumerate();
                let glwes = outputs.map(|(o, sums)| {
                    let mut out = Glwe::zero(2 * half);
                    let parts = sums.chunks_exact_mut(half).zip(out.as_mut_slice().chunks_exact_mut(2 * half));
                    parts.for_each(|(sum, out)| fourier.add_inverse(sum, out, &mut room.scratch));
                    for &(coefficient, value) in &self.bias[tile * TILE + o] {
                        let body = &mut out.body_mut()[coefficient];
                        *body = body.wrapping_add(value);
                    }
                    out
                });
                glwes.collect::<Vec<_>>()
            },
        );
        tiles.collect::<Vec<_>>().into_iter().flatten().collect()
    }

    /// What [`LinearStage::evaluate`] does.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::linear(self.packing.inputs()).times(self.held.len());
        if matches!(self.weights, Weights::Integers(_)) {
            counts.forward += self.packing.inputs() * self.held.len();
        }
        counts
    }
}

impl Room {
    fn new(fourier: &Fourier) -> Self {
        let (polynomial, transformed) = (vec![0; fourier.size()], vec![c64::default(); fourier.half()]);
        Self { scratch: fourier.scratch(), polynomial, transformed }
    }
}

/// How many tiles so many output ciphertexts make, of which the last may not be full.
fn tiles(ciphertexts: usize) -> usize {
    ciphertexts.div_ceil(TILE)
}

/// Brings a tile's weights to the Fourier domain, whose polynomials `fill` writes for every one of so many output and input ciphertexts.
fn transform_tile(
    (ciphertexts, inputs): (usize, usize),
    tile: usize,
    out: &mut [f64],
    fourier: &Fourier,
    room: &mut Room,
    fill: impl Fn(&mut [u64], usize, usize),
) {
    for o in (0..TILE).filter(|o| tile * TILE + o < ciphertexts) {
        for input in 0..inputs {
            fill(&mut room.polynomial, tile * TILE + o, input);
            fourier.forward_torus(&room.polynomial, &mut room.transformed, &mut room.scratch);
            let (first, stride) = ((input * TILE + o) * 2 * LANES, inputs * TILE * 2 * LANES);
            vectorised!(part(
                values: &'a [c64] = &room.transformed, out: &'a mut [f64] = &mut out[first..], stride: usize = stride
            ));
        }
    }
}

/// Weights as a polynomial of torus elements.
#[inline(always)]
fn widen(integers: &[i8], out: &mut [u64]) {
    for (out, &weight) in out.iter_mut().zip(integers) {
        *out = (i64::from(weight) << 56) as u64;
    }
}

/// Real and imaginary parts of [`LANES`] points side by side, and so on every `stride` numbers.
#[inline(always)]
fn part(values: &[c64], out: &mut [f64], stride: usize) {
    for (values, out) in values.chunks_exact(LANES).zip(out.chunks_mut(stride)) {
        let (re, im) = out[..2 * LANES].split_at_mut(LANES);
        for ((re, im), value) in re.iter_mut().zip(im).zip(values) {
            (*re, *im) = (value.re * WEIGHT_SCALE, value.im * WEIGHT_SCALE);
        }
    }
}

/// Weights enter the transform as `w 2^56` on a torus read as fractions, that is as `w / 256`.
const WEIGHT_SCALE: f64 = 256.0;

/// The weight polynomial of one output and one input ciphertext.
pub(crate) fn fill(out: &mut [u64], stage: &Stage, packing: &Packing, ciphertext: usize, input: usize) {
    out.fill(0);
    let (column, lane) = (ciphertext / packing.lanes(), ciphertext % packing.lanes());
    let features = input * packing.features()..((input + 1) * packing.features()).min(packing.width());
    for block in 0..packing.blocks() {
        let group = column * packing.blocks() + block;
        if group >= packing.groups() {
            break;
        }
        for slot in (0..packing.lane_outputs(lane)).map(|t| lane * packing.slots() + t) {
            let row = stage.row(group, slot);
            let coefficient = packing.place(group, slot).coefficient;
            for i in features.clone() {
                let (at, negative) = packing.weight(i, coefficient);
                let weight = (i64::from(row[i]) << 56) as u64;
                out[at] = if negative { weight.wrapping_neg() } else { weight };
            }
        }
    }
}

/// `sums[o] = sum_input weights[o][input] query[input]` for the ciphertexts of one tile; `sums` has shape
/// `[TILE, mask and body, N/2]`.
pub(crate) fn multiply_accumulate(weights: &[f64], query: &[f64], inputs: usize, sums: &mut [c64]) {
    Arch::new().dispatch(MultiplyAccumulate { weights, query, inputs, sums });
}

struct MultiplyAccumulate<'a> {
    weights: &'a [f64],
    query: &'a [f64],
    inputs: usize,
    sums: &'a mut [c64],
}

impl WithSimd for MultiplyAccumulate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let half = self.sums.len() / (2 * TILE);
        let weights = self.weights.chunks_exact(self.inputs * TILE * 2 * LANES);
        let query = self.query.chunks_exact(self.inputs * 4 * LANES);
        for (chunk, (weights, query)) in weights.zip(query).enumerate() {
            let mut out = [[[0.0; LANES]; 4]; TILE];
            accumulate(simd, weights, query, &mut out);
            for (o, [a_re, a_im, b_re, b_im]) in out.iter().enumerate() {
                let at = o * 2 * half + chunk * LANES;
                for lane in 0..LANES {
                    self.sums[at + lane] = c64::new(a_re[lane], a_im[lane]);
                    self.sums[at + half + lane] = c64::new(b_re[lane], b_im[lane]);
                }
            }
        }
    }
}

/// One chunk of points: mask re, mask im, body re, body im of every ciphertext of the tile.
#[inline(always)]
fn accumulate<S: Simd>(simd: S, weights: &[f64], query: &[f64], out: &mut [[[f64; LANES]; 4]; TILE]) {
    let registers = LANES / S::F64_LANES;
    for r in 0..registers {
        let mut sums = [[simd.splat_f64s(0.0); 4]; TILE];
        for (w, q) in weights.chunks_exact(TILE * 2 * LANES).zip(query.chunks_exact(4 * LANES)) {
            let (w, q) = (S::as_simd_f64s(w).0, S::as_simd_f64s(q).0);
            let [a_re, a_im, b_re, b_im] = std::array::from_fn(|part| q[part * registers + r]);
            let (minus_a_im, minus_b_im) = (simd.neg_f64s(a_im), simd.neg_f64s(b_im));
            for (o, [s_a_re, s_a_im, s_b_re, s_b_im]) in sums.iter_mut().enumerate() {
                let (w_re, w_im) = (w[2 * o * registers + r], w[(2 * o + 1) * registers + r]);
                *s_a_re = simd.mul_add_f64s(w_im, minus_a_im, simd.mul_add_f64s(w_re, a_re, *s_a_re));
                *s_a_im = simd.mul_add_f64s(w_im, a_re, simd.mul_add_f64s(w_re, a_im, *s_a_im));
                *s_b_re = simd.mul_add_f64s(w_im, minus_b_im, simd.mul_add_f64s(w_re, b_re, *s_b_re));
                *s_b_im = simd.mul_add_f64s(w_im, b_re, simd.mul_add_f64s(w_re, b_im, *s_b_im));
            }
        }
        for (out, sums) in out.iter_mut().zip(sums) {
            for (out, sum) in out.iter_mut().zip(sums) {
                S::as_mut_simd_f64s(out).0[r] = sum;
            }
        }
    }
}

/// The kernel of the linear stage on its own, for benches: random weights, one query, no transforms.
#[doc(hidden)]
pub struct LinearKernel {
    weights: ABox<[f64]>,
    query: ABox<[f64]>,
    sums: Vec<c64>,
    inputs: usize,
}

impl LinearKernel {
    /// A stage of `inputs` query ciphertexts of ring degree `ring` and about `bytes` bytes of weights.
    pub fn new(ring: usize, inputs: usize, bytes: usize) -> Self {
        let tile = TILE * inputs * ring;
        let tiles = (bytes / size_of::<f64>()).div_ceil(tile).max(1);
        let wave = |i: usize| ((i * 2_654_435_761) % 1_000) as f64 / 500.0 - 1.0;
        let mut weights = avec![0.0; tiles * tile].into_boxed_slice();
        let mut query = avec![0.0; inputs * 2 * ring].into_boxed_slice();
        weights.iter_mut().enumerate().for_each(|(i, w)| *w = wave(i));
        query.iter_mut().enumerate().for_each(|(i, q)| *q = wave(i));
        Self { weights, query, sums: vec![c64::default(); TILE * ring], inputs }
    }

    /// Bytes of the weights.
    pub fn bytes(&self) -> usize {
        size_of_val(&*self.weights)
    }

    /// The weights as they lie in memory.
    pub fn weights(&self) -> &[f64] {
        &self.weights
    }

    /// One pass over all weights; returns something that depends on every product.
    pub fn run(&mut self) -> f64 {
        let mut total = 0.0;
        for tile in self.weights.chunks_exact(self.inputs * self.sums.len()) {
            multiply_accumulate(tile, &self.query, self.inputs, &mut self.sums);
            total += self.sums[0].re;
        }
        total
    }
}
