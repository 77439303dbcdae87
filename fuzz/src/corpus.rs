//! Valid inputs of every target, made on the spot: nothing is read from disk, and nothing goes stale.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::LazyLock;

use indicatif::ProgressBar;
use ndarray::{Array1, Array2, Array3};
use sha2::{Digest, Sha256};
use sordino_corpus::{IndexOptions, index, synth};
use sordino_front::{Activation, Conv1d, FeatureSpec, Layer, Network, Pool, Step};
use sordino_model::Bundle;
use sordino_model::files::network_to_bytes;

use crate::{SPREAD, TALKS, common};

/// Valid inputs of a target.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    let (secret, evaluation) = &common::KEYS[0];
    match target {
        "query" => TALKS.iter().filter_map(|talk| Some(talk.asking()?.1.bytes)).collect(),
        "reply" => {
            let replies = TALKS.iter().filter_map(|talk| talk.server.answer(&talk.asking()?.1.bytes).ok());
            replies.collect()
        }
        "share_request" | "share_reply" => {
            let heard = SPREAD.as_ref().and_then(|(workers, _)| Some(workers.heard.lock().ok()?.clone()));
            let (request, reply) = heard.unwrap_or_default();
            vec![if target == "share_request" { request } else { reply }]
        }
        "plan" => TALKS.iter().map(|talk| talk.server.plan().to_bytes()).collect(),
        "hello" => TALKS.iter().map(|talk| talk.hello.clone()).collect(),
        "evaluation_key" => {
            let mut out = Vec::new();
            let written = evaluation.write(&mut out);
            // The rest of a key is ciphertexts, of which any bytes are some.
            let head = out[..out.len().min(4_096)].to_vec();
            written.map(|()| vec![out, head]).unwrap_or_default()
        }
        "secret_key" => vec![secret.to_bytes()],
        "client_half" => files(&client_half()),
        "server_half" => files(&server_half()),
        "network" => network().into_iter().collect(),
        "index" => {
            let files = index_files().iter().enumerate();
            files.map(|(place, (_, whole))| [&[place as u8], &whole[..]].concat()).collect()
        }
        "run_toml" => vec![
            include_bytes!("../../experiments/scaling/run.toml").to_vec(),
            include_bytes!("../../experiments/baselines/run.toml").to_vec(),
            include_bytes!("../../experiments/unknown-songs/run.toml").to_vec(),
        ],
        "audio" => vec![
            tone(16, hound::SampleFormat::Int),
            tone(24, hound::SampleFormat::Int),
            tone(32, hound::SampleFormat::Float),
        ],
        _ => Vec::new(),
    }
}

/// A half and, after a byte that names it, each of its files.
fn files(half: &[u8]) -> Vec<Vec<u8>> {
    let parts = Bundle::from_bytes(half).map(|bundle| {
        let parts = bundle.files().enumerate();
        parts.map(|(place, (_, bytes))| [&[place as u8], bytes].concat()).collect::<Vec<_>>()
    });
    std::iter::once(half.to_vec()).chain(parts.unwrap_or_default()).collect()
}

/// The half with the file that the first byte names replaced by the others, under a checksum that fits.
pub(crate) fn with_file(half: &[u8], bytes: &[u8]) -> Option<Vec<u8>> {
    let (which, content) = bytes.split_first()?;
    let bundle = Bundle::from_bytes(half).ok()?;
    let mut files: BTreeMap<&str, &[u8]> = bundle.files().collect();
    let name = *files.keys().nth(usize::from(*which) % files.len())?;
    files.insert(name, content);
    let hex = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let listed = files.iter().filter(|(other, _)| **other != "SHA256SUMS");
    let sums: String = listed.map(|(name, bytes)| format!("{}  {name}\n", hex(bytes))).collect();
    if name != "SHA256SUMS" {
        files.insert("SHA256SUMS", sums.as_bytes());
    }
    Some(files.into_iter().collect::<Bundle<'_>>().to_bytes())
}

/// The client's half of a small model, as one byte string.
pub(crate) fn client_half() -> Vec<u8> {
    HALVES.0.clone()
}

/// The file of a small network.
fn network() -> Option<Vec<u8>> {
    let bands = 4;
    let conv = |out: usize, into: usize| Conv1d {
        weight: Array3::from_elem((out, into, 3), 0.5),
        bias: Array1::zeros(out),
        stride: 1,
        dilation: 1,
        padding: 1,
    };
    let steps = vec![
        Step::Standardise { mean: Array1::zeros(bands), inv_std: Array1::ones(bands) },
        Step::Conv1d(conv(3, bands)),
        Step::Residual(vec![Step::Conv1d(conv(3, 3)), Step::Activation(Activation::Relu)]),
    ];
    let affine = Layer::Affine { weight: Array2::ones((2, 6)), bias: Array1::zeros(2) };
    let network = Network::new(bands, steps, Pool::MeanMax, vec![affine, Layer::UnitNorm]).ok()?;
    network_to_bytes(&network).ok()
}

/// The server's half.
pub(crate) fn server_half() -> Vec<u8> {
    HALVES.1.clone()
}

static HALVES: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let (client, server) = common::model("fuzzed");
    let client = client.bundle().map(|bundle| bundle.to_bytes());
    let server = server.bundle().map(|bundle| bundle.to_bytes());
    (client.unwrap_or_default(), server.unwrap_or_default())
});

/// The files of an index of three composed tracks.
pub(crate) fn index_files() -> &'static [(String, Vec<u8>)] {
    static FILES: LazyLock<Vec<(String, Vec<u8>)>> = LazyLock::new(|| built().unwrap_or_default());
    &FILES
}

fn built() -> Option<Vec<(String, Vec<u8>)>> {
    let folder = tempfile::tempdir().ok()?;
    let dir = folder.path().join("index");
    let (catalogue, spec) = (synth::catalogue(3, 1), FeatureSpec::default());
    let options = IndexOptions::for_spec(&spec);
    index::build(&catalogue, &spec, &dir, &options, &ProgressBar::hidden()).ok()?;
    let entries = std::fs::read_dir(&dir).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<_> =
        entries.filter_map(|path| Some((path.file_name()?.to_str()?.to_owned(), std::fs::read(&path).ok()?))).collect();
    files.sort();
    Some(files)
}

/// A second of a tone as WAV.
fn tone(bits_per_sample: u16, sample_format: hound::SampleFormat) -> Vec<u8> {
    let spec = hound::WavSpec { channels: 2, sample_rate: 16_000, bits_per_sample, sample_format };
    let mut out = Cursor::new(Vec::new());
    let write = || -> Result<(), hound::Error> {
        let mut writer = hound::WavWriter::new(&mut out, spec)?;
        for i in 0..32_000 {
            let wave = (f64::from(i) * 0.1).sin() * 0.5;
            match sample_format {
                hound::SampleFormat::Int => {
                    writer.write_sample((wave * f64::from(1 << (bits_per_sample - 1))) as i32)?
                }
                hound::SampleFormat::Float => writer.write_sample(wave as f32)?,
            }
        }
        writer.finalize()
    };
    let mut write = write;
    write().map(|()| out.into_inner()).unwrap_or_default()
}
