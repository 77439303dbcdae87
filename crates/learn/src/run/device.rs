//! [`DeviceChoice`]: where training runs.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::LearnError;

/// Where training runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DeviceChoice {
    /// The processor, by Burn's Flex backend.
    #[default]
    Cpu,
    /// The first CUDA device; needs the crate's `cuda` feature.
    Cuda,
    /// The first device of WebGPU; needs the crate's `wgpu` feature.
    Wgpu,
}

impl DeviceChoice {
    pub(crate) fn open(self) -> Result<Device, LearnError> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            #[cfg(feature = "cuda")]
            Self::Cuda => Ok(Device::cuda(burn::tensor::DeviceIndex::Default)),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Ok(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            #[cfg(not(all(feature = "cuda", feature = "wgpu")))]
            other => {
                let expected = "cpu, or a program built with that feature".into();
                Err(LearnError::Setting { setting: "device", found: format!("{other:?}"), expected })
            }
        }
    }
}
