//! [`Network`]: a learned embedding of a log-mel spectrogram, run in the clear on the client.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, Array3, ArrayView2, Axis, Slice, concatenate};
use serde::{Deserialize, Serialize};

use crate::FrontError;
use crate::error::{finite, same};
use crate::layer::{self, Activation, Layer};

/// Longest reach of one convolution in frames; a file that claims more is refused before anything is allocated.
const MAX_REACH: usize = 4_096;
/// Added to the variance before the root in [`Pool::MeanStd`], so that its gradient stays finite in training.
pub const POOL_EPSILON: f32 = 1e-5;

/// Convolution along time: `y[t, o] = b[o] + sum_{i, j} W[o, i, j] x[t stride + j dilation - padding, i]`, with `x` zero
/// outside its frames (the cross-correlation that PyTorch and Burn call `Conv1d`).
#[derive(Clone, Debug, PartialEq)]
pub struct Conv1d {
    /// Shape `[out, in, taps]`.
    pub weight: Array3<f32>,
    /// Shape `[out]`.
    pub bias: Array1<f32>,
    /// Frames between outputs, at least 1.
    pub stride: usize,
    /// Frames between taps, at least 1.
    pub dilation: usize,
    /// Zero frames added at either end, at most `dilation (taps - 1)`.
    pub padding: usize,
}

impl Conv1d {
    fn reach(&self) -> Option<usize> {
        self.weight.dim().2.checked_sub(1)?.checked_mul(self.dilation)
    }

    fn check(&self, part: &str, width: usize) -> Result<usize, FrontError> {
        let (out, into, _) = self.weight.dim();
        same(part, "input channels", into, width)?;
        same(part, "bias width", self.bias.len(), out)?;
        if out == 0 {
            return Err(FrontError::setting(part, "output channels", 0, "at least 1"));
        }
        if self.stride == 0 || self.stride > MAX_REACH {
            return Err(FrontError::setting(part, "stride", self.stride, "1 to 4,096 frames"));
        }
        let Some(reach) = self.reach().filter(|&r| self.dilation > 0 && r < MAX_REACH) else {
            return Err(FrontError::setting(
                part,
                "dilation",
                self.dilation,
                "at least 1, with all taps within 4,096 frames",
            ));
        };
        if self.padding > reach {
            return Err(FrontError::setting(part, "padding", self.padding, "at most dilation (taps - 1)"));
        }
        finite(part, self.weight.iter().chain(&self.bias))?;
        Ok(out)
    }

    /// Frames that come out of `frames` frames.
    fn frames(&self, frames: usize) -> usize {
        let span = self.reach().unwrap_or(0) + 1;
        let padded = frames + 2 * self.padding;
        if padded < span { 0 } else { (padded - span) / self.stride + 1 }
    }

    fn apply(&self, x: ArrayView2<'_, f32>) -> Array2<f32> {
        let (frames, channels) = x.dim();
        let mut padded = Array2::zeros((frames + 2 * self.padding, channels));
        padded.slice_axis_mut(Axis(0), Slice::from(self.padding..self.padding + frames)).assign(&x);
        let out = self.frames(frames);
        let mut y = Array2::zeros((out, self.bias.len()));
        y += &self.bias;
        for (j, tap) in self.weight.axis_iter(Axis(2)).enumerate() {
            let first = j * self.dilation;
            let last = first + (out.saturating_sub(1)) * self.stride;
            let seen = padded.slice_axis(Axis(0), Slice::from(first..=last).step_by(self.stride as isize));
            general_mat_mul(1.0, &seen, &tap.t(), 1.0, &mut y);
        }
        y
    }
}

/// A step on a spectrogram-like matrix `[frames, channels]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Convolution along time.
    Conv1d(Conv1d),
    /// Elementwise function.
    Activation(Activation),
    /// Per channel: `y[t, c] = (x[t, c] - mean[c]) inv_std[c]`.
    Standardise {
        /// Shape `[channels]`.
        mean: Array1<f32>,
        /// Shape `[channels]`.
        inv_std: Array1<f32>,
    },
    /// `y = x + f(x)`, where `f` keeps the shape.
    Residual(Vec<Step>),
}

impl Step {
    fn check(&self, part: &str, width: usize) -> Result<usize, FrontError> {
        match self {
            Self::Conv1d(conv) => conv.check(part, width),
            Self::Activation(_) => Ok(width),
            Self::Standardise { mean, inv_std } => {
                same(part, "mean width", mean.len(), width)?;
                same(part, "inv_std width", inv_std.len(), width)?;
                finite(part, mean.iter().chain(inv_std))?;
                Ok(width)
            }
            Self::Residual(steps) => {
                same(part, "output channels of the residual", check_steps(part, steps, width)?, width)?;
                if !steps.iter().all(Step::keeps_frames) {
                    let expected = "stride 1 and 2 padding = dilation (taps - 1)";
                    return Err(FrontError::setting(
                        part,
                        "residual",
                        "a convolution that changes the length",
                        expected,
                    ));
                }
                Ok(width)
            }
        }
    }

    fn keeps_frames(&self) -> bool {
        match self {
            Self::Conv1d(conv) => conv.stride == 1 && Some(2 * conv.padding) == conv.reach(),
            Self::Residual(steps) => steps.iter().all(Self::keeps_frames),
            Self::Activation(_) | Self::Standardise { .. } => true,
        }
    }

