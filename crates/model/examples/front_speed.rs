//! How long the client's public work takes, and how fast whole datasets are scored in the clear.
//!
//! `cargo run -p sordino-model --example front_speed`: weights are random, sizes are those of a model of 25,000 tracks.

use std::time::Instant;

use ndarray::{Array, Array2, ArrayView2, Dimension, ShapeBuilder};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sordino_front::{Activation, Conv1d, FeatureSpec, Front, Head, Layer, MelPower, Network, Pool, Quantiser, Step};
use sordino_model::stage::{Hierarchy, Stage};
use sordino_model::{ClientHierarchy, ClientModel, Label, ModelHash, Pair, Protocol, ServerModel};

fn random<D: Dimension, S: ShapeBuilder<Dim = D>>(rng: &mut ChaCha8Rng, shape: S) -> Array<f32, D> {
    Array::from_shape_simple_fn(shape, || rng.random_range(-0.05f32..0.05))
}

fn affine(rng: &mut ChaCha8Rng, out: usize, width: usize) -> Layer {
    Layer::Affine { weight: random(rng, (out, width)), bias: random(rng, out) }
}

fn network(rng: &mut ChaCha8Rng, bands: usize) -> Result<Network, Box<dyn std::error::Error>> {
    let mut conv = |out, into, taps, stride| {
        let (weight, bias) = (random(rng, (out, into, taps)), random(rng, out));
        Step::Conv1d(Conv1d { weight, bias, stride, dilation: 1, padding: taps / 2 })
    };
    let relu = Step::Activation(Activation::Relu);
    let steps =
        vec![conv(128, bands, 5, 2), relu.clone(), conv(192, 128, 3, 2), relu.clone(), conv(192, 192, 3, 2), relu];
    Ok(Network::new(bands, steps, Pool::MeanStd, vec![affine(rng, 128, 384), Layer::UnitNorm])?)
}

fn stage(
    rng: &mut ChaCha8Rng,
    groups: usize,
    outputs: usize,
    head: &Head,
) -> Result<Stage, Box<dyn std::error::Error>> {
    let input = head.quantiser().bound;
    let weights = (0..groups * outputs * input.width).map(|_| rng.random_range(-31i8..=31)).collect();
    Ok(Stage::new(outputs, input, weights, vec![0; groups * outputs], vec![outputs; groups])?)
}

/// A model of `clusters` clusters of as many tracks.
fn models(clusters: usize) -> Result<(ClientModel, ServerModel), Box<dyn std::error::Error>> {
    let rng = &mut ChaCha8Rng::seed_from_u64(1);
    let spec = FeatureSpec::default();
    let network = network(rng, spec.mel_bands)?;
    let width = Front::features_width(&spec, true, Some(&network));
    let trunk =
        [affine(rng, 1_024, width), Layer::Activation(Activation::Relu), affine(rng, 128, 1_024), Layer::UnitNorm];
    let project = [affine(rng, 96, width), Layer::UnitNorm];
    let heads = vec![
        Head::new("clusters", width, trunk.to_vec(), Quantiser::for_unit_vectors(128, 6, 90.0)?)?,
        Head::new("tracks", width, project.to_vec(), Quantiser::for_unit_vectors(96, 6, 90.0)?)?,
    ];
    let stages = vec![stage(rng, 1, clusters, &heads[0])?, stage(rng, clusters, clusters, &heads[1])?];
    let tracks = (clusters * clusters) as u32;
    let front = Front::new(spec, true, Some(network), heads)?;
    let hierarchy = Hierarchy::new(stages)?;
    let outline = ClientHierarchy::new(hierarchy.shape().clone(), vec![0, 1], (0..tracks).collect())?;
    let server = ServerModel::new("speed", ModelHash::of_input(&front), hierarchy, None)?;
    let label = |track_id| Label {
        track_id,
        artist: String::new(),
        title: String::new(),
        album: String::new(),
        licence: String::new(),
    };
    let labels = (0..tracks).map(label).collect();
    Ok((ClientModel::new("speed", front, outline, None, labels, server.hash())?, server))
}

/// Milliseconds of the fastest of `times` runs.
fn fastest(times: usize, mut run: impl FnMut()) -> f64 {
    let timed = (0..times).map(|_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64() * 1e3
    });
    timed.fold(f64::INFINITY, f64::min)
}

#[cfg_attr(test, expect(dead_code, reason = "the test calls `measure`"))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    measure(158, 2_000, 20)
}

/// Times the front end `times` times, and `queries` queries of a library of `clusters` clusters.
pub(crate) fn measure(clusters: usize, queries: usize, times: usize) -> Result<(), Box<dyn std::error::Error>> {
    let (client, server) = models(clusters)?;
    let front = client.front();
    let spec = front.spec()?;
    let rng = &mut ChaCha8Rng::seed_from_u64(2);
    let clip: Vec<f32> = (0..spec.query_samples()).map(|_| rng.random_range(-0.5f32..0.5)).collect();
    let features = front.features(&clip)?;
    let MelPower(power) = sordino_front::MelFrontEnd::new(spec)?.mel_power(&clip);
    println!("one clip of {} s, one thread:", spec.query_seconds);
    println!(
        "  samples to {} base features  {:8.2} ms",
        features.len(),
        fastest(times, || drop(front.features(&clip)))
    );
    println!("  of that, from mel power on   {:8.2} ms", fastest(times, || drop(front.features_of_mel(power.view()))));
    println!("  features to integers         {:8.2} ms", fastest(times, || drop(client.inputs(&features))));

    println!(
        "{} tracks in the clear, {queries} queries, {} threads:",
        client.labels().len(),
        std::thread::available_parallelism()?
    );
    let pair = Pair::new(&client, &server)?;
    let batch: Array2<f32> = random(rng, (queries, front.width()));
    let view: ArrayView2<'_, f32> = batch.view();
    for (name, protocol) in [("flat", Protocol::Flat), ("two trips, 2 probes", Protocol::Routed { probes: 2 })] {
        let start = Instant::now();
        pair.identify_batch(protocol, view, 3)?;
        println!("  {name:27}  {:8.2} ms a query", start.elapsed().as_secs_f64() * 1e3 / queries as f64);
    }
    Ok(())
}
