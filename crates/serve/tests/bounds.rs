//! What comes in wrong, too much, too slowly or at the wrong moment.

mod common;

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use common::{KEYS, Running, TOKEN, agent, asked, bearer, bytes, clear, committed, half, json};
use sordino_fhe::ClientKey;
use sordino_model::{ModelHash, load_client};
use sordino_serve::{Budget, BudgetRule};

const FLAT: &str = "/v1/models/composed/protocols/flat/queries";

fn problem(response: ureq::http::Response<ureq::Body>) -> (u16, String) {
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).map(str::to_owned);
    let found = json(response);
    assert_eq!(kind.as_deref(), Some("application/problem+json"));
    assert_eq!(found["status"].as_u64(), Some(status.into()));
    (status, found["type"].as_str().unwrap_or_default().trim_start_matches("urn:sordino:problem:").to_owned())
}

#[test]
fn garbage_is_refused_with_a_problem_and_keeps_nothing() {
    let server = Running::start(|_| ());
    let token = bearer(TOKEN);
    let asked = |body: &[u8]| problem(server.send("POST", FLAT, &[], body));
    assert_eq!(asked(&[]), (400, "malformed".into()));
    assert_eq!(asked(&[7; 1_000]), (400, "malformed".into()));
    assert_eq!(asked(&[7; 10_000_000]), (413, "length".into()));
    assert_eq!(problem(server.ask("GET", "/v1/models/none", &[])), (404, "not-found".into()));
    assert_eq!(problem(server.ask("GET", "/v1/models/composed/protocols/none/hello", &[])), (404, "not-found".into()));
    assert_eq!(problem(server.ask("GET", "/nothing", &[])), (404, "not-found".into()));
    assert_eq!(problem(server.ask("DELETE", "/v1/models", &[])), (405, "method".into()));
    assert_eq!(
        problem(server.ask("GET", "/v1/keys", &[("authorization", "Bearer short")])),
        (401, "token-unknown".into())
    );
    assert_eq!(problem(server.ask("PUT", "/v1/keys/xyz", &[("authorization", &token)])), (404, "not-found".into()));

    // Of a key that is damaged anywhere, or is called otherwise, nothing stays.
    let (name, mut key) = (KEYS.1.id().hex(), KEYS.2.clone());
    let put = |name: &str, key: &[u8]| {
        problem(server.send("PUT", &format!("/v1/keys/{name}"), &[("authorization", &token)], key))
    };
    assert_eq!(put(&"0".repeat(64), &key), (400, "malformed".into()));
    for place in [0, key.len() / 2, key.len() - 1] {
        key[place] ^= 1;
        assert_eq!(put(&name, &key), (400, "malformed".into()));
        key[place] ^= 1;
    }
    let kept = json(server.ask("GET", "/v1/keys", &[("authorization", &token)]));
    assert_eq!(kept["keys"].as_array().map(Vec::len), Some(0));
    let store = server.stop();
    let keys = walk(store.path()).into_iter().filter(|path| path.contains("evk")).collect::<Vec<_>>();
    assert!(keys.is_empty(), "{keys:?}");
}

#[test]
fn a_store_that_does_not_answer_is_asked_again_later() {
    let server = Running::start(|_| ());
    let folder = server.store.as_ref().map(|store| store.path().to_owned()).expect("a store");
    let (aside, token) = (folder.with_extension("aside"), bearer(TOKEN));
    // A file where the folder was: nothing can be written below it.
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "in the way").unwrap();
    let path = format!("/v1/keys/{}", KEYS.1.id().hex());
    let refused = server.send("PUT", &path, &[("authorization", &token)], &KEYS.2);
    assert_eq!(refused.headers().get("retry-after").and_then(|after| after.to_str().ok()), Some("5"));
    assert_eq!(problem(refused), (503, "store".into()));
    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    assert_eq!(server.register(TOKEN), 201);
}

fn walk(folder: &Path) -> Vec<String> {
    fs::read_dir(folder).into_iter().flatten().flatten().fold(Vec::new(), |mut all, entry| {
        if entry.path().is_dir() {
            all.extend(walk(&entry.path()));
        } else {
            all.push(entry.path().display().to_string());
        }
        all
    })
}

