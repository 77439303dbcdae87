//! The two losses of the embedding.

use burn::tensor::Tensor;
use ndarray::Array2;

use crate::run::tensor::{NEVER, marginal_cross_entropy, tensor};

/// NT-Xent over unit vectors `[2 n, width]`, where rows `2 i` and `2 i + 1` are clips of one passage.
pub(crate) fn nt_xent(z: Tensor<2>, temperature: f32) -> Tensor<1> {
    let [rows, _] = z.dims();
    let device = z.device();
    let cosines = z.clone().matmul(z.transpose()).div_scalar(temperature);
    let itself = Array2::from_shape_fn((rows, rows), |(i, j)| if i == j { NEVER } else { 0.0 });
    let partner = Array2::from_shape_fn((rows, rows), |(i, j)| if i ^ 1 == j { 0.0 } else { NEVER });
    marginal_cross_entropy(cosines + tensor(itself.view(), &device), tensor(partner.view(), &device))
}

/// Softmax over the passages from logits `[batch, passages]`.
pub(crate) fn passage_softmax(logits: Tensor<2>, passages: &[usize]) -> Tensor<1> {
    let [rows, count] = logits.dims();
    let allowed = Array2::from_shape_fn((rows, count), |(i, j)| if passages[i] == j { 0.0 } else { NEVER });
    let device = logits.device();
    marginal_cross_entropy(logits, tensor(allowed.view(), &device))
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::run::tensor::numbers;

    #[test]
    fn nt_xent_has_its_textbook_value() {
        // Four clips on the axes of the plane: each agrees with its partner (cosine 1) and is orthogonal to the others, so
        // the loss is -ln(e^2 / (e^2 + 2)) at temperature 1/2.
        let z = Tensor::<2>::from_floats([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], &Device::flex());
        let loss = numbers(nt_xent(z, 0.5)).unwrap()[0];
        let expected = ((2f32.exp() + 2.0) / 2f32.exp()).ln();
        assert!((loss - expected).abs() < 1e-5, "{loss} against {expected}");
    }

    #[test]
    fn passage_softmax_is_cross_entropy() {
        let logits = Tensor::<2>::from_floats([[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]], &Device::flex());
        let loss = numbers(passage_softmax(logits, &[2, 0])).unwrap()[0];
        let expected = ((-2f32).exp() + (-1f32).exp() + 1.0).ln() / 2.0 + 3f32.ln() / 2.0;
        assert!((loss - expected).abs() < 1e-5, "{loss} against {expected}");
    }
}
