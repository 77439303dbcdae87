//! Clients and servers that speak in messages: who may ask, what is lost, and what is refused.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::{CLUSTERS, KEYS, TRACKS, features, model};
use sordino_fhe::params::INSECURE_N512;
use sordino_fhe::{ClientKey, FheError, SecretKey};
use sordino_model::stage::Stage;
use sordino_model::{
    ClientError, ClientHierarchy, ClientModel, Decider, Lead, Pair, Protocol, Reach, Resolution, Routing, ServerModel,
};
use sordino_service::{Client, Hello, Server, ServiceError, Step, exchange};

const PROTOCOLS: [Protocol; 7] = [
    Protocol::Flat,
    Protocol::Routed { probes: 1 },
    Protocol::Routed { probes: 2 },
    Protocol::Decided { probes: 1, answers: 1, resolution: Resolution::Standard },
    Protocol::Picked { probes: 2 },
    Protocol::PickedDecided { probes: 1, answers: 1, resolution: Resolution::Standard },
    // As many as there are clusters.
    Protocol::PickedDecided { probes: 3, answers: 1, resolution: Resolution::Fine },
];

fn server(model: &ServerModel, protocol: Protocol) -> Server {
    let server = Server::new(model, protocol, &INSECURE_N512).unwrap();
    if protocol.decider() == Decider::Server {
        KEYS.iter().for_each(|(_, key)| assert_eq!(server.register(key.expand()).unwrap(), key.id()));
    }
    server
}

fn client_key(key: usize) -> ClientKey {
    ClientKey::registered(KEYS[key].0.clone(), KEYS[key].1.id())
}

fn client(model: &Arc<ClientModel>, key: usize, server: &Server) -> Client {
    Client::new(model.clone(), client_key(key), &server.hello()).unwrap()
}

#[test]
fn every_protocol_answers_as_the_clear_does() {
    let (half, model) = model("library");
    let pair = Pair::new(&half, &model).unwrap();
    for protocol in PROTOCOLS {
        let server = server(&model, protocol);
        let mut client = client(&half, 0, &server);
        assert_eq!(client.protocol(), protocol);
        for track in [Some(0), Some(5), Some(CLUSTERS * TRACKS - 1), None] {
            let features = features(&half, track);
            let found = exchange(&mut client, &features, &mut |message| server.answer(message)).unwrap();
            assert_eq!(found.answer, pair.identify(protocol, &features).unwrap(), "{protocol}");
            assert_eq!(found.answer.best().map(|best| best.label), track, "{protocol}");
            assert_eq!(found.trips.len(), server.plan().trips());
        }
    }
}

#[test]
fn nobody_picks_where_the_routing_layers_are_not_public() {
    let (half, model) = model("library");
    let outline = half.hierarchy();
    let private = ClientHierarchy::new(outline.shape().clone(), outline.heads().to_vec(), outline.slots().to_vec());
    let (front, labels) = (half.front().clone(), half.labels().to_vec());
    let private = ClientModel::new(half.name(), front, private.unwrap(), None, labels, half.server_hash()).unwrap();
    let private = Arc::new(private);
    for protocol in PROTOCOLS {
        let server = server(&model, protocol);
        let client = Client::new(private.clone(), client_key(0), &server.hello());
        let public = protocol.routing() == Routing::Public;
        assert_eq!(matches!(client, Err(ServiceError::Client(ClientError::NotPublic))), public, "{protocol}");
        assert_eq!(private.speaks(protocol).is_ok(), !public);
    }
    assert!(matches!(private.pick(&features(&private, None), 1), Err(ClientError::NotPublic)));
    // Routing layers of another model are none of this one's.
    let other = Stage::new(3, outline.shape().stages()[0].input(), vec![1; 9], vec![0; 3], vec![3]).unwrap();
    let forged = outline.clone().with_routers(vec![other]).unwrap();
    let (front, labels) = (half.front().clone(), half.labels().to_vec());
    let flat = half.own_flat().cloned();
    let forged = ClientModel::new(half.name(), front, forged, flat, labels, half.server_hash()).unwrap();
    assert!(Pair::new(&half, &model).is_ok());
    assert!(matches!(Pair::new(&forged, &model), Err(ClientError::Mismatch { what: "a routing layer", .. })));
    assert!(outline.clone().with_routers(Vec::new()).is_err());
}

