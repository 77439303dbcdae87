//! Whole queries, answered by the server of `sordino-service` behind a stand-in for the network.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use sordino_fhe::params::INSECURE_N512;
use sordino_fhe::{ClientKey, FheError, ServerKey};
use sordino_model::{Decider, Pair, Protocol};
use sordino_remote::RemoteError;
use sordino_service::{Server, ServiceError};

use crate::common::{CLUSTERS, KEYS, TRACKS, features};
use crate::stand_in::{Answer, Request, StandIn};
use crate::{PROTOCOLS, changed, library, models, offer, options, remote, token};

/// What a server does with requests, without a network.
struct Host {
    servers: HashMap<&'static str, Server>,
    models: Vec<u8>,
    half: Vec<u8>,
    /// Answers that go wrong first, for each query.
    faults: Vec<Answer>,
    queries: AtomicUsize,
    last: Mutex<Vec<u8>>,
}

impl Host {
    fn answer(&self, request: &Request) -> Answer {
        let path: Vec<&str> = request.path.split(['/', '?']).skip(2).collect();
        match (&*request.method, &path[..]) {
            ("GET", ["models"]) => Answer::ok(self.models.clone()),
            ("GET", ["models", "library", "client", _]) => Answer::ok(self.half.clone()),
            ("GET", ["models", "library", "protocols", name, "hello"]) => Answer::ok(self.servers[name].hello()),
            ("POST", ["models", "library", "protocols", name, "queries"]) => {
                // The same query again is one that went wrong before; another starts anew.
                let mut last = self.last.lock().unwrap();
                if *last != request.body {
                    self.queries.store(0, Ordering::Relaxed);
                    *last = request.body.clone();
                }
                if let Some(fault) = self.faults.get(self.queries.fetch_add(1, Ordering::Relaxed)) {
                    return fault.clone();
                }
                match self.servers[name].answer(&request.body) {
                    Ok(reply) => Answer::ok(reply),
                    Err(ServiceError::Fhe(FheError::NoEvaluationKey)) => {
                        Answer::problem(404, "key-missing", "register it")
                    }
                    Err(error) => Answer::problem(400, "malformed", &error.to_string()),
                }
            }
            ("GET", ["keys", _]) => Answer::problem(404, "not-found", "no such key"),
            ("PUT", ["keys", name]) => {
                if request.body.is_empty() {
                    return Answer::HangUp;
                }
                let key = ServerKey::read(&mut &request.body[..]).unwrap();
                let id = self.servers["decided"].register(key).unwrap();
                assert_eq!(id.hex(), *name);
                Answer::status(201, format!("{{\"key\":\"{name}\",\"bytes\":{},\"expires\":9}}", request.body.len()))
            }
            _ => Answer::problem(404, "not-found", &request.line()),
        }
    }
}

fn host(faults: Vec<Answer>) -> StandIn {
    let (half, model) = library();
    let servers = PROTOCOLS.map(|protocol| (protocol.name(), Server::new(&model, protocol, &INSECURE_N512).unwrap()));
    let host = Host {
        servers: servers.into(),
        models: models(&offer(&half, &model)),
        half: half.bundle().unwrap().to_bytes(),
        faults,
        queries: AtomicUsize::new(0),
        last: Mutex::default(),
    };
    StandIn::new(move |request| host.answer(request))
}

/// These protocols name what the clear names, over `server`.
fn names(server: &StandIn, protocols: &[Protocol], tracks: &[Option<usize>]) {
    let (half, model) = library();
    let pair = Pair::new(&half, &model).unwrap();
    let remote = remote(&server.url, changed(|options| options.token = Some(token())));
    let offer = remote.model(Some("library")).unwrap();
    let fetched = Arc::new(remote.client_half(&offer).unwrap());
    assert_eq!(*fetched, *half);
    for &protocol in protocols {
        assert_eq!(offer.protocol(protocol.name()).unwrap().protocol(), Some(protocol));
        let (secret, evaluation) = &KEYS[0];
        let key = match protocol.decider() {
            Decider::Client => secret.clone().into(),
            Decider::Server => ClientKey::registered(secret.clone(), evaluation.id()),
        };
        let mut session = remote.session(&offer, protocol.name(), fetched.clone(), key).unwrap();
        assert_eq!(session.protocol(), protocol);
        if protocol.decider() == Decider::Server {
            let asked = features(&half, Some(1));
            assert!(matches!(session.identify(&asked), Err(RemoteError::KeyMissing { .. })));
            let mut told = Vec::new();
            let found = remote.register(evaluation, &mut |sent| told.push(sent)).unwrap();
            assert_eq!((found.key, found.expires), (evaluation.id().hex(), Some(9)));
            assert!(told.is_sorted() && told.last() == Some(&found.bytes), "{told:?}");
        }
        for &track in tracks {
            let asked = features(&half, track);
            let found = session.identify(&asked).unwrap();
            assert_eq!(found.answer, pair.identify(protocol, &asked).unwrap(), "{protocol}");
            assert_eq!(found.answer.best().map(|best| best.label), track, "{protocol}");
        }
    }
}

