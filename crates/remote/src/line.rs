//! [`Line`]: requests and what comes back, with limits on time and bytes, and repeated where something was in the way.

use std::io::{self, ErrorKind, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use sordino_model::files::read_file;
use ureq::http::request::Builder;
use ureq::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, SendBody, Timeout};

use crate::error::shown;
use crate::{Address, Options, Problem, RemoteError, Timeouts, Token};

/// Bytes of an error's body that are read.
const MOST_PROBLEM: u64 = 64 << 10;
/// Most bytes of a file of certificates.
const MOST_CERTIFICATES: u64 = 1 << 20;
/// Bodies from this size on are sent once the server has said that it takes them.
const LARGE: usize = 1 << 20;
/// The first wait before a request is repeated; each further one is twice as long, up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// A server, and how it is spoken to.
pub(crate) struct Line {
    pub(crate) address: Address,
    agent: Agent,
    token: Option<Token>,
    timeouts: Timeouts,
    /// It has answered once: then it is worth waiting for where it has gone away.
    answered: AtomicBool,
}

/// One request. It must do no harm to send it twice: see the crate's page.
pub(crate) struct Ask<'a> {
    /// What it is about, for errors.
    pub(crate) what: &'static str,
    pub(crate) method: Method,
    /// The path, in parts.
    pub(crate) parts: &'a [&'a str],
    /// What follows the path.
    pub(crate) query: String,
    pub(crate) body: Option<&'a [u8]>,
    /// Called with the bytes of the body that were sent. Begins anew where the request is repeated.
    pub(crate) progress: Option<&'a mut dyn FnMut(u64)>,
    /// Most bytes of an answer.
    pub(crate) limit: u64,
    /// Whether it is about something that belongs to a token.
    pub(crate) owned: bool,
}

impl<'a> Ask<'a> {
    /// A request without a body.
    pub(crate) fn new(what: &'static str, method: Method, parts: &'a [&'a str], limit: u64) -> Self {
        Self { what, method, parts, query: String::new(), body: None, progress: None, limit, owned: false }
    }
}

/// Why one attempt gave nothing, and how long to wait before the next: `None` where another would end the same way.
struct Failure {
    error: Box<RemoteError>,
    again: Option<Duration>,
}

impl Line {
    pub(crate) fn new(address: Address, options: Options) -> Result<Self, RemoteError> {
        let Options { token, certificates, timeouts, .. } = options;
        let roots = certificates.as_deref().map_or(Ok(RootCerts::WebPki), certificates_of)?;
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            // A redirection could lead anywhere, and the token with it.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .https_only(address.is_secure())
            .user_agent(concat!("sordino/", env!("CARGO_PKG_VERSION")))
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .timeout_resolve(Some(timeouts.connect))
            .timeout_connect(Some(timeouts.connect))
            .timeout_send_request(Some(timeouts.connect))
            .timeout_recv_response(Some(timeouts.answer));
        if address.is_loopback() {
            config = config.proxy(None);
        }
        let agent = config.build().new_agent();
        Ok(Self { address, agent, token, timeouts, answered: AtomicBool::new(false) })
    }

    /// Asks, and asks again while that may help and there is patience left.
    pub(crate) fn ask(&self, mut ask: Ask<'_>) -> Result<Vec<u8>, RemoteError> {
        let (start, mut pause) = (Instant::now(), FIRST_WAIT);
        loop {
            let Failure { error, again } = match self.attempt(&mut ask) {
                Ok(body) => return Ok(body),
                Err(failure) => failure,
            };
            let wait = again.map(|least| least.max(pause));
            match wait {
                Some(wait) if start.elapsed() + wait <= self.timeouts.patience => std::thread::sleep(wait),
                _ => return Err(*error),
            }
            pause = (2 * pause).min(LONGEST_WAIT);
        }
    }

    fn attempt(&self, ask: &mut Ask<'_>) -> Result<Vec<u8>, Failure> {
        let body = ask.body.unwrap_or_default();
        let mut request = Request::builder().method(&ask.method).uri(self.address.join(ask.parts) + &ask.query);
        if ask.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/octet-stream");
            request = request.header(header::CONTENT_LENGTH, body.len());
        }
        if body.len() >= LARGE {
            // So that a refusal is heard, and not a connection that breaks while tens of megabytes are sent.
            request = request.header(header::EXPECT, "100-continue");
        }
        match &self.token {
            Some(token) if ask.owned || token.is_issued() => {
                request = request.header(header::AUTHORIZATION, token.header());
            }
            None if ask.owned => return Err(RemoteError::NoToken.into()),
            _ => {}
        }
        let sent = match ask.body {
            Some(body) => {
                let mut reader = Metered { left: body, sent: 0, progress: &mut ask.progress };
                self.send(request, SendBody::from_reader(&mut reader), body.len(), ask.limit)
            }
            None => self.send(request, SendBody::none(), 0, ask.limit),
        };
        let mut response = sent.map_err(|error| self.failure(ask.what, ask.limit, error))?;
        self.answered.store(true, Ordering::Relaxed);
        let (status, limit) =
            (response.status(), if response.status().is_success() { ask.limit } else { MOST_PROBLEM });
        // One that is as long as its limit is an error to the library.
        let read = response.body_mut().with_config().limit(limit + 1).read_to_vec();
        if status.is_success() {
            return read.map_err(|error| self.failure(ask.what, ask.limit, error));
        }
        Err(self.refusal(ask.what, status, response.headers(), &read.unwrap_or_default()))
    }

