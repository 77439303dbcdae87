//! What a raw query will take, counted by [`Cost`] before anyone pays for it.

use std::time::Duration;

use sordino_model::circuit::StageId;
use sordino_model::cost::{Cost, CostReport, RawLayout, Schedule, Timings};
use sordino_model::layout::StageLayout;
use sordino_model::stage::HierarchyShape;

use super::plan::Plan;
use super::samples::BODY_BITS;
use crate::FheError;

impl Plan {
    /// What one query of a part for samples of this shape takes, and in what order.
    ///
    /// # Errors
    /// [`FheError::Plan`] or [`FheError::Packing`] for a shape that the plan does not fit.
    pub fn schedule(&self, shape: &HierarchyShape) -> Result<Schedule, FheError> {
        let (layout, spec) = (self.layout(shape)?, self.spec());
        let packing = layout.stage(0).packing();
        let stages = [(StageId(0), StageLayout { packing, body_bits: 0, index: None, used: shape.last().used() })];
        let ring = self.parameters().of_samples().ring();
        let raw = RawLayout {
            cells: spec.cells,
            bands: spec.bands,
            products: self.products(),
            directions: self.directions(),
            ring,
            body_bits: BODY_BITS,
        };
        Ok(Cost::deciding(&stages, self.envelope(), &layout, 1).hearing(raw).schedule(&self.circuit())?)
    }

    /// What one query of a part for samples of this shape takes.
    ///
    /// # Errors
    /// As [`Plan::schedule`].
    pub fn cost(&self, shape: &HierarchyShape) -> Result<CostReport, FheError> {
        self.schedule(shape).map(|schedule| schedule.report)
    }

    /// How long one query will take on `threads` threads of the machine that was measured.
    ///
    /// # Errors
    /// As [`Plan::schedule`].
    pub fn predict(&self, shape: &HierarchyShape, timings: &Timings, threads: usize) -> Result<Duration, FheError> {
        self.schedule(shape).map(|schedule| schedule.predict(timings, threads))
    }
}
