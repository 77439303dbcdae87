//! `sordino completions` and `sordino man`: the program explained to a shell and to `man`.

use std::io;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Command};
use clap_complete::Shell;

use crate::report::{self, say};

/// Print completions for a shell.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  sordino completions bash > ~/.local/share/bash-completion/completions/sordino\n  \
    sordino completions zsh > ~/.zfunc/_sordino"
)]
pub(crate) struct Completions {
    /// The shell.
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self, mut program: Command) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program, "sordino", &mut script);
        say!("{}", String::from_utf8_lossy(&script).trim_end());
        report::heard()
    }
}

/// Print the manual page, or write one for every verb to a folder.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino man | man -l -\n  sordino man --out ~/.local/share/man/man1")]
pub(crate) struct Man {
    /// Folder for `sordino.1`, `sordino-index.1` and so on.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(self, program: Command) -> anyhow::Result<()> {
        match self.out {
            Some(out) => {
                std::fs::create_dir_all(&out).with_context(|| format!("cannot create {}", out.display()))?;
                clap_mangen::generate_to(program, &out).with_context(|| format!("cannot write to {}", out.display()))
            }
            None => {
                let mut page = Vec::new();
                clap_mangen::Man::new(program).render(&mut page).map_err(io::Error::other)?;
                say!("{}", String::from_utf8_lossy(&page).trim_end());
                report::heard()
            }
        }
    }
}