#[test]
fn a_budget_is_stated_and_kept() {
    let budget = Budget { queries: 2, seconds: 1 << 40 };
    let server = Running::start(|options| options.budget = BudgetRule::Fixed(budget));
    let model = half();
    let answered: Vec<_> = (0..3).map(|number| server.identify(&model, "flat", &asked(&model, number))).collect();
    assert!(answered[0].is_ok() && answered[1].is_ok());
    let (status, refused) = answered[2].clone().expect_err("spent");
    assert_eq!((status, refused["type"].as_str()), (429, Some("urn:sordino:problem:budget")));
    // Of two trips each.
    assert!((0..2).all(|number| server.identify(&model, "routed", &asked(&model, number)).is_ok()));
    assert_eq!(server.identify(&model, "routed", &asked(&model, 3)).expect_err("spent").0, 429);
    let said = json(server.ask("GET", "/v1/models/composed", &[]));
    assert_eq!(said["protocols"][0]["budget"]["queries"].as_u64(), Some(2));
}

#[test]
fn a_model_is_swapped_while_queries_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("composed");
    copy(&committed(), &place);
    let models = vec![place.clone()];
    let server = Running::start(|options| options.models = models);
    let old = half();
    let before = bytes(server.ask("GET", "/v1/models/composed/protocols/flat/hello", &[]));
    let hash =
        |server: &Running| json(server.ask("GET", "/v1/models/composed", &[]))["hash"].as_str().map(str::to_owned);
    let first = hash(&server);

    another_edition(&place);
    let waited = Instant::now();
    while hash(&server) == first && waited.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_ne!(hash(&server), first, "the new edition is served");
    let new = std::sync::Arc::new(load_client(&place).expect("the new edition"));
    let features = asked(&new, 5);
    assert_eq!(server.identify(&new, "routed", &features).expect("an answer"), clear(&place, "routed", &features));

    // Whoever began with the old one finishes with it.
    let mut client = sordino_service::Client::new(old.clone(), KEYS.0.clone(), &before).expect("the old hello");
    let message = client.start(&features).expect("a query");
    let reply = server.send("POST", FLAT, &[], &message.bytes);
    assert_eq!(reply.status(), 200);
    assert!(client.receive(&bytes(reply)).is_ok());
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

/// The same model with one weight of its server half changed, and all hashes as they should be.
fn another_edition(place: &Path) {
    let hash = |path: &Path| ModelHash::of(&fs::read(path).expect("a file")).to_string();
    let replace = |path: &Path, old: &str, new: &str| {
        let text = fs::read_to_string(path).expect("text");
        assert!(text.contains(old));
        fs::write(path, text.replace(old, new)).expect("written");
    };
    let [client, server] = ["client", "server"].map(|half| place.join(half));
    let (weights, sums) = (server.join("weights.safetensors"), server.join("SHA256SUMS"));
    let (old_weights, old_half) = (hash(&weights), hash(&sums));
    let mut numbers = fs::read(&weights).expect("weights");
    // Well past the header, a weight: odd becomes even and even odd.
    let middle = numbers.len() / 2;
    numbers[middle] ^= 1;
    fs::write(&weights, numbers).expect("written");
    let old_model = hash(&client.join("model.json"));
    replace(&client.join("model.json"), &old_half, &{
        let text = fs::read_to_string(&sums).expect("text").replace(&old_weights, &hash(&weights));
        ModelHash::of(text.as_bytes()).to_string()
    });
    replace(&client.join("SHA256SUMS"), &old_model, &hash(&client.join("model.json")));
    replace(&sums, &old_weights, &hash(&weights));
}

#[test]
fn a_stopping_server_finishes_what_it_has_begun() {
    let metrics = Running::free_address();
    let server = Running::start(|options| options.metrics = Some(metrics));
    assert_eq!(server.register(TOKEN), 201);
    let model = half();
    let running = || measured(metrics, "sordino_queries_running{protocol=\"decided\"}") == 1;
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| server.identify(&model, "decided", &asked(&model, 1)));
        while !running() {
            assert!(!asked.is_finished(), "it was answered before anybody saw it run");
        }
        server.begin_to_stop();
        assert!(asked.join().expect("no panic").is_ok());
    });
    // Nothing new is taken.
    let waited = Instant::now();
    while TcpStream::connect(server.address).is_ok() && waited.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(TcpStream::connect(server.address).is_err());
    server.stop();
}

/// What the operator sees of something that is counted.
fn measured(metrics: SocketAddr, name: &str) -> u64 {
    let text = bytes(agent().get(format!("http://{metrics}/metrics")).call().expect("metrics"));
    let text = String::from_utf8_lossy(&text);
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
}

