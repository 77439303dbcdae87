//! [`ImpulseMel`]: an impulse response as it acts on mel power.

use ndarray::{Array2, ArrayView2};
use sordino_front::{MelFrontEnd, SpecError};

use super::direct_samples;

/// Energy of the tail's end that is cut, as a fraction of the response's energy.
const CUT: f32 = 1e-4;

/// The energy decay of an impulse response per band: reverberation of mel power is its convolution over frames with this.
///
/// For sound whose phases are unrelated between delays, the expected power of band `b` at frame `t` is the sum over
/// delays of the power that the band had then, weighted by the response's energy in that band at that delay. A
/// delay between two frames is shared between them linearly. Interference between the direct sound and the tail, which has no
/// expectation but makes power fluctuate, is added by [`crate::MelAugment`].
#[derive(Clone, Debug)]
pub struct ImpulseMel {
    /// Energy of the first 10 ms, `[bands]`, relative to a unit impulse.
    pub(crate) direct: Vec<f32>,
    /// Energy of the rest, `[frames, bands]`; row `j` acts `j` frames later.
    pub(crate) tail: Array2<f32>,
    /// Frames that the tail effectively lasts: its squared sum over its sum of squares.
    pub(crate) effective_frames: f32,
}

impl ImpulseMel {
    /// The kernel of a response at the front end's rate.
    pub fn new(front_end: &MelFrontEnd, response: &[f32]) -> Self {
        let spec = front_end.spec();
        let (hop, bands) = (spec.hop, spec.mel_bands);
        let mut scratch = front_end.scratch();
        let early = direct_samples(spec.sample_rate).min(response.len());
        let direct = front_end.impulse_energy(&response[..early], &mut scratch);
        let frames = if early < response.len() { response.len().div_ceil(hop) + 1 } else { 0 };
        let mut tail = Array2::zeros((frames, bands));
        let mut piece = Vec::with_capacity(2 * hop);
        for (frame, mut row) in tail.rows_mut().into_iter().enumerate() {
            // Squared, these windows are triangles that add up to one: linear sharing between neighbouring frames.
            let centre = frame * hop;
            let range = (centre.saturating_sub(hop)).max(early)..(centre + hop).min(response.len());
            piece.clear();
            piece.extend(range.map(|at| response[at] * (1.0 - at.abs_diff(centre) as f32 / hop as f32).sqrt()));
            for (r, e) in row.iter_mut().zip(front_end.impulse_energy(&piece, &mut scratch)) {
                *r = e;
            }
        }
        let mut left = CUT * (direct.iter().sum::<f32>() + tail.sum());
        let keep = tail.rows().into_iter().rposition(|row| {
            left -= row.sum();
            left < 0.0
        });
        let tail = tail.slice_axis(ndarray::Axis(0), (0..keep.map_or(0, |k| k + 1)).into()).to_owned();
        let (sum, squares) =
            tail.rows().into_iter().map(|row| row.sum()).fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
        Self { direct, tail, effective_frames: sum * sum / squares.max(f32::MIN_POSITIVE) }
    }

    /// Checks that a response of another front end is not applied: the number of bands.
    pub(crate) fn bands(&self) -> usize {
        self.direct.len()
    }

    /// Adds the tail's power to `out` (`[frames, bands]`, flat) for the frames of `power` from `start`, the frames before it
    /// being the history that still sounds.
    pub(crate) fn add_tail(&self, power: ArrayView2<'_, f32>, start: usize, gain: f32, out: &mut [f32]) {
        let bands = self.bands();
        let mut kernel = vec![0.0; bands];
        for (delay, row) in self.tail.rows().into_iter().enumerate() {
            kernel.iter_mut().zip(row).for_each(|(k, r)| *k = gain * r);
            for (frame, out) in out.chunks_exact_mut(bands).enumerate().skip(delay.saturating_sub(start)) {
                if let Some(source) = power.row(start + frame - delay).to_slice() {
                    for ((o, k), p) in out.iter_mut().zip(&kernel).zip(source) {
                        *o += k * p;
                    }
                }
            }
        }
    }

    /// The reverberated power of frames `start..start + frames`: its expectation.
    ///
    /// # Errors
    /// [`SpecError`] where the power has another number of bands or the frames are not there.
    pub fn apply(&self, power: ArrayView2<'_, f32>, start: usize, frames: usize) -> Result<Array2<f32>, SpecError> {
        let fits = power.ncols() == self.bands() && start.checked_add(frames).is_some_and(|end| end <= power.nrows());
        if !fits {
            return Err(SpecError::Field {
                field: "mel power",
                found: format!("{:?} for frames {start} and the {frames} after it", power.dim()),
                expected: format!("those frames of {} bands", self.bands()),
            });
        }
        let power = power.as_standard_layout();
        let mut out = Array2::zeros((frames, self.bands()));
        for (mut out, power) in out.rows_mut().into_iter().zip(power.rows().into_iter().skip(start)) {
            out.iter_mut().zip(power).zip(&self.direct).for_each(|((o, p), d)| *o = d * p);
        }
        if let Some(out) = out.as_slice_mut() {
            self.add_tail(power.view(), start, 1.0, out);
        }
        Ok(out)
    }
}
