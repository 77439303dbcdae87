//! [`Distant`]: a server at the other end of a network, and what is kept to ask it.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use sordino_fhe::{ClientKey, EvaluationKey, SecretKey};
use sordino_model::{ClientModel, Decider, Protocol};
use sordino_remote::{Address, Options, Remote, RemoteError, Session, Token, places};
use sordino_service::Exchange;

use crate::keys::KeyArgs;
use crate::protocol::ProtocolArgs;
use crate::report;

/// Where a server is.
#[derive(Args)]
#[command(next_help_heading = "A server over a network")]
pub(crate) struct ServerArgs {
    /// Ask this server, such as `https://music.example.org`, and no MODEL here. Its public half of the model is fetched once.
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// Which of its models; not needed where it has one.
    #[arg(long = "model", value_name = "NAME", requires = "server")]
    model_name: Option<String>,
    /// A file with the token that its operator gave out; SORDINO_TOKEN has it too. Without either, one is made up where an evaluation
    /// key needs it.
    #[arg(long, value_name = "FILE", requires = "server")]
    token: Option<PathBuf>,
    /// Trust the certificates in this PEM file, and no others.
    #[arg(long, value_name = "FILE", requires = "server")]
    ca: Option<PathBuf>,
    /// Allow http:// to another machine: whoever is in between sees the token and the sizes of messages.
    #[arg(long, requires = "server")]
    plain_http: bool,
}

impl ServerArgs {
    /// The address, where one was given.
    pub(crate) fn address(&self) -> anyhow::Result<Option<Address>> {
        Ok(self.server.as_deref().map(|url| Address::parse(url, self.plain_http)).transpose()?)
    }

    /// Gets ready to speak to the server.
    pub(crate) fn connect(&self, address: Address, protocol: Protocol) -> anyhow::Result<Remote> {
        let issued = std::env::var("SORDINO_TOKEN").ok().filter(|token| !token.is_empty());
        let token = match (&self.token, issued) {
            (Some(path), _) => Some(Token::load(path)?),
            (None, Some(token)) => Some(Token::new(&token).context("SORDINO_TOKEN")?),
            (None, None) if protocol.decider() == Decider::Server => {
                let home = places::config().context("no home folder to keep a token in; set SORDINO_TOKEN")?;
                Some(Token::kept(&home.join("token"), &address)?)
            }
            (None, None) => None,
        };
        let mut options = Options::default();
        (options.token, options.certificates) = (token, self.ca.clone());
        Ok(Remote::connect(address, options)?)
    }
}

/// A client of a server at the other end of a network.
pub(crate) struct Distant<'a> {
    remote: &'a Remote,
    server: &'a ServerArgs,
    protocol: ProtocolArgs,
    secret: Arc<SecretKey>,
    /// Where the server decides.
    evaluation: Option<EvaluationKey>,
    /// Share of unknown songs that may pass for known; as the model has it where there is none.
    accepted: Option<f32>,
    session: Session,
    /// Seconds that the server expects to take.
    pub(crate) predicted: Option<f64>,
}

impl<'a> Distant<'a> {
    /// Fetches what a client needs, and sends the evaluation key where the server does not have it.
    pub(crate) fn new(
        remote: &'a Remote,
        server: &'a ServerArgs,
        protocol: ProtocolArgs,
        keys: &KeyArgs,
    ) -> anyhow::Result<Self> {
        let asked = protocol.protocol()?;
        let (secret, evaluation) = match asked.decider() {
            Decider::Client => {
                keys.refuse_evaluation(asked.name())?;
                (keys.secret()?, None)
            }
            Decider::Server => {
                let (secret, evaluation) = keys.kept(remote.address(), asked == Protocol::Raw)?;
                (secret, Some(evaluation))
            }
        };
        let (session, predicted) = session(remote, server, protocol, &secret, evaluation.as_ref())?;
        let distant = Self { remote, server, protocol, secret, evaluation, accepted: None, session, predicted };
        distant.register()?;
        Ok(distant)
    }

    /// Lets such a share of unknown songs pass for known.
    pub(crate) fn accept(&mut self, share: f32) -> anyhow::Result<()> {
        self.accepted = Some(share);
        Ok(self.session.accept(share)?)
    }

    /// The client's half of the model.
    pub(crate) fn model(&self) -> &ClientModel {
        self.session.model()
    }

    /// How it asks.
    pub(crate) fn protocol(&self) -> Protocol {
        self.session.protocol()
    }

    /// Asks about a clip, whose features `features` takes with a client half.
    ///
    /// Where the server has swapped the model or lost the key, both are renewed and the clip is asked for once more. That follows from what
    /// the server said in the clear, and not from anything decrypted.
    pub(crate) fn ask(
        &mut self,
        features: &dyn Fn(&ClientModel) -> anyhow::Result<Vec<f32>>,
    ) -> anyhow::Result<Exchange> {
        let asked = self.session.identify(&features(self.session.model())?);
        match asked {
            Err(RemoteError::KeyMissing { .. }) => self.register()?,
            Err(RemoteError::ModelChanged { .. }) => {
                let evaluation = self.evaluation.as_ref();
                (self.session, self.predicted) =
                    session(self.remote, self.server, self.protocol, &self.secret, evaluation)?;
                self.accepted.map_or(Ok(()), |share| self.session.accept(share))?;
            }
            asked => return Ok(asked?),
        }
        Ok(self.session.identify(&features(self.session.model())?)?)
    }

    /// Sends the evaluation key, where there is one and the server does not have it.
    fn register(&self) -> anyhow::Result<()> {
        if let Some(key) = &self.evaluation {
            let bar = report::bar(EvaluationKey::wire_bytes(key.parameters()) as u64, "sending key");
            self.remote.register(key, &mut |sent| bar.set_position(sent))?;
            bar.finish_and_clear();
        }
        Ok(())
    }
}

/// A session of the model that the server has now, and the seconds that it expects to take.
fn session(
    remote: &Remote,
    server: &ServerArgs,
    protocol: ProtocolArgs,
    secret: &Arc<SecretKey>,
    evaluation: Option<&EvaluationKey>,
) -> anyhow::Result<(Session, Option<f64>)> {
    let offer = remote.model(server.model_name.as_deref())?;
    let name = protocol.protocol()?.name();
    if let Some(offered) = offer.protocol(name).and_then(|offered| offered.protocol()) {
        protocol.agrees_with(offered)?;
    }
    let key = match evaluation {
        Some(evaluation) => ClientKey::registered(secret.clone(), evaluation.id()),
        None => secret.clone().into(),
    };
    let session = remote.session(&offer, name, remote.client_half(&offer)?, key)?;
    Ok((session, offer.protocol(name).and_then(|offered| offered.seconds)))
}