#[test]
fn an_evaluation_stops_when_its_client_has_gone_or_its_deadline_has_passed() {
    let metrics = Running::free_address();
    let measured = |name: &str| measured(metrics, &format!("sordino_{name}{{protocol=\"decided\"}}"));
    let (running, stopped) = (|| measured("queries_running"), || measured("queries_stopped_total"));
    let server = Running::start(|options| options.metrics = Some(metrics));
    assert_eq!(server.register(TOKEN), 201);
    let (secret, evaluation, _) = &*KEYS;
    let (model, base) = (half(), "/v1/models/composed/protocols/decided");
    let hello = bytes(server.ask("GET", &format!("{base}/hello"), &[]));
    let key = ClientKey::registered(secret.clone(), evaluation.id());
    let mut client = sordino_service::Client::new(model.clone(), key, &hello).expect("a client");
    let message = client.start(&asked(&model, 1)).expect("a query").bytes;
    // The key is expanded before anybody is cut off: of that, nothing is stopped.
    let features = asked(&model, 2);
    assert!(server.identify(&model, "decided", &features).is_ok());

    let (token, length) = (bearer(TOKEN), message.len());
    let ask_and_go = || {
        let mut stream = TcpStream::connect(server.address).expect("connects");
        let head = format!("POST {base}/queries HTTP/1.1\r\nhost: x\r\nauthorization: {token}\r\n");
        write!(stream, "{head}content-length: {length}\r\n\r\n").expect("sent");
        stream.write_all(&message).expect("sent");
        let asked = Instant::now();
        while running() == 0 && asked.elapsed() < Duration::from_secs(10) {}
        drop(stream);
        while running() == 1 {}
        stopped()
    };
    // On a busy machine an evaluation may end before anybody hears that its client has gone. Not each time.
    assert!((0..30).any(|_| ask_and_go() > 0), "no evaluation was stopped");
    assert_eq!(server.identify(&model, "decided", &features), Ok(clear(&committed(), "decided", &features)));

    // The key is in the store. A deadline too short for any evaluation, and long enough to begin one.
    let metrics = Running::free_address();
    let server = Running::start_in(server.stop(), |options| {
        options.metrics = Some(metrics);
        options.deadline = Duration::from_millis(300);
    });
    let refused = server.identify(&model, "decided", &features).expect_err("too late");
    assert_eq!((refused.0, refused.1["type"].as_str()), (503, Some("urn:sordino:problem:deadline")));
}

#[test]
fn a_client_that_is_slow_or_silent_keeps_nobody_else_out() {
    let server = Running::start(|options| {
        options.queue = 4;
        options.queue_a_client = 2;
        options.deadline = Duration::from_secs(2);
    });
    let mut slow: Vec<TcpStream> = (0..2)
        .map(|_| {
            let mut stream = TcpStream::connect(server.address).expect("connects");
            write!(stream, "POST {FLAT} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n").expect("sent");
            stream.write_all(&[0; 10]).expect("sent");
            stream
        })
        .collect();
    std::thread::sleep(Duration::from_millis(300));
    // All come from one address here, so its share is what they fill.
    let (status, kind) = problem(server.send("POST", FLAT, &[], &[0; 8]));
    assert_eq!((status, &*kind), (429, "too-many"));
    // They are told in time, and their seats are free again.
    for stream in &mut slow {
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        let mut reply = [0; 12];
        stream.read_exact(&mut reply).expect("a reply");
        assert_eq!(&reply, b"HTTP/1.1 503");
    }
    assert_eq!(problem(server.send("POST", FLAT, &[], &[0; 8])).0, 400);
}

#[test]
fn bytes_are_served_in_ranges_compressed_and_once() {
    let server = Running::start(|_| ());
    let path = "/v1/models/composed/client";
    let whole = server.ask("GET", path, &[]);
    let tag = whole.headers()["etag"].to_str().expect("ASCII").to_owned();
    let whole = bytes(whole);
    let part = server.ask("GET", path, &[("range", "bytes=100-199")]);
    assert_eq!(
        (part.status().as_u16(), part.headers()["content-range"].to_str().ok()),
        (206, Some(&*format!("bytes 100-199/{}", whole.len())))
    );
    assert_eq!(bytes(part), whole[100..200]);
    assert_eq!(server.ask("GET", path, &[("if-none-match", &tag)]).status(), 304);
    assert_eq!(server.ask("GET", path, &[("range", "bytes=99999999-")]).status(), 416);
    let said = json(server.ask("GET", "/v1/models/composed", &[]));
    let hash = said["client"]["hash"].as_str().expect("a hash");
    assert_eq!(tag, format!("\"{hash}\""));
    let fixed = server.ask("GET", &format!("{path}?hash={hash}"), &[]);
    assert!(fixed.headers()["cache-control"].to_str().is_ok_and(|control| control.contains("immutable")));
    assert_eq!(server.ask("GET", &format!("{path}?hash={}", "0".repeat(64)), &[]).status(), 409);
}
