//! [`Head`]: base features to the small integers of one stage.

use ndarray::{Array2, ArrayView2, Axis};

use crate::error::same;
use crate::layer::{self, Layer};
use crate::{FrontError, Quantiser, threads};

/// Rows that run through the layers together.
const BATCH: usize = 256;

/// Layers that end in the (unit) vector of one stage, and its quantiser.
#[derive(Clone, Debug, PartialEq)]
pub struct Head {
    name: String,
    input: usize,
    layers: Vec<Layer>,
    quantiser: Quantiser,
}

impl Head {
    /// A head on base features of width `input`.
    ///
    /// # Errors
    /// [`FrontError`] where the layers do not fit each other or the quantiser, or a weight is not finite.
    pub fn new(
        name: impl Into<String>,
        input: usize,
        layers: Vec<Layer>,
        quantiser: Quantiser,
    ) -> Result<Self, FrontError> {
        let name = name.into();
        let part = format!("heads.{name}");
        quantiser.check(&part)?;
        same(&part, "output width", layer::check_all(&part, &layers, input)?, quantiser.bound.width)?;
        Ok(Self { name, input, layers, quantiser })
    }

    /// The head's name, for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Width of the base features.
    pub fn input_width(&self) -> usize {
        self.input
    }

    /// The layers.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The quantiser.
    pub fn quantiser(&self) -> Quantiser {
        self.quantiser
    }

    /// The real vectors before quantising: `[n, input]` to `[n, width]`, one matrix product per layer and block of rows.
    ///
    /// A row's result does not depend on the rows around it.
    ///
    /// # Errors
    /// [`FrontError::Shape`] for features of another width, [`FrontError::NotFinite`] for features that are no numbers.
    pub fn embed_batch(&self, features: ArrayView2<'_, f32>) -> Result<Array2<f32>, FrontError> {
        same(&format!("heads.{}", self.name), "input width", features.ncols(), self.input)?;
        // Checked here, since max(NaN, 0) = 0 would hide it.
        if features.iter().any(|v| !v.is_finite()) {
            return Err(FrontError::NotFinite { stage: "a feature" });
        }
        let mut out = Array2::zeros((features.nrows(), self.quantiser.bound.width));
        let blocks = out.axis_chunks_iter_mut(Axis(0), BATCH).zip(features.axis_chunks_iter(Axis(0), BATCH));
        threads::map(blocks.collect(), |(mut out, rows)| out.assign(&layer::apply_all(&self.layers, rows)));
        Ok(out)
    }

    /// The real vector before quantising, shape `[width]`.
    ///
    /// # Errors
    /// [`FrontError::Shape`] for features of another width, [`FrontError::NotFinite`] for features that are no numbers.
    pub fn embed(&self, features: &[f32]) -> Result<Vec<f32>, FrontError> {
        let row = ArrayView2::from_shape((1, features.len()), features);
        // A slice is always one row of its own length.
        let row = row.map_err(|_| FrontError::shape("features", "width", features.len(), self.input))?;
        Ok(self.embed_batch(row)?.into_iter().collect())
    }

    /// The integers that are encrypted, shape `[width]`; they keep `quantiser().bound`.
    ///
    /// # Errors
    /// [`FrontError`] for features of another width or not finite.
    pub fn input(&self, features: &[f32]) -> Result<Vec<i32>, FrontError> {
        self.quantiser.quantise(&self.embed(features)?)
    }

    /// [`Head::input`] of every row of `[n, input]`, as `[n, width]`.
    ///
    /// # Errors
    /// [`FrontError`] for features of another width or not finite.
    pub fn input_batch(&self, features: ArrayView2<'_, f32>) -> Result<Array2<i32>, FrontError> {
        let real = self.embed_batch(features)?;
        let mut out = Array2::zeros(real.dim());
        let rows = out.axis_iter_mut(Axis(0)).zip(real.axis_iter(Axis(0)));
        let written = threads::map(rows.collect(), |(mut out, z)| {
            let x = self.quantiser.quantise(&z.to_vec())?;
            out.iter_mut().zip(x).for_each(|(o, v)| *o = v);
            Ok(())
        });
        written.into_iter().collect::<Result<(), FrontError>>()?;
        Ok(out)
    }
}
