//! What happens to a clip between the loudspeaker and the microphone.
//!
//! One [`AugmentSpec`] drives two machines: [`WaveAugment`] on samples, for queries, and [`MelAugment`] on mel power, for
//! training epochs, hundreds of times cheaper. Both walk the same chain: speed, time stretch, pitch shift → (polarity: samples
//! only) → equaliser → reverberation → background noise → Gaussian noise → band limits → gain → codec. A test compares them.
//!
//! Everything random comes from the `ChaCha8Rng` that the caller passes; [`item_rng`] derives one per item, so that
//! results do not depend on the number of threads.

mod bank;
mod colour;
mod impulse;
mod mel_augment;
mod mix;
mod noise;
mod phone;
mod spec;
mod stretch;
mod warp;
mod wave_augment;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::AudioError;

pub use bank::{BankClip, RejectedFile, bank_files};
pub use colour::Colour;
pub use impulse::{ImpulseBank, ImpulseMel, convolve};
pub use mel_augment::MelAugment;
pub use mix::{add_gaussian_noise, gain_db, invert_polarity, mix_at_snr, power};
pub use noise::{NoiseBank, NoiseKind};
pub use phone::Phone;
pub use spec::{AugmentSpec, Chance, Level, Span};
pub use stretch::{pitch_shift, time_stretch};
pub use wave_augment::WaveAugment;

/// The random generator of one item: the same for the same seed and item, whatever else runs.
pub fn item_rng(seed: u64, item: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(item);
    rng
}

/// Checks that the banks that a spec needs are there and at the front end's rate.
fn check_banks(spec: &AugmentSpec, rate: u32, noise: &NoiseBank, impulses: &ImpulseBank) -> Result<(), AudioError> {
    let audible = noise.clips().iter().filter(|c| power(&c.samples) > 0.0).count();
    let banks = [
        ("noise bank", spec.needs_noise(), audible, noise.rate()),
        ("impulse bank", spec.needs_impulses(), impulses.clips().len(), impulses.rate()),
    ];
    for (what, needed, clips, bank_rate) in banks {
        if needed && (clips == 0 || bank_rate != rate) {
            return Err(AudioError::Parameter {
                what,
                found: format!("{clips} usable clips at {bank_rate} Hz"),
                expected: "at least one clip, at the front end's rate",
            });
        }
    }
    Ok(())
}
