//! `sordino serve`: answers encrypted queries over HTTP.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use sordino_corpus::Part;
use sordino_fhe::decision::Share;
use sordino_model::cost::WeightForm;
use sordino_model::{Decider, Protocol};
use sordino_serve::{Budget, BudgetRule, Options, WorkerOptions};

use crate::calibration::Calibration;
use crate::report::{self, note, say};
use crate::verbs::store::StoreArg;
use crate::wish::WishArgs;

/// Answer encrypted queries over HTTP, and hand out a page that asks them from a browser. The API is described at /v1/openapi.json.
///
/// A model folder that changes is swapped in while queries run. SIGTERM finishes what was begun. The log is JSON on standard error;
/// SORDINO_LOG=warn makes it quieter.
#[derive(Args)]
#[command(after_help = "Examples:\n  sordino serve models/mine\n  \
    sordino serve models/mine models/composed --listen 0.0.0.0:443 --certificate chain.pem --certificate-key key.pem --only-tokens\n  \
    sordino serve models/mine --store s3://bucket/sordino --metrics 127.0.0.1:9464 --budget 500/day\n\n\
    Spread over two workers:\n  \
    sordino serve models/mine --share 1/2 --listen 10.0.0.7:7664\n  \
    sordino serve models/mine --share 2/2 --listen 10.0.0.8:7664\n  \
    sordino serve models/mine --worker http://10.0.0.7:7664 --worker http://10.0.0.8:7664")]
pub(crate) struct Serve {
    /// Model folders; the last part of a path is the model's name.
    #[arg(required = true, value_name = "MODEL")]
    models: Vec<PathBuf>,
    /// Address to listen on. A socket that systemd hands over is taken instead. Browsers let a page use the microphone only over HTTPS or
    /// on localhost.
    #[arg(long, default_value = "127.0.0.1:7664", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Address for the operator alone: /metrics, /healthz, /readyz.
    #[arg(long, value_name = "ADDRESS")]
    metrics: Option<SocketAddr>,
    /// Certificate chain for HTTPS, PEM; read again when it changes.
    #[arg(long, value_name = "FILE", requires = "certificate_key")]
    certificate: Option<PathBuf>,
    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", requires = "certificate")]
    certificate_key: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArg,
    /// Protocols that are spoken: all unless given.
    #[arg(long, value_name = "NAME")]
    protocol: Vec<Protocol>,
    #[command(flatten)]
    wish: WishArgs,
    /// Answer only tokens that `sordino store grant` gave out.
    #[arg(long)]
    only_tokens: bool,
    /// A proxy in front tells who asks, in X-Forwarded-For.
    #[arg(long)]
    behind_proxy: bool,
    /// Queries that one client may ask in each protocol: `none`, or a number and a window such as 500/day or 20/3600 (seconds). Unless
    /// given, half of what reveals a cluster's weights, each day.
    #[arg(long, default_value = "half", value_name = "RULE")]
    budget: Rule,
    /// Requests of one protocol that may wait or run.
    #[arg(long, default_value_t = 64, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    queue: u16,
    /// Of them, those of one client.
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    queue_a_client: u16,
    /// Longest time from a query's first byte to its reply, in seconds.
    #[arg(long, default_value_t = 60, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=3_600))]
    deadline: u32,
    /// Longest time that a stopping server finishes what it has begun, in seconds.
    #[arg(long, default_value_t = 60, value_name = "S", value_parser = clap::value_parser!(u32).range(..=3_600))]
    drain: u32,
    /// Days that an evaluation key is kept after its last query.
    #[arg(long, default_value_t = 30, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3_650))]
    keep_keys: u32,
    /// Hold weights as bytes, in an eighth of the memory. Every query transforms them anew: for large libraries where the server decides.
    #[arg(long)]
    compact: bool,
    /// Memory for expanded evaluation keys in MB; one takes 244, with a part for raw 516.
    #[arg(long, default_value_t = 2_048, value_name = "MB", value_parser = clap::value_parser!(u32).range(256..))]
    key_memory: u32,
    /// Evaluation keys that are kept in all; one takes 70 MB of the store, with a part for raw 138.
    #[arg(long, default_value_t = 256, value_name = "N")]
    most_keys: u32,
    /// Be a worker: hold this share of the last stages, one of so many, for the server that is given it with --worker. A worker has no
    /// clients, keys or tokens; keep it in a network of the server's own.
    #[arg(long, value_name = "I/N", conflicts_with_all = ["worker", "certificate", "metrics", "only_tokens", "certain", "within"])]
    share: Option<Part>,
    /// Address of the worker that holds the first share of the last stages, then of the second, and so on: such as http://10.0.0.7:7664. Only
    /// protocols in which the server decides are spoken then.
    #[arg(long, value_name = "URL")]
    worker: Vec<String>,
    /// Connections at once.
    #[arg(long, default_value_t = 512, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    connections: u16,
}

