//! [`Networks`]: embedding networks that several systems and libraries of a run share.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::Construction;
use crate::LabError;
use crate::baseline::{NeuralSettings, SegmentEmbedder};
use crate::key::key;

/// Networks by what they were trained on: recorded tracks alone, where there are any, so that libraries of any size share one.
#[derive(Default)]
pub(crate) struct Networks(RefCell<HashMap<String, Arc<SegmentEmbedder>>>);

impl Networks {
    /// The network of these settings, trained unless it has been.
    pub(crate) fn get(
        &self,
        construction: &Construction<'_>,
        settings: &NeuralSettings,
        seed: u64,
    ) -> Result<Arc<SegmentEmbedder>, LabError> {
        let library = construction.library();
        let heard = library.catalogue.select(&library.recorded()).fingerprint();
        let name = key(&(construction.origin, heard, library.heard_seconds(), settings.training(), seed))?;
        if let Some(network) = self.0.borrow().get(&name) {
            return Ok(Arc::clone(network));
        }
        let (noise, impulses) = (&construction.training.noise, &construction.training.impulses);
        let network = SegmentEmbedder::train(&library, noise, impulses, settings, seed, construction.progress)?;
        let network = Arc::new(network);
        self.0.borrow_mut().insert(name, Arc::clone(&network));
        Ok(network)
    }
}
