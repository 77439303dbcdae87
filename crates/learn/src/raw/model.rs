//! [`RawModel`]: what hearing encrypted samples comes to.

use sordino_model::raw::RawInput;
use sordino_model::stage::{Hierarchy, Stage};
use sordino_model::{ClientHierarchy, ClientModel, Lead, ServerModel};

use crate::LearnError;
use crate::unknown::threshold::Cut;

/// A part of a model that hears encrypted samples.
#[derive(Clone, Debug)]
pub struct RawModel {
    pub(crate) input: RawInput,
    pub(crate) stage: Stage,
    /// The label of every row.
    pub(crate) slots: Vec<u32>,
    /// Where its passage begins, in milliseconds; nothing where tracks have one row.
    pub(crate) starts: Option<Vec<u32>>,
    pub(crate) lead: Lead,
    /// The unknown test, in 65,536ths of the mean length along a direction.
    pub test: Cut,
}

impl RawModel {
    /// Both halves of a model of the same tracks, with this part added.
    ///
    /// # Errors
    /// [`LearnError`] for a model of fewer tracks, or of sound at another rate.
    pub fn join(self, client: ClientModel, server: ServerModel) -> Result<(ClientModel, ServerModel), LearnError> {
        let samples = self.input.front().spec().clone();
        let hierarchy = Hierarchy::new(vec![self.stage])?.hearing(self.input)?;
        let outline = ClientHierarchy::hearing(hierarchy.shape().clone(), samples, self.slots)?;
        let outline = match self.starts {
            Some(starts) => outline.with_starts(starts)?,
            None => outline,
        };
        let server = server.with_raw(hierarchy)?;
        let client = client.with_raw(outline.with_lead(self.lead))?.of_server(server.hash());
        Ok((client, server))
    }
}
