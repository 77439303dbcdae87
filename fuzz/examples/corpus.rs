//! The corpus on disk, a folder for each target: `corpus write DIR` puts the seeds there, `corpus replay DIR` feeds every file to
//! its target. A program that is compiled to count what it runs shows by a replay what a corpus covers.

use std::error::Error;
use std::fs;
use std::path::Path;

use sordino_fuzz::{TARGETS, seeds};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [verb, dir, only @ ..] = &arguments[..] else { return Err(USAGE.into()) };
    let targets = TARGETS.iter().filter(|(name, _)| only.is_empty() || only.iter().any(|other| other == name));
    for &(name, target) in targets {
        let folder = Path::new(dir).join(name);
        let files = match verb.as_str() {
            "write" => write(name, &folder)?,
            "replay" => replay(target, &folder)?,
            _ => return Err(USAGE.into()),
        };
        println!("{name}: {files} files");
    }
    Ok(())
}

const USAGE: &str = "usage: corpus write|replay DIR [TARGET..]";

fn write(name: &str, folder: &Path) -> Result<usize, Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let seeds = seeds(name);
    for (place, seed) in seeds.iter().enumerate() {
        fs::write(folder.join(format!("seed-{place}")), seed)?;
    }
    Ok(seeds.len())
}

fn replay(target: sordino_fuzz::Target, folder: &Path) -> Result<usize, Box<dyn Error>> {
    let mut files: Vec<_> = fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    files.sort_by_key(fs::DirEntry::path);
    for file in &files {
        target(&fs::read(file.path())?);
    }
    Ok(files.len())
}
