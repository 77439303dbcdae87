//! Instruments: additive, filtered (subtractive), FM, plucked-string and modal voices.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::envelope::Envelope;
use super::score::{Note, Role};
use super::theory::weighted;
use super::wavetable::{Table, Waveform, phase_step};

/// Samples between updates of slow controls (vibrato, filter).
const CONTROL: usize = 16;

/// An instrument: a way to make a tone, and its loudness over a note.
#[derive(Clone, Debug)]
pub(super) struct Instrument {
    voice: Voice,
    envelope: Envelope,
    /// Vibrato: rate in Hz, depth in semitones.
    vibrato: (f32, f32),
    /// How much softer notes get quieter, 0 to 1.
    dynamics: f32,
    /// Octaves from the written pitch.
    octave: i32,
}

#[derive(Clone, Debug)]
enum Voice {
    /// Two waveforms, the second one taking over as the note fades, and the detuning of a second oscillator in cents.
    Additive { bright: Waveform, dark: Waveform, detune: f32 },
    /// A rich waveform through a resonant low-pass filter whose cutoff follows an envelope of its own.
    Filtered { wave: Waveform, detune: f32, filter: Sweep },
    /// Chowning, JAES 21(7), 1973: one sine modulates the phase of another.
    Fm { sine: Table, ratio: f32, index: f32, decay: f32, feedback: f32 },
    /// Karplus and Strong, Computer Music Journal 7(2), 1983, with a fractional delay for tuning.
    Plucked { brightness: f32, seconds: f32, damping: f32 },
    /// Decaying partials at fixed ratios: bars, bells, plates.
    Modal { partials: Vec<(f32, f32, f32)>, sine: Table },
}

/// Cutoff of a filter over a note.
#[derive(Clone, Copy, Debug)]
struct Sweep {
    /// Lowest cutoff as a multiple of the note's frequency.
    floor: f32,
    /// Octaves above the floor at the start of the note.
    octaves: f32,
    /// Seconds in which the opening falls to 1/e.
    decay: f32,
    /// Damping, 2 (none) to 0.1 (ringing).
    damping: f32,
}

impl Instrument {
    /// An instrument fit for a role.
    pub(super) fn draw(rng: &mut ChaCha8Rng, role: Role) -> Self {
        let weights = match role {
            Role::Lead | Role::Second => [3.0, 2.0, 2.0, 1.0, 0.8],
            Role::Comp => [2.0, 1.5, 1.8, 3.0, 0.6],
            Role::Arpeggio => [0.8, 2.0, 1.8, 2.5, 2.0],
            Role::Pad => [4.0, 3.0, 0.8, 0.0, 0.0],
            Role::Bass => [1.0, 3.0, 1.3, 2.0, 0.0],
        };
        let kind = weighted(rng, &weights);
        let voice = match kind {
            0 => additive(rng),
            1 => filtered(rng, role),
            2 => Voice::Fm {
                sine: Table::sine(),
                ratio: [0.5, 1.0, 1.0, 2.0, 3.0, 3.5, 4.0, 1.41][rng.random_range(0..8)],
                index: rng.random_range(0.3..4.0),
                decay: rng.random_range(0.05..1.5),
                feedback: rng.random_range(0.0..0.6),
            },
            3 => Voice::Plucked {
                brightness: rng.random_range(0.15..1.0),
                seconds: rng.random_range(0.4..3.5),
                damping: rng.random_range(0.02..0.3),
            },
            _ => modal(rng),
        };
        let envelope = match (kind, role) {
            (3 | 4, _) => Envelope::struck(rng.random_range(0.03..0.4)),
            (_, Role::Pad) => Envelope::slow(rng),
            (_, Role::Arpeggio | Role::Comp | Role::Bass) if rng.random_bool(0.7) => Envelope::percussive(rng),
            _ => Envelope::sustained(rng),
        };
        let singing = matches!(role, Role::Lead | Role::Second | Role::Pad);
        let depth = if singing && rng.random_bool(0.6) { rng.random_range(0.05..0.4) } else { 0.0 };
        Self {
            voice,
            envelope,
            vibrato: (rng.random_range(4.0..7.0), depth),
            dynamics: rng.random_range(0.2..0.9),
            octave: match role {
                Role::Lead | Role::Arpeggio => i32::from(rng.random_bool(0.25)),
                Role::Bass => -i32::from(rng.random_bool(0.35)),
                _ => 0,
            },
        }
    }

    /// Adds a note to `out`, which starts at time 0; `noise` feeds plucked strings.
    pub(super) fn play(&self, note: &Note, rate: f32, out: &mut [f32], noise: &mut ChaCha8Rng) {
        let start = (note.start * rate) as usize;
        let Some(out) = out.get_mut(start..) else { return };
        let hertz = note.hertz() * (self.octave as f32).exp2();
        if !(20.0..0.45 * rate).contains(&hertz) {
            return;
        }
        let sounding = self.envelope.seconds(note.length).min(self.voice.seconds());
        let samples = ((sounding * rate) as usize).min(out.len());
        let out = &mut out[..samples];
        let gain = 1.0 - self.dynamics * (1.0 - note.velocity);
        let envelope = self.envelope.samples(note.length, rate).map(|level| gain * level);
        let pitch = Pitch { hertz, rate, vibrato: self.vibrato };
        match &self.voice {
            Voice::Additive { bright, dark, detune } => {
                play_additive(bright, dark, *detune, pitch, envelope, out);
            }
            Voice::Filtered { wave, detune, filter } => {
                play_filtered(wave, *detune, filter, note.velocity, pitch, envelope, out);
            }
            Voice::Fm { sine, ratio, index, decay, feedback } => {
                let index = index * (0.4 + 0.6 * note.velocity);
                play_fm(sine, *ratio, index, *decay, *feedback, pitch, envelope, out);
            }
            Voice::Plucked { brightness, seconds, damping } => {
                let brightness = brightness * (0.5 + 0.5 * note.velocity);
                play_plucked(brightness, *seconds, *damping, pitch, envelope, out, noise);
            }
            Voice::Modal { partials, sine } => play_modal(partials, sine, pitch, gain, envelope, out),
        }
    }
}

