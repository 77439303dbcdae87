//! The program of the tutorial in `docs/tutorial.md`; every block of Rust there is a piece of this file.
//!
//!     cargo run --release -p sordino-cli --example tutorial

use std::path::Path;
use std::sync::Arc;

use ndarray::{Array1, Array2, Axis};
use sordino_audio::{NoiseBank, mix_at_snr};
use sordino_corpus::{SoundOptions, synth};
use sordino_fhe::{ClientKey, EvaluationKey, SecretKey, params};
use sordino_front::{FeatureSpec, Front, Head, Layer, MelFrontEnd, Quantiser, VectorBound, log_mel};
use sordino_model::{
    Answer, ClientHierarchy, ClientModel, Label, ModelHash, Protocol, Resolution, ServerModel,
    stage::{Hierarchy, Stage},
};
use sordino_service::{Client, Server, Step};

/// Samples a second of everything below.
const RATE: u32 = 8_000;

/// Thirty seconds of music, and what it is called.
struct Song {
    title: String,
    samples: Vec<f32>,
}

/// Composed songs, the same ones every time.
fn compose(count: u32) -> anyhow::Result<Vec<Song>> {
    let mut songs = Vec::new();
    for track in synth::catalogue(count, 7).tracks {
        let sound = track.samples(RATE, &SoundOptions::default()).map_err(anyhow::Error::msg)?;
        songs.push(Song { title: format!("{} - {}", track.artist, track.title), samples: sound.data });
    }
    Ok(songs)
}

/// Ten seconds of a song, from `start` seconds on, with noise so many decibels below the music.
fn hear(song: &Song, start: f32, noise: &[f32], decibels: f32) -> Vec<f32> {
    let from = (start * RATE as f32) as usize;
    let mut clip = song.samples[from..][..10 * RATE as usize].to_vec();
    mix_at_snr(&mut clip, noise, decibels);
    clip
}

/// Writes a spectrogram as a grey picture: time runs to the right, pitch upwards, and loud is dark.
fn save_picture(path: &Path, picture: &Array2<f32>) -> std::io::Result<()> {
    let (frames, bands) = picture.dim();
    let mut file = format!("P5 {frames} {bands} 255\n").into_bytes();
    for band in (0..bands).rev() {
        // Zero is the clip's mean; 8 below it is white, 4 above it black, in natural logarithms of power.
        let grey = |frame: usize| 255.0 - (picture[[frame, band]] + 8.0) / 12.0 * 255.0;
        file.extend((0..frames).map(|frame| grey(frame) as u8));
    }
    std::fs::write(path, file)
}

/// What a clip sounds like, as 1,112 numbers.
fn features(mel: &MelFrontEnd, clip: &[f32]) -> Vec<f32> {
    let picture = log_mel(mel.mel_power(clip).0.view(), mel.spec().log_floor);
    mel.spec().statistics.of(picture.view())
}

/// Passages of a song: around its first second, around its eleventh, and around its twenty-first.
const PASSAGES: usize = 3;

/// Disturbed clips of every passage of every song: their features, a row each, and which passage each row is of.
fn examples(songs: &[Song], mel: &MelFrontEnd, noise: &NoiseBank) -> anyhow::Result<(Array2<f32>, Vec<usize>)> {
    let (mut numbers, mut passages) = (Vec::new(), Vec::new());
    for (i, song) in songs.iter().enumerate() {
        for passage in 0..PASSAGES {
            for (copy, noise) in noise.clips().iter().enumerate().take(16) {
                // Up to five seconds early or late, with 0 to 15 dB between music and noise.
                let start = 10.0 * passage as f32 + 0.625 * copy as f32 - 5.0;
                let decibels = (copy * 7 % 16) as f32;
                let clip = hear(song, start.clamp(0.0, 20.0), &noise.samples, decibels);
                numbers.extend(features(mel, &clip));
                passages.push(i * PASSAGES + passage);
            }
        }
    }
    Ok((Array2::from_shape_vec((passages.len(), numbers.len() / passages.len()), numbers)?, passages))
}

