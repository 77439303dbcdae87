//! `sordino keygen`: makes the client's secret key.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use sordino_fhe::{SecretKey, params};

use crate::report;

/// Make a client's secret key. It never leaves the client.
#[derive(Args)]
#[command(after_help = "Example:\n  sordino keygen --out runs/client.key")]
pub(crate) struct Keygen {
    /// File to write; readable by its owner only.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace an existing key (queries made with the old one can no longer be read).
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Outcome {
    key: PathBuf,
    parameters: String,
}

impl Keygen {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        if self.out.exists() {
            anyhow::ensure!(self.force, "{} exists; name another file, or replace it with --force", self.out.display());
            std::fs::remove_file(&self.out)?;
        }
        if let Some(folder) = self.out.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let key = SecretKey::generate(&params::STANDARD);
        key.save(&self.out)?;
        let outcome = Outcome { key: self.out, parameters: key.parameters().name.into() };
        report::print(json, &outcome, |o| println!("{} ({})", o.key.display(), o.parameters))
    }
}
