//! Instruments: additive, filtered (subtractive), FM, plucked-string and modal voices.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::envelope::Envelope;
use super::score::{Note, Role};
use super::theory::weighted;
use super::voices::{Pitch, Sweep, play_additive, play_filtered, play_fm, play_modal, play_plucked};
use super::wavetable::{Table, Waveform};

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