impl Voice {
    /// How long a note can be heard at most.
    fn seconds(&self) -> f32 {
        match self {
            Self::Plucked { seconds, .. } => 1.5 * seconds,
            Self::Modal { partials, .. } => partials.iter().map(|p| 6.0 * p.2).fold(0.0, f32::max),
            _ => f32::INFINITY,
        }
    }
}

/// Harmonics that fall off with a slope, with odd ones favoured or not, under up to two broad formants.
fn additive(rng: &mut ChaCha8Rng) -> Voice {
    let count = rng.random_range(4..40);
    let slope = rng.random_range(0.5..2.4);
    let even = if rng.random_bool(0.3) { rng.random_range(0.0..0.3) } else { 1.0 };
    let formant = (rng.random_range(1.0..20.0_f32), rng.random_range(1.0..5.0_f32), rng.random_range(0.0..6.0_f32));
    let mut amplitudes = Vec::with_capacity(count);
    for index in 0..count {
        let harmonic = (index + 1) as f32;
        let parity = if index % 2 == 1 { even } else { 1.0 };
        let distance = (harmonic - formant.0) / formant.1;
        let peak = 1.0 + formant.2 * (-distance * distance).exp();
        amplitudes.push(harmonic.powf(-slope) * parity * peak * rng.random_range(0.3..1.0));
    }
    let phases: Vec<f32> = (0..count).map(|_| rng.random()).collect();
    let darkening = rng.random_range(0.0..1.2);
    let dark: Vec<f32> = amplitudes.iter().enumerate().map(|(i, a)| a * ((i + 1) as f32).powf(-darkening)).collect();
    Voice::Additive {
        bright: Waveform::new(&amplitudes, &phases),
        dark: Waveform::new(&dark, &phases),
        detune: if rng.random_bool(0.6) { rng.random_range(2.0..15.0) } else { 0.0 },
    }
}

/// A sawtooth, or a pulse of some width, before the filter.
fn filtered(rng: &mut ChaCha8Rng, role: Role) -> Voice {
    const HARMONICS: usize = 64;
    let width: f32 = rng.random_range(0.08..0.5);
    let pulse = rng.random_bool(0.5);
    let amplitude = |harmonic: f32| {
        if pulse { (std::f32::consts::PI * harmonic * width).sin() / harmonic } else { harmonic.recip() }
    };
    let amplitudes: Vec<f32> = (1..=HARMONICS).map(|harmonic| amplitude(harmonic as f32)).collect();
    let long = matches!(role, Role::Pad | Role::Lead);
    Voice::Filtered {
        wave: Waveform::new(&amplitudes, &[0.0; HARMONICS]),
        detune: if rng.random_bool(0.5) { rng.random_range(3.0..20.0) } else { 0.0 },
        filter: Sweep {
            floor: rng.random_range(1.0..6.0),
            octaves: rng.random_range(0.0..4.0),
            decay: if long { rng.random_range(0.2..2.0) } else { rng.random_range(0.04..0.5) },
            damping: rng.random_range(0.25..1.6),
        },
    }
}

/// Partials of a struck bar, bell or kalimba: ratio, amplitude, seconds to 1/e.
fn modal(rng: &mut ChaCha8Rng) -> Voice {
    // Free bar, tuned (marimba) bar, church bell (hum to nominal, from the prime), clamped bar.
    const RATIOS: [[f32; 5]; 4] = [
        [1.0, 2.756, 5.404, 8.933, 13.34],
        [1.0, 3.93, 9.2, 10.0, 16.0],
        [0.5, 1.0, 1.2, 1.5, 2.0],
        [1.0, 6.27, 17.55, 34.4, 56.8],
    ];
    let ratios = RATIOS[rng.random_range(0..RATIOS.len())];
    let seconds = rng.random_range(0.15_f32..1.5);
    let slope = rng.random_range(0.3_f32..1.5);
    let partials = ratios.iter().map(|&ratio| {
        let amplitude = ratio.max(1.0).powf(-slope) * rng.random_range(0.3..1.0);
        (ratio * rng.random_range(0.99..1.01), amplitude, seconds / ratio.max(1.0).sqrt())
    });
    Voice::Modal { partials: partials.collect(), sine: Table::sine() }
}

/// The frequency of a note, which may waver.
#[derive(Clone, Copy)]
struct Pitch {
    hertz: f32,
    rate: f32,
    vibrato: (f32, f32),
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

fn play_additive(
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

fn play_filtered(
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
fn play_fm(
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

fn play_plucked(
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

fn play_modal(
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
