//! [`KeyArgs`]: the client's keys, from files, made for one run, or made once and kept for a server.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use sordino_fhe::{EvaluationKey, FheError, SecretKey, params};
use sordino_remote::{Address, places};

use crate::report::{self, note};

/// Where the client's keys are.
#[derive(Args)]
pub(crate) struct KeyArgs {
    /// The client's secret key (`sordino keygen`). Without it a fresh one is drawn; for a --server that decides, one is made once and
    /// kept.
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The client's evaluation key, where the server decides (`sordino keygen --evaluation`). Without it, it is made from the secret key;
    /// with --server it is kept beside that, its name ending in .eval.
    #[arg(long, value_name = "FILE")]
    evaluation_key: Option<PathBuf>,
}

impl KeyArgs {
    /// The secret key of one run.
    pub(crate) fn secret(&self) -> anyhow::Result<Arc<SecretKey>> {
        Ok(Arc::new(match &self.key {
            Some(path) => SecretKey::load(path)?,
            None => SecretKey::generate(&params::STANDARD),
        }))
    }

    /// The evaluation key of one run, where the server decides; with a part for samples where it hears them.
    pub(crate) fn evaluation(&self, secret: &SecretKey, samples: bool) -> anyhow::Result<EvaluationKey> {
        match &self.evaluation_key {
            Some(path) => self.load(path, secret, samples),
            None => Ok(evaluation_key(secret, samples)),
        }
    }

    /// Refuses an evaluation key that `protocol` has no use for.
    pub(crate) fn refuse_evaluation(&self, protocol: &str) -> anyhow::Result<()> {
        match &self.evaluation_key {
            Some(path) => anyhow::bail!(
                "{protocol} has no use for the evaluation key {}: leave out --evaluation-key, or add --protocol decided",
                path.display()
            ),
            None => Ok(()),
        }
    }

    /// Both keys, which are the same in every run: what a server was sent once, it need not be sent again. Without --key they belong to one
    /// server, so that no two operators can tell by the name of a key that they are asked by the same client.
    pub(crate) fn kept(&self, server: &Address, samples: bool) -> anyhow::Result<(Arc<SecretKey>, EvaluationKey)> {
        let home = || {
            let home = places::config().context("no home folder to keep a key in; give one with --key")?;
            let home = home.join("servers").join(server.file_name());
            std::fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
            anyhow::Ok(home)
        };
        let ending = if samples { "samples.eval" } else { "eval" };
        let (secret, beside) = match &self.key {
            Some(path) => (SecretKey::load(path)?, path.with_extension(ending)),
            None => {
                let home = home()?;
                (kept_secret(&home.join("secret.key"), server)?, home.join("secret").with_extension(ending))
            }
        };
        let evaluation = match &self.evaluation_key {
            Some(path) => self.load(path, &secret, samples)?,
            None if beside.try_exists()? => self.load(&beside, &secret, samples)?,
            None => {
                let made = evaluation_key(&secret, samples);
                // Another program may have been first: then its key is the one that is kept.
                match made.save(&beside) {
                    Err(error) if is_taken(&error) => self.load(&beside, &secret, samples)?,
                    saved => saved.map(|()| made)?,
                }
            }
        };
        Ok((Arc::new(secret), evaluation))
    }

    /// The evaluation key in a file, which must be that of `secret`.
    fn load(&self, path: &Path, secret: &SecretKey, samples: bool) -> anyhow::Result<EvaluationKey> {
        let loaded = EvaluationKey::load(path)?;
        anyhow::ensure!(
            loaded.hears_samples() || !samples,
            "{} has no part for encrypted samples; make another with `sordino keygen --samples`",
            path.display()
        );
        if loaded.belongs_to(secret) {
            return Ok(loaded);
        }
        let whose = match &self.key {
            Some(key) => {
                format!("of another secret key than {}; make another with `sordino keygen --key`", key.display())
            }
            None => "of a secret key that was not given; give it with --key".into(),
        };
        anyhow::bail!("{} is the evaluation key {whose}", path.display())
    }
}

/// The secret key for a server, made where there is none.
fn kept_secret(path: &Path, server: &Address) -> anyhow::Result<SecretKey> {
    if !path.try_exists()? {
        let made = SecretKey::generate(&params::STANDARD);
        match made.save(path) {
            Err(error) if is_taken(&error) => {}
            saved => {
                saved?;
                note!("made a secret key for {server}: {}", path.display());
                return Ok(made);
            }
        }
    }
    Ok(SecretKey::load(path)?)
}

/// Whether a key was not saved because another program had just saved one.
fn is_taken(error: &FheError) -> bool {
    matches!(error, FheError::Io { reason, .. } if reason.kind() == ErrorKind::AlreadyExists)
}

/// Generates the evaluation key of a secret key, with a progress bar.
pub(crate) fn evaluation_key(key: &SecretKey, samples: bool) -> EvaluationKey {
    const STEPS: f64 = 1_000.0;
    let bar = report::bar(STEPS as u64, "evaluation key");
    let progress = |fraction| bar.set_position((fraction * STEPS) as u64);
    let evaluation = match samples {
        true => EvaluationKey::generate_for_samples(key, progress),
        false => EvaluationKey::generate(key, progress),
    };
    bar.finish_and_clear();
    evaluation
}