#[test]
fn a_client_is_as_strict_as_it_likes() {
    let (half, model) = model("library");
    // Of strangers, half are above -100, a fiftieth above 100 and a thousandth above 600; a track that is in the library has some 400.
    let strangers = [-100, -50, 0, 50, 100, 200, 300, 500, 600];
    let reach = Reach { known: [500, 400, 300, 250, 200, 150, 100, 50, 0], strangers };
    let strict = |outline: &ClientHierarchy| outline.clone().with_lead(Lead { scores: Some(reach), ..Lead::default() });
    let told = ClientModel::new(
        half.name(),
        half.front().clone(),
        strict(half.hierarchy()),
        half.own_flat().map(strict),
        half.labels().to_vec(),
        half.server_hash(),
    );
    let told = Arc::new(told.unwrap());
    for protocol in PROTOCOLS {
        let server = server(&model, protocol);
        assert!(matches!(client(&half, 0, &server).accept(0.02), Err(ServiceError::NoReach)));
        let mut client = client(&told, 0, &server);
        let mut ask = |track, share: Option<f32>| {
            share.into_iter().for_each(|share| client.accept(share).unwrap());
            let heard = features(&told, track);
            let answer = exchange(&mut client, &heard, &mut |message| server.answer(message)).unwrap().answer;
            (answer.best().map(|best| best.label), told.verdict(protocol, &answer).wrong.unwrap())
        };
        assert_eq!(ask(Some(5), None).0, Some(5), "{protocol}");
        // The stricter, the surer is a name and the less sure its absence.
        let (found, wrong) = ask(Some(5), Some(0.02));
        assert!(found == Some(5) && wrong <= 0.0201, "{protocol}: {wrong}");
        let (found, missed) = ask(Some(5), Some(0.001));
        // Who sees the score knows better than who is told that it does not suffice.
        let blind = protocol.decider() == Decider::Server;
        assert!(found.is_none() && (missed > 0.4) == blind, "{protocol}: {missed}");
        let (found, _) = ask(Some(5), Some(0.5));
        assert_eq!(found, Some(5), "{protocol}");
        assert_eq!(ask(None, Some(0.5)).0, None, "{protocol}");
        assert!(ask(None, Some(1.0)).0.is_some(), "{protocol}: whoever takes all is told the nearest");
    }
}

#[test]
fn two_clients_of_one_server_do_not_disturb_each_other() {
    let (half, model) = model("library");
    for protocol in PROTOCOLS {
        let server = server(&model, protocol);
        let mut clients = [client(&half, 0, &server), client(&half, 1, &server)];
        let asked = [2, 9];
        // Every message of the one goes between two of the other.
        let mut messages: Vec<_> =
            clients.iter_mut().zip(asked).map(|(c, track)| c.start(&features(&half, Some(track))).unwrap()).collect();
        let mut answers = Vec::new();
        while answers.is_empty() {
            let replies: Vec<_> = messages.iter().map(|message| server.answer(&message.bytes).unwrap()).collect();
            messages.clear();
            for (client, reply) in clients.iter_mut().zip(&replies) {
                match client.receive(reply).unwrap() {
                    Step::Send(message) => messages.push(message),
                    Step::Done(answer) => answers.push(answer),
                }
            }
        }
        let found: Vec<_> = answers.iter().map(|answer| answer.best().map(|best| best.label)).collect();
        assert_eq!(found, asked.map(Some), "{protocol}");
    }
}

