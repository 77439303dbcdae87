//! [`Trunk`]: the public network in front of a routing stage, from standardised base features to a unit vector.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{Device, Tensor, TensorData, activation};
use ndarray::Array1;
use rand::{Rng, RngExt};

use crate::LearnError;
use crate::math::affine::Affine;
use crate::run::tensor::{array1, array2, unit_length};

/// Affine maps with ReLU between them, then unit length. `[batch, features]` to `[batch, bottleneck]`.
#[derive(Module, Debug)]
pub(crate) struct Trunk {
    maps: Vec<Linear>,
}

impl Trunk {
    /// `widths` from features to bottleneck. Weights are uniform with variance `2 / in` (He et al., 2015) from `rng`.
    pub(crate) fn new(widths: &[usize], rng: &mut impl Rng, device: &Device) -> Self {
        Self { maps: widths.windows(2).map(|w| random_linear(w[0], w[1], rng, device)).collect() }
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

/// A linear layer with uniform weights of variance `2 / fan_in` and no bias yet.
pub(crate) fn random_linear(fan_in: usize, fan_out: usize, rng: &mut impl Rng, device: &Device) -> Linear {
    let weight = TensorData::new(kaiming(fan_in, fan_in * fan_out, rng), [fan_in, fan_out]);
    let bias = TensorData::new(vec![0.0f32; fan_out], [fan_out]);
    Linear { weight: Param::from_data(weight, device), bias: Some(Param::from_data(bias, device)) }
}

/// `count` uniform numbers of variance `2 / fan_in`.
pub(crate) fn kaiming(fan_in: usize, count: usize, rng: &mut impl Rng) -> Vec<f32> {
    let bound = (6.0 / fan_in.max(1) as f32).sqrt();
    (0..count).map(|_| rng.random_range(-bound..=bound)).collect()
}