    fn frames(&self, frames: usize) -> usize {
        match self {
            Self::Conv1d(conv) => conv.frames(frames),
            _ => frames,
        }
    }

    fn apply(&self, mut x: Array2<f32>) -> Array2<f32> {
        match self {
            Self::Conv1d(conv) => conv.apply(x.view()),
            Self::Activation(f) => {
                x.mapv_inplace(|v| f.apply(v));
                x
            }
            Self::Standardise { mean, inv_std } => {
                x -= mean;
                x *= inv_std;
                x
            }
            Self::Residual(steps) => {
                let y = apply_steps(steps, x.clone());
                x + y
            }
        }
    }
}

fn check_steps(part: &str, steps: &[Step], width: usize) -> Result<usize, FrontError> {
    let mut steps = steps.iter().enumerate();
    steps.try_fold(width, |width, (i, step)| step.check(&format!("{part}.steps.{i}"), width))
}

fn apply_steps(steps: &[Step], x: Array2<f32>) -> Array2<f32> {
    steps.iter().fold(x, |x, step| step.apply(x))
}

/// How the frames become one vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pool {
    /// Mean over frames, `[channels]`.
    Mean,
    /// Maximum over frames, `[channels]`.
    Max,
    /// Means, then `sqrt(variance + POOL_EPSILON)` with the population variance, `[2 channels]`.
    MeanStd,
    /// Means, then maxima, `[2 channels]`.
    MeanMax,
}

impl Pool {
    fn width(self, channels: usize) -> usize {
        match self {
            Self::Mean | Self::Max => channels,
            Self::MeanStd | Self::MeanMax => 2 * channels,
        }
    }

    /// `[frames, channels]` with at least one frame to `[1, width]`.
    fn apply(self, x: &Array2<f32>) -> Array2<f32> {
        let mean = || x.sum_axis(Axis(0)) / x.nrows() as f32;
        let max = || x.map_axis(Axis(0), |column| column.fold(f32::NEG_INFINITY, |m, &v| m.max(v)));
        let (first, second) = match self {
            Self::Mean => (mean(), None),
            Self::Max => (max(), None),
            Self::MeanMax => (mean(), Some(max())),
            Self::MeanStd => {
                let mean = mean();
                let variance = (x - &mean).mapv_into(|v| v * v).sum_axis(Axis(0)) / x.nrows() as f32;
                (mean, Some(variance.mapv_into(|v| (v + POOL_EPSILON).sqrt())))
            }
        };
        let (first, second) = (first.insert_axis(Axis(0)), second.map(|v| v.insert_axis(Axis(0))));
        match second {
            None => first,
            Some(second) => concatenate![Axis(1), first, second],
        }
    }
}

/// Steps over frames, pooling, then layers on the pooled vector.
#[derive(Clone, Debug, PartialEq)]
pub struct Network {
    bands: usize,
    steps: Vec<Step>,
    pool: Pool,
    layers: Vec<Layer>,
    width: usize,
    min_frames: usize,
}

impl Network {
    /// A network on log-mel spectrograms of `bands` bands.
    ///
    /// # Errors
    /// [`FrontError`] where the parts do not fit, or a weight is not finite.
    pub fn new(bands: usize, steps: Vec<Step>, pool: Pool, layers: Vec<Layer>) -> Result<Self, FrontError> {
        let channels = check_steps("network", &steps, bands)?;
        let width = layer::check_all("network", &layers, pool.width(channels))?;
        // Frames out grow with frames in, so the least that leaves a frame can be searched for. One more frame in front
        // of a step never needs more than `stride` more frames, and the reach of every step is bounded.
        let out = |frames: usize| steps.iter().fold(frames, |n, step| step.frames(n));
        let enough = (0..32).map(|power| 1usize << power).find(|&n| out(n) > 0);
        let Some(enough) = enough else {
            return Err(FrontError::setting("network", "reach", "over 2^31 frames", "a reach within a clip"));
        };
        let min_frames = {
            let (mut low, mut high) = (0, enough);
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                if out(middle) > 0 { high = middle } else { low = middle }
            }
            high
        };
        Ok(Self { bands, steps, pool, layers, width, min_frames })
    }

    /// Mel bands that go in.
    pub fn bands(&self) -> usize {
        self.bands
    }

    /// Numbers that come out.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Fewest frames that leave something to pool.
    pub fn min_frames(&self) -> usize {
        self.min_frames
    }

    /// Steps over frames.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The pooling.
    pub fn pool(&self) -> Pool {
        self.pool
    }

    /// Layers on the pooled vector.
    pub fn layers(&self) -> &[Layer] {
        &self.layers
    }

    /// The embedding, shape `[width]`, of one log-mel spectrogram of shape `[frames, bands]`.
    ///
    /// # Errors
    /// [`FrontError::Shape`] for other bands or too few frames.
    pub fn embed(&self, log_mel: ArrayView2<'_, f32>) -> Result<Vec<f32>, FrontError> {
        let (frames, bands) = log_mel.dim();
        same("spectrogram", "bands", bands, self.bands)?;
        if frames < self.min_frames {
            return Err(FrontError::shape("spectrogram", "frames", frames, self.min_frames));
        }
        let pooled = self.pool.apply(&apply_steps(&self.steps, log_mel.to_owned()));
        Ok(layer::apply_all(&self.layers, pooled.view()).into_iter().collect())
    }
}
