//! What is asked over HTTP is answered as in the clear, and by nobody's key but one's own.

mod common;

use common::{KEYS, Running, TOKEN, asked, bearer, bytes, clear, committed, half, json};
use ndarray::Array2;
use sordino_model::{Card, ClientModel, HeldOut, load_pair, save};
use sordino_serve::{Options, Server};
use sordino_service::Wish;

#[test]
fn every_protocol_answers_over_http_as_the_clear_does() {
    let server = Running::start(|_| ());
    // The half that a client fetches is the one on disk.
    let model = bytes(server.ask("GET", "/v1/models/composed/client", &[]));
    let model = std::sync::Arc::new(ClientModel::from_bytes(&model).expect("a client half"));
    assert_eq!(*model, *half());
    assert_eq!(server.register(TOKEN), 201);
    for protocol in ["flat", "routed", "decided"] {
        for number in 0..3 {
            let features = asked(&model, number);
            let found = server.identify(&model, protocol, &features).expect("an answer");
            assert_eq!(found, clear(&committed(), protocol, &features), "{protocol} {number}");
        }
    }
}

#[test]
fn a_key_is_its_owners_and_outlives_the_server() {
    let server = Running::start(|options| options.keys_a_token = 1);
    let (model, name) = (half(), KEYS.1.id().hex());
    let path = format!("/v1/keys/{name}");
    let refused = server.identify(&model, "decided", &asked(&model, 1)).expect_err("no key");
    assert_eq!((refused.0, refused.1["type"].as_str()), (404, Some("urn:sordino:problem:key-missing")));

    assert_eq!(server.register(TOKEN), 201);
    assert_eq!(server.register(TOKEN), 200, "doing so again changes nothing");
    let other = "another-token-of-thirty-two-char";
    assert_eq!(server.ask("GET", &path, &[("authorization", &bearer(other))]).status(), 404);
    assert_eq!(server.ask("DELETE", &path, &[("authorization", &bearer(other))]).status(), 204);
    assert_eq!(server.ask("DELETE", "/v1/keys", &[("authorization", &bearer(other))]).status(), 204);
    assert_eq!(server.ask("GET", &path, &[]).status(), 401);
    assert!(server.identify(&model, "decided", &asked(&model, 1)).is_ok(), "nobody else took it away");
    let second =
        server.send("PUT", &format!("/v1/keys/{}", "0".repeat(64)), &[("authorization", &bearer(TOKEN))], &[1; 4]);
    assert_eq!(second.status(), 400, "the length is that of a key or nothing");

    let server = Running::start_in(server.stop(), |_| ());
    assert!(server.identify(&model, "decided", &asked(&model, 2)).is_ok(), "a restart forgets nothing");
    let listed = json(server.ask("GET", "/v1/keys", &[("authorization", &bearer(TOKEN))]));
    assert_eq!(listed["keys"][0]["key"].as_str(), Some(&*name));
    assert_eq!(server.ask("DELETE", "/v1/keys", &[("authorization", &bearer(TOKEN))]).status(), 204);
    let refused = server.identify(&model, "decided", &asked(&model, 2)).expect_err("forgotten");
    assert_eq!(refused.0, 404);
    assert_eq!(server.register(TOKEN), 201, "and may come again");
}

#[test]
fn an_operator_takes_a_key_back_while_the_server_runs() {
    let server = Running::start(|_| ());
    let model = half();
    assert_eq!(server.register(TOKEN), 201);
    assert!(server.identify(&model, "decided", &asked(&model, 1)).is_ok());
    let place = server.store.as_ref().expect("a store").path().to_str().expect("UTF-8").to_owned();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = sordino_serve::Store::open(&place).expect("a store");
    assert_eq!(runtime.block_on(store.keys()).expect("a list").len(), 1);
    assert_eq!(runtime.block_on(store.revoke(&KEYS.1.id().hex())).expect("revoked"), 1);
    assert_eq!(server.identify(&model, "decided", &asked(&model, 1)).expect_err("revoked").0, 404);
}

#[test]
fn only_tokens_that_were_given_out_may_ask() {
    let server = Running::start(|options| options.only_tokens = true);
    let place = server.store.as_ref().expect("a store").path().to_str().expect("UTF-8").to_owned();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = sordino_serve::Store::open(&place).expect("a store");
    let path = "/v1/models/composed/protocols/flat/queries";
    assert_eq!(server.send("POST", path, &[], &[0; 8]).status(), 401);
    assert_eq!(server.send("POST", path, &[("authorization", &bearer(TOKEN))], &[0; 8]).status(), 401);
    let token = runtime.block_on(store.grant("alice")).expect("a token");
    assert_eq!(
        server.send("POST", path, &[("authorization", &bearer(&token))], &[0; 8]).status(),
        400,
        "let in, and no query"
    );
    assert_eq!(server.ask("GET", "/v1/models", &[]).status(), 200, "what is public stays so");
    assert_eq!(runtime.block_on(store.withdraw("alice")).expect("withdrawn"), 1);
}

#[test]
fn plans_are_chosen_by_what_training_held_out() {
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("wished");
    let (client, model) = load_pair(&committed()).expect("the committed model");
    // Clips of no song: nothing is named rightly, and hardly anything certain.
    let width = client.front().width();
    let features = Array2::from_shape_fn((20, width), |(i, j)| ((i * width + j) as f32 * 0.7).sin());
    let held_out = HeldOut { features, ids: vec![0; 20] };
    save(&folder, &client, &model, &Card { held_out, ..Card::default() }).expect("saved");
    let decided = |wish| {
        let server = Running::start(|options| {
            options.models = vec![folder.clone()];
            options.protocols = ["decided".parse().expect("a protocol")].into();
            options.wish = wish;
        });
        json(server.ask("GET", "/v1/models", &[]))["models"][0]["protocols"][0].clone()
    };
    let (usual, cheapest) = (decided(None), decided(Some(Wish::Certain(0.0))));
    assert_eq!((&cheapest["resolution"], &cheapest["probes"]), (&usual["resolution"], &usual["probes"]));
    let surest = decided(Some(Wish::Certain(1.0)));
    assert!(surest["bytes_up"].as_u64() >= cheapest["bytes_up"].as_u64(), "{surest}");

    let mut options = Options::new(vec![committed()], ([127, 0, 0, 1], 0).into(), home.path().display().to_string());
    options.wish = Some(Wish::Certain(0.9));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let refused = runtime.block_on(Server::open(options)).err().expect("the committed model held nothing out");
    assert!(refused.to_string().contains("held out"), "{refused}");
}
