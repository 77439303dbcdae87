//! [`Encoder`]: the network while it is trained, and its export to plain arrays.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv1d, Conv1dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, PaddingConfig1d};
use burn::tensor::{Device, Tensor, activation};
use ndarray::{Array1, Array3, Axis};
use rand::{Rng, RngExt};
use sordino_front::{Activation, Layer, Network, POOL_EPSILON, Pool, Step};

use super::settings::{Block, EmbeddingSettings};
use crate::LearnError;
use crate::heads::trunk::{affine, he_bound, linear, random_affine};
use crate::run::tensor::{array1, array3, data, unit_length};

/// Convolutions, pooling by mean and standard deviation over time, an affine map, unit length.
#[derive(Module, Debug)]
pub(crate) struct Encoder {
    blocks: Vec<ConvBlock>,
    out: Linear,
}

#[derive(Module, Debug)]
struct ConvBlock {
    conv: Conv1d,
    norm: BatchNorm,
    #[module(skip)]
    residual: bool,
}

impl Encoder {
    /// Random weights from `rng` for log-mel frames of `bands` bands.
    pub(crate) fn new(bands: usize, settings: &EmbeddingSettings, rng: &mut impl Rng, device: &Device) -> Self {
        let mut channels = bands;
        let mut blocks = Vec::new();
        for block in &settings.blocks {
            blocks.push(ConvBlock::new(channels, block, rng, device));
            channels = block.channels;
        }
        Self { blocks, out: linear(&random_affine(2 * channels, settings.width, rng), device) }
    }

    /// Standardised log-mel `[batch, bands, frames]` to unit vectors `[batch, width]`.
    pub(crate) fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        let x = self.blocks.iter().fold(x, |x, block| block.forward(x));
        let (variance, mean) = x.var_mean_bias(2);
        let pooled: Tensor<3> = Tensor::cat(vec![mean, variance.add_scalar(POOL_EPSILON).sqrt()], 1);
        unit_length(self.out.forward(pooled.squeeze_dim::<2>(2)))
    }

    /// The same function in plain arrays, with every normalisation folded into the convolution before it. `mean` and
    /// `inv_std` standardise the bands of the log-mel frames.
    pub(crate) fn export(&self, mean: Array1<f32>, inv_std: Array1<f32>) -> Result<Network, LearnError> {
        let bands = mean.len();
        let mut steps = vec![Step::Standardise { mean, inv_std }];
        for block in &self.blocks {
            let inner = vec![Step::Conv1d(block.folded()?), Step::Activation(Activation::Relu)];
            if block.residual { steps.push(Step::Residual(inner)) } else { steps.extend(inner) }
        }
        let out = affine(&self.out)?;
        let layers = vec![Layer::Affine { weight: out.weight, bias: out.bias }, Layer::UnitNorm];
        Ok(Network::new(bands, steps, Pool::MeanStd, layers)?)
    }
}

impl ConvBlock {
    fn new(channels: usize, block: &Block, rng: &mut impl Rng, device: &Device) -> Self {
        let Block { channels: out, taps, stride, dilation } = *block;
        let padding = dilation * (taps - 1) / 2;
        let mut conv = Conv1dConfig::new(channels, out, taps)
            .with_stride(stride)
            .with_dilation(dilation)
            .with_padding(PaddingConfig1d::Explicit(padding, padding))
            .init(device);
        let bound = he_bound(channels * taps);
        let weight = Array3::from_shape_simple_fn((out, channels, taps), || rng.random_range(-bound..=bound));
        conv.weight = Param::from_data(data(weight.view()), device);
        conv.bias = Some(Param::from_data(data(Array1::zeros(out).view()), device));
        Self { conv, norm: BatchNormConfig::new(out).init(device), residual: out == channels && stride == 1 }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let y = activation::relu(self.norm.forward(self.conv.forward(x.clone())));
        if self.residual { x + y } else { y }
    }

    /// `gamma (W x + b - mean) / deviation + beta` as one convolution.
    fn folded(&self) -> Result<sordino_front::Conv1d, LearnError> {
        let variance = array1(self.norm.running_var.value_sync())?;
        let epsilon = self.norm.epsilon as f32;
        let gain = array1(self.norm.gamma.val())? / variance.mapv(|v| (v + epsilon).sqrt());
        let mut weight = array3(self.conv.weight.val())?;
        for (mut filter, &gain) in weight.axis_iter_mut(Axis(0)).zip(&gain) {
            filter *= gain;
        }
        let bias = match &self.conv.bias {
            Some(bias) => array1(bias.val())?,
            None => Array1::zeros(gain.len()),
        };
        let bias = (bias - array1(self.norm.running_mean.value_sync())?) * &gain + array1(self.norm.beta.val())?;
        let (stride, dilation) = (self.conv.stride, self.conv.dilation);
        let padding = dilation * (self.conv.kernel_size - 1) / 2;
        Ok(sordino_front::Conv1d { weight, bias, stride, dilation, padding })
    }
}

#[cfg(test)]
mod tests {
    use ndarray::Array3;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::run::tensor::{array2, tensor};

    #[test]
    fn the_exported_network_is_the_same_function() {
        let device = Device::flex();
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let block = |channels, taps, stride, dilation| Block { channels, taps, stride, dilation };
        let blocks = vec![block(12, 5, 2, 1), block(16, 3, 1, 1), block(16, 3, 1, 2)];
        let settings = EmbeddingSettings { blocks, width: 10, ..EmbeddingSettings::default() };
        let encoder = Encoder::new(8, &settings, &mut rng, &device.clone().autodiff());
        let x = Array3::from_shape_fn((6, 8, 50), |_| rng.random::<f32>() * 4.0 - 1.0);
        // A few passes in training mode move the running statistics away from their start.
        for _ in 0..5 {
            encoder.forward(tensor(x.view(), &device.clone().autodiff()));
        }
        let mean = Array1::from_shape_fn(8, |i| i as f32 / 8.0);
        let inv_std = Array1::from_shape_fn(8, |i| 1.0 + i as f32 / 4.0);
        let network = encoder.export(mean.clone(), inv_std.clone()).unwrap();

        let raw = |clip: usize| x.index_axis(Axis(0), clip).t().to_owned() / &inv_std + &mean;
        let burn = array2(encoder.valid().forward(tensor(x.view(), &device))).unwrap();
        for clip in 0..6 {
            let exported = network.embed(raw(clip).view()).unwrap();
            for (a, b) in exported.iter().zip(burn.row(clip)) {
                assert!((a - b).abs() < 1e-4, "{a} against {b}");
            }
        }
    }
}
