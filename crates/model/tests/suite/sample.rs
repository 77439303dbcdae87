//! Random but well-formed parts, each from a seed.

use ndarray::{Array1, Array2, Array3, ArrayBase, Dimension, ShapeBuilder};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sordino_front::{
    Activation, Conv1d, FeatureSpec, Front, Head, Layer, Network, Pool, Quantiser, Statistics, Step, VectorBound,
};
use sordino_model::stage::{Hierarchy, Stage};
use sordino_model::{ClientHierarchy, ClientModel, Label, Lead, ModelHash, ServerModel};

pub(crate) fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

pub(crate) fn floats<D: Dimension, S: ShapeBuilder<Dim = D>>(
    rng: &mut ChaCha8Rng,
    shape: S,
) -> ArrayBase<ndarray::OwnedRepr<f32>, D> {
    ArrayBase::from_shape_simple_fn(shape, || rng.random_range(-1.0f32..1.0))
}

/// A stage with random weights; group `g` uses `counts[g]` slots.
pub(crate) fn stage(rng: &mut ChaCha8Rng, outputs: usize, input: VectorBound, counts: Vec<usize>) -> Stage {
    let slots = counts.len() * outputs;
    let weights = (0..slots * input.width).map(|_| rng.random_range(-127i8..=127)).collect();
    let bias = (0..slots).map(|_| rng.random_range(-2_000..=2_000)).collect();
    Stage::new(outputs, input, weights, bias, counts).unwrap()
}

/// A hierarchy of `outputs.len()` stages with padding: the first stage uses all its slots but one where it has several,
/// the others as many as chance wants.
pub(crate) fn hierarchy(seed: u64, outputs: &[usize], inputs: &[VectorBound]) -> Hierarchy {
    let rng = &mut rng(seed);
    let mut counts = vec![(outputs[0] - 1).max(1)];
    let mut stages = Vec::new();
    for (level, (&slots, &input)) in outputs.iter().zip(inputs).enumerate() {
        stages.push(stage(rng, slots, input, counts.clone()));
        let Some(&next) = outputs.get(level + 1) else { break };
        counts = counts
            .iter()
            .flat_map(|&used| (0..slots).map(move |slot| slot < used))
            .map(|reached| if reached { rng.random_range(1..=next) } else { 0 })
            .collect();
    }
    Hierarchy::new(stages).unwrap()
}

/// A vector that keeps `bound`, most often near its edge.
pub(crate) fn vector(rng: &mut ChaCha8Rng, bound: VectorBound) -> Vec<i32> {
    let scale = (bound.norm_squared as f32).sqrt() * rng.random_range(0.5f32..2.0);
    let quantiser = Quantiser { bits: 16, scale, bound };
    let z = floats(rng, bound.width);
    let norm = z.dot(&z).sqrt().max(1e-6);
    quantiser.quantise(&(z / norm).to_vec()).unwrap()
}

pub(crate) fn bound(width: usize) -> VectorBound {
    VectorBound { width, max_abs: 31, norm_squared: 60 * 60 }
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

/// A whole model: statistics and a small network, three heads, two or more stages, and a flat classifier. Tracks of the
/// hierarchy have one or two slots.
pub(crate) fn model(seed: u64, outputs: &[usize]) -> (ClientModel, ServerModel) {
    let r = &mut rng(seed);
    let network = network(r, spec().mel_bands);
    let width = Front::features_width(&spec(), true, Some(&network));
    let head = |r: &mut ChaCha8Rng, name: &str, out: usize, scale: f32| {
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
    let heads = vec![head(r, "clusters", 7, 40.0), head(r, "tracks", 9, 50.0), head(r, "flat", 9, 60.0)];
    let front = Front::new(spec(), true, Some(network), heads).unwrap();
    let stage_heads: Vec<usize> = (0..outputs.len()).map(|stage| usize::from(stage > 0)).collect();
    let inputs: Vec<VectorBound> = stage_heads.iter().map(|&h| front.heads()[h].quantiser().bound).collect();
    let hierarchy = hierarchy(seed, outputs, &inputs);

    let used = hierarchy.shape().last().used();
    let tracks = used.div_ceil(2).max(1);
    let slots: Vec<u32> = (0..used).map(|slot| (slot % tracks) as u32).collect();
    let flat_stage = stage(r, tracks, front.heads()[2].quantiser().bound, vec![tracks]);
    let flat = Hierarchy::new(vec![flat_stage]).unwrap();
    let labels = (0..tracks as u32).map(label).collect();
    let outline = ClientHierarchy::new(hierarchy.shape().clone(), stage_heads, slots).unwrap();
    let flat_outline = ClientHierarchy::new(flat.shape().clone(), vec![2], (0..tracks as u32).collect()).unwrap();
    let flat_outline =
        flat_outline.with_lead(Lead { above: Some(40), copies: vec![(tracks as u32 - 1, 0)], ..Lead::default() });
    let flat_outline = flat_outline.with_starts((0..tracks as u32).map(|i| 10_000 * i).collect()).unwrap();
    let server = ServerModel::new("sample", ModelHash::of_spec(&spec()), hierarchy, Some(flat)).unwrap();
    let client = ClientModel::new("sample", front, outline, Some(flat_outline), labels, server.hash()).unwrap();
    (client, server)
}

pub(crate) fn label(track_id: u32) -> Label {
    Label {
        track_id,
        artist: format!("Artist {}", track_id / 3),
        title: format!("Title \"{track_id}\" | ä"),
        album: String::new(),
        licence: if track_id.is_multiple_of(2) { "CC BY 4.0".into() } else { String::new() },
    }
}

/// Base features of `n` clips that `client` could have heard.
pub(crate) fn features(seed: u64, client: &ClientModel, n: usize) -> Array2<f32> {
    floats(&mut rng(seed), (n, client.front().width()))
}

/// Noise and a tone, `seconds` long at the sample spec's rate.
pub(crate) fn clip(seed: u64, seconds: f32) -> Vec<f32> {
    let rng = &mut rng(seed);
    let pitch: f32 = rng.random_range(0.05..0.5);
    let samples = (seconds * spec().sample_rate as f32).round() as usize;
    (0..samples).map(|i| 0.5 * (i as f32 * pitch).sin() + rng.random_range(-0.1f32..0.1)).collect()
}
