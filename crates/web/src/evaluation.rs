//! [`Evaluation`]: the evaluation key of a browser's secret key.

use std::cell::RefCell;
use std::io::{self, Write};

use js_sys::{Function, Uint8Array};
use sordino_fhe::EvaluationKey;
use wasm_bindgen::prelude::*;

use crate::{Key, sentence};

thread_local! {
    /// Who is told how far the key is. A closure that held it could not be shared between threads, of which there is one.
    static PROGRESS: RefCell<Option<Function>> = const { RefCell::new(None) };
}

/// What the server needs once, to decide. It tells the server nothing.
#[wasm_bindgen]
pub struct Evaluation {
    key: EvaluationKey,
}

#[wasm_bindgen]
impl Evaluation {
    /// Makes the key. `progress` is called with the fraction done.
    pub fn generate(key: &Key, progress: Function) -> Self {
        PROGRESS.set(Some(progress));
        let key = EvaluationKey::generate(&key.secret, |fraction| {
            PROGRESS.with_borrow(|progress| {
                // A page that fails to show the progress still gets its key.
                let _ = progress.as_ref().map(|progress| progress.call1(&JsValue::NULL, &fraction.into()));
            });
        });
        PROGRESS.set(None);
        Self { key }
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
