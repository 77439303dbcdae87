//! The weights of stages as tensors: of all of them in the server half, of public ones in the client half.

use ndarray::{Array2, Array3};

use super::error::FileError;
use super::tensors::{Reader, Writer};
use crate::stage::{Stage, StageShape};

/// Adds the weights and the biases of every stage, named after its place.
pub(crate) fn put_stages(writer: &mut Writer, part: &str, stages: &[Stage]) {
    for (i, stage) in stages.iter().enumerate() {
        let (groups, outputs, width) = (stage.groups(), stage.outputs(), stage.input().width);
        let (weights, bias) = (stage.weights(), stage.biases());
        writer.put_slice(format!("{part}.{i}.weights"), vec![groups, outputs, width], &mut weights.iter().copied());
        writer.put_slice(format!("{part}.{i}.bias"), vec![groups, outputs], &mut bias.iter().copied());
    }
}

/// Takes what [`put_stages`] added, of stages of these shapes.
pub(crate) fn take_stages(
    reader: &mut Reader<'_>,
    part: &str,
    shapes: Vec<StageShape>,
) -> Result<Vec<Stage>, FileError> {
    let stages = shapes.into_iter().enumerate().map(|(i, shape)| {
        let weights: Array3<i8> = reader.take(&format!("{part}.{i}.weights"))?;
        let bias: Array2<i32> = reader.take(&format!("{part}.{i}.bias"))?;
        let (groups, outputs, width) = (shape.groups(), shape.outputs(), shape.input().width);
        let other = |table: &str, found: &[usize], expected: &[usize]| {
            let (name, found) = (format!("{part}.{i}.{table}"), format!("{found:?}"));
            Err(FileError::Tensor { name, found, expected: format!("{expected:?}") })
        };
        if weights.shape() != [groups, outputs, width] {
            return other("weights", weights.shape(), &[groups, outputs, width]);
        }
        if bias.shape() != [groups, outputs] {
            return other("bias", bias.shape(), &[groups, outputs]);
        }
        let (weights, bias) = (weights.into_raw_vec_and_offset().0, bias.into_raw_vec_and_offset().0);
        Ok(Stage::new(shape.outputs(), shape.input(), weights, bias, shape.counts().to_vec())?)
    });
    stages.collect()
}
