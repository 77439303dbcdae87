//! [`Trunk`]: the public network in front of a routing stage, from standardised base features to a unit vector.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, activation};
use ndarray::{Array1, Array2};
use rand::{Rng, RngExt};

use crate::LearnError;
use crate::math::affine::Affine;
use crate::run::tensor::{array1, array2, data, unit_length};

/// Affine maps with ReLU between them, then unit length. `[batch, features]` to `[batch, bottleneck]`.
#[derive(Module, Debug)]
pub(crate) struct Trunk {
    maps: Vec<Linear>,
}

impl Trunk {
    /// A trunk of these maps, from features to bottleneck.
    pub(crate) fn new(maps: &[Affine], device: &Device) -> Self {
        Self { maps: maps.iter().map(|map| linear(map, device)).collect() }
    }

    /// `masks` multiply the hidden layers, shape `[batch, hidden]` or `[1, 1]`.
    pub(crate) fn forward(&self, x: Tensor<2>, masks: Vec<Tensor<2>>) -> Tensor<2> {
        let mut masks = masks.into_iter();
        let through = self.maps.iter().fold(x, |x, map| {
            let y = map.forward(x);
            // One mask for every hidden layer, so the last map has none.
            match masks.next() {
                Some(mask) => activation::relu(y) * mask,
                None => y,
            }
        });
        unit_length(through)
    }

    pub(crate) fn affines(&self) -> Result<Vec<Affine>, LearnError> {
        self.maps.iter().map(affine).collect()
    }
}

/// A linear layer in plain arrays.
pub(crate) fn affine(map: &Linear) -> Result<Affine, LearnError> {
    let weight = array2(map.weight.val())?.reversed_axes().as_standard_layout().into_owned();
    let bias = match &map.bias {
        Some(bias) => array1(bias.val())?,
        None => Array1::zeros(weight.nrows()),
    };
    Ok(Affine { weight, bias })
}

/// The same the other way round.
pub(crate) fn linear(map: &Affine, device: &Device) -> Linear {
    let weight = Param::from_data(data(map.weight.t()), device);
    Linear { weight, bias: Some(Param::from_data(data(map.bias.view()), device)) }
}

/// A map with uniform weights of variance `2 / fan_in` (He et al., 2015) and no bias yet.
pub(crate) fn random_affine(fan_in: usize, fan_out: usize, rng: &mut impl Rng) -> Affine {
    let bound = he_bound(fan_in);
    let weight = Array2::from_shape_simple_fn((fan_out, fan_in), || rng.random_range(-bound..=bound));
    Affine { weight, bias: Array1::zeros(fan_out) }
}

/// The largest of uniform numbers of variance `2 / fan_in`.
pub(crate) fn he_bound(fan_in: usize) -> f32 {
    (6.0 / fan_in.max(1) as f32).sqrt()
}