#[test]
fn every_protocol_names_what_the_clear_names() {
    let server = host(Vec::new());
    names(&server, &PROTOCOLS, &[Some(0), Some(CLUSTERS * TRACKS - 1), None]);
    let asked = server.asked();
    let queries = asked.iter().filter(|request| request.path.ends_with("/queries")).count();
    assert_eq!(queries, 3 + 2 * 3 + 4, "each message once, and one that came before its key");
}

#[test]
fn a_query_is_repeated_byte_for_byte_until_its_reply_is_here() {
    let server = host(vec![
        Answer::HangUp,
        Answer::problem(503, "busy", "the queue is full"),
        Answer::Cut(b"a reply that breaks off".into()),
    ]);
    names(&server, &PROTOCOLS[..2], &[Some(7)]);
    let bodies: Vec<Vec<u8>> =
        server.asked().into_iter().filter(|request| request.path.ends_with("/queries")).map(|r| r.body).collect();
    assert_eq!(bodies.len(), 3 * 4, "one trip and two, and three times in vain each");
    for attempts in bodies.chunks(4) {
        assert!(attempts.iter().all(|body| *body == attempts[0]));
    }
}

#[test]
fn a_reply_that_is_refused_here_is_not_asked_for_again() {
    let (half, model) = library();
    let server = Server::new(&model, PROTOCOLS[0], &INSECURE_N512).unwrap();
    let (hello, list) = (server.hello(), models(&offer(&half, &model)));
    let stand_in = StandIn::new(move |request| match &*request.path {
        "/v1/models" => Answer::ok(list.clone()),
        path if path.ends_with("/hello") => Answer::ok(hello.clone()),
        _ => {
            // Damaged on its way, in the middle: it arrives whole and is none.
            let mut reply = server.answer(&request.body).unwrap();
            let middle = reply.len() / 2;
            reply[middle] ^= 1;
            Answer::ok(reply)
        }
    });
    let remote = remote(&stand_in.url, options(None));
    let offer = remote.model(None).unwrap();
    let mut session = remote.session(&offer, "flat", half.clone(), KEYS[0].0.clone()).unwrap();
    let error = session.identify(&features(&half, Some(3))).unwrap_err();
    assert!(matches!(error, RemoteError::Service(ServiceError::Fhe(_))), "{error}");
    assert_eq!(stand_in.lines().iter().filter(|line| line.starts_with("POST")).count(), 1);
}

#[test]
fn a_model_that_was_swapped_is_told_as_such() {
    let (half, model) = library();
    let (_, other) = crate::common::model("another library");
    let server = Server::new(&model, PROTOCOLS[0], &INSECURE_N512).unwrap();
    let swapped = Server::new(&other, PROTOCOLS[1], &INSECURE_N512).unwrap();
    let (hello, new, list) = (server.hello(), swapped.hello(), models(&offer(&half, &model)));
    let stand_in = StandIn::new(move |request| match &*request.path {
        "/v1/models" => Answer::ok(list.clone()),
        "/v1/models/library/protocols/flat/hello" => Answer::ok(hello.clone()),
        "/v1/models/library/protocols/routed/hello" => Answer::ok(new.clone()),
        _ => Answer::problem(409, "model-changed", "library is of another version since noon"),
    });
    let remote = remote(&stand_in.url, options(None));
    let offer = remote.model(None).unwrap();
    let key = &KEYS[0].0;
    let mut session = remote.session(&offer, "flat", half.clone(), key.clone()).unwrap();
    let error = session.identify(&features(&half, Some(3))).unwrap_err();
    assert!(matches!(error, RemoteError::ModelChanged { .. }) && error.to_string().contains("since noon"), "{error}");
    let error = remote.session(&offer, "routed", half, key.clone()).err().unwrap();
    assert!(matches!(error, RemoteError::ModelChanged { .. }), "{error}");
}
