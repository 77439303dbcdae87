//! The page, and the line it comes over.

mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::{Running, bytes};

#[test]
fn every_file_that_the_page_names_is_there_and_nothing_comes_from_elsewhere() {
    let server = Running::start(|_| ());
    let page = server.ask("GET", "/", &[]);
    let policy = page.headers()["content-security-policy"].to_str().expect("ASCII").to_owned();
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe-inline") && !policy.contains("http"));
    assert_eq!(page.headers()["cross-origin-opener-policy"], "same-origin");
    assert_eq!(page.headers()["cross-origin-embedder-policy"], "require-corp");
    let text = String::from_utf8(bytes(page)).expect("UTF-8");
    assert!(!text.contains("//cdn") && !text.contains("https://"), "a file from elsewhere");

    // From the page on, whatever a file names in quotes is fetched, too.
    let mut queue = vec![("index.html".to_owned(), text)];
    let mut seen = vec!["index.html".to_owned()];
    while let Some((of, text)) = queue.pop() {
        let names = text.split(['"', '\'']).filter(|name| {
            let known = [".js", ".css", ".svg", ".wasm"].iter().any(|end| name.ends_with(end));
            // The glue calls its imports by a name that looks like one of a file.
            known && !name.ends_with("_bg.js") && !name.contains([' ', '$', ':'])
        });
        let names = names.map(|name| beside(&of, name.strip_prefix("assets/").unwrap_or(name)));
        for name in names.collect::<Vec<_>>() {
            if seen.contains(&name) {
                continue;
            }
            let file = server.ask("GET", &format!("/assets/{name}"), &[]);
            assert_eq!(file.status(), 200, "{of} names {name}");
            let script = file.headers()["content-type"].to_str().is_ok_and(|kind| kind.starts_with("text/javascript"));
            assert_eq!(script, name.ends_with(".js"), "{name}");
            seen.push(name.clone());
            if let Ok(text) = String::from_utf8(bytes(file)) {
                queue.push((name, text));
            }
        }
    }
    for name in ["module/sordino_web_bg.wasm", "client/pieces.js"] {
        assert!(seen.iter().any(|seen| seen == name), "{name} is not among {seen:?}");
    }
    let tag = server.ask("GET", "/assets/app.js", &[]).headers()["etag"].clone();
    let again = server.ask("GET", "/assets/app.js", &[("if-none-match", tag.to_str().expect("ASCII"))]);
    assert_eq!(again.status(), 304);
    assert_eq!(server.ask("GET", "/assets/../Cargo.toml", &[]).status(), 404);
}

/// The path of a file that `of` calls `name`.
fn beside(of: &str, name: &str) -> String {
    let mut path: Vec<&str> = of.split('/').collect();
    path.pop();
    for part in name.split('/') {
        match part {
            "." => {}
            ".." => drop(path.pop()),
            part => path.push(part),
        }
    }
    path.join("/")
}

/// A certificate for 127.0.0.1 and its key, signed by nobody else.
fn certificate(folder: &std::path::Path) -> ureq::tls::Certificate<'static> {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).expect("written");
    fs::write(folder.join("chain.pem"), made.cert.pem()).expect("written");
    ureq::tls::Certificate::from_der(made.cert.der()).to_owned()
}

#[test]
fn a_new_certificate_is_taken_without_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = certificate(folder.path());
    let files = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
    let server = Running::start(|options| options.tls = Some(files));
    let alive = |root: &ureq::tls::Certificate<'static>| {
        let tls = ureq::tls::TlsConfig::builder()
            .root_certs(ureq::tls::RootCerts::new_with_certs(std::slice::from_ref(root)));
        let agent: ureq::Agent = ureq::Agent::config_builder().tls_config(tls.build()).build().into();
        agent.get(format!("https://{}/healthz", server.address)).call().is_ok()
    };
    assert!(alive(&first));
    // File times are as coarse as a second on some disks.
    std::thread::sleep(Duration::from_millis(1_100));
    let second = certificate(folder.path());
    let waited = Instant::now();
    while !alive(&second) && waited.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(100));
    }
    assert!(alive(&second) && !alive(&first));
}
