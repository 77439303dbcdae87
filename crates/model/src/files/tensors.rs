//! Named arrays in and out of a safetensors file.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use ndarray::{Array, Dimension};
use safetensors::tensor::{Dtype, SafeTensors, View};
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::error::FileError;
use crate::ServerError;

/// A number type of the format, little-endian as safetensors has it.
pub(crate) trait Number: Copy {
    const DTYPE: Dtype;
    fn to_bytes(values: &mut dyn Iterator<Item = Self>) -> Vec<u8>;
    fn from_bytes(bytes: &[u8]) -> Vec<Self>;
}

macro_rules! number {
    ($($type:ty => $dtype:ident),*) => {$(
        impl Number for $type {
            const DTYPE: Dtype = Dtype::$dtype;
            fn to_bytes(values: &mut dyn Iterator<Item = Self>) -> Vec<u8> {
                values.flat_map(<$type>::to_le_bytes).collect()
            }
            fn from_bytes(bytes: &[u8]) -> Vec<Self> {
                let (values, _) = bytes.as_chunks();
                values.iter().map(|&v| <$type>::from_le_bytes(v)).collect()
            }
        }
    )*};
}
number!(i8 => I8, i32 => I32, u32 => U32, f32 => F32);

struct Tensor {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl View for &Tensor {
    fn dtype(&self) -> Dtype {
        self.dtype
    }
    fn shape(&self) -> &[usize] {
        &self.shape
    }
    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }
    fn data_len(&self) -> usize {
        self.data.len()
    }
}

/// Arrays to be written.
#[derive(Default)]
pub(crate) struct Writer(Vec<(String, Tensor)>);

impl Writer {
    /// Adds an array.
    pub(crate) fn put<T: Number, D: Dimension>(&mut self, name: String, array: &Array<T, D>) {
        self.put_slice(name, array.shape().to_vec(), &mut array.iter().copied());
    }

    /// Adds `shape.product()` numbers in row-major order.
    pub(crate) fn put_slice<T: Number>(
        &mut self,
        name: String,
        shape: Vec<usize>,
        values: &mut dyn Iterator<Item = T>,
    ) {
        self.0.push((name, Tensor { dtype: T::DTYPE, shape, data: T::to_bytes(values) }));
    }

    /// The file. The same arrays always give the same bytes.
    pub(crate) fn finish(self) -> Result<Vec<u8>, ServerError> {
        self.serialised(None)
    }

    /// The same with one entry of metadata.
    pub(crate) fn finish_with(self, key: &str, value: String) -> Result<Vec<u8>, ServerError> {
        self.serialised(Some(HashMap::from([(key.into(), value)])))
    }

    fn serialised(self, metadata: Option<HashMap<String, String>>) -> Result<Vec<u8>, ServerError> {
        let views = self.0.iter().map(|(name, tensor)| (name.as_str(), tensor));
        Ok(safetensors::serialize(views, metadata)?)
    }
}

/// An entry of the metadata of a file.
pub(crate) fn metadata(bytes: &[u8], key: &str) -> Result<Option<String>, FileError> {
    let (_, metadata) = SafeTensors::read_metadata(bytes)?;
    Ok(metadata.metadata().as_ref().and_then(|entries| entries.get(key).cloned()))
}

/// Arrays of a file that was read; each must be taken once.
pub(crate) struct Reader<'a> {
    tensors: SafeTensors<'a>,
    left: BTreeSet<String>,
}

#[derive(Deserialize)]
struct Header {
    #[serde(rename = "__metadata__")]
    _metadata: Option<IgnoredAny>,
    #[serde(flatten)]
    tensors: HashMap<String, Place>,
}

#[derive(Deserialize)]
struct Place {
    data_offsets: (u64, u64),
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, FileError> {
        check_ends(bytes)?;
        let tensors = SafeTensors::deserialize(bytes)?;
        let left = tensors.names().into_iter().map(String::from).collect();
        Ok(Self { tensors, left })
    }

    /// Takes an array of as many dimensions as `D` has.
    pub(crate) fn take<T: Number, D: Dimension>(&mut self, name: &str) -> Result<Array<T, D>, FileError> {
        if !self.left.remove(name) {
            return Err(FileError::NoTensor { name: name.into() });
        }
        let view = self.tensors.tensor(name)?;
        let dims = D::NDIM.unwrap_or_default();
        let found = || format!("{:?} {:?}", view.dtype(), view.shape());
        let other = |expected| FileError::Tensor { name: name.into(), found: found(), expected };
        if view.dtype() != T::DTYPE || view.shape().len() != dims {
            return Err(other(format!("{:?} of {dims} dimensions", T::DTYPE)));
        }
        let mut shape = D::zeros(dims);
        shape.slice_mut().copy_from_slice(view.shape());
        Array::from_shape_vec(shape, T::from_bytes(view.data())).map_err(|error| other(format!("usable ({error})")))
    }

    /// Refuses arrays that nothing took.
    pub(crate) fn finish(self) -> Result<(), FileError> {
        match self.left.first() {
            Some(name) => Err(FileError::Unclaimed { found: self.left.len(), name: name.clone() }),
            None => Ok(()),
        }
    }
}

/// Refuses tensors that claim to end past the file, before their sizes are added up (the sum could overflow).
fn check_ends(bytes: &[u8]) -> Result<(), FileError> {
    let Some((length, rest)) = bytes.split_first_chunk::<8>() else { return Ok(()) };
    let header = usize::try_from(u64::from_le_bytes(*length)).ok().and_then(|n| rest.split_at_checked(n));
    // Where there is no header, safetensors says so itself.
    let Some((header, data)) = header else { return Ok(()) };
    let header: Header = serde_json::from_slice(header).map_err(FileError::json("weights.safetensors"))?;
    let expected = data.len() as u64;
    match header.tensors.into_iter().find(|(_, place)| place.data_offsets.1 > expected) {
        Some((name, place)) => Err(FileError::TensorEnd { name, found: place.data_offsets.1, expected }),
        None => Ok(()),
    }
}
