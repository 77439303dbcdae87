//! `sordino keygen`: makes the client's keys.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use sordino_fhe::{SecretKey, params};

use crate::keys;
use crate::report::{self, say};

/// Make a client's secret key, which never leaves the client, and the evaluation key that goes to a server.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino keygen --out runs/client.key --evaluation runs/client.eval\n  \
    sordino keygen --key runs/client.key --evaluation runs/another.eval\n  \
    sordino keygen --out runs/client.key --evaluation runs/client.eval --samples")]
pub(crate) struct Keygen {
    /// File for a new secret key; readable by its owner only.
    #[arg(long, value_name = "FILE", required_unless_present = "key")]
    out: Option<PathBuf>,
    /// Take this secret key instead of making one, and make an evaluation key of it.
    #[arg(long, value_name = "FILE", conflicts_with = "out", requires = "evaluation")]
    key: Option<PathBuf>,
    /// File for an evaluation key, which decided, picked-decided and raw need. It is for the server and tells it nothing of the secret key.
    #[arg(long, value_name = "FILE")]
    evaluation: Option<PathBuf>,
    /// Make the evaluation key one for raw as well, in which the server hears encrypted samples: it is twice as large.
    #[arg(long, requires = "evaluation")]
    samples: bool,
    /// Replace existing files (queries made with an old secret key can no longer be read). They stay until the new ones are whole.
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Outcome {
    key: PathBuf,
    parameters: String,
    evaluation: Option<PathBuf>,
    /// The public name of the evaluation key: its SHA-256.
    evaluation_name: Option<String>,
}

impl Keygen {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let folders: Vec<PathBuf> =
            self.out.iter().chain(&self.evaluation).map(|file| self.place(file)).collect::<Result<_, _>>()?;
        if let [key, evaluation] = &folders[..] {
            anyhow::ensure!(key != evaluation, "--out and --evaluation both name {}; name two files", key.display());
        }
        let key = match &self.key {
            Some(path) => SecretKey::load(path)?,
            None => SecretKey::generate(&params::STANDARD),
        };
        // Both are written whole beside their places before either takes its name.
        let secret = self.out.as_deref().map(|file| key.stage(file)).transpose()?;
        let made = self.evaluation.as_deref().map(|file| {
            let evaluation = keys::evaluation_key(&key, self.samples);
            evaluation.stage(file).map(|staged| (staged, evaluation.id().hex()))
        });
        let (evaluation, evaluation_name) = made.transpose()?.unzip();
        secret.into_iter().chain(evaluation).try_for_each(|staged| staged.keep(self.force))?;
        let outcome = Outcome {
            parameters: key.parameters().name.into(),
            key: self.out.or(self.key).unwrap_or_default(),
            evaluation: self.evaluation,
            evaluation_name,
        };
        report::print(json, &outcome, |o| {
            say!("{} ({})", o.key.display(), o.parameters);
            let name = o.evaluation_name.as_deref().unwrap_or_default();
            o.evaluation.iter().for_each(|file| say!("{} (evaluation key {name}, for the server)", file.display()));
        })
    }

    /// Where a file will be, with links resolved: its folder is made, and nothing is there, or may be replaced.
    fn place(&self, file: &Path) -> anyhow::Result<PathBuf> {
        let name = file.file_name().with_context(|| format!("{} names no file", file.display()))?;
        match std::fs::symlink_metadata(file) {
            Err(_) => {}
            Ok(found) if found.is_dir() => anyhow::bail!("{} is a folder; name a file", file.display()),
            Ok(_) if self.force => {}
            Ok(_) => anyhow::bail!("{} exists; name another file, or replace it with --force", file.display()),
        }
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let made = std::fs::create_dir_all(folder).and_then(|()| folder.canonicalize());
        Ok(made.with_context(|| format!("{}: the folder cannot be made", folder.display()))?.join(name))
    }
}
