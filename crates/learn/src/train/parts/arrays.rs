//! [`Arrays`] and [`Found`]: named arrays in and out of the files of parts, as safetensors.

use ndarray::{Array1, Array2};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use crate::math::sums::Sums;

/// Named arrays to be written.
#[derive(Default)]
pub(super) struct Arrays(Vec<(String, Dtype, Vec<usize>, Vec<u8>)>);

impl Arrays {
    pub(super) fn put(&mut self, name: &str, array: &Array2<f32>) {
        let bytes = array.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.0.push((name.into(), Dtype::F32, array.shape().to_vec(), bytes));
    }

    pub(super) fn put_row(&mut self, name: &str, row: &Array1<f32>) {
        self.put(name, &row.clone().insert_axis(ndarray::Axis(0)));
    }

    pub(super) fn put_integers(&mut self, name: &str, values: &[u32]) {
        let bytes = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.0.push((name.into(), Dtype::U32, vec![values.len()], bytes));
    }

    pub(super) fn put_sums(&mut self, name: &str, sums: &Sums) {
        let halves = sums.halves();
        let bytes = halves.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.0.push((name.into(), Dtype::I64, vec![halves.len()], bytes));
    }

    pub(super) fn bytes(&self) -> Option<Vec<u8>> {
        let views: Option<Vec<(&str, TensorView<'_>)>> = self
            .0
            .iter()
            .map(|(name, dtype, shape, bytes)| {
                Some((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes).ok()?))
            })
            .collect();
        safetensors::serialize(views?, None).ok()
    }
}

/// Named arrays that were read.
pub(super) struct Found<'a>(pub(super) SafeTensors<'a>);

impl Found<'_> {
    fn of(&self, name: &str, dtype: Dtype) -> Option<TensorView<'_>> {
        self.0.tensor(name).ok().filter(|view| view.dtype() == dtype)
    }

    pub(super) fn array(&self, name: &str) -> Option<Array2<f32>> {
        let view = self.of(name, Dtype::F32)?;
        let &[rows, width] = view.shape() else { return None };
        let (numbers, _) = view.data().as_chunks();
        let values = numbers.iter().map(|&number| f32::from_le_bytes(number)).collect();
        Array2::from_shape_vec((rows, width), values).ok()
    }

    pub(super) fn row(&self, name: &str) -> Option<Array1<f32>> {
        let array = self.array(name)?;
        (array.nrows() == 1).then(|| array.row(0).to_owned())
    }

    pub(super) fn integers(&self, name: &str) -> Option<Vec<u32>> {
        let (numbers, _) = self.of(name, Dtype::U32)?.data().as_chunks();
        Some(numbers.iter().map(|&number| u32::from_le_bytes(number)).collect())
    }

    pub(super) fn sums(&self, name: &str) -> Option<Sums> {
        let (numbers, _) = self.of(name, Dtype::I64)?.data().as_chunks();
        Sums::of_halves(&numbers.iter().map(|&number| i64::from_le_bytes(number)).collect::<Vec<_>>())
    }
}
