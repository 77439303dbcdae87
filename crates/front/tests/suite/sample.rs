//! Random but well-formed parts, each from a seed.

use ndarray::{Array1, Array3, ArrayBase, Dimension, ShapeBuilder};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sordino_front::{Activation, Conv1d, FeatureSpec, Front, Head, Layer, Network, Pool, Quantiser, Statistics, Step};

pub(crate) fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

pub(crate) fn floats<D: Dimension, S: ShapeBuilder<Dim = D>>(
    rng: &mut ChaCha8Rng,
    shape: S,
) -> ArrayBase<ndarray::OwnedRepr<f32>, D> {
    ArrayBase::from_shape_simple_fn(shape, || rng.random_range(-1.0f32..1.0))
}

/// A spec that is quick to compute: 1 s at 2 kHz, 8 bands.
pub(crate) fn spec() -> FeatureSpec {
    FeatureSpec {
        sample_rate: 2_000,
        fft_size: 128,
        hop: 64,
        mel_bands: 8,
        mel_max_hz: 1_000.0,
        query_seconds: 1.0,
        statistics: Statistics::Moments,
        ..FeatureSpec::default()
    }
}

pub(crate) fn affine(rng: &mut ChaCha8Rng, out: usize, width: usize) -> Layer {
    Layer::Affine { weight: floats(rng, (out, width)), bias: floats(rng, out) }
}

pub(crate) fn conv(rng: &mut ChaCha8Rng, out: usize, into: usize, taps: usize) -> Conv1d {
    let weight: Array3<f32> = floats(rng, (out, into, taps));
    Conv1d { weight, bias: floats(rng, out), stride: 1, dilation: 1, padding: (taps - 1) / 2 }
}

pub(crate) fn network(rng: &mut ChaCha8Rng, bands: usize) -> Network {
    let steps = vec![
        Step::Standardise { mean: floats(rng, bands), inv_std: floats(rng, bands) },
        Step::Conv1d(Conv1d { stride: 2, ..conv(rng, 5, bands, 3) }),
        Step::Activation(Activation::Gelu),
        Step::Residual(vec![Step::Conv1d(conv(rng, 5, 5, 3)), Step::Activation(Activation::Relu)]),
    ];
    Network::new(bands, steps, Pool::MeanStd, vec![affine(rng, 6, 10), Layer::UnitNorm]).unwrap()
}

/// Statistics and a small network under three heads of 7, 9 and 9 integers.
pub(crate) fn front(seed: u64) -> Front {
    let r = &mut rng(seed);
    let network = network(r, spec().mel_bands);
    let width = Front::features_width(&spec(), true, Some(&network));
    let mut head = |name: &str, out: usize, scale: f32| {
        let mean: Array1<f32> = floats(r, width);
        let layers = vec![
            Layer::Standardise { mean, inv_std: floats(r, width) },
            affine(r, 6, width),
            Layer::Activation(Activation::Relu),
            affine(r, out, 6),
            Layer::UnitNorm,
        ];
        Head::new(name, width, layers, Quantiser::for_unit_vectors(out, 6, scale).unwrap()).unwrap()
    };
    let heads = vec![head("clusters", 7, 40.0), head("tracks", 9, 50.0), head("flat", 9, 60.0)];
    Front::new(spec(), true, Some(network), heads).unwrap()
}

/// Noise and a tone, `seconds` long at the sample spec's rate.
pub(crate) fn clip(seed: u64, seconds: f32) -> Vec<f32> {
    let rng = &mut rng(seed);
    let pitch: f32 = rng.random_range(0.05..0.5);
    let samples = (seconds * spec().sample_rate as f32).round() as usize;
    (0..samples).map(|i| 0.5 * (i as f32 * pitch).sin() + rng.random_range(-0.1f32..0.1)).collect()
}
