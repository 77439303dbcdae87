//! [`RemoteError`]: why a server was not asked, or did not answer. [`Problem`]: what it said.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use sordino_model::ModelHash;
use sordino_model::files::FileError;
use sordino_service::ServiceError;
use thiserror::Error;

/// Why a server was not asked, or did not answer. No variant carries a secret or anything decrypted.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// An address that is none.
    #[error("{found:?} is no address of a server: {what}; expected one such as https://music.example.org")]
    Address {
        /// What was given.
        found: String,
        /// What is wrong with it.
        what: &'static str,
    },
    /// `http` to another machine.
    #[error(
        "{found:?} would show the token, and the size of every message, to whoever is in between; give an https address, \
         or allow plain http where the network is yours (--plain-http)"
    )]
    PlainHttp {
        /// What was given.
        found: String,
    },
    /// A token that is none.
    #[error("the token has to be 16 to 256 visible ASCII characters, and {what}")]
    Token {
        /// What is wrong with it.
        what: &'static str,
    },
    /// No token, and the server asks for one.
    #[error("no token was given, and registered keys belong to one; give the client one")]
    NoToken,
    /// A file of certificates without one.
    #[error(
        "{path} holds no certificate that can be read; expected PEM, which begins with -----BEGIN CERTIFICATE-----"
    )]
    Certificates {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}")]
    File {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The server could not be reached, or hung up.
    #[error("{server} does not answer: {reason}; is the address right, and the server running?")]
    Unreachable {
        /// The server.
        server: String,
        /// What the network says.
        reason: String,
    },
    /// The server was reached and took too long.
    #[error("{server} took too long ({what}); ask later, or allow more time")]
    Slow {
        /// The server.
        server: String,
        /// What was waited for.
        what: &'static str,
    },
    /// An answer that is longer than it may be.
    #[error("{server} sent more than {limit} bytes for {what}; nothing of it was used")]
    TooLong {
        /// The server.
        server: String,
        /// What was asked for.
        what: &'static str,
        /// Most bytes that are read.
        limit: u64,
    },
    /// An answer that is none of this API.
    #[error("{server} sent {found} for {what}: is it a sordino server of this version?")]
    Unexpected {
        /// The server.
        server: String,
        /// What was asked for.
        what: &'static str,
        /// What came.
        found: String,
    },
    /// A query for a model or a plan that the server does not hold any more. Fetch model and hello again, and ask anew.
    #[error("{server} has another version of the model by now ({reason}); fetch the model again")]
    ModelChanged {
        /// The server.
        server: String,
        /// How that is known.
        reason: String,
    },
    /// A query under an evaluation key that the server does not hold, or not any more. Register it, and send the query again.
    #[error("{server} does not hold the evaluation key ({problem}); register it again")]
    KeyMissing {
        /// The server.
        server: String,
        /// What it said.
        problem: Problem,
    },
    /// Anything else that the server refuses.
    #[error("{server} refused {what}: {problem}{}", later(.retry_after))]
    Refused {
        /// The server.
        server: String,
        /// What was asked for.
        what: &'static str,
        /// What it said.
        problem: Problem,
        /// When to ask again, where it said so.
        retry_after: Option<Duration>,
    },
    /// A name that no model of the server has.
    #[error("the server has no model {found:?}; it has {known}")]
    NoModel {
        /// The name.
        found: String,
        /// Those that there are.
        known: String,
    },
    /// No name, and not one model.
    #[error("the server has the models {known}; name one of them")]
    WhichModel {
        /// Those that there are.
        known: String,
    },
    /// A protocol that the server does not speak for the model.
    #[error(
        "the server does not speak {found} for the model {model:?}; it speaks {known}: choose one of those, with --protocol"
    )]
    NoProtocol {
        /// The protocol.
        found: String,
        /// The model.
        model: String,
        /// Those that it speaks.
        known: String,
    },
    /// Something other than what was named by its hash.
    #[error("{what} has the hash {found}, expected {expected}; it was damaged on its way, or swapped: try again")]
    OtherHash {
        /// What was fetched.
        what: &'static str,
        /// Its hash.
        found: String,
        /// The hash that it was asked for by.
        expected: String,
    },
    /// A client half that cannot be read.
    #[error("the server's model cannot be used: {0}")]
    Model(#[from] FileError),
    /// A hello, a query or a reply that is refused here.
    #[error(transparent)]
    Service(#[from] ServiceError),
}

impl RemoteError {
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| Self::File { action, path, source }
    }

    pub(crate) fn other_hash(what: &'static str, found: ModelHash, expected: ModelHash) -> Self {
        Self::OtherHash { what, found: found.to_string(), expected: expected.to_string() }
    }
}

fn later(wait: &Option<Duration>) -> String {
    wait.map(|wait| format!(" (it says: again in {} s)", wait.as_secs())).unwrap_or_default()
}

/// What a server says of an error: RFC 9457, shortened to what a person needs.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{text} ({status})")]
#[non_exhaustive]
pub struct Problem {
    /// The status code of HTTP.
    pub status: u16,
    /// The kind, such as `key-missing`; empty where it said none.
    pub kind: String,
    /// Its sentence. What could steer a terminal is escaped.
    pub text: String,
}

/// Longest text that is kept of what a server says.
const MOST_CHARACTERS: usize = 1_000;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    detail: String,
}

impl Problem {
    /// Reads a body, which may be anything.
    pub(crate) fn read(status: u16, body: &[u8]) -> Self {
        let Details { kind, title, detail } = serde_json::from_slice(body).unwrap_or_default();
        let kind = kind.strip_prefix("urn:sordino:problem:").unwrap_or_default();
        let text = [detail.as_str(), &title, "it did not say why"].into_iter().find(|text| !text.trim().is_empty());
        Self { status, kind: shown(kind), text: shown(text.unwrap_or_default()) }
    }
}

/// A text of a server as a person may see it.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars().take(MOST_CHARACTERS) {
        match c {
            // Those of a sentence, which `escape_debug` escapes too.
            '"' | '\'' | '\\' => out.push(c),
            c => out.extend(c.escape_debug()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_gives_a_terminal_no_orders() {
        let body = "{\"type\":\"urn:sordino:problem:busy\",\"title\":\"Busy\",\"status\":503,\"detail\":\"wait \
                    \\u001b[31m\\u009b\\u202e\\r\\n\\\"now\\\" é\"}";
        let problem = Problem::read(503, body.as_bytes());
        assert_eq!((problem.status, &*problem.kind), (503, "busy"));
        assert_eq!(problem.text, "wait \\u{1b}[31m\\u{9b}\\u{202e}\\r\\n\"now\" é");
        assert_eq!(problem.to_string(), format!("{} (503)", problem.text));
    }

    #[test]
    fn any_body_is_a_problem() {
        for (body, text) in [
            (&b""[..], "it did not say why"),
            (b"<html>", "it did not say why"),
            (b"{\"title\":7}", "it did not say why"),
            (b"{\"title\":\"Gone\"}", "Gone"),
            (b"{\"title\":\"Gone\",\"detail\":\" \"}", "Gone"),
        ] {
            assert_eq!(Problem::read(500, body).text, text);
        }
        let long = format!("{{\"detail\":\"{}\"}}", "x".repeat(5_000));
        assert_eq!(Problem::read(500, long.as_bytes()).text.len(), MOST_CHARACTERS);
        assert_eq!(Problem::read(404, b"{\"type\":\"about:blank\"}").kind, "");
    }
}
