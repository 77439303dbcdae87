//! [`Mix`]: levels, tone, echo, room and limiting: from parts to one signal.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// How a piece is mixed.
#[derive(Clone, Debug)]
pub(super) struct Mix {
    /// Room: share of reverberation and its time to -60 dB in seconds.
    room: (f32, f32),
    /// Low and high shelf gains (factors), and their corner frequencies in Hz.
    shelves: [(f32, f32); 2],
    /// Background hiss relative to full scale.
    hiss: f32,
    /// Drive into the limiter.
    drive: f32,
    /// Peak of the finished piece.
    peak: f32,
}

/// An echo of one part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Echo {
    seconds: f32,
    feedback: f32,
    level: f32,
}

impl Echo {
    /// Often none; otherwise a simple fraction of the beat.
    pub(super) fn draw(rng: &mut ChaCha8Rng, beat: f32) -> Option<Self> {
        rng.random_bool(0.3).then(|| Self {
            seconds: beat * [0.5, 0.75, 1.0, 1.5][rng.random_range(0..4)],
            feedback: rng.random_range(0.1..0.55),
            level: rng.random_range(0.1..0.5),
        })
    }

    pub(super) fn apply(&self, samples: &mut [f32], rate: f32) {
        let delay = ((self.seconds * rate) as usize).max(1);
        let mut line = vec![0.0; delay];
        for block in samples.chunks_mut(delay) {
            for (sample, stored) in block.iter_mut().zip(&mut line) {
                let delayed = *stored;
                *stored = *sample + self.feedback * delayed;
                *sample += self.level * delayed;
            }
        }
    }
}

impl Mix {
    pub(super) fn draw(rng: &mut ChaCha8Rng) -> Self {
        let gain = |decibels: f32| 10.0_f32.powf(decibels / 20.0);
        Self {
            room: (rng.random_range(0.0..0.35_f32), rng.random_range(0.2..2.2)),
            shelves: [
                (gain(rng.random_range(-6.0..5.0)), rng.random_range(120.0..400.0)),
                (gain(rng.random_range(-8.0..6.0)), rng.random_range(1_000.0..2_500.0)),
            ],
            hiss: gain(rng.random_range(-85.0..-52.0)),
            drive: rng.random_range(0.5..2.5),
            peak: rng.random_range(0.5..0.98),
        }
    }

    /// Finishes the sum of all parts in place.
    pub(super) fn master(&self, samples: &mut [f32], rate: f32, noise: &mut ChaCha8Rng) {
        let rms = (samples.iter().map(|x| x * x).sum::<f32>() / samples.len().max(1) as f32).sqrt();
        let scale = 0.18 / rms.max(1e-4);
        // Hiss comes first: it also keeps the recursive filters below away from denormal numbers.
        samples.iter_mut().for_each(|x| *x = *x * scale + self.hiss * noise.random_range(-1.0..1.0_f32));
        self.reverberate(samples, rate);
        self.shelve(samples, rate);
        // A rational tanh (Pade 3/2), exact in slope at 0 and clamped where it reaches 1.
        let limit = |x: f32| {
            let x = (self.drive * x).clamp(-3.0, 3.0);
            x * (27.0 + x * x) / (27.0 + 9.0 * x * x)
        };
        samples.iter_mut().for_each(|x| *x = limit(*x));
        let peak = samples.iter().fold(1e-6_f32, |peak, x| peak.max(x.abs()));
        let scale = self.peak / peak;
        samples.iter_mut().for_each(|x| *x *= scale);
    }

    /// Four parallel combs into two all-passes (Schroeder, JAES 10(3), 1962).
    fn reverberate(&self, samples: &mut [f32], rate: f32) {
        let (share, seconds) = self.room;
        if share < 0.02 {
            return;
        }
        let mut wet = vec![0.0; samples.len()];
        for delay in [0.0297, 0.0371, 0.0411, 0.0437_f32] {
            let length = ((delay * rate) as usize).max(1);
            let feedback = 10.0_f32.powf(-3.0 * delay / seconds);
            let mut line = vec![0.0; length];
            let mut dull = 0.0_f32;
            for (dry, wet) in samples.chunks(length).zip(wet.chunks_mut(length)) {
                for ((dry, wet), stored) in dry.iter().zip(wet).zip(&mut line) {
                    let delayed = *stored;
                    dull += 0.7 * (delayed - dull);
                    *stored = dry + feedback * dull;
                    *wet += 0.25 * delayed;
                }
            }
        }
        for delay in [0.005, 0.0017_f32] {
            let mut line = vec![0.0; ((delay * rate) as usize).max(1)];
            let length = line.len();
            for block in wet.chunks_mut(length) {
                for (sample, stored) in block.iter_mut().zip(&mut line) {
                    let delayed = *stored;
                    let input = *sample + 0.7 * delayed;
                    *sample = delayed - 0.7 * input;
                    *stored = input;
                }
            }
        }
        for (dry, wet) in samples.iter_mut().zip(wet) {
            *dry = (1.0 - share) * *dry + 1.5 * share * wet;
        }
    }

    /// First-order low and high shelves.
    fn shelve(&self, samples: &mut [f32], rate: f32) {
        let [(low_gain, low_hertz), (high_gain, high_hertz)] = self.shelves;
        let coefficient = |hertz: f32| 1.0 - (-std::f32::consts::TAU * hertz / rate).exp();
        let (low_step, high_step) = (coefficient(low_hertz), coefficient(high_hertz));
        let (mut low, mut smooth) = (0.0_f32, 0.0_f32);
        for sample in samples {
            low += low_step * (*sample - low);
            smooth += high_step * (*sample - smooth);
            let high = *sample - smooth;
            *sample = low_gain * low + (smooth - low) + high_gain * high;
        }
    }
}
