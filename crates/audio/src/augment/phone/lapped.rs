//! [`Lapped`]: the lapped transform (MDCT) in which codecs quantise and suppressors work.

use std::f32::consts::PI;

use ndarray::Array2;

/// A modified discrete cosine transform of `n` coefficients over `2 n` samples, with a sine window: what is not changed comes back
/// (Princen and Bradley, IEEE ASSP 1986).
pub(super) struct Lapped {
    n: usize,
    /// Window times cosine, `[2 n, n]`.
    basis: Array2<f32>,
}

impl Lapped {
    /// Frames of 20 ms.
    pub(super) fn new(rate: u32) -> Self {
        let n = (rate / 50).max(8) as usize;
        let basis = Array2::from_shape_fn((2 * n, n), |(t, k)| {
            let window = (PI * (t as f32 + 0.5) / (2 * n) as f32).sin();
            let phase = PI / n as f32 * (t as f32 + 0.5 + n as f32 / 2.0) * (k as f32 + 0.5);
            window * phase.cos() * (2.0 / n as f32).sqrt()
        });
        Self { n, basis }
    }

    /// Seconds between frames.
    pub(super) fn hop_seconds(&self, rate: u32) -> f32 {
        self.n as f32 / rate as f32
    }

    /// Coefficients `[frames, n]`; the first frame begins `n` samples before the sound.
    pub(super) fn analyse(&self, samples: &[f32]) -> Array2<f32> {
        let frames = samples.len().div_ceil(self.n) + 1;
        let mut padded = vec![0.0; (frames + 1) * self.n];
        padded[self.n..self.n + samples.len()].copy_from_slice(samples);
        let windows = Array2::from_shape_fn((frames, 2 * self.n), |(frame, t)| padded[frame * self.n + t]);
        windows.dot(&self.basis)
    }

    /// The sound of such coefficients, as long as `out`.
    pub(super) fn synthesise(&self, coefficients: &Array2<f32>, out: &mut [f32]) {
        let pieces = coefficients.dot(&self.basis.t());
        let mut sum = vec![0.0; (coefficients.nrows() + 1) * self.n];
        for (frame, piece) in pieces.rows().into_iter().enumerate() {
            let place = frame * self.n..(frame + 2) * self.n;
            sum[place].iter_mut().zip(piece).for_each(|(sum, x)| *sum += x);
        }
        out.copy_from_slice(&sum[self.n..self.n + out.len()]);
    }

    /// The coefficients that begin each critical band, and the end of the last (Zwicker 1961).
    pub(super) fn bands(&self, rate: u32) -> Vec<usize> {
        const EDGES_HZ: [u32; 25] = [
            0, 100, 200, 300, 400, 510, 630, 770, 920, 1_080, 1_270, 1_480, 1_720, 2_000, 2_320, 2_700, 3_150, 3_700,
            4_400, 5_300, 6_400, 7_700, 9_500, 12_000, 15_500,
        ];
        let place = |hz: u32| (hz as usize * 2 * self.n).div_ceil(rate as usize);
        let mut edges: Vec<usize> = EDGES_HZ.into_iter().map(place).filter(|&at| at < self.n).collect();
        edges.push(self.n);
        edges.dedup();
        edges
    }
}

/// Mean square of each band of a frame.
pub(super) fn levels(frame: &[f32], bands: &[usize]) -> Vec<f32> {
    let mean = |band: &[f32]| band.iter().map(|x| x * x).sum::<f32>() / band.len().max(1) as f32;
    bands.windows(2).map(|edges| mean(&frame[edges[0]..edges[1]])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_changed_comes_back() {
        let lapped = Lapped::new(8_000);
        let sound: Vec<f32> = (0..1_000).map(|i| (i as f32 * 0.37).sin() + 0.2 * (i as f32 * 1.9).cos()).collect();
        let mut back = vec![0.0; sound.len()];
        let coefficients = lapped.analyse(&sound);
        lapped.synthesise(&coefficients, &mut back);
        assert!(sound.iter().zip(&back).all(|(a, b)| (a - b).abs() < 1e-4));
        assert_eq!(coefficients.nrows(), 8);
        // A tone lies in its band: 1,000 Hz between 920 and 1,080.
        let tone: Vec<f32> = (0..1_600).map(|i| (2.0 * PI * i as f32 / 8.0).sin()).collect();
        let (frames, bands) = (lapped.analyse(&tone), lapped.bands(8_000));
        let found = levels(frames.row(5).as_slice().unwrap(), &bands);
        let loudest = (0..found.len()).max_by(|&a, &b| found[a].total_cmp(&found[b])).unwrap();
        assert_eq!((loudest, bands.len()), (8, 19));
    }
}
