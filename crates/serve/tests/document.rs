//! The OpenAPI document tells the truth: what the running server answers is what the document says, and nothing else.

mod common;

use std::collections::BTreeSet;

use common::{KEYS, Running, TOKEN, asked, bearer, bytes, half};
use serde_json::{Value, json};
use sordino_fhe::EvaluationKey;
use sordino_fhe::params::STANDARD;
use sordino_model::Protocol;
use sordino_serve::{Budget, BudgetRule};

/// Checks responses against the document, and remembers which it has seen.
struct Checker {
    document: Value,
    seen: BTreeSet<(String, String)>,
}

impl Checker {
    fn check(&mut self, method: &str, template: &str, response: ureq::http::Response<ureq::Body>) -> u16 {
        let status = response.status().as_u16();
        let place = format!("{method} {template} {status}");
        let operation = &self.document["paths"][template][method.to_lowercase()];
        let declared = &operation["responses"][status.to_string()];
        assert!(declared.is_object(), "{place} is not in the document");
        for (name, _) in declared["headers"].as_object().into_iter().flatten() {
            assert!(response.headers().contains_key(name), "{place} lacks the header {name}");
        }
        let media = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).map(str::to_owned);
        let body = bytes(response);
        match declared["content"].as_object() {
            None => assert!(body.is_empty(), "{place} has a body"),
            Some(content) => {
                let media = media.unwrap_or_default();
                let essence = media.split(';').next().unwrap_or_default();
                let schema = content.get(essence).unwrap_or_else(|| panic!("{place} is {media}"));
                if essence.ends_with("json") {
                    // References inside the schema are to the document's components.
                    let mut schema = schema["schema"].clone();
                    schema["components"] = self.document["components"].clone();
                    let found: Value = serde_json::from_slice(&body).expect("JSON");
                    let checked = jsonschema::validator_for(&schema).expect("a schema");
                    let faults: Vec<String> = checked.iter_errors(&found).map(|fault| fault.to_string()).collect();
                    assert!(faults.is_empty(), "{place}: {faults:?} in {found}");
                }
            }
        }
        self.seen.insert((method.to_lowercase(), template.to_owned()));
        status
    }
}

