//! Streaming sampling-rate conversion of one channel.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler as _, WindowFunction};

use crate::AudioError;

/// FFT block at the lower of the two rates. The anti-aliasing filter is as long as a block: 1,024 samples put its
/// cutoff at 98.7 % of the lower Nyquist frequency and its stop band below -120 dB.
const BLOCK: usize = 1_024;

/// Greatest size of a sample that is taken for one: 32-bit integers stored as floats without a scale. Beyond it, sums of
/// squares leave the range of 32-bit floats.
const GREATEST: f32 = 4_294_967_296.0;

/// Lowest sampling rate accepted, in Hz.
pub(crate) const MIN_RATE: u32 = 1_000;
/// Highest sampling rate accepted, in Hz: a bound on what a header can make us allocate.
pub(crate) const MAX_RATE: u32 = 768_000;

pub(crate) fn check_rate(rate: u32) -> Result<(), AudioError> {
    if (MIN_RATE..=MAX_RATE).contains(&rate) { Ok(()) } else { Err(AudioError::UnsupportedRate { found: rate }) }
}

/// Converts a mono stream from one rate to another, chunk by chunk; keeps no more than one block.
pub(crate) struct Resampler {
    /// `None` where the rates are equal.
    fft: Option<Fft<f32>>,
    pending: Vec<f32>,
    chunk: Vec<f32>,
    /// Output samples still to drop: the filter's delay.
    skip: usize,
    taken: u64,
    given: u64,
    from: u32,
    ratio: f64,
}

impl Resampler {
    pub(crate) fn new(from: u32, to: u32) -> Result<Self, AudioError> {
        let (pending, taken, given) = (Vec::new(), 0, 0);
        if from == to {
            return Ok(Self { fft: None, pending, chunk: Vec::new(), skip: 0, taken, given, from, ratio: 1.0 });
        }
        // An even number of the shortest blocks that hold whole samples at both rates: an odd length would put the
        // filter's centre between two samples.
        let shortest = (from / gcd(from, to)) as usize;
        let wanted = (BLOCK as u64 * u64::from(from) / u64::from(from.min(to))) as usize;
        let chunk = shortest * wanted.div_ceil(shortest).next_multiple_of(2);
        let window = WindowFunction::BlackmanHarris2;
        let fft = Fft::new_custom(from as usize, to as usize, chunk, 1, 1, window, FixedSync::Both)
            .map_err(|_| AudioError::UnsupportedRate { found: from })?;
        Ok(Self {
            pending,
            chunk: vec![0.0; fft.output_frames_max()],
            skip: fft.output_delay(),
            taken,
            given,
            from,
            ratio: f64::from(to) / f64::from(from),
            fft: Some(fft),
        })
    }

    /// Takes samples at the input rate and appends what is ready at the output rate.
    ///
    /// # Errors
    /// [`AudioError::Sample`] where a number is none, infinite or beyond reason: the transform would refuse it, and every
    /// sum over it is lost. All sound passes here, so it is the one place that looks, once over the samples of one channel.
    pub(crate) fn push(&mut self, samples: &[f32], out: &mut Vec<f32>) -> Result<(), AudioError> {
        let sound = |x: &f32| x.abs() <= GREATEST;
        // No early exit: this way it runs in vector registers.
        if !samples.iter().fold(true, |all, x| all & sound(x)) {
            let at = samples.iter().position(|x| !sound(x)).unwrap_or(0);
            let seconds = (self.taken + at as u64) as f64 / f64::from(self.from);
            return Err(AudioError::Sample { found: samples[at], seconds, greatest: GREATEST });
        }
        self.taken += samples.len() as u64;
        let Some(fft) = &self.fft else {
            out.extend_from_slice(samples);
            return Ok(());
        };
        let need = fft.input_frames_next();
        self.pending.extend_from_slice(samples);
        let whole = self.pending.len() / need * need;
        let pending = std::mem::take(&mut self.pending);
        for block in pending[..whole].chunks_exact(need) {
            self.block(block, out);
        }
        self.pending.extend_from_slice(&pending[whole..]);
        Ok(())
    }

    /// Ends the stream: flushes the filter, so that the output is as long as the input times the ratio of the rates.
    pub(crate) fn finish(mut self, out: &mut Vec<f32>) {
        let Some(fft) = &self.fft else { return };
        let need = fft.input_frames_next();
        let total = (self.taken as f64 * self.ratio).ceil() as u64;
        while self.given < total {
            let mut block = std::mem::take(&mut self.pending);
            block.resize(need, 0.0);
            self.block(&block, out);
        }
        out.truncate(out.len() - (self.given - total) as usize);
    }

    fn block(&mut self, block: &[f32], out: &mut Vec<f32>) {
        let Some(fft) = &mut self.fft else { return };
        let frames = self.chunk.len();
        // Both adapters are as long as the slices they borrow, and the slices are what the resampler asked for, so
        // neither can fail; nor can the transform, on numbers that are finite.
        let input = SequentialSlice::new(block, 1, block.len()).expect("one channel");
        let mut output = SequentialSlice::new_mut(&mut self.chunk, 1, frames).expect("one channel");
        let (_, written) =
            fft.process_into_buffer(&input, &mut output, None::<&Indexing>).expect("blocks of the size asked for");
        let skipped = self.skip.min(written);
        self.skip -= skipped;
        self.given += (written - skipped) as u64;
        out.extend_from_slice(&self.chunk[skipped..written]);
    }
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Converts a whole mono signal from one rate to another.
///
/// # Errors
/// [`AudioError::UnsupportedRate`] where a rate is outside 1 to 768 kHz, [`AudioError::Sample`] where a sample is not finite
/// or beyond reason.
pub fn resample(samples: &[f32], from: u32, to: u32) -> Result<Vec<f32>, AudioError> {
    check_rate(from)?;
    check_rate(to)?;
    let mut resampler = Resampler::new(from, to)?;
    let mut out = Vec::with_capacity((samples.len() as f64 * resampler.ratio) as usize + 2 * BLOCK);
    resampler.push(samples, &mut out)?;
    resampler.finish(&mut out);
    Ok(out)
}

/// Plays a signal `speed` times as fast, to within 1 part in 20,000: shorter and higher for a speed above 1.
///
/// # Errors
/// [`AudioError::UnsupportedRate`] for speeds below 0.1 or above 76, [`AudioError::Sample`] where a sample is not finite or
/// beyond reason.
#[cfg(feature = "decode")]
pub fn play_at(samples: &[f32], speed: f32) -> Result<Vec<f32>, AudioError> {
    const UNIT: u32 = 10_000;
    resample(samples, (UNIT as f32 * speed).round() as u32, UNIT)
}
