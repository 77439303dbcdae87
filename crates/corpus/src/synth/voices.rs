//! The five ways to make a tone; each adds one note to a buffer.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::wavetable::{Table, Waveform, phase_step};

/// Samples between updates of slow controls (vibrato, filter).
const CONTROL: usize = 16;

/// Cutoff of a filter over a note.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sweep {
    /// Lowest cutoff as a multiple of the note's frequency.
    pub(super) floor: f32,
    /// Octaves above the floor at the start of the note.
    pub(super) octaves: f32,
    /// Seconds in which the opening falls to 1/e.
    pub(super) decay: f32,
    /// Damping, 2 (none) to 0.1 (ringing).
    pub(super) damping: f32,
}

/// The frequency of a note, which may waver.
#[derive(Clone, Copy)]
pub(super) struct Pitch {
    pub(super) hertz: f32,
    pub(super) rate: f32,
    /// Rate in Hz and depth in semitones.
    pub(super) vibrato: (f32, f32),
}

impl Pitch {
    /// Frequency in Hz at a sample; vibrato sets in over the first 0.4 s.
    fn at(&self, sample: usize) -> f32 {
        let (hertz, depth) = self.vibrato;
        if depth == 0.0 {
            return self.hertz;
        }
        let seconds = sample as f32 / self.rate;
        let depth = depth * (seconds / 0.4).min(1.0);
        self.hertz * (depth / 12.0 * (std::f32::consts::TAU * hertz * seconds).sin()).exp2()
    }
}

fn cents(cents: f32) -> f32 {
    (cents / 1_200.0).exp2()
}

pub(super) fn play_additive(
    bright: &Waveform,
    dark: &Waveform,
    detune: f32,
    pitch: Pitch,
    mut envelope: impl Iterator<Item = f32>,
    out: &mut [f32],
) {
    // A quarter of a semitone of room for vibrato and detuning.
    let top = 1.015 * pitch.hertz * cents(detune);
    let (bright, dark) = (bright.table(top, pitch.rate), dark.table(top, pitch.rate));
    let (mut first, mut second) = (0_u32, 0x6000_0000_u32);
    for (block, out) in out.chunks_mut(CONTROL).enumerate() {
        let hertz = pitch.at(block * CONTROL);
        let (step, other) = (phase_step(hertz, pitch.rate), phase_step(hertz * cents(detune), pitch.rate));
        for (sample, level) in out.iter_mut().zip(envelope.by_ref()) {
            let (b, d) = if detune > 0.0 {
                (0.7 * (bright.at(first) + bright.at(second)), 0.7 * (dark.at(first) + dark.at(second)))
            } else {
                (bright.at(first), dark.at(first))
            };
            *sample += level * (d + level.min(1.0) * (b - d));
            first = first.wrapping_add(step);
            second = second.wrapping_add(other);
        }
    }
}

pub(super) fn play_filtered(
    wave: &Waveform,
    detune: f32,
    filter: &Sweep,
    velocity: f32,
    pitch: Pitch,
    mut envelope: impl Iterator<Item = f32>,
    out: &mut [f32],
) {
    let table = wave.table(1.015 * pitch.hertz * cents(detune), pitch.rate);
    let (mut first, mut second) = (0_u32, 0x4000_0000_u32);
    let (mut low, mut band) = (0.0_f32, 0.0_f32);
    for (block, out) in out.chunks_mut(CONTROL).enumerate() {
        let seconds = (block * CONTROL) as f32 / pitch.rate;
        let hertz = pitch.at(block * CONTROL);
        let (step, other) = (phase_step(hertz, pitch.rate), phase_step(hertz * cents(detune), pitch.rate));
        let opening = filter.octaves * (0.4 + 0.6 * velocity) * (-seconds / filter.decay).exp();
        let cutoff = (filter.floor * pitch.hertz * opening.exp2()).min(0.45 * pitch.rate);
        // State-variable filter in trapezoidal form (Zavalishin, "The Art of VA Filter Design", section 4.3): stable
        // at any cutoff below half the rate.
        let g = (std::f32::consts::PI * cutoff / pitch.rate).tan();
        let norm = (1.0 + g * (g + filter.damping)).recip();
        for (sample, level) in out.iter_mut().zip(envelope.by_ref()) {
            let input = if detune > 0.0 { 0.7 * (table.at(first) + table.at(second)) } else { table.at(first) };
            let high = (input - (g + filter.damping) * band - low) * norm;
            let v = g * high + band;
            band = v + g * high;
            let next = g * v + low;
            low = next + g * v;
            *sample += level * next;
            first = first.wrapping_add(step);
            second = second.wrapping_add(other);
        }
    }
}