/// The mean of the rows of every class.
fn means(rows: &Array2<f32>, classes: &[usize]) -> Array2<f32> {
    let count = classes.iter().max().map_or(0, |&last| last + 1);
    let mut means = Array2::zeros((count, rows.ncols()));
    for (row, &class) in rows.rows().into_iter().zip(classes) {
        let members = classes.iter().filter(|&&other| other == class).count();
        means.row_mut(class).scaled_add(1.0 / members as f32, &row);
    }
    means
}

/// One over how far every feature strays from its passage's mean when clips are disturbed.
fn steadiness(numbers: &Array2<f32>, passages: &[usize]) -> Array1<f32> {
    let means = means(numbers, passages);
    let mut strays = Array1::<f32>::zeros(numbers.ncols());
    for (row, &passage) in numbers.rows().into_iter().zip(passages) {
        let stray = &row - &means.row(passage);
        strays += &(&stray * &stray);
    }
    strays.mapv(|sum| 1.0 / (sum / passages.len() as f32).sqrt().max(1e-6))
}

/// Every row scaled to length 1.
fn unit(mut rows: Array2<f32>) -> Array2<f32> {
    for mut row in rows.rows_mut() {
        let length = row.dot(&row).sqrt();
        row /= length;
    }
    rows
}

/// Clusters of passages that resemble each other, so many in each: the first passage that is left, and those most like it.
fn clusters(prototypes: &Array2<f32>, size: usize) -> Vec<Vec<usize>> {
    let mut left: Vec<usize> = (0..prototypes.nrows()).collect();
    let mut clusters = Vec::new();
    while let Some(&first) = left.first() {
        let likeness = prototypes.dot(&prototypes.row(first));
        left.sort_by(|&a, &b| likeness[b].total_cmp(&likeness[a]));
        let others = left.split_off(size.min(left.len()));
        clusters.push(std::mem::replace(&mut left, others));
    }
    clusters
}

/// Place of the largest number.
fn largest<T: PartialOrd>(numbers: &[T]) -> usize {
    (0..numbers.len()).fold(0, |best, i| if numbers[i] > numbers[best] { i } else { best })
}

/// Rows of weights, one of every passage.
type Rows = Vec<Vec<i32>>;

/// The score of every row for the integers `x` of a clip: multiply and add up.
fn scores(rows: &Rows, x: &[i32]) -> Vec<i64> {
    let score = |row: &Vec<i32>| row.iter().zip(x).map(|(&w, &v)| i64::from(w) * i64::from(v)).sum();
    rows.iter().map(score).collect()
}

/// Groups of rows as one stage, the only part of a model that runs encrypted.
fn stage(groups: &[Rows], bias: i32, input: VectorBound) -> anyhow::Result<Stage> {
    // Every group has as many slots as the largest; the small ones leave some empty.
    let slots = groups.iter().map(Vec::len).max().unwrap_or(0);
    let mut weights = vec![0; groups.len() * slots * input.width];
    for (group, rows) in groups.iter().enumerate() {
        let from = group * slots * input.width;
        weights[from..].iter_mut().zip(rows.iter().flatten()).for_each(|(weight, &w)| *weight = w as i8);
    }
    let biases = vec![bias; groups.len() * slots];
    Ok(Stage::new(slots, input, weights, biases, groups.iter().map(Vec::len).collect())?)
}

