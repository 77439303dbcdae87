//! Periodic waveforms from their harmonics, one table per octave so that no harmonic passes half the sampling rate.

use std::f32::consts::TAU;

/// Samples in one period, plus one: the last repeats the first, so that interpolation needs no wrap.
const LENGTH: usize = 1024;
const PHASE_BITS: u32 = LENGTH.trailing_zeros();
/// Bits of a phase below the table index.
const FRACTION_BITS: u32 = 32 - PHASE_BITS;

/// A phase step per sample for a frequency: a full turn is 2^32, so phases wrap by themselves.
pub(super) fn phase_step(hertz: f32, rate: f32) -> u32 {
    (f64::from(hertz / rate).clamp(0.0, 0.5) * 4_294_967_296.0) as u32
}

/// One period of a waveform.
#[derive(Clone, Debug)]
pub(super) struct Table(Vec<f32>);

impl Table {
    fn from_harmonics(amplitudes: &[f32], phases: &[f32]) -> Self {
        let sine: Vec<f32> = (0..LENGTH).map(|i| (TAU * i as f32 / LENGTH as f32).sin()).collect();
        let mut table = vec![0.0_f32; LENGTH + 1];
        for (index, (&amplitude, &phase)) in amplitudes.iter().zip(phases).enumerate() {
            let harmonic = index + 1;
            let offset = (phase * LENGTH as f32) as usize;
            for (i, out) in table.iter_mut().enumerate() {
                *out += amplitude * sine[(harmonic * i + offset) & (LENGTH - 1)];
            }
        }
        Self(table)
    }

    /// A sine.
    pub(super) fn sine() -> Self {
        Self::from_harmonics(&[1.0], &[0.0])
    }

    /// The value at a phase, linearly interpolated.
    #[inline]
    pub(super) fn at(&self, phase: u32) -> f32 {
        let index = (phase >> FRACTION_BITS) as usize & (LENGTH - 1);
        let fraction = (phase & ((1 << FRACTION_BITS) - 1)) as f32 * (1.0 / (1_u32 << FRACTION_BITS) as f32);
        let (a, b) = (self.0[index], self.0[index + 1]);
        a + fraction * (b - a)
    }
}

/// A waveform at every pitch: tables with 1, 2, 4, ... harmonics.
#[derive(Clone, Debug)]
pub(super) struct Waveform {
    octaves: Vec<Table>,
}

impl Waveform {
    /// Amplitudes and phases (in turns) of the harmonics from the fundamental up; unit RMS over all of them.
    pub(super) fn new(amplitudes: &[f32], phases: &[f32]) -> Self {
        let power: f32 = amplitudes.iter().map(|a| a * a / 2.0).sum();
        let scale = power.max(1e-12).sqrt().recip();
        let scaled: Vec<f32> = amplitudes.iter().map(|a| a * scale).collect();
        let mut octaves = Vec::new();
        let mut harmonics = 1;
        loop {
            let kept = harmonics.min(scaled.len());
            octaves.push(Table::from_harmonics(&scaled[..kept], phases));
            if kept == scaled.len() {
                return Self { octaves };
            }
            harmonics *= 2;
        }
    }

    /// The fullest table whose harmonics stay below half the sampling rate.
    pub(super) fn table(&self, hertz: f32, rate: f32) -> &Table {
        let room = (0.5 * rate / hertz.max(1.0)).max(1.0);
        &self.octaves[(room.log2() as usize).min(self.octaves.len() - 1)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sine_is_a_sine() {
        let sine = Table::sine();
        for i in 0..1000 {
            let turn = i as f64 / 1000.0;
            let phase = (turn * 4_294_967_296.0) as u32;
            assert!((f64::from(sine.at(phase)) - (std::f64::consts::TAU * turn).sin()).abs() < 1e-4);
        }
    }

    #[test]
    fn no_harmonic_passes_half_the_rate() {
        let wave = Waveform::new(&[1.0; 64], &[0.0; 64]);
        let rate = 8_000.0;
        for hertz in [55.0_f32, 110.0, 300.0, 999.0, 1_999.0, 3_900.0] {
            let table = wave.table(hertz, rate);
            let position = wave.octaves.iter().position(|t| std::ptr::eq(t, table)).unwrap();
            let harmonics = (1_usize << position).min(64);
            assert!(harmonics == 1 || harmonics as f32 * hertz <= rate / 2.0);
        }
    }
}
