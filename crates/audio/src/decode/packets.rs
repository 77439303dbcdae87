//! [`encoded_sound`]: the sound of a file as it was encoded, without the container and the tags around it.

use std::io::{BufReader, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use symphonia::core::errors::Error as SymphoniaError;
use symphonia::core::formats::{FormatReader, TrackType};

use super::{DecodeLimits, is_the_machines, probe, source, view};
use crate::AudioError;

/// Gives every packet of a file's first track of sound to `visit`, in order, and returns how many bytes they were. Nothing is
/// decoded. Another tag, another cover or another name of the file changes no packet; another encoding does.
///
/// A file that is cut off or damaged gives the packets before the damage.
///
/// # Errors
/// As [`super::decode_file`] where the container cannot be opened, and [`AudioError::NotAudio`] where it holds no packet.
pub fn encoded_sound(path: &Path, mut visit: impl FnMut(&[u8])) -> Result<u64, AudioError> {
    let mut reader = BufReader::new(source::open(path)?);
    let length = reader.seek(SeekFrom::End(0)).map_err(AudioError::Unreadable)?;
    if length == 0 {
        return Err(AudioError::Empty);
    }
    let mut read = || {
        let (view, _) = view(&mut reader, length)?;
        packets(probe(&mut reader, &view, &DecodeLimits::default())?, &mut visit)
    };
    // As where sound is decoded: a bug in a reader must cost one file.
    match catch_unwind(AssertUnwindSafe(&mut read)) {
        Ok(Ok(0)) | Err(_) => Err(AudioError::NotAudio),
        Ok(read) => read,
    }
}

fn packets(mut format: Box<dyn FormatReader + '_>, visit: &mut impl FnMut(&[u8])) -> Result<u64, AudioError> {
    let sound = |format: &dyn FormatReader| {
        format.default_track(TrackType::Audio).or_else(|| format.first_track(TrackType::Audio)).map(|track| track.id)
    };
    let mut track = sound(format.as_ref());
    let mut bytes = 0;
    loop {
        match format.next_packet() {
            Ok(Some(packet)) if Some(packet.track_id) == track => {
                visit(&packet.data);
                bytes += packet.data.len() as u64;
            }
            Ok(Some(_)) => {}
            Ok(None) => return Ok(bytes),
            // A chained stream: the next link has its own list of tracks.
            Err(SymphoniaError::ResetRequired) => track = sound(format.as_ref()),
            Err(SymphoniaError::IoError(error)) if is_the_machines(&error) => {
                return Err(AudioError::Unreadable(error));
            }
            Err(_) => return Ok(bytes),
        }
    }
}