/// A model in two halves: what every listener may have, and what stays with the library. `slots` says whose the last stage's rows are.
fn halves(
    front: &Front,
    stages: Vec<Stage>,
    slots: Vec<u32>,
    songs: &[Song],
) -> anyhow::Result<(ClientModel, ServerModel)> {
    let heads = vec![0; stages.len()];
    let hierarchy = Hierarchy::new(stages)?;
    let shape = ClientHierarchy::new(hierarchy.shape().clone(), heads, slots)?;
    let label = |(song, track_id): (&Song, u32)| Label {
        track_id,
        title: song.title.clone(),
        artist: String::new(),
        album: String::new(),
        licence: synth::LICENCE.into(),
    };
    let labels = songs.iter().zip(1..).map(label).collect();
    let server = ServerModel::new("ten songs", ModelHash::of_spec(front.spec()?), hierarchy, None)?;
    let client = ClientModel::new("ten songs", front.clone(), shape, None, labels, server.hash())?;
    Ok((client, server))
}

/// Asks until there is an answer. What passes between the two is bytes.
fn ask(listener: &mut Client, server: &Server, features: &[f32]) -> anyhow::Result<Answer> {
    let mut message = listener.start(features)?;
    loop {
        let reply = server.answer(&message.bytes)?;
        match listener.receive(&reply)? {
            Step::Send(next) => message = next,
            Step::Done(answer) => return Ok(answer),
        }
    }
}

/// The title of the answer, if there is one.
fn title(answer: &Answer, songs: &[Song]) -> String {
    answer.best().map_or("unknown".into(), |best| songs[best.label].title.clone())
}

