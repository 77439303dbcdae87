//! Servers that are slow, gone, odd or hostile.

use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sordino_remote::{Address, Remote, RemoteError};

use crate::stand_in::{Answer, StandIn};
use crate::{changed, library, models, offer, options, remote, timeouts};

/// A server that gives these answers in order, and then the list of no models.
fn scripted(answers: Vec<Answer>) -> StandIn {
    let next = AtomicUsize::new(0);
    StandIn::new(move |_| {
        let answer = answers.get(next.fetch_add(1, Ordering::Relaxed)).cloned();
        answer.unwrap_or_else(|| Answer::ok("{\"models\":[]}"))
    })
}

fn impatient(url: &str, wait: u64) -> Remote {
    let mut timeouts = timeouts();
    (timeouts.answer, timeouts.connect) = (Duration::from_millis(wait), Duration::from_millis(wait));
    timeouts.patience = Duration::ZERO;
    remote(url, changed(|options| options.timeouts = timeouts))
}

#[test]
fn what_goes_over_is_waited_for() {
    let busy = Answer::problem(503, "busy", "the queue is full").with("Retry-After: 1");
    let many = Answer::problem(429, "too-many", "one at a time").with("retry-after: 0");
    let server = scripted(vec![busy, many, Answer::status(502, "<html>"), Answer::HangUp]);
    assert!(remote(&server.url, options(None)).models().unwrap().is_empty());
    assert_eq!(server.lines().len(), 5);
}

#[test]
fn what_does_not_go_over_is_told_at_once() {
    for (answer, sentence) in [
        (
            Answer::problem(503, "stopping", "back at noon").with("retry-after: 3600"),
            "back at noon (503) (it says: again in 3600 s)",
        ),
        (Answer::problem(429, "budget", "48 queries a day are all").with("retry-after: 7200"), "48 queries a day"),
        (Answer::problem(429, "quota", "too many keys"), "too many keys (429)"),
        (Answer::problem(401, "token-unknown", "ask the operator\u{202e}"), "ask the operator"),
        (Answer::status(404, "<h1>Not Found</h1>"), "it did not say why (404)"),
        (Answer::status(500, "{}"), "(500)"),
        (
            Answer::status(302, "").with("location: http://elsewhere.example"),
            "a redirection to http://elsewhere.example",
        ),
        (Answer::ok("[]"), "is it a sordino server"),
        (Answer::ok("<html>"), "is it a sordino server"),
    ] {
        let server = scripted(vec![answer]);
        let error = remote(&server.url, options(None)).models().unwrap_err().to_string();
        assert!(error.contains(sentence) && !error.contains('\u{202e}'), "{sentence}: {error}");
        assert_eq!(server.lines().len(), 1, "{sentence}");
    }
}

#[test]
fn patience_ends() {
    let server = StandIn::new(|_| Answer::problem(503, "busy", "the queue is full"));
    let mut timeouts = timeouts();
    timeouts.patience = Duration::from_millis(500);
    let error = remote(&server.url, changed(|options| options.timeouts = timeouts)).models().unwrap_err();
    assert!(matches!(error, RemoteError::Refused { .. }), "{error}");
    assert_eq!(server.lines().len(), 2, "at 0 and 200 ms; the next would be at 600 ms");
}

#[test]
fn nobody_there_is_told_at_once_and_somebody_who_was_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let remote = remote(&format!("http://{address}"), options(None));
    let error = remote.models().unwrap_err();
    assert!(matches!(error, RemoteError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains(&address.to_string()), "{error}");
    // It comes, hangs up once, and is back.
    let next = AtomicUsize::new(0);
    let server =
        StandIn::on(TcpListener::bind(address).unwrap(), move |_| match next.fetch_add(1, Ordering::Relaxed) {
            1 => Answer::HangUp,
            _ => Answer::ok("{\"models\":[]}"),
        });
    remote.models().unwrap();
    remote.models().unwrap();
    assert_eq!(server.lines().len(), 3);
}

#[test]
fn a_server_that_says_nothing_or_too_slowly_is_given_up() {
    for answer in [Answer::Silence, Answer::Trickle(100)] {
        let server = scripted(vec![answer]);
        let error = impatient(&server.url, 300).models().unwrap_err();
        assert!(matches!(error, RemoteError::Slow { what: "to answer", .. }), "{error}");
        assert_eq!(server.lines().len(), 1);
    }
}

#[test]
fn no_answer_is_read_beyond_its_limit() {
    let server = StandIn::new(|_| Answer::Endless);
    let error = remote(&server.url, options(None)).models().unwrap_err();
    assert!(matches!(error, RemoteError::TooLong { limit, .. } if limit == 16 << 20), "{error}");

    let (half, model) = library();
    let list = models(&offer(&half, &model));
    let server = StandIn::new(move |request| match &*request.path {
        "/v1/models" => Answer::ok(list.clone()),
        _ => Answer::ok(vec![0; (32 << 10) + 1]),
    });
    let remote = remote(&server.url, options(None));
    let offer = remote.model(None).unwrap();
    let error = remote.hello(&offer, "flat").unwrap_err();
    assert!(matches!(error, RemoteError::TooLong { limit, .. } if limit == 32 << 10), "{error}");
}

#[test]
fn certificates_are_read_or_refused() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("ca.pem");
    let address = Address::parse("https://localhost:1", false).unwrap();
    let connect = || {
        Remote::connect(address.clone(), changed(|options| options.certificates = Some(path.clone()))).err().unwrap()
    };
    assert!(matches!(connect(), RemoteError::File { .. }));
    for text in ["", "no certificate", "-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"] {
        std::fs::write(&path, text).unwrap();
        assert!(matches!(connect(), RemoteError::Certificates { .. }), "{text}");
    }
}
