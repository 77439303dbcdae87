//! `sordino store`: what the operator of a server does with its keys and tokens.

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde::Serialize;
use sordino_remote::places;

use crate::report::{self, note, say};

/// Where a server keeps keys, tokens and budgets.
#[derive(Args, Clone, Debug)]
pub(crate) struct StoreArg {
    /// Where evaluation keys, tokens and budgets are kept: a folder, or s3://bucket/folder with AWS_ENDPOINT, AWS_ACCESS_KEY_ID and so on
    /// in the environment. The user's data folder unless given.
    #[arg(long, global = true, value_name = "PLACE")]
    store: Option<String>,
}

impl StoreArg {
    /// The place.
    pub(crate) fn place(&self) -> anyhow::Result<String> {
        let usual = || {
            let folder = places::data()?.join("server");
            folder.to_str().map(str::to_owned)
        };
        self.store.clone().or_else(usual).context("no folder for keys: HOME is not set; name one with --store")
    }
}

/// List and take back what a server keeps for its clients. A running server hears of it within seconds.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  sordino store list\n  sordino store grant alice\n  sordino store withdraw alice\n  \
    sordino store revoke 3f0c…e1 --store /var/lib/sordino"
)]
pub(crate) struct Store {
    #[command(subcommand)]
    task: Task,
    #[command(flatten)]
    store: StoreArg,
}

#[derive(Subcommand)]
enum Task {
    /// List registered evaluation keys and the tokens that were given out.
    List,
    /// Forget an evaluation key, whoever owns it.
    Revoke {
        /// Its name, 64 hexadecimal digits.
        key: String,
    },
    /// Give out a token. It is shown once; only its hash is kept.
    Grant {
        /// For whom.
        name: String,
    },
    /// Take back the tokens of a name, and forget their keys.
    Withdraw {
        /// For whom they were.
        name: String,
    },
}

#[derive(Serialize)]
struct Listed {
    keys: Vec<Key>,
    tokens: Vec<Token>,
}

#[derive(Serialize)]
struct Key {
    /// Hash of the token that registered it.
    owner: String,
    #[serde(flatten)]
    record: sordino_serve::KeyRecord,
}

#[derive(Serialize)]
struct Token {
    /// Hash of the token.
    owner: String,
    #[serde(flatten)]
    record: sordino_serve::TokenRecord,
}

#[derive(Serialize)]
struct Granted {
    token: String,
}

#[derive(Serialize)]
struct Removed {
    removed: usize,
}

impl Store {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        let place = self.store.place()?;
        let store = sordino_serve::Store::open(&place)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            match self.task {
                Task::List => {
                    let keys = store.keys().await?.into_iter().map(|(owner, record)| Key { owner, record }).collect();
                    let tokens =
                        store.tokens().await?.into_iter().map(|(owner, record)| Token { owner, record }).collect();
                    report::print(json, &Listed { keys, tokens }, |listed| {
                        for Key { owner, record } in &listed.keys {
                            say!(
                                "key {} of token {}, {}",
                                record.key,
                                &owner[..owner.len().min(16)],
                                report::bytes(record.bytes)
                            );
                        }
                        for Token { owner, record } in &listed.tokens {
                            say!("token {} for {}", &owner[..owner.len().min(16)], record.name);
                        }
                        if listed.keys.is_empty() && listed.tokens.is_empty() {
                            say!("nothing is kept in {place}");
                        }
                    })
                }
                Task::Revoke { key } => {
                    let removed = store.revoke(&key).await?;
                    anyhow::ensure!(removed > 0, "no key is called {key}; `sordino store list` has the names");
                    report::print(json, &Removed { removed }, |_| say!("forgotten"))
                }
                Task::Grant { name } => {
                    let token = store.grant(&name).await?;
                    note!("kept in {place}, for a server with that --store");
                    report::print(json, &Granted { token }, |granted| say!("{}", granted.token))
                }
                Task::Withdraw { name } => {
                    let removed = store.withdraw(&name).await?;
                    anyhow::ensure!(removed > 0, "no token was given to {name}; `sordino store list` has the names");
                    report::print(json, &Removed { removed }, |removed| say!("{} taken back", removed.removed))
                }
            }
        })
    }
}
