//! [`HeldOut`]: questions whose answers are known, beside the halves.

use std::path::Path;

use ndarray::{Array1, Array2};

use super::error::FileError;
use super::tensors::{Reader, Writer};
use super::{HELD_OUT, read_file, standing};

/// Most bytes of the file: some hundreds of clips of thousands of numbers.
const MOST: u64 = 1 << 28;

/// Clips of the library, as disturbed as in training, that training has not seen, and whose they are: what one can expect of a plan is
/// measured on them. They are the operator's and in neither half.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeldOut {
    /// Base features, shape `[clips, width]`.
    pub features: Array2<f32>,
    /// The id of each clip's track.
    pub ids: Vec<u32>,
}

impl HeldOut {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The same with the ids of tracks, where the ids were places in a list of them.
    #[must_use]
    pub fn with_ids(self, id: impl Fn(usize) -> u32) -> Self {
        Self { ids: self.ids.into_iter().map(|place| id(place as usize)).collect(), ..self }
    }

    pub(crate) fn bytes(&self) -> Result<Vec<u8>, FileError> {
        let mut out = Writer::default();
        out.put("features".into(), &self.features);
        out.put("ids".into(), &Array1::from(self.ids.clone()));
        Ok(out.finish()?)
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let mut tensors = Reader::new(bytes)?;
        let (features, ids): (Array2<f32>, Array1<u32>) = (tensors.take("features")?, tensors.take("ids")?);
        tensors.finish()?;
        if features.nrows() != ids.len() {
            let (found, expected) = (format!("{} of them", ids.len()), format!("one for each of {}", features.nrows()));
            return Err(FileError::Tensor { name: "ids".into(), found, expected });
        }
        Ok(Self { features, ids: ids.to_vec() })
    }
}

/// What was held out from training the model in `dir`; nothing where the model does not say.
///
/// # Errors
/// [`FileError`] for a file that is there and cannot be read.
pub fn load_held_out(dir: &Path) -> Result<HeldOut, FileError> {
    let path = standing(dir).join(HELD_OUT);
    if !path.exists() {
        return Ok(HeldOut::default());
    }
    let bytes = read_file(&path, MOST).map_err(FileError::io("read", &path))?;
    HeldOut::from_bytes(&bytes).map_err(|_| FileError::HeldOut)
}
