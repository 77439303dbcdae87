//! Time stretch and pitch shift: a phase vocoder (Flanagan and Golden, 1966; Dolson, 1986) and resampling.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex32;

use crate::AudioError;
use crate::resample::play_at;

const SIZE: usize = 1_024;
const HOP: usize = SIZE / 4;

/// Changes the duration by `ratio` (2 is twice as long) and keeps the pitch. The output has `samples.len() * ratio` samples,
/// rounded.
///
/// # Errors
/// [`AudioError::Parameter`] for a ratio outside 0.25 to 4.
pub fn time_stretch(samples: &[f32], ratio: f32) -> Result<Vec<f32>, AudioError> {
    if !(0.25..=4.0).contains(&ratio) {
        return Err(AudioError::Parameter {
            what: "time stretch ratio",
            found: ratio.to_string(),
            expected: "0.25 to 4",
        });
    }
    let length = (samples.len() as f64 * f64::from(ratio)).round() as usize;
    if ratio == 1.0 || samples.is_empty() {
        return Ok(samples.to_vec());
    }
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(SIZE), planner.plan_fft_inverse(SIZE));
    let window: Vec<f32> =
        (0..SIZE).map(|i| 0.5 - 0.5 * (std::f32::consts::TAU * i as f32 / SIZE as f32).cos()).collect();
    let mut time = forward.make_input_vec();
    let (mut scratch, mut back) = (forward.make_scratch_vec(), inverse.make_scratch_vec());
    // Frames are centred on multiples of the hop, zeros outside the signal.
    let mut analyse = |frame: usize, spectrum: &mut [Complex32]| {
        for (i, (x, w)) in time.iter_mut().zip(&window).enumerate() {
            let at = (frame * HOP + i).checked_sub(SIZE / 2).and_then(|at| samples.get(at));
            *x = w * at.copied().unwrap_or(0.0);
        }
        // Here and below the only errors are wrong buffer lengths, and these plans made the buffers.
        forward.process_with_scratch(&mut time, spectrum, &mut scratch).expect("buffers of this plan");
    };

    let (mut here, mut next) = (forward.make_output_vec(), forward.make_output_vec());
    // Unit phasors of the output, and what they turn.
    let mut phase = vec![Complex32::new(1.0, 0.0); SIZE / 2 + 1];
    let (mut magnitude, mut mixed) = (vec![0.0_f32; SIZE / 2 + 1], forward.make_output_vec());
    let mut frame_out = inverse.make_output_vec();
    let mut loaded = usize::MAX;
    let mut out = vec![0.0_f32; length + SIZE];
    let mut weight = vec![0.0_f32; length + SIZE];
    for step in 0..=length.div_ceil(HOP) {
        let place = step as f64 / f64::from(ratio);
        let frame = place as usize;
        if frame != loaded {
            analyse(frame, &mut here);
            analyse(frame + 1, &mut next);
            loaded = frame;
        }
        let along = place.fract() as f32;
        for ((m, a), b) in magnitude.iter_mut().zip(&here).zip(&next) {
            *m = a.norm() * (1.0 - along) + b.norm() * along;
        }
        if step == 0 {
            phase.iter_mut().zip(&here).for_each(|(p, z)| *p = unit(*z));
        }
        lock_to_peaks(&magnitude, &here, &mut phase);
        for (((out, p), m), (a, b)) in mixed.iter_mut().zip(&mut phase).zip(&magnitude).zip(here.iter().zip(&next)) {
            *out = *p * *m / SIZE as f32;
            // Analysis and synthesis share a hop, so the phase advances by what it advanced between the two frames.
            *p = unit(*p * unit(b * a.conj()));
        }
        for end in [0, SIZE / 2] {
            mixed[end].im = 0.0;
        }
        inverse.process_with_scratch(&mut mixed, &mut frame_out, &mut back).expect("buffers of this plan");
        let range = step * HOP..(step * HOP + SIZE).min(out.len());
        for (((o, g), x), w) in out[range.clone()].iter_mut().zip(&mut weight[range]).zip(&frame_out).zip(&window) {
            *o += x * w;
            *g += w * w;
        }
    }
    let centre = SIZE / 2..SIZE / 2 + length;
    Ok(out[centre.clone()].iter().zip(&weight[centre]).map(|(o, g)| o / g.max(1e-3)).collect())
}

/// Gives the bins around each spectral peak the peak's turn of phase, so that they keep the relation that the analysis
/// found (identity phase locking; Laroche and Dolson, 1999). Left alone they drift apart and cancel.
fn lock_to_peaks(magnitude: &[f32], analysed: &[Complex32], phase: &mut [Complex32]) {
    let mut start = 0;
    let mut turn_region = |end: usize, phase: &mut [Complex32]| {
        let highest = (start..end).max_by(|&a, &b| magnitude[a].total_cmp(&magnitude[b]));
        if let Some(peak) = highest {
            let turn = unit(phase[peak] * unit(analysed[peak]).conj());
            for (p, z) in phase[start..end].iter_mut().zip(&analysed[start..end]) {
                *p = turn * unit(*z);
            }
        }
        start = end;
    };
    // Regions meet at the local minima.
    for bin in 1..magnitude.len() - 1 {
        if magnitude[bin] < magnitude[bin - 1] && magnitude[bin] <= magnitude[bin + 1] {
            turn_region(bin, phase);
        }
    }
    turn_region(magnitude.len(), phase);
}

/// Shifts the pitch by semitones and keeps the duration: a time stretch played at another speed.
///
/// # Errors
/// [`AudioError::Parameter`] outside -24 to 24 semitones.
pub fn pitch_shift(samples: &[f32], semitones: f32) -> Result<Vec<f32>, AudioError> {
    if !(-24.0..=24.0).contains(&semitones) {
        return Err(AudioError::Parameter {
            what: "pitch shift",
            found: semitones.to_string(),
            expected: "-24 to 24 semitones",
        });
    }
    let ratio = 2_f32.powf(semitones / 12.0);
    let mut out = play_at(&time_stretch(samples, ratio)?, ratio)?;
    out.resize(samples.len(), 0.0);
    Ok(out)
}

fn unit(z: Complex32) -> Complex32 {
    let norm = z.norm();
    if norm > 1e-20 { z / norm } else { Complex32::new(1.0, 0.0) }
}
