//! What a query will take, counted by [`Cost`] before anyone pays for it.

use std::time::Duration;

use sordino_model::circuit::StageId;
use sordino_model::cost::{Cost, CostReport, Schedule, Timings};
use sordino_model::layout::{IndexLayout, StageLayout};
use sordino_model::stage::HierarchyShape;

use super::plan::{Plan, SELECTOR};
use crate::FheError;

impl Plan {
    /// What one query of a model of this shape takes, and in what order.
    ///
    /// # Errors
    /// [`FheError::Plan`] or [`FheError::Packing`] for a shape that the plan does not fit.
    pub fn schedule(&self, shape: &HierarchyShape) -> Result<Schedule, FheError> {
        let layout = self.layout(shape)?;
        let first = self.first(shape);
        let stages = self.stages().iter().zip(layout.stages()).zip(&shape.stages()[first..]).enumerate();
        // A whole coefficient is sent of every row of a selector.
        let asked = IndexLayout { base_log: SELECTOR.base_log, levels: SELECTOR.levels, body_bits: 64 };
        let index = Some(asked).filter(|_| layout.groups_asked() > 0);
        let layouts: Vec<(StageId, StageLayout)> = stages
            .map(|(s, ((stage, arranged), shape))| {
                let packing = arranged.packing();
                (StageId(first + s), StageLayout { packing, body_bits: stage.body_bits, index, used: shape.used() })
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
