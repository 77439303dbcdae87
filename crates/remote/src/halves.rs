//! [`Halves`]: client halves that were fetched, kept by their hash.

use std::path::PathBuf;

use sordino_model::files::{Bundle, FileError, read_file, write_file};
use sordino_model::{ClientModel, ModelHash};

use crate::{ModelOffer, RemoteError};

/// Most bytes of a client half.
pub(crate) const MOST_BYTES: u64 = 1 << 30;

/// A folder of client halves. A file's name is where to look, and nothing more: what is in it is checked whenever it is read.
pub(crate) struct Halves {
    folder: Option<PathBuf>,
}

impl Halves {
    /// Halves in a folder, which is made when the first is kept; none are kept without one.
    pub(crate) fn new(folder: Option<PathBuf>) -> Self {
        Self { folder }
    }

    fn place(&self, hash: ModelHash) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| folder.join(format!("{hash}.tar")))
    }

    /// The half of an offer, if it is here and whole. One that is damaged counts as none, and is replaced by the next that is kept.
    pub(crate) fn get(&self, offer: &ModelOffer) -> Option<ClientModel> {
        let bytes = read_file(&self.place(offer.client.hash)?, MOST_BYTES).ok()?;
        checked(&bytes, offer).ok()
    }

    /// Keeps the bytes of a half that [`checked`] let pass.
    pub(crate) fn keep(&self, bytes: &[u8], hash: ModelHash) -> Result<(), RemoteError> {
        match self.place(hash) {
            Some(place) => write_file(&place, bytes).map_err(RemoteError::file("write", &place)),
            None => Ok(()),
        }
    }
}

/// The half in some bytes, if it is the one that an offer names.
pub(crate) fn checked(bytes: &[u8], offer: &ModelOffer) -> Result<ClientModel, RemoteError> {
    let bundle = Bundle::from_bytes(bytes)?;
    let (found, expected) = (bundle.hash(), offer.client.hash);
    if found != expected {
        return Err(RemoteError::other_hash("the client half", found, expected));
    }
    // Every file against the list whose hash that was.
    let model = ClientModel::from_bundle(&bundle).map_err(|error: FileError| RemoteError::Model(error))?;
    if model.server_hash() != offer.hash {
        return Err(RemoteError::other_hash("the server half of the client half", model.server_hash(), offer.hash));
    }
    Ok(model)
}
