//! What a query will take, counted by [`Cost`] before anyone pays for it.

use std::time::Duration;

use sordino_model::circuit::StageId;
use sordino_model::cost::{Cost, CostReport, Schedule, Timings};
use sordino_model::layout::StageLayout;
use sordino_model::stage::HierarchyShape;

use super::plan::Plan;
use crate::FheError;

impl Plan {
    /// What one query of a model of this shape takes, and in what order.
    ///
    /// # Errors
    /// [`FheError::Plan`] or [`FheError::Packing`] for a shape that the plan does not fit.
    pub fn schedule(&self, shape: &HierarchyShape) -> Result<Schedule, FheError> {
        let layout = self.layout(shape)?;
        let stages = self.stages().iter().zip(layout.stages()).zip(shape.stages()).enumerate();
        let layouts: Vec<(StageId, StageLayout)> = stages
            .map(|(s, ((stage, arranged), shape))| {
                let packing = arranged.packing();
                (StageId(s), StageLayout { packing, body_bits: stage.body_bits, index: None, used: shape.used() })
            })
            .collect();
        let accumulators = 1 << self.options().resolution.extension_log2();
        let cost = Cost::deciding(&layouts, self.envelope(), &layout, accumulators);
        Ok(cost.schedule(&self.circuit(shape)?)?)
    }

    /// What one query of a model of this shape takes.
    ///
    /// # Errors
    /// As [`Plan::schedule`].
    pub fn cost(&self, shape: &HierarchyShape) -> Result<CostReport, FheError> {
        self.schedule(shape).map(|schedule| schedule.report)
    }

    /// How long one query of a model of this shape will take on `threads` threads of the machine that was measured.
    ///
    /// # Errors
    /// As [`Plan::schedule`].
    pub fn predict(&self, shape: &HierarchyShape, timings: &Timings, threads: usize) -> Result<Duration, FheError> {
        self.schedule(shape).map(|schedule| schedule.predict(timings, threads))
    }
}
