//! A model whose answers can be told by hand: features name a cluster and a track in it, one axis each.

use std::sync::{Arc, LazyLock};

use ndarray::{Array1, Array2};
use sordino_fhe::params::INSECURE_N512;
use sordino_fhe::{EvaluationKey, SecretKey};
use sordino_front::{FeatureSpec, Front, Head, Layer, Quantiser, Statistics};
use sordino_model::stage::{Hierarchy, Stage};
use sordino_model::{ClientHierarchy, ClientModel, Label, ModelHash, ServerModel};

pub(crate) const CLUSTERS: usize = 3;
pub(crate) const TRACKS: usize = 4;

/// Secret keys and their evaluation keys, made once.
pub(crate) static KEYS: LazyLock<[(Arc<SecretKey>, EvaluationKey); 2]> = LazyLock::new(|| {
    [(), ()].map(|()| {
        let secret = SecretKey::generate(&INSECURE_N512);
        let evaluation = EvaluationKey::generate(&secret, |_| {});
        (Arc::new(secret), evaluation)
    })
});

fn spec() -> FeatureSpec {
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

/// The head that takes `count` features from `first` on.
fn head(name: &str, width: usize, first: usize, count: usize) -> Head {
    let pick = Array2::from_shape_fn((count, width), |(out, feature)| f32::from(u8::from(feature == first + out)));
    let layers = vec![Layer::Affine { weight: pick, bias: Array1::zeros(count) }, Layer::UnitNorm];
    Head::new(name, width, layers, Quantiser::for_unit_vectors(count, 6, 31.0).unwrap()).unwrap()
}

/// `groups` times `rows` rows, each of ones at the axes that `axes` gives for its group and place.
fn stage(head: &Head, groups: usize, rows: usize, bias: i32, axes: impl Fn(usize, usize) -> Vec<usize>) -> Stage {
    let bound = head.quantiser().bound;
    let mut weights = vec![0i8; groups * rows * bound.width];
    for (i, row) in weights.chunks_exact_mut(bound.width).enumerate() {
        axes(i / rows, i % rows).into_iter().for_each(|axis| row[axis] = 31);
    }
    Stage::new(rows, bound, weights, vec![bias; groups * rows], vec![rows; groups]).unwrap()
}

/// Track `cluster * TRACKS + track` has features at `cluster` and at `CLUSTERS + track`.
pub(crate) fn model(name: &str) -> (Arc<ClientModel>, ServerModel) {
    let width = Front::features_width(&spec(), true, None);
    let heads = vec![head("clusters", width, 0, CLUSTERS), head("tracks", width, 0, CLUSTERS + TRACKS)];
    let known = -31 * 31;
    let clusters = stage(&heads[0], 1, CLUSTERS, 0, |_, cluster| vec![cluster]);
    let tracks = stage(&heads[1], CLUSTERS, TRACKS, known, |cluster, track| vec![cluster, CLUSTERS + track]);
    let all = stage(&heads[1], 1, CLUSTERS * TRACKS, known, |_, row| vec![row / TRACKS, CLUSTERS + row % TRACKS]);
    let (hierarchy, flat) = (Hierarchy::new(vec![clusters, tracks]).unwrap(), Hierarchy::new(vec![all]).unwrap());
    let slots: Vec<u32> = (0..(CLUSTERS * TRACKS) as u32).collect();
    let outline = ClientHierarchy::new(hierarchy.shape().clone(), vec![0, 1], slots.clone()).unwrap();
    let outline = outline.with_routers(hierarchy.stages()[..1].to_vec()).unwrap();
    let flat_outline = ClientHierarchy::new(flat.shape().clone(), vec![1], slots.clone()).unwrap();
    let label = |track_id| Label {
        track_id,
        artist: String::new(),
        title: format!("track {track_id}"),
        album: String::new(),
        licence: String::new(),
    };
    let front = Front::new(spec(), true, None, heads).unwrap();
    let server = ServerModel::new(name, ModelHash::of_spec(&spec()), hierarchy, Some(flat)).unwrap();
    let labels = slots.into_iter().map(label).collect();
    let client = ClientModel::new(name, front, outline, Some(flat_outline), labels, server.hash()).unwrap();
    (Arc::new(client), server)
}

/// Base features of a track, or of nothing that is in the library.
pub(crate) fn features(client: &ClientModel, track: Option<usize>) -> Vec<f32> {
    let mut features = vec![0.0; client.front().width()];
    match track {
        Some(track) => {
            features[track / TRACKS] = 1.0;
            features[CLUSTERS + track % TRACKS] = 1.0;
        }
        None => {
            features[0] = 1.0;
            features[CLUSTERS..CLUSTERS + TRACKS].fill(-1.0);
        }
    }
    features
}