#[allow(clippy::too_many_arguments, reason = "the operator's settings, each named at the one call")]
pub(super) fn play_fm(
    sine: &Table,
    ratio: f32,
    index: f32,
    decay: f32,
    feedback: f32,
    pitch: Pitch,
    mut envelope: impl Iterator<Item = f32>,
    out: &mut [f32],
) {
    // Radians to phase units.
    const RADIAN: f32 = 4_294_967_296.0 / std::f32::consts::TAU;
    // Carson's rule: keep the side bands below half the rate.
    let room = (0.5 * pitch.rate / pitch.hertz - 1.0) / ratio - 1.0;
    let index = index.min(room.max(0.0));
    let (mut carrier, mut modulator, mut last) = (0_u32, 0_u32, 0.0_f32);
    for (block, out) in out.chunks_mut(CONTROL).enumerate() {
        let seconds = (block * CONTROL) as f32 / pitch.rate;
        let hertz = pitch.at(block * CONTROL);
        let (step, other) = (phase_step(hertz, pitch.rate), phase_step(hertz * ratio, pitch.rate));
        let depth = RADIAN * index * (0.25 + 0.75 * (-seconds / decay).exp());
        for (sample, level) in out.iter_mut().zip(envelope.by_ref()) {
            last = sine.at(modulator.wrapping_add((RADIAN * feedback * last) as i32 as u32));
            // Through i64: the deviation may exceed half a turn, and wraps as a phase should.
            let phase = carrier.wrapping_add((depth * last) as i64 as u32);
            *sample += 1.4 * level * sine.at(phase);
            carrier = carrier.wrapping_add(step);
            modulator = modulator.wrapping_add(other);
        }
    }
}

pub(super) fn play_plucked(
    brightness: f32,
    seconds: f32,
    damping: f32,
    pitch: Pitch,
    envelope: impl Iterator<Item = f32>,
    out: &mut [f32],
    noise: &mut ChaCha8Rng,
) {
    let period = pitch.rate / pitch.hertz;
    // The damping filter delays by `damping` samples at low frequencies; the rest is split into whole and fraction.
    let delay = (period - damping).max(2.0);
    let (whole, fraction) = (delay as usize, delay.fract());
    let mut line: Vec<f32> = Vec::with_capacity(whole + 1);
    let mut smooth = 0.0;
    for _ in 0..=whole {
        smooth += brightness * (noise.random_range(-1.0..1.0_f32) - smooth);
        line.push(smooth);
    }
    let mean = line.iter().sum::<f32>() / line.len() as f32;
    let power = line.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / line.len() as f32;
    let scale = 1.2 * power.max(1e-6).sqrt().recip();
    line.iter_mut().for_each(|x| *x = (*x - mean) * scale);
    // 60 dB in `seconds`.
    let loss = 10.0_f32.powf(-3.0 * period / (pitch.rate * seconds));
    let (mut at, mut previous) = (0, 0.0);
    for (sample, level) in out.iter_mut().zip(envelope) {
        let next = if at == whole { 0 } else { at + 1 };
        let (oldest, newer) = (line[at], line[next]);
        *sample += level * oldest;
        let delayed = oldest * fraction + newer * (1.0 - fraction);
        let damped = (1.0 - damping) * delayed + damping * previous;
        previous = delayed;
        line[at] = loss * damped;
        at = next;
    }
}

pub(super) fn play_modal(
    partials: &[(f32, f32, f32)],
    sine: &Table,
    pitch: Pitch,
    gain: f32,
    envelope: impl Iterator<Item = f32> + Clone,
    out: &mut [f32],
) {
    for &(ratio, amplitude, seconds) in partials {
        let hertz = ratio * pitch.hertz;
        if hertz > 0.45 * pitch.rate {
            continue;
        }
        let step = phase_step(hertz, pitch.rate);
        let fade = (-1.0 / (seconds * pitch.rate)).exp();
        // Silent after 6 decay times; going on would only make denormal numbers.
        let samples = ((6.0 * seconds * pitch.rate) as usize).min(out.len());
        // Harder strokes ring brighter.
        let (mut level, mut phase) = (2.0 * amplitude * gain.powf(ratio.max(1.0).ln()), 0_u32);
        for (sample, envelope) in out[..samples].iter_mut().zip(envelope.clone()) {
            *sample += level * envelope * sine.at(phase);
            level *= fade;
            phase = phase.wrapping_add(step);
        }
    }
}
