//! [`Model`]: the client's half of a model.

use std::sync::Arc;

use sordino_audio::resample;
use sordino_front::FeatureSpec;
use sordino_model::ClientModel;
use wasm_bindgen::prelude::*;

use crate::sentence;

/// The public half of a model: how sound becomes features, and what the tracks are called.
#[wasm_bindgen]
pub struct Model {
    pub(crate) half: Arc<ClientModel>,
}

#[wasm_bindgen]
impl Model {
    /// Reads the half as the server sends it: one archive.
    ///
    /// # Errors
    /// For anything but an undamaged client half.
    #[wasm_bindgen(js_name = fromBytes)]
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, JsError> {
        let half = ClientModel::from_bytes(bytes).map_err(|error| sentence(&error))?;
        Ok(Self { half: Arc::new(half) })
    }

    /// Its name.
    #[wasm_bindgen(getter)]
    pub fn name(&self) -> String {
        self.half.name().into()
    }

    /// The hash of the server's half that it belongs to.
    #[wasm_bindgen(getter)]
    pub fn server(&self) -> String {
        self.half.server_hash().to_string()
    }

    /// Tracks that it can name.
    #[wasm_bindgen(getter)]
    pub fn tracks(&self) -> usize {
        self.half.labels().len()
    }

    /// Seconds of sound that a query takes.
    ///
    /// # Errors
    /// For a model that does not take sound.
    #[wasm_bindgen(getter)]
    pub fn seconds(&self) -> Result<f32, JsError> {
        Ok(self.spec()?.query_seconds)
    }

    /// Base features of the middle of a clip, given as samples of one channel at `rate` Hz. The rate is changed by the code that the
    /// program uses: browsers resample too, each in its own way, and features would differ with them.
    ///
    /// # Errors
    /// For a clip that is too short, silent, or no sound; for a model that does not take sound.
    pub fn features(&self, samples: &[f32], rate: u32) -> Result<Vec<f32>, JsError> {
        let samples = resample(samples, rate, self.spec()?.sample_rate).map_err(|error| sentence(&error))?;
        self.half.front().features(&samples).map_err(|error| sentence(&error))
    }
}

impl Model {
    fn spec(&self) -> Result<&FeatureSpec, JsError> {
        self.half.front().spec().map_err(|error| sentence(&error))
    }
}
