//! What noise and impulse banks share: loading a folder, and splitting so that no recording is on both sides.

use std::path::{Path, PathBuf};

use rayon::prelude::*;

use crate::{AudioError, DecodeLimits, decode_file};

/// A clip of a bank.
#[derive(Clone, Debug, PartialEq)]
pub struct BankClip {
    /// Path relative to the bank's folder, or the name of a synthetic clip.
    pub name: String,
    /// Samples at the bank's rate.
    pub samples: Vec<f32>,
}

/// A file of a bank's folder that was left out.
#[derive(Debug)]
pub struct RejectedFile {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub error: AudioError,
}

/// Decodes every file under a folder, in the order of their paths.
///
/// # Errors
/// [`AudioError::Missing`] or [`AudioError::Unreadable`] where the folder cannot be listed. A file that cannot be used is
/// returned, not an error.
pub(crate) fn load_folder(
    folder: &Path,
    rate: u32,
    limits: &DecodeLimits,
) -> Result<(Vec<BankClip>, Vec<RejectedFile>), AudioError> {
    let paths: Vec<PathBuf> = list(folder)?.into_iter().map(|(path, _)| path).collect();
    let decoded: Vec<_> = paths.par_iter().map(|path| decode_file(path, rate, limits)).collect();
    let (mut clips, mut rejected) = (Vec::new(), Vec::new());
    for (path, decoded) in paths.into_iter().zip(decoded) {
        match decoded {
            Ok(samples) => {
                clips.push(BankClip { name: name(&path, folder), samples: samples.data });
            }
            Err(error) => rejected.push(RejectedFile { path, error }),
        }
    }
    Ok((clips, rejected))
}

/// Names of all files under a bank's folder and their lengths in bytes, in order, without decoding any: what tells one bank from another.
///
/// # Errors
/// [`AudioError::Missing`] or [`AudioError::Unreadable`] where the folder cannot be listed.
pub fn bank_files(folder: &Path) -> Result<Vec<(String, u64)>, AudioError> {
    Ok(list(folder)?.into_iter().map(|(path, bytes)| (name(&path, folder), bytes)).collect())
}

/// All files under a folder and their lengths, in the order of their paths.
fn list(folder: &Path) -> Result<Vec<(PathBuf, u64)>, AudioError> {
    fn walk(folder: &Path, out: &mut Vec<(PathBuf, u64)>) -> std::io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            // Links are not followed: they could lead in circles.
            let kind = entry.file_type()?;
            if kind.is_dir() {
                walk(&entry.path(), out)?;
            } else if kind.is_file() {
                out.push((entry.path(), entry.metadata()?.len()));
            }
        }
        Ok(())
    }
    let mut files = Vec::new();
    walk(folder, &mut files).map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => AudioError::Missing,
        _ => AudioError::Unreadable(e),
    })?;
    files.sort();
    Ok(files)
}

/// A file's name within its bank.
fn name(path: &Path, folder: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).to_string_lossy().replace('\\', "/")
}

/// Splits clips into training and test parts by a seeded hash of the recording's name: takes of one recording stay
/// together, and with two recordings or more and a fraction within 0..1 neither part is empty.
pub(crate) fn split(clips: Vec<BankClip>, test_fraction: f32, seed: u64) -> (Vec<BankClip>, Vec<BankClip>) {
    let mut recordings: Vec<(u64, String)> =
        clips.iter().map(|c| recording(&c.name)).map(|r| (hash(seed, r), r.to_owned())).collect();
    recordings.sort();
    recordings.dedup();
    let count = recordings.len();
    let mut tests = (test_fraction.clamp(0.0, 1.0) * count as f32).round() as usize;
    if count >= 2 && test_fraction > 0.0 && test_fraction < 1.0 {
        tests = tests.clamp(1, count - 1);
    }
    let tests = &recordings[..tests];
    clips.into_iter().partition(|c| {
        let name = recording(&c.name);
        tests.binary_search_by(|(h, n)| (*h, n.as_str()).cmp(&(hash(seed, name), name))).is_err()
    })
}

/// The recording that a file was cut from: its name without extension and without what tells takes apart, a letter
/// (`1-100032-A.wav`) or, as ESC-50 writes it, a letter and a class (`1-100032-A-0.wav`).
fn recording(name: &str) -> &str {
    let stem = match name.rfind('.') {
        Some(dot) if !name[dot..].contains('/') => &name[..dot],
        _ => name,
    };
    let without_take = |stem: &str| match stem.as_bytes() {
        [.., b'-' | b'_', take] if take.is_ascii_alphabetic() => Some(stem.len() - 2),
        _ => None,
    };
    let class =
        stem.rfind('-').filter(|&dash| dash + 1 < stem.len() && stem[dash + 1..].bytes().all(|b| b.is_ascii_digit()));
    match without_take(stem).or_else(|| without_take(&stem[..class?])) {
        Some(end) => &stem[..end],
        None => stem,
    }
}

/// FNV-1a, then the finaliser of SplitMix64: stable between versions, unlike the standard library's hasher.
fn hash(seed: u64, name: &str) -> u64 {
    let fnv = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
    let mut z = (fnv ^ seed).wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_of_one_recording_stay_together() {
        let clips: Vec<_> = (0..20)
            .flat_map(|r| ["A", "B", "C"].map(|take| format!("dogs/{r}-{take}.ogg")))
            .map(|name| BankClip { name, samples: Vec::new() })
            .collect();
        let (train, test) = split(clips.clone(), 0.3, 7);
        assert_eq!((train.len(), test.len()), (42, 18));
        for clip in &test {
            assert!(train.iter().all(|t| recording(&t.name) != recording(&clip.name)));
        }
        assert_eq!(split(clips.clone(), 0.3, 7).1, test);
        assert_ne!(split(clips, 0.3, 8).1, test);
    }

    #[test]
    fn two_recordings_give_one_each_side() {
        let clips: Vec<_> = ["a.wav", "b.wav"].map(|name| BankClip { name: name.into(), samples: Vec::new() }).into();
        for fraction in [0.01, 0.5, 0.99] {
            let (train, test) = split(clips.clone(), fraction, 1);
            assert_eq!((train.len(), test.len()), (1, 1));
        }
        assert_eq!(split(clips, 0.0, 1).1.len(), 0);
    }

    #[test]
    fn recordings_are_named_without_extension_and_take() {
        assert_eq!(recording("a.b/1-100032-A.mp3"), "a.b/1-100032");
        assert_eq!(recording("a.b/hall"), "a.b/hall");
        assert_eq!(recording("1-100032-B-0.wav"), "1-100032");
        assert_eq!(recording("noise-12.wav"), "noise-12");
        assert_eq!(recording("hall-.wav"), "hall-");
        assert_eq!(recording("babble-003"), "babble-003");
    }
}
