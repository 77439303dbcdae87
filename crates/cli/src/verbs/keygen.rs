//! `sordino keygen`: makes the client's secret key.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use sordino_fhe::{SecretKey, params};

use crate::report;
use crate::verbs::identify;

/// Make a client's secret key. It never leaves the client.
#[derive(Args)]
#[command(after_help = "Example:\n  sordino keygen --out runs/client.key --evaluation runs/client.eval")]
pub(crate) struct Keygen {
    /// File to write; readable by its owner only.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Also write the evaluation key for decided to this file. It is for the server and tells it nothing of the secret key.
    #[arg(long, value_name = "FILE")]
    evaluation: Option<PathBuf>,
    /// Replace an existing key (queries made with the old one can no longer be read).
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Outcome {
    key: PathBuf,
    parameters: String,
    evaluation: Option<PathBuf>,
}

impl Keygen {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        for file in std::iter::once(&self.out).chain(&self.evaluation) {
            if file.exists() {
                anyhow::ensure!(self.force, "{} exists; name another file, or replace it with --force", file.display());
                std::fs::remove_file(file)?;
            }
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)?;
            }
        }
        let key = SecretKey::generate(&params::STANDARD);
        key.save(&self.out)?;
        if let Some(file) = &self.evaluation {
            identify::evaluation_key(&key).save(file)?;
        }
        let outcome = Outcome { key: self.out, parameters: key.parameters().name.into(), evaluation: self.evaluation };
        report::print(json, &outcome, |o| {
            println!("{} ({})", o.key.display(), o.parameters);
            o.evaluation.iter().for_each(|file| println!("{} (evaluation key, for the server)", file.display()));
        })
    }
}
