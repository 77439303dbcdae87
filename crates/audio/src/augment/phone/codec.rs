//! A lossy codec: quantised by bands, as coarsely as the loudest bands nearby mask it.

use rand::{Rng, RngExt};

use super::lapped::{Lapped, levels};

/// Fall of the mask per critical band, as a ratio of powers: towards higher bands 10 dB, towards lower ones 25 dB (Schroeder, Atal and
/// Hall, JASA 1979).
const UPWARDS: f32 = 0.1;
const DOWNWARDS: f32 = 0.003;
/// Least power of what is lost and filled, of the noise's. A lapped transform of 20 ms does not see how deep a valley between two tones
/// is, and fills it with what leaks from them; chosen so that mel power is coded as samples are (`tests/domains.rs`).
const FILLED: f32 = 0.4;
/// Critical bands within the telephone's, over which mel bands are spread.
const CRITICAL_BANDS: f32 = 18.0;

/// What masks each band: its own power, or what a louder band nearby leaves of its own.
fn mask(levels: &mut [f32], upwards: f32, downwards: f32) {
    let mut carried = 0.0_f32;
    for level in levels.iter_mut() {
        carried = (carried * upwards).max(*level);
        *level = carried;
    }
    carried = 0.0;
    for level in levels.iter_mut().rev() {
        carried = (carried * downwards).max(*level);
        *level = carried;
    }
}

/// Codes and decodes samples with quantisation noise `below_db` under the mask. What is quantised to nothing is filled with noise
/// of its own power, as codecs do.
pub(in crate::augment) fn code(samples: &mut [f32], rate: u32, below_db: f32, rng: &mut impl Rng) {
    let lapped = Lapped::new(rate);
    let bands = lapped.bands(rate);
    let mut coefficients = lapped.analyse(samples);
    let below = 10_f32.powf(-below_db / 10.0);
    for mut frame in coefficients.rows_mut() {
        let Some(frame) = frame.as_slice_mut() else { continue };
        let mut masks = levels(frame, &bands);
        mask(&mut masks, UPWARDS, DOWNWARDS);
        for (mask, edges) in masks.iter().zip(bands.windows(2)) {
            // Uniform quantisation has the noise of a twelfth of its step squared.
            let step = (12.0 * below * mask).sqrt();
            if step <= 0.0 {
                continue;
            }
            let band = &mut frame[edges[0]..edges[1]];
            let gone = |x: f32| x.abs() < 0.5 * step;
            let (count, lost) = band.iter().filter(|x| gone(**x)).fold((0, 0.0), |(n, sum), x| (n + 1, sum + x * x));
            let fill = (3.0 * lost / (count as f32).max(1.0)).sqrt();
            for x in band {
                *x = if gone(*x) { fill * rng.random_range(-1.0..=1.0) } else { (*x / step).round() * step };
            }
        }
    }
    lapped.synthesise(&coefficients, samples);
}

/// What such a codec makes of the power of a frame's mel bands: what it keeps of each, and the power of the noise that it adds.
pub(in crate::augment) fn code_power(power: &[f32], below_db: f32) -> (Vec<f32>, Vec<f32>) {
    // A coder's bands are wider: what is heard and what is lost are both shared by all of one.
    let step = CRITICAL_BANDS / power.len() as f32;
    let reach = (0.5 / step).round() as usize;
    let near = |band: usize| band.saturating_sub(reach)..(band + reach + 1).min(power.len());
    let mean = |sum: f32, count: usize| sum / count.max(1) as f32;
    let shared = |band: usize| mean(power[near(band)].iter().sum(), near(band).len());
    let mut noise: Vec<f32> = (0..power.len()).map(shared).collect();
    mask(&mut noise, UPWARDS.powf(step), DOWNWARDS.powf(step));
    let below = 10_f32.powf(-below_db / 10.0);
    noise.iter_mut().for_each(|noise| *noise *= below);
    let lost = |band: usize| {
        let gone = near(band).filter(|&other| power[other] < noise[other]);
        let (sum, count) = gone.fold((0.0, 0), |(sum, count), other| (sum + power[other], count + 1));
        mean(sum, count)
    };
    let coded = (0..power.len()).map(|band| match power[band] < noise[band] {
        true => (0.0, lost(band).max(FILLED * noise[band])),
        false => (power[band], noise[band]),
    });
    coded.unzip()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Signal over noise in dB.
    fn quality(below_db: f32) -> f64 {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let sound: Vec<f32> = (0..16_000).map(|i| (i as f32 * 0.3).sin() + 0.1 * rng.random_range(-1.0..1.0)).collect();
        let mut coded = sound.clone();
        code(&mut coded, 8_000, below_db, &mut rng);
        let off: Vec<f32> = sound.iter().zip(&coded).map(|(a, b)| a - b).collect();
        10.0 * (crate::augment::power(&sound) / crate::augment::power(&off)).log10()
    }

    #[test]
    fn quantisation_noise_lies_as_far_below_as_asked() {
        // A little above for a coarse codec, whose filling is noise too.
        for below_db in [6.0, 12.0, 24.0] {
            assert!((quality(below_db) - f64::from(below_db)).abs() < 4.0, "{below_db}: {}", quality(below_db));
        }
        assert!(quality(40.0) > 30.0);
        let mut silence = vec![0.0; 1_000];
        code(&mut silence, 8_000, 6.0, &mut ChaCha8Rng::seed_from_u64(2));
        assert!(silence.iter().all(|x| *x == 0.0));
    }

    #[test]
    fn a_loud_band_masks_its_neighbours_more_upwards() {
        let mut levels = [0.0, 0.0, 1.0, 0.0, 0.5, 0.0];
        mask(&mut levels, 0.1, 0.01);
        let expected = [1e-4, 1e-2, 1.0, 0.1, 0.5, 0.05];
        assert!(levels.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{levels:?}");
    }
}
