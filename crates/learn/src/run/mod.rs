//! One training run: where it computes, the loop of every phase, checkpoints, and who is told.

pub(crate) mod checkpoint;
pub(crate) mod device;
pub(crate) mod progress;
pub(crate) mod session;
pub(crate) mod tensor;

pub use device::DeviceChoice;
pub use progress::{Bars, Metric, Progress, Quiet, Report, Timed};
pub use session::Descent;
