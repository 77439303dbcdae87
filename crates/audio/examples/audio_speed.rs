//! Decoding and front-end speed in multiples of real time on one core over every file of a folder, and augmentation's:
//! `cargo run --release -p sordino-audio --example audio_speed -- FOLDER`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sordino_audio::{
    AugmentSpec, DecodeLimits, ImpulseBank, Level, MelAugment, NoiseBank, NoiseKind, Span, WaveAugment, decode_file,
    item_rng,
};
use sordino_front::{FeatureSpec, MelFrontEnd, log_mel};

fn files(folder: PathBuf, out: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files(path, out)? } else { out.push(path) }
    }
    Ok(())
}

#[cfg_attr(test, expect(dead_code, reason = "the test calls `measure`"))]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: audio_speed FOLDER")?;
    measure(Path::new(&folder), 200)
}

/// Times every file of a folder once, and augmentation over so many queries a level.
pub(crate) fn measure(folder: &Path, queries: u32) -> Result<(), Box<dyn std::error::Error>> {
    let mut paths = Vec::new();
    files(folder.into(), &mut paths)?;
    paths.sort();
    let spec = FeatureSpec::default();
    let front_end = MelFrontEnd::new(&spec)?;
    let mut scratch = front_end.scratch();
    let limits = DecodeLimits::default();
    let (mut seconds, mut accepted) = (0.0, 0);
    let [mut decode, mut mel, mut pool] = [Duration::ZERO; 3];
    for path in &paths {
        let start = Instant::now();
        let samples = match decode_file(path, spec.sample_rate, &limits) {
            Ok(samples) => samples,
            Err(e) => {
                println!("rejected {}: {e}", path.display());
                continue;
            }
        };
        decode += start.elapsed();
        let start = Instant::now();
        let power = front_end.mel_power_with(&samples.data, &mut scratch);
        mel += start.elapsed();
        let start = Instant::now();
        std::hint::black_box(spec.statistics.of(log_mel(power.0.view(), spec.log_floor).view()));
        pool += start.elapsed();
        seconds += samples.seconds();
        accepted += 1;
    }
    let times = |d: Duration| seconds / d.as_secs_f32().max(f32::MIN_POSITIVE);
    println!("{accepted} of {} files, {seconds:.0} s of sound", paths.len());
    println!("decode and resample {:.0} x real time on one core", times(decode));
    println!("mel power           {:.0} x", times(mel));
    println!("log and statistics  {:.0} x", times(pool));
    println!("all                 {:.0} x", times(decode + mel + pool));
    augmentation(&spec, &front_end, queries)
}

/// Time of one augmented query in both domains, per level.
fn augmentation(spec: &FeatureSpec, front_end: &MelFrontEnd, queries: u32) -> Result<(), Box<dyn std::error::Error>> {
    let noise = NoiseBank::synthetic(1, 24, 10.0, spec.sample_rate);
    let impulses = ImpulseBank::synthetic(2, 24, Span(0.2, 1.5), spec.sample_rate);
    let track = NoiseKind::Babble.synthesise(3.0 * spec.query_seconds, spec.sample_rate, &mut item_rng(3, 0));
    let power = front_end.mel_power(&track);
    for level in [Level::Small, Level::Medium, Level::Large] {
        let augment = AugmentSpec::level(level);
        let on_mel = MelAugment::new(&augment, front_end, &noise, &impulses)?;
        let on_samples = WaveAugment::new(&augment, spec, &noise, &impulses)?;
        let mut rng = item_rng(4, 0);
        let start = Instant::now();
        for _ in 0..queries {
            std::hint::black_box(on_mel.apply(power.0.view(), spec.query_frames(), &mut rng)?);
        }
        let mel = start.elapsed() / queries;
        let start = Instant::now();
        for _ in 0..queries {
            std::hint::black_box(on_samples.apply(&track, spec.query_samples(), &mut rng)?);
        }
        println!("{level:?}: a query augmented in {mel:?} on mel power, {:?} on samples", start.elapsed() / queries);
    }
    Ok(())
}
