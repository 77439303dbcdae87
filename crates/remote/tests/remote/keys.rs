//! Evaluation keys and tokens: sent once, and shown to nobody who need not see them.

use std::sync::Mutex;

use sordino_remote::{Address, RemoteError, Token};

use crate::common::KEYS;
use crate::stand_in::{Answer, StandIn};
use crate::{changed, library, models, offer, remote, token};

/// A server that keeps the names of keys.
fn keeper() -> StandIn {
    let kept = Mutex::new(Vec::<String>::new());
    StandIn::new(move |request| {
        let mut kept = kept.lock().unwrap();
        let name = request.path.trim_start_matches("/v1/keys").trim_start_matches('/').to_owned();
        let entry = |name: &str| format!("{{\"key\":\"{name}\",\"bytes\":7,\"expires\":1800000000}}");
        match (&*request.method, kept.contains(&name)) {
            ("GET", _) if name.is_empty() => {
                let keys: Vec<String> = kept.iter().map(|name| entry(name)).collect();
                Answer::ok(format!("{{\"keys\":[{}]}}", keys.join(",")))
            }
            ("GET", true) => Answer::ok(entry(&name)),
            ("PUT", false) => {
                if !request.body.is_empty() {
                    kept.push(name.clone());
                }
                Answer::status(if request.body.is_empty() { 200 } else { 201 }, entry(&name))
            }
            ("DELETE", _) if name.is_empty() => {
                kept.clear();
                Answer::status(204, "")
            }
            ("DELETE", true) => {
                kept.retain(|kept| *kept != name);
                Answer::status(204, "")
            }
            _ => Answer::problem(404, "not-found", "no key of that name"),
        }
    })
}

#[test]
fn an_evaluation_key_is_sent_once_and_forgotten_when_asked() {
    let server = keeper();
    let remote = remote(&server.url, changed(|options| options.token = Some(token())));
    let key = &KEYS[0].1;
    for _ in 0..2 {
        assert_eq!(remote.register(key, &mut |_| ()).unwrap().key, key.id().hex());
    }
    let sent = |server: &StandIn| server.lines().iter().filter(|line| line.starts_with("PUT")).count();
    assert_eq!(sent(&server), 1);
    let body = server.asked().into_iter().find(|request| request.method == "PUT").unwrap().body;
    let mut written = Vec::new();
    key.write(&mut written).unwrap();
    assert!(body == written, "as it is written to a file");
    assert_eq!(remote.registrations().unwrap().len(), 1);
    remote.forget(key.id()).unwrap();
    remote.forget(key.id()).unwrap();
    assert_eq!(remote.registration(key.id()).unwrap(), None);
    remote.register(key, &mut |_| ()).unwrap();
    remote.forget_all().unwrap();
    assert!(remote.registrations().unwrap().is_empty());
    assert!(server.asked().iter().all(|request| request.header("authorization").is_some()));
}

#[test]
fn a_refusal_is_heard_before_the_key_is_sent() {
    let server = StandIn::new(|request| match &*request.method {
        "GET" => Answer::problem(404, "not-found", "no key of that name"),
        _ => Answer::problem(507, "quota", "this token has 2 keys, and may have 2: forget one"),
    });
    let remote = remote(&server.url, changed(|options| options.token = Some(token())));
    let mut sent = 0;
    let error = remote.register(&KEYS[0].1, &mut |bytes| sent = bytes).unwrap_err();
    assert!(error.to_string().contains("forget one"), "{error}");
    assert_eq!(sent, 0);
}

#[test]
fn a_token_that_was_made_here_is_shown_only_where_it_must_be() {
    let (half, model) = library();
    let list = models(&offer(&half, &model));
    let server = StandIn::new(move |request| match &*request.path {
        "/v1/models" => Answer::ok(list.clone()),
        _ => Answer::ok("{\"keys\":[]}"),
    });
    let home = tempfile::tempdir().unwrap();
    let address = Address::parse(&server.url, false).unwrap();
    let made = Token::kept(&home.path().join("token"), &address).unwrap();
    let with = |token| remote(&server.url, changed(|options| options.token = token));
    with(Some(made)).models().unwrap();
    with(Some(token())).models().unwrap();
    let shown: Vec<bool> = server.asked().iter().map(|request| request.header("authorization").is_some()).collect();
    assert_eq!(shown, [false, true]);
    assert!(matches!(with(None).registrations(), Err(RemoteError::NoToken)));
    assert_eq!(server.asked().len(), 2, "nothing was sent");
}
