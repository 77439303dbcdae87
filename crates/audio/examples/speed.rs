//! Decoding and front-end speed in multiples of real time on one core, over every file of a folder:
//! `cargo run --release -p sordino-audio --example speed -- FOLDER`.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sordino_audio::{DecodeLimits, FeatureSpec, MelFrontEnd, decode_file, log_mel};

fn files(folder: PathBuf, out: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { files(path, out)? } else { out.push(path) }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).ok_or("usage: speed FOLDER")?;
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
    Ok(())
}