pub(crate) fn main() -> anyhow::Result<()> {
    // Ten songs.
    let mut songs = compose(20)?;
    let outside = songs.split_off(10);
    for song in &songs {
        println!("{}", song.title);
    }
    let (studio, street) = NoiseBank::synthetic(1, 32, 10.0, RATE).split(0.3, 1);
    let clip = hear(&songs[3], 12.0, &street.clips()[0].samples, 5.0);

    // A spectrogram.
    let spec = FeatureSpec::default();
    let mel = MelFrontEnd::new(&spec)?;
    let picture = log_mel(mel.mel_power(&clip).0.view(), spec.log_floor);
    println!("{} frames of {} bands", picture.nrows(), picture.ncols());
    let folder = tempfile::tempdir()?;
    save_picture(&folder.path().join("clip.pgm"), &picture)?;

    // Features.
    let (numbers, passages) = examples(&songs, &mel, &studio)?;
    let centre = numbers.mean_axis(Axis(0)).unwrap_or_default();
    let scale = steadiness(&numbers, &passages);
    let prototypes = unit(means(&unit((&numbers - &centre) * &scale), &passages));
    println!("{} passages, each a vector of {} numbers", prototypes.nrows(), prototypes.ncols());

    let heard = features(&mel, &clip);
    let vector = unit((Array2::from_shape_vec((1, heard.len()), heard.clone())? - &centre) * &scale);
    let cosines = prototypes.dot(&vector.row(0)).to_vec();
    println!("in floating point: {}", songs[largest(&cosines) / PASSAGES].title);

    // A classifier of integers.
    let quantiser = Quantiser::for_unit_vectors(prototypes.ncols(), 6, 300.0)?;
    let rounded = |vectors: &Array2<f32>| -> anyhow::Result<Rows> {
        vectors.rows().into_iter().map(|row| Ok(quantiser.quantise(&row.to_vec())?)).collect()
    };
    let rows = rounded(&prototypes)?;
    let clear = scores(&rows, &rounded(&vector)?[0]);
    println!("in integers: {}", songs[largest(&clear) / PASSAGES].title);

    // The first encrypted answer.
    let layers = vec![Layer::Standardise { mean: centre, inv_std: scale }, Layer::UnitNorm];
    let head = Head::new("passages", heard.len(), layers, quantiser)?;
    let front = Front::new(spec, true, None, vec![head])?;
    let flat = stage(std::slice::from_ref(&rows), 0, quantiser.bound)?;
    let slots = (0..rows.len()).map(|row| (row / PASSAGES) as u32).collect();
    let (client_half, server_half) = halves(&front, vec![flat], slots, &songs)?;

    let server = Server::new(&server_half, Protocol::Flat, &params::STANDARD)?;
    let key = Arc::new(SecretKey::generate(&params::STANDARD));
    let mut listener = Client::new(client_half, key.clone(), &server.hello())?;

    let message = listener.start(&heard)?;
    let reply = server.answer(&message.bytes)?;
    let Step::Done(answer) = listener.receive(&reply)? else { anyhow::bail!("flat takes one trip") };
    println!("encrypted: {}", title(&answer, &songs));
    println!("{} bytes up, {} bytes down", message.bytes.len(), reply.len());

    let clear = scores(&rows, &front.head(0)?.input(&heard)?);
    assert_eq!(answer.matches[0].score, clear.into_iter().max());

    // Unknown songs.
    let noise = &street.clips()[1].samples;
    let best = |song: &Song| -> anyhow::Result<i64> {
        let x = front.head(0)?.input(&front.features(&hear(song, 6.0, noise, 5.0))?)?;
        Ok(scores(&rows, &x).into_iter().max().unwrap_or(0))
    };
    let known = songs.iter().map(best).collect::<anyhow::Result<Vec<_>>>()?;
    let unknown = outside[..5].iter().map(best).collect::<anyhow::Result<Vec<_>>>()?;
    let (least, most) = (known.iter().min().copied().unwrap_or(0), unknown.iter().max().copied().unwrap_or(0));
    println!("songs of the library score {least} or more, others {most} or less");
    let threshold = ((least + most) / 2) as i32;

    // Two stages.
    let clusters = clusters(&prototypes, 6);
    let mut cluster_of = vec![0; rows.len()];
    clusters
        .iter()
        .enumerate()
        .for_each(|(cluster, members)| members.iter().for_each(|&row| cluster_of[row] = cluster));
    let centroids = rounded(&unit(means(&prototypes, &cluster_of)))?;
    let rows_of = |members: &Vec<usize>| members.iter().map(|&row| rows[row].clone()).collect();
    let groups: Vec<Rows> = clusters.iter().map(rows_of).collect();

    let stages = vec![stage(&[centroids], 0, quantiser.bound)?, stage(&groups, -threshold, quantiser.bound)?];
    let slots = clusters.iter().flatten().map(|&row| (row / PASSAGES) as u32).collect();
    let (client_half, server_half) = halves(&front, stages, slots, &songs)?;
    let client_half = Arc::new(client_half);

    let server = Server::new(&server_half, Protocol::Routed { probes: 2 }, &params::STANDARD)?;
    let mut listener = Client::new(client_half.clone(), key.clone(), &server.hello())?;
    println!("two stages: {}", title(&ask(&mut listener, &server, &heard)?, &songs));
    let stranger = front.features(&hear(&outside[7], 12.0, noise, 5.0))?;
    println!("a song from outside: {}", title(&ask(&mut listener, &server, &stranger)?, &songs));

    // The server decides.
    let protocol = Protocol::Decided { probes: 1, answers: 1, resolution: Resolution::Standard };
    let server = Server::new(&server_half, protocol, &params::STANDARD)?;
    let name = server.register(EvaluationKey::generate(&key, |_| ()).expand())?;
    let mut listener = Client::new(client_half, ClientKey::registered(key, name), &server.hello())?;
    println!("decided by the server: {}", title(&ask(&mut listener, &server, &heard)?, &songs));
    println!("a song from outside: {}", title(&ask(&mut listener, &server, &stranger)?, &songs));

    // What the server saw.
    let first = listener.start(&heard)?.bytes;
    let again = listener.start(&heard)?.bytes;
    let other = listener.start(&stranger)?.bytes;
    let differing = |a: &[u8], b: &[u8]| a.iter().zip(b).filter(|(a, b)| a != b).count() as f64 / a.len() as f64;
    println!("{} bytes, {} bytes, {} bytes", first.len(), again.len(), other.len());
    println!("one clip twice: {:.0} % of the bytes differ", 100.0 * differing(&first, &again));
    println!("two clips: {:.0} % of the bytes differ", 100.0 * differing(&first, &other));
    Ok(())
}