    fn send(&self, request: Builder, body: SendBody<'_>, up: usize, down: u64) -> Result<Response<Body>, ureq::Error> {
        let request = self.agent.configure_request(request.body(body)?);
        let request = request.timeout_send_body(Some(self.timeouts.transfer(up as u64)));
        self.agent.run(request.timeout_recv_body(Some(self.timeouts.transfer(down))).build())
    }

    /// An answer that is no success.
    fn refusal(&self, what: &'static str, status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Failure {
        let server = self.address.to_string();
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        if status.is_redirection() {
            let found = format!("a redirection to {}", shown(text(header::LOCATION).unwrap_or("nowhere")));
            return RemoteError::Unexpected { server, what, found }.into();
        }
        let retry_after = text(header::RETRY_AFTER).and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        let again = match status.as_u16() {
            429 => retry_after,
            // The last two are said by what stands before a server.
            502..=504 => Some(retry_after.unwrap_or_default()),
            _ => None,
        };
        let problem = Problem::read(status.as_u16(), body);
        let error = match &*problem.kind {
            "model-changed" => RemoteError::ModelChanged { server, reason: problem.to_string() },
            "key-missing" => RemoteError::KeyMissing { server, problem },
            _ => RemoteError::Refused { server, what, problem, retry_after },
        };
        Failure { error: error.into(), again }
    }

    /// What was in the way of an answer.
    fn failure(&self, what: &'static str, limit: u64, error: ureq::Error) -> Failure {
        let server = self.address.to_string();
        let reason = || shown(&error.to_string());
        let unreachable = |reason| RemoteError::Unreachable { server: server.clone(), reason };
        // Who was never there is not waited for.
        let again = self.answered.load(Ordering::Relaxed).then_some(Duration::ZERO);
        match &error {
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
                let reason = format!("no connection within {} s", self.timeouts.connect.as_secs_f32());
                Failure { error: unreachable(reason).into(), again }
            }
            ureq::Error::Timeout(timeout) => {
                let what = match timeout {
                    Timeout::SendRequest | Timeout::SendBody => "to take what was sent",
                    Timeout::RecvBody => "to send its answer",
                    _ => "to answer",
                };
                RemoteError::Slow { server, what }.into()
            }
            ureq::Error::Io(cause) if is_hang_up(cause) => Failure { error: unreachable(reason()).into(), again },
            ureq::Error::BodyExceedsLimit(_) => RemoteError::TooLong { server, what, limit }.into(),
            ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => {
                RemoteError::Unexpected { server, what, found: reason() }.into()
            }
            _ => unreachable(reason()).into(),
        }
    }
}

impl From<RemoteError> for Failure {
    /// A failure that another attempt would meet too.
    fn from(error: RemoteError) -> Self {
        Self { error: error.into(), again: None }
    }
}

/// Whether the other side was not there, or went away: another time it may be there.
fn is_hang_up(error: &io::Error) -> bool {
    use ErrorKind::*;
    let kinds = [ConnectionRefused, ConnectionReset, ConnectionAborted, NotConnected, BrokenPipe, UnexpectedEof];
    kinds.contains(&error.kind()) || matches!(error.kind(), HostUnreachable | NetworkUnreachable | NetworkDown)
}

/// The certificates in a file, which alone are trusted then.
fn certificates_of(path: &Path) -> Result<RootCerts, RemoteError> {
    let pem = read_file(path, MOST_CERTIFICATES).map_err(RemoteError::file("read", path))?;
    let certificates = parse_pem(&pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(Ok(certificate)),
        Ok(_) => None,
        Err(error) => Some(Err(error)),
    });
    match certificates.collect::<Result<Vec<_>, _>>() {
        Ok(found) if !found.is_empty() => Ok(RootCerts::Specific(Arc::new(found))),
        _ => Err(RemoteError::Certificates { path: path.into() }),
    }
}

/// A body that tells how much of it was read.
struct Metered<'a, 'p> {
    left: &'a [u8],
    sent: u64,
    progress: &'p mut Option<&'a mut dyn FnMut(u64)>,
}

impl Read for Metered<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.left.read(buffer)?;
        self.sent += read as u64;
        if let Some(progress) = self.progress {
            progress(self.sent);
        }
        Ok(read)
    }
}
