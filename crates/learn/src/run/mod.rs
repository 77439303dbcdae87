//! One training run: where it computes, the loop of every phase, checkpoints, and who is told.

pub(crate) mod batches;
pub(crate) mod checkpoint;
pub(crate) mod descent;
pub(crate) mod device;
pub(crate) mod progress;
pub(crate) mod sealed;
pub(crate) mod tensor;
pub(crate) mod training_run;

pub use descent::Descent;
pub use device::DeviceChoice;
pub use progress::{Bars, Metric, Progress, Quiet, Report, Stopwatch};
