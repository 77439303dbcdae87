//! [`Evaluation`]: the evaluation key of a browser's secret key, and [`Pieces`] of it: a browser's workers make some each.

use std::io::{self, Write};

use js_sys::{Function, Uint8Array};
use sordino_fhe::{EvaluationKey, params};
use wasm_bindgen::prelude::*;

use crate::{Key, sentence};

/// An evaluation key in the making.
#[wasm_bindgen]
#[derive(Default)]
pub struct Pieces {
    made: Vec<Vec<u8>>,
}

#[wasm_bindgen]
impl Pieces {
    /// A key of which nothing was made yet.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self { made: vec![Vec::new(); Self::count()] }
    }

    /// How many pieces a key has. The last ones take longest.
    pub fn count() -> usize {
        sordino_fhe::Pieces::count(&params::STANDARD)
    }

    /// Makes one piece of an evaluation key of `key`, from the browser's randomness.
    ///
    /// # Errors
    /// For a number that there is not.
    pub fn make(key: &Key, index: usize) -> Result<Vec<u8>, JsError> {
        let none = || JsError::new(&format!("piece {index} of a key, expected one below {}", Self::count()));
        sordino_fhe::Pieces::of(&key.secret).make(index).ok_or_else(none)
    }

    /// Takes a piece, wherever it was made.
    pub fn add(&mut self, index: usize, bytes: Vec<u8>) {
        if let Some(place) = self.made.get_mut(index) {
            *place = bytes;
        }
    }

    /// The whole key.
    ///
    /// # Errors
    /// Where pieces are missing, or are not those of a key.
    pub fn finish(self) -> Result<Evaluation, JsError> {
        let key = EvaluationKey::of_pieces(&params::STANDARD, self.made).map_err(|error| sentence(&error))?;
        Ok(Evaluation { key })
    }
}

/// What the server needs once, to decide. It tells the server nothing.
#[wasm_bindgen]
pub struct Evaluation {
    key: EvaluationKey,
}

#[wasm_bindgen]
impl Evaluation {
    /// Makes the key in one thread. `progress` is called with the fraction done.
    ///
    /// # Errors
    /// None that this version knows.
    pub fn generate(key: &Key, progress: &Function) -> Result<Self, JsError> {
        let (mut pieces, count) = (Pieces::new(), Pieces::count());
        for index in 0..count {
            pieces.add(index, Pieces::make(key, index)?);
            // A page that fails to show the progress still gets its key.
            let _ = progress.call1(&JsValue::NULL, &((index + 1) as f64 / count as f64).into());
        }
        pieces.finish()
    }

    /// The name under which the server keeps it: 64 hexadecimal digits.
    #[wasm_bindgen(getter)]
    pub fn name(&self) -> String {
        self.key.id().hex()
    }

    /// The key as bytes. They are written straight into the page's memory, since they are many.
    ///
    /// # Errors
    /// None that this version knows.
    #[wasm_bindgen(js_name = toBytes)]
    pub fn to_bytes(&self) -> Result<Uint8Array, JsError> {
        let length = EvaluationKey::wire_bytes(self.key.parameters()) as u32;
        let mut out = Page { bytes: Uint8Array::new_with_length(length), at: 0 };
        self.key.write(&mut out).map_err(|error| sentence(&error))?;
        Ok(out.bytes)
    }
}

/// An array of the page that is written from its start.
struct Page {
    bytes: Uint8Array,
    at: u32,
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let end = self.at + bytes.len() as u32;
        if end > self.bytes.length() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.bytes.subarray(self.at, end).copy_from(bytes);
        self.at = end;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