/// How much one client may ask.
#[derive(Clone, Copy, Debug)]
struct Rule(BudgetRule);

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected =
            || "expected `none`, `half`, or queries in a window such as 500/day, 20/hour or 20/3600".to_owned();
        Ok(Self(match text {
            "none" => BudgetRule::None,
            "half" => BudgetRule::HalfOfRevealing,
            text => {
                let (queries, window) = text.split_once('/').ok_or_else(expected)?;
                let seconds = match window {
                    "hour" => 3_600,
                    "day" => 86_400,
                    "week" => 604_800,
                    seconds => seconds.parse().ok().filter(|&seconds| seconds > 0).ok_or_else(expected)?,
                };
                BudgetRule::Fixed(Budget { queries: queries.parse().map_err(|_| expected())?, seconds })
            }
        }))
    }
}

#[derive(Serialize)]
struct Listening {
    url: String,
}

impl Serve {
    pub(crate) fn run(self, json: bool) -> anyhow::Result<()> {
        if let Some(part) = self.share {
            return self.work(part, json);
        }
        let mut options = Options::new(self.models, self.listen, self.store.place()?);
        options.metrics = self.metrics;
        options.tls = self.certificate.zip(self.certificate_key);
        if !self.protocol.is_empty() {
            options.protocols = self.protocol;
        }
        if !self.worker.is_empty() {
            options.protocols.retain(|protocol| protocol.decider() == Decider::Server);
            anyhow::ensure!(
                !options.protocols.is_empty(),
                "--worker is given and no protocol in which the server decides, expected one such as --protocol decided"
            );
            Share::new(0, self.worker.len())?;
        }
        options.workers = self.worker;
        options.only_tokens = self.only_tokens;
        options.behind_proxy = self.behind_proxy;
        options.budget = self.budget.0;
        options.queue = self.queue.into();
        options.queue_a_client = self.queue_a_client.into();
        options.threads = rayon::current_num_threads();
        options.deadline = Duration::from_secs(self.deadline.into());
        options.drain = Duration::from_secs(self.drain.into());
        options.keep_keys = Duration::from_secs(u64::from(self.keep_keys) * 86_400);
        options.key_memory = (self.key_memory as usize) << 20;
        options.most_keys = self.most_keys as usize;
        options.connections = self.connections.into();
        options.wish = self.wish.wish();
        anyhow::ensure!(
            options.wish.is_none() || options.protocols.iter().any(|protocol| protocol.decider() == Decider::Server),
            "--certain and --within are for protocols in which the server decides, and none is served: add --protocol decided"
        );
        options.weights = if self.compact { WeightForm::Integers } else { WeightForm::Transformed };
        options.timings = Calibration::load().map(|calibration| calibration.timings);
        let (scheme, plain) = if options.tls.is_some() { ("https", false) } else { ("http", true) };
        sordino_serve::run(options, |address| {
            let outcome = Listening { url: format!("{scheme}://{address}/") };
            // Nobody to hear it is no reason not to serve.
            let _ = report::print(json, &outcome, |o| say!("listening on {}", o.url));
            if plain && !address.ip().is_loopback() {
                note!(
                    "without a certificate, tokens and sizes can be read on the way, and browsers refuse the microphone; see --certificate"
                );
            }
        })?;
        Ok(())
    }

    /// Holds a share for another server.
    fn work(self, part: Part, json: bool) -> anyhow::Result<()> {
        let options = WorkerOptions {
            models: self.models,
            listen: self.listen,
            share: Share::new(part.number(), part.of())?,
            protocols: if self.protocol.is_empty() { Protocol::ALL.into() } else { self.protocol },
            weights: if self.compact { WeightForm::Integers } else { WeightForm::Transformed },
        };
        sordino_serve::run_worker(options, |address| {
            let outcome = Listening { url: format!("http://{address}/") };
            // Nobody to hear it is no reason not to serve.
            let _ = report::print(json, &outcome, |o| say!("share {part} is at {}", o.url));
        })?;
        Ok(())
    }
}