#[test]
fn a_lost_reply_is_carried_again_and_a_new_query_forgets_the_old() {
    let (half, model) = model("library");
    for protocol in PROTOCOLS {
        let server = server(&model, protocol);
        let mut client = client(&half, 0, &server);
        assert!(matches!(client.receive(&[]), Err(ServiceError::NothingAsked)));
        let lost = client.start(&features(&half, Some(1))).unwrap();
        let message = client.start(&features(&half, Some(7))).unwrap();
        assert_eq!((lost.trip, message.trip), (0, 0));
        assert_ne!(lost.bytes, message.bytes);
        let mut reply = server.answer(&message.bytes).unwrap();
        // A reply that was cut on its way leaves the query waiting; the server answers the same message again.
        assert!(matches!(client.receive(&reply[..reply.len() - 1]), Err(ServiceError::Fhe(FheError::Length { .. }))));
        reply = server.answer(&message.bytes).unwrap();
        let answer = loop {
            match client.receive(&reply).unwrap() {
                Step::Send(next) => reply = server.answer(&next.bytes).unwrap(),
                Step::Done(answer) => break answer,
            }
        };
        assert_eq!(answer.best().map(|best| best.label), Some(7), "{protocol}");
        assert!(matches!(client.receive(&reply), Err(ServiceError::NothingAsked)));
    }
}

#[test]
fn an_evaluation_that_nobody_waits_for_makes_no_further_step() {
    let (half, model) = model("library");
    let (key, threads) = (KEYS[0].1.expand(), std::thread::available_parallelism().unwrap().get());
    for (probes, answers) in [(1, 1), (2, 3)] {
        let decided = Protocol::Decided { probes, answers, resolution: Resolution::Standard };
        let server = Server::new(&model, decided, &INSECURE_N512).unwrap();
        let message = client(&half, 0, &server).start(&features(&half, Some(3))).unwrap();
        // Every step is asked for before it is made. So `asked` counts steps, and those that were refused.
        let answer = |most: usize| {
            let asked = AtomicUsize::new(0);
            let wanted = || asked.fetch_add(1, Ordering::Relaxed) < most;
            (server.answer_under(Some(&key), &message.bytes, &wanted), asked.into_inner())
        };
        let (whole, steps) = answer(usize::MAX);
        assert!(whole.is_ok() && steps > 8, "{steps} steps");
        for some in 0..steps {
            let (reply, asked) = answer(some);
            assert!(matches!(reply, Err(ServiceError::Fhe(FheError::Stopped))), "after {some} of {steps}");
            assert!((some + 1..=some + threads).contains(&asked), "{asked} asked, {some} allowed");
        }
        assert!(answer(steps).0.is_ok());
    }
}

#[test]
fn the_wrong_key_gets_no_answer_of_the_right_one() {
    let (half, model) = model("library");
    let decided = PROTOCOLS[3];
    let server = Server::new(&model, decided, &INSECURE_N512).unwrap();
    let mut client = client(&half, 0, &server);
    let message = client.start(&features(&half, Some(3))).unwrap();
    let refused =
        |server: &Server| matches!(server.answer(&message.bytes), Err(ServiceError::Fhe(FheError::NoEvaluationKey)));
    assert!(refused(&server), "nobody registered");
    server.register(KEYS[1].1.expand()).unwrap();
    assert!(refused(&server), "somebody else registered");
    server.register(KEYS[0].1.expand()).unwrap();
    let reply = server.answer(&message.bytes).unwrap();
    assert!(matches!(client.receive(&reply), Ok(Step::Done(_))));
    server.forget(KEYS[0].1.id());
    assert!(refused(&server), "forgotten");

    // A reply names its query: another client refuses it, and so does the same client later.
    let server = self::server(&model, Protocol::Flat);
    let (mut right, mut wrong) = (self::client(&half, 0, &server), self::client(&half, 1, &server));
    let reply = server.answer(&right.start(&features(&half, Some(3))).unwrap().bytes).unwrap();
    wrong.start(&features(&half, Some(3))).unwrap();
    assert!(matches!(wrong.receive(&reply), Err(ServiceError::Fhe(FheError::OtherQuery))));
    assert!(matches!(right.receive(&reply), Ok(Step::Done(_))));
    right.start(&features(&half, Some(3))).unwrap();
    assert!(matches!(right.receive(&reply), Err(ServiceError::Fhe(FheError::OtherQuery))), "replayed");
}

