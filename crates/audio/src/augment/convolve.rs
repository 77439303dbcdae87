//! Convolution by FFT.

use realfft::RealFftPlanner;

/// The convolution of a signal with an impulse response, cut to the signal's length (overlap-add FFT). An empty
/// response leaves the signal as it is.
pub fn convolve(signal: &[f32], response: &[f32]) -> Vec<f32> {
    if response.is_empty() || signal.is_empty() {
        return signal.to_vec();
    }
    // Blocks of three times the response keep three quarters of each transform useful; no longer than needed.
    let longest = signal.len() + response.len() - 1;
    let size = (4 * response.len()).max(1_024).min(longest).next_power_of_two();
    let step = size + 1 - response.len();
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, inverse) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let (mut time, mut block) = (forward.make_input_vec(), forward.make_output_vec());
    let (mut scratch, mut back) = (forward.make_scratch_vec(), inverse.make_scratch_vec());
    let mut kernel = forward.make_output_vec();
    // Here and below the only errors are wrong buffer lengths, and these plans made the buffers.
    time[..response.len()].copy_from_slice(response);
    forward.process_with_scratch(&mut time, &mut kernel, &mut scratch).expect("buffers of this plan");
    kernel.iter_mut().for_each(|k| *k /= size as f32);

    let mut out = vec![0.0; signal.len()];
    for (start, piece) in (0..).step_by(step).zip(signal.chunks(step)) {
        time[..piece.len()].copy_from_slice(piece);
        time[piece.len()..].fill(0.0);
        forward.process_with_scratch(&mut time, &mut block, &mut scratch).expect("buffers of this plan");
        block.iter_mut().zip(&kernel).for_each(|(b, k)| *b *= k);
        // The product of two real signals' spectra is real at both ends up to rounding; the inverse insists on it.
        for end in [0, size / 2] {
            block[end].im = 0.0;
        }
        inverse.process_with_scratch(&mut block, &mut time, &mut back).expect("buffers of this plan");
        out[start..].iter_mut().zip(&time).for_each(|(o, t)| *o += t);
    }
    out
}
