//! [`MixDown`]: several channels to one.

/// The mean of the channels, except where it loses the sound.
///
/// Channels in opposite phase cancel in their mean. So the energy of the mean is measured against what the mean of as many
/// unrelated channels would have, over everything that is decoded of a file or window. More than 20 dB below it, the mean
/// is given up for the one channel with the most energy; the file is then decoded once more. Stereo as it is mixed stays
/// far above: channels that share nothing lie at 0 dB, equal ones 3 dB higher.
pub(super) struct MixDown {
    /// The one channel to keep, where the mean was given up.
    only: Option<usize>,
    /// Energy of the mean so far, and what unrelated channels would have had.
    mean: f64,
    unrelated: f64,
    /// Energy of each channel so far.
    channels: Vec<f64>,
}

/// Energy of the mean, relative to that of unrelated channels, below which the channels cancel.
const CANCELLED: f64 = 0.01;

impl MixDown {
    pub(super) fn new(only: Option<usize>) -> Self {
        Self { only, mean: 0.0, unrelated: 0.0, channels: Vec::new() }
    }

    /// Mixes the channels down into the first plane.
    pub(super) fn mix(&mut self, planes: &mut [Vec<f32>]) {
        let count = planes.len();
        if count < 2 {
            return;
        }
        if let Some(only) = self.only {
            planes.swap(0, only.min(count - 1));
            return;
        }
        // One pass over the samples of each channel. Beside decoding and resampling it cannot be measured.
        self.channels.resize(self.channels.len().max(count), 0.0);
        for (sum, plane) in self.channels.iter_mut().zip(&*planes) {
            let energy = energy(plane);
            *sum += energy;
            self.unrelated += energy / (count * count) as f64;
        }
        if let Some((mono, others)) = planes.split_first_mut() {
            for other in others {
                mono.iter_mut().zip(other).for_each(|(m, o)| *m += *o);
            }
            let scale = 1.0 / count as f32;
            mono.iter_mut().for_each(|m| *m *= scale);
            self.mean += energy(mono);
        }
    }

    /// The channel to keep alone, where the mean lost the sound.
    pub(super) fn cancelled(&self) -> Option<usize> {
        let loudest = (0..self.channels.len()).rev().max_by(|&a, &b| self.channels[a].total_cmp(&self.channels[b]));
        loudest.filter(|_| self.mean < CANCELLED * self.unrelated)
    }
}

/// Sum of squares.
fn energy(samples: &[f32]) -> f64 {
    // Independent sums let the compiler use vector registers.
    let mut lanes = [0.0_f32; 16];
    let blocks = samples.chunks_exact(16);
    let rest: f32 = blocks.remainder().iter().map(|x| x * x).sum();
    for block in blocks {
        lanes.iter_mut().zip(block).for_each(|(sum, x)| *sum += x * x);
    }
    lanes.iter().map(|&sum| f64::from(sum)).sum::<f64>() + f64::from(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(planes: &[&[f32]]) -> Option<usize> {
        let mut mix = MixDown::new(None);
        mix.mix(&mut planes.iter().map(|plane| plane.to_vec()).collect::<Vec<_>>());
        mix.cancelled()
    }

    #[test]
    fn the_mean_is_kept_unless_it_loses_the_sound() {
        let tone: Vec<f32> = (0..1_000).map(|i| (i as f32 * 0.1).sin()).collect();
        let other: Vec<f32> = (0..1_000).map(|i| (i as f32 * 0.37).sin()).collect();
        let opposite: Vec<f32> = tone.iter().map(|x| -0.95 * x).collect();
        let wide: Vec<f32> = tone.iter().zip(&other).map(|(x, y)| 0.4 * y - x).collect();
        let silence = vec![0.0; 1_000];
        assert_eq!(verdict(&[&tone]), None);
        assert_eq!(verdict(&[&tone, &tone]), None);
        assert_eq!(verdict(&[&tone, &other]), None);
        assert_eq!(verdict(&[&tone, &wide]), None);
        assert_eq!(verdict(&[&silence, &silence]), None);
        assert_eq!(verdict(&[&silence, &silence, &silence, &silence, &tone, &silence]), None);
        assert_eq!(verdict(&[&tone, &opposite]), Some(0));
        assert_eq!(verdict(&[&opposite, &tone]), Some(1));
    }

    #[test]
    fn one_channel_alone_is_taken_as_it_is() {
        let mut planes = vec![vec![1.0, 2.0], vec![3.0, 4.0]];
        MixDown::new(Some(1)).mix(&mut planes);
        assert_eq!(planes[0], [3.0, 4.0]);
        let mut planes = vec![vec![1.0, 2.0]];
        MixDown::new(Some(1)).mix(&mut planes);
        assert_eq!(planes[0], [1.0, 2.0]);
    }
}