#[test]
fn a_server_holds_no_more_keys_than_it_may_and_nobody_replaces_anothers() {
    let (_, model) = model("library");
    let server = Server::new(&model, PROTOCOLS[3], &INSECURE_N512).unwrap().with_most_keys(1);
    let first = server.register(KEYS[0].1.expand()).unwrap();
    assert!(matches!(server.register(KEYS[1].1.expand()), Err(ServiceError::TooManyKeys { limit: 1 })));
    assert_eq!(server.register(KEYS[0].1.expand()).unwrap(), first, "the same again");
    server.forget(first);
    assert_ne!(server.register(KEYS[1].1.expand()).unwrap(), first);
}

#[test]
fn messages_of_another_protocol_or_model_are_refused() {
    let (half, model) = model("library");
    let (_, other) = self::model("another library");
    let servers = PROTOCOLS.map(|protocol| server(&model, protocol));
    for (i, asked) in servers.iter().enumerate() {
        let message = client(&half, 0, asked).start(&features(&half, Some(1))).unwrap();
        for (j, server) in servers.iter().enumerate() {
            assert_eq!(server.answer(&message.bytes).is_ok(), i == j, "{i} asked as {j}");
        }
    }
    let other = server(&other, Protocol::Flat);
    let refused = Client::new(half.clone(), client_key(0), &other.hello());
    assert!(matches!(refused, Err(ServiceError::OtherModel { expected, .. }) if expected == model.hash()));
    let standard = SecretKey::generate(&sordino_fhe::params::INSECURE_N256);
    let refused = Client::new(half, standard, &servers[0].hello());
    assert!(matches!(refused, Err(ServiceError::Fhe(FheError::Parameters { .. }))));
}

#[test]
fn a_hello_comes_back_whole_or_not_at_all() {
    let (half, model) = model("library");
    for protocol in PROTOCOLS {
        let bytes = server(&model, protocol).hello();
        let hello = Hello::from_bytes(&bytes).unwrap();
        assert_eq!((hello.protocol, hello.model), (protocol, model.hash()));
        assert_eq!(hello.to_bytes(), bytes);
        for length in 0..bytes.len() {
            assert!(Hello::from_bytes(&bytes[..length]).is_err(), "{length} bytes");
        }
        assert!(Hello::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
        // Whatever else it says, a client either refuses it or works with it.
        for bit in 0..8 * bytes.len() {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(mut client) = Client::new(half.clone(), client_key(0), &flipped) {
                let _ = client.start(&features(&half, Some(1)));
            }
        }
    }
}

#[test]
fn features_that_do_not_fit_are_refused_and_nothing_is_sent() {
    let (half, model) = model("library");
    let server = server(&model, Protocol::Routed { probes: 1 });
    let mut client = client(&half, 0, &server);
    let good = features(&half, Some(1));
    assert!(matches!(client.start(&good[1..]), Err(ServiceError::Client(_))));
    assert!(matches!(client.start(&vec![f32::NAN; good.len()]), Err(ServiceError::Client(_))));
    assert!(matches!(client.receive(&[]), Err(ServiceError::NothingAsked)));
    let mut gone = |_: &[u8]| Err(ServiceError::Transport { reason: "the line is dead".into() });
    let error = exchange(&mut client, &good, &mut gone).unwrap_err();
    assert!(error.to_string().contains("the line is dead"));
}