#[test]
fn the_running_server_answers_as_its_document_says() {
    let server = Running::start(|options| options.budget = BudgetRule::Fixed(Budget { queries: 1, seconds: 1 << 40 }));
    let document: Value = serde_json::from_slice(&bytes(server.ask("GET", "/v1/openapi.json", &[]))).expect("JSON");
    assert_eq!(document, serde_json::from_str::<Value>(&sordino_serve::openapi()).expect("JSON"));
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    let mut checker = Checker { document, seen: BTreeSet::new() };
    let token = bearer(TOKEN);
    let own = [("authorization", &*token)];
    let mut get = |template: &str, path: &str, headers: &[(&str, &str)]| {
        checker.check("GET", template, server.ask("GET", path, headers))
    };
    assert_eq!(get("/healthz", "/healthz", &[]), 200);
    assert_eq!(get("/readyz", "/readyz", &[]), 200);
    assert_eq!(get("/v1/models", "/v1/models", &[]), 200);
    let one = "/v1/models/{model}";
    assert_eq!(get(one, "/v1/models/composed", &[]), 200);
    assert_eq!(get(one, "/v1/models/none", &[]), 404);
    let half_of = "/v1/models/{model}/client";
    let half_path = "/v1/models/composed/client";
    assert_eq!(get(half_of, half_path, &[]), 200);
    assert_eq!(get(half_of, half_path, &[("range", "bytes=0-9")]), 206);
    assert_eq!(get(half_of, half_path, &[("range", "bytes=999999999-")]), 416);
    assert_eq!(get(half_of, half_path, &[("if-none-match", "*")]), 304);
    assert_eq!(get(half_of, &format!("{half_path}?hash=0"), &[]), 409);
    let hello = "/v1/models/{model}/protocols/{protocol}/hello";
    assert_eq!(get(hello, "/v1/models/composed/protocols/flat/hello", &[]), 200);
    assert_eq!(get(hello, "/v1/models/composed/protocols/none/hello", &[]), 404);

    // It hears no encrypted samples; python/tests/test_raw.py asks a model that does.
    assert_eq!(get("/v1/models/{model}/rows", "/v1/models/composed/rows", &[]), 404);

    let (name, key) = (KEYS.1.id().hex(), &KEYS.2);
    let path = format!("/v1/keys/{name}");
    let keys = "/v1/keys/{key}";
    let put = |path: &str, headers: &[(&str, &str)], body: &[u8]| server.send("PUT", path, headers, body);
    assert_eq!(checker.check("PUT", keys, put(&path, &[], &[0; 4])), 401);
    assert_eq!(checker.check("PUT", keys, put(&path, &own, &[0; 4])), 400);
    // Longer than a key, but not than one for encrypted samples.
    assert_eq!(checker.check("PUT", keys, put(&path, &own, &vec![0; key.len() + 1])), 400);
    let longest = EvaluationKey::wire_bytes_for_samples(&STANDARD);
    assert_eq!(checker.check("PUT", keys, put(&path, &own, &vec![0; longest + 1])), 413);
    assert_eq!(checker.check("PUT", keys, put(&path, &own, &vec![0; key.len()])), 400);
    assert_eq!(checker.check("PUT", keys, put(&path, &own, key)), 201);
    assert_eq!(checker.check("PUT", keys, put(&path, &own, key)), 200);
    assert_eq!(checker.check("GET", keys, server.ask("GET", &path, &own)), 200);
    assert_eq!(checker.check("GET", keys, server.ask("GET", &format!("/v1/keys/{}", "0".repeat(64)), &own)), 404);
    assert_eq!(checker.check("GET", "/v1/keys", server.ask("GET", "/v1/keys", &own)), 200);
    assert_eq!(checker.check("GET", "/v1/keys", server.ask("GET", "/v1/keys", &[])), 401);
    assert_eq!(checker.check("DELETE", keys, server.ask("DELETE", &path, &own)), 204);
    assert_eq!(checker.check("DELETE", "/v1/keys", server.ask("DELETE", "/v1/keys", &own)), 204);

    let queries = "/v1/models/{model}/protocols/{protocol}/queries";
    let flat = "/v1/models/composed/protocols/flat/queries";
    let post = |path: &str, body: &[u8]| server.send("POST", path, &[], body);
    let model = half();
    let said = bytes(server.ask("GET", "/v1/models/composed/protocols/flat/hello", &[]));
    let mut client = sordino_service::Client::new(model.clone(), KEYS.0.clone(), &said).expect("a client");
    let message = client.start(&asked(&model, 1)).expect("a query").bytes;
    assert_eq!(checker.check("POST", queries, post(flat, &message)), 200);
    assert_eq!(checker.check("POST", queries, post(flat, &message)), 429, "the budget is one");
    assert_eq!(checker.check("POST", queries, post("/v1/models/composed/protocols/routed/queries", &[1; 80])), 400);
    assert_eq!(checker.check("POST", queries, post("/v1/models/none/protocols/flat/queries", &message)), 404);
    assert_eq!(checker.check("POST", queries, post(flat, &vec![0; 1 << 23])), 413);

    let described = checker.document["paths"].as_object().expect("paths").iter().flat_map(|(path, operations)| {
        operations.as_object().into_iter().flatten().map(|(method, _)| (method.clone(), path.clone()))
    });
    let left: Vec<_> = described.filter(|operation| !checker.seen.contains(operation)).collect();
    assert!(left.is_empty(), "never asked: {left:?}");
}

#[test]
fn the_document_is_one_of_openapi() {
    let document: Value = serde_json::from_str(&sordino_serve::openapi()).expect("JSON");
    assert_eq!(document["info"]["title"], json!("Sordino"));
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("operations") {
            let summary = operation["summary"].as_str().unwrap_or_default();
            assert!(!summary.is_empty(), "{method} {path} says nothing of itself");
            // Bodies that are no JSON are bytes, not lists of numbers.
            let bodies =
                operation["responses"].as_object().expect("responses").values().chain([&operation["requestBody"]]);
            for (media, body) in bodies.filter_map(|body| body["content"].as_object()).flatten() {
                if media.starts_with("application/") && !media.ends_with("json") {
                    let name = body["schema"]["$ref"].as_str().map(|path| path.trim_start_matches('#'));
                    let schema = name.and_then(|path| document.pointer(path)).unwrap_or(&body["schema"]);
                    assert_eq!(
                        (&schema["type"], &schema["format"]),
                        (&json!("string"), &json!("binary")),
                        "{method} {path}"
                    );
                }
            }
            // Every name in the path is a parameter.
            for name in path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')) {
                let known = operation["parameters"].as_array().into_iter().flatten().any(|found| found["name"] == name);
                assert!(known, "{method} {path}: {name}");
            }
        }
    }
}

#[test]
fn the_document_knows_every_protocol() {
    let document: Value = serde_json::from_str(&sordino_serve::openapi()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths").values();
    let operations = paths.flat_map(|path| path.as_object().expect("operations").values());
    let parameters = operations.flat_map(|operation| operation["parameters"].as_array().into_iter().flatten());
    let named: Vec<&Value> = parameters.filter(|parameter| parameter["name"] == "protocol").collect();
    assert!(!named.is_empty());
    for parameter in named {
        let schema = jsonschema::validator_for(&parameter["schema"]).expect("a schema");
        for protocol in Protocol::ALL {
            assert!(schema.is_valid(&json!(protocol.name())), "{} is not in {parameter}", protocol.name());
        }
        assert!(!schema.is_valid(&json!("none")), "{parameter} takes anything");
    }
}
