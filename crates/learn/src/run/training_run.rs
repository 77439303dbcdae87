//! [`TrainingRun`]: the loop that every phase of training shares, with its checkpoints and its progress.

use std::ops::ControlFlow;

use burn::module::Module;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Tensor};

use crate::LearnError;
use crate::run::checkpoint::Checkpoints;
use crate::run::descent::Descent;
use crate::run::progress::{Metric, Progress, Report};
use crate::run::tensor;

/// What one step descends, and what it reports beside.
pub(crate) struct Objective {
    /// The loss, shape `[1]`.
    pub(crate) loss: Tensor<1>,
    /// A figure to show.
    pub(crate) metric: Option<Metric>,
}

/// What the phases of one training run share.
pub(crate) struct TrainingRun<'a> {
    /// Where tensors live.
    pub(crate) device: Device,
    /// What all random numbers follow from.
    pub(crate) seed: u64,
    /// Where to leave checkpoints.
    pub(crate) checkpoints: Checkpoints,
    /// Whom to tell.
    pub(crate) progress: &'a dyn Progress,
}

impl TrainingRun<'_> {
    /// Tells how far a phase has come, and stops where the listener says so.
    pub(crate) fn report(&self, report: &Report<'_>) -> Result<(), LearnError> {
        match self.progress.report(report) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(LearnError::Interrupted { phase: report.phase.into(), step: report.step }),
        }
    }

    /// Tells that a phase of one step has ended.
    pub(crate) fn end_of(&self, phase: &str) -> Result<(), LearnError> {
        self.report(&Report { phase, step: 1, steps: 1, loss: None, metric: None })
    }

    /// Trains `module` for `steps` steps by descending the objective that `forward` computes for each. Starts from the
    /// checkpoint of an interrupted run where there is one; the result is the same.
    pub(crate) fn train<M: Module>(
        &self,
        phase: &str,
        descent: Descent,
        steps: usize,
        mut module: M,
        mut forward: impl FnMut(&M, usize) -> Result<Objective, LearnError>,
    ) -> Result<M, LearnError> {
        const REPORT_EVERY: usize = 20;
        let mut optimiser = AdamWConfig::new().with_epsilon(1e-8).with_weight_decay(descent.weight_decay).init();
        let mut start = 0;
        if let Some(snapshot) = self.checkpoints.load(phase)? {
            (module, optimiser, start) = snapshot.restore(module, optimiser)?;
        }
        for step in start..steps {
            let Objective { loss, metric } = forward(&module, step)?;
            let last = step + 1 == steps;
            if step % REPORT_EVERY == 0 || last {
                let loss = tensor::numbers(loss.clone().detach())?[0];
                if !loss.is_finite() {
                    return Err(LearnError::Diverged { what: "the loss", steps: step });
                }
                self.report(&Report { phase, step: step + 1, steps, loss: Some(loss), metric })?;
            }
            let gradients = GradientsParams::from_grads(loss.backward(), &module);
            module = optimiser.step(descent.rate(step, steps), module, gradients);
            if self.checkpoints.due(step + 1) || last {
                self.checkpoints.save(phase, step + 1, &module, &optimiser)?;
            }
        }
        Ok(module)
    }
}
