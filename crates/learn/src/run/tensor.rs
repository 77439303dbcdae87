//! Between `ndarray` and Burn.

use burn::tensor::{Device, Int, Tensor, TensorData};
use ndarray::{Array1, Array2, Array3, ArrayView, Dimension};

use crate::LearnError;

/// The numbers of an array in row-major order, with its shape.
pub(crate) fn data<D: Dimension>(array: ArrayView<f32, D>) -> TensorData {
    let shape = array.shape().to_vec();
    TensorData::new(array.iter().copied().collect::<Vec<f32>>(), shape)
}

/// `array` as a tensor of the same shape.
pub(crate) fn tensor<const N: usize, D: Dimension>(array: ArrayView<f32, D>, device: &Device) -> Tensor<N> {
    Tensor::from_data(data(array), device)
}

/// Indices as a tensor.
pub(crate) fn indices(values: impl IntoIterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i64> = values.into_iter().map(|v| v as i64).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), device)
}

/// The numbers of a tensor in row-major order.
pub(crate) fn numbers<const N: usize>(tensor: Tensor<N>) -> Result<Vec<f32>, LearnError> {
    tensor.try_into_vec_as::<f32>().map_err(|error| LearnError::Device { reason: error.to_string() })
}

/// A tensor of rank 1 as an array.
pub(crate) fn array1(tensor: Tensor<1>) -> Result<Array1<f32>, LearnError> {
    Ok(Array1::from_vec(numbers(tensor)?))
}

/// A tensor of rank 2 as an array.
pub(crate) fn array2(tensor: Tensor<2>) -> Result<Array2<f32>, LearnError> {
    let dims = tensor.dims();
    Array2::from_shape_vec(dims, numbers(tensor)?).map_err(|error| LearnError::Device { reason: error.to_string() })
}

/// A tensor of rank 3 as an array.
pub(crate) fn array3(tensor: Tensor<3>) -> Result<Array3<f32>, LearnError> {
    let dims = tensor.dims();
    Array3::from_shape_vec(dims, numbers(tensor)?).map_err(|error| LearnError::Device { reason: error.to_string() })
}

/// Scales vectors along the last axis to unit length. Shape kept.
pub(crate) fn unit_length<const N: usize>(x: Tensor<N>) -> Tensor<N> {
    let norm = x.clone().square().sum_dim(N - 1).add_scalar(1e-12).sqrt();
    x / norm
}

/// `ln sum exp` along the last axis: `[batch, classes]` to `[batch]`.
pub(crate) fn log_sum_exp(x: Tensor<2>) -> Tensor<1> {
    let top = x.clone().detach().max_dim(1);
    ((x - top.clone()).exp().sum_dim(1).log() + top).squeeze_dim(1)
}

/// Mean over the batch of `-ln` of the probability that a softmax over `logits` puts on any allowed class. Both
/// `[batch, classes]`; `allowed` holds 0 for an allowed class and a large negative number for any other.
pub(crate) fn marginal_cross_entropy(logits: Tensor<2>, allowed: Tensor<2>) -> Tensor<1> {
    (log_sum_exp(logits.clone()) - log_sum_exp(logits + allowed)).mean()
}

/// What stands for the logarithm of zero in masks: far below any logit, far above the end of `f32`.
pub(crate) const NEVER: f32 = -1e4;
