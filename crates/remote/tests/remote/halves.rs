//! Client halves: fetched once, kept, and never believed.

use std::fs;
use std::path::PathBuf;

use sordino_remote::RemoteError;

use crate::stand_in::{Answer, StandIn};
use crate::{library, models, offer, options, remote};

#[test]
fn a_half_is_fetched_once_and_damage_in_the_cache_is_mended() {
    let (half, model) = library();
    let (list, bytes) = (models(&offer(&half, &model)), half.bundle().unwrap().to_bytes());
    let (hash, tar) = (half.bundle().unwrap().hash(), bytes.clone());
    let server = StandIn::new(move |request| match &*request.path {
        "/v1/models" => Answer::ok(list.clone()),
        path if path == format!("/v1/models/library/client?hash={hash}") => Answer::ok(tar.clone()),
        _ => Answer::status(404, ""),
    });
    let home = tempfile::tempdir().unwrap();
    let cache = home.path().join("models");
    let remote = remote(&server.url, options(Some(&cache)));
    let offer = remote.model(None).unwrap();
    let fetched = || server.lines().iter().filter(|line| line.contains("/client")).count();
    assert_eq!(remote.client_half(&offer).unwrap(), *half);
    assert_eq!(remote.client_half(&offer).unwrap(), *half);
    assert_eq!(fetched(), 1);

    let file = cache.join(format!("{hash}.tar"));
    assert_eq!(fs::read(&file).unwrap(), bytes);
    let mut damaged = bytes.clone();
    // A label, the list of checksums, and the end.
    let at = |text: &str| bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap();
    damaged[at("track 7")] ^= 1;
    let mut unlisted = bytes.clone();
    unlisted[at("  labels.json")] ^= 1;
    let mut fetches = 1;
    for wrong in [damaged, unlisted, bytes[..bytes.len() - 1_024].to_vec(), Vec::new()] {
        fs::write(&file, wrong).unwrap();
        assert_eq!(remote.client_half(&offer).unwrap(), *half);
        fetches += 1;
        assert_eq!(fetched(), fetches);
        assert_eq!(fs::read(&file).unwrap(), bytes, "mended");
    }
    // Another model under this one's name, whole in itself.
    let (other, _) = crate::common::model("another library");
    fs::write(&file, other.bundle().unwrap().to_bytes()).unwrap();
    assert_eq!(remote.client_half(&offer).unwrap(), *half);
    assert_eq!(fetched(), fetches + 1);

    // Where nothing can be kept, it is fetched all the same.
    let blocked: PathBuf = home.path().join("file");
    fs::write(&blocked, "").unwrap();
    let remote = crate::remote(&server.url, options(Some(&blocked)));
    assert_eq!(remote.client_half(&offer).unwrap(), *half);
}

#[test]
fn what_was_not_asked_for_is_refused() {
    let (half, model) = library();
    let (other, _) = crate::common::model("another library");
    let (offer, right) = (offer(&half, &model), half.bundle().unwrap().to_bytes());
    let mut longer = offer.clone();
    longer["client"]["bytes"] = (1 << 30).into();
    let home = tempfile::tempdir().unwrap();
    for (offer, sent) in [(&offer, [&right[..], &[0]].concat()), (&longer, other.bundle().unwrap().to_bytes())] {
        let list = models(offer);
        let server = StandIn::new(move |request| match &*request.path {
            "/v1/models" => Answer::ok(list.clone()),
            _ => Answer::ok(sent.clone()),
        });
        let remote = remote(&server.url, options(Some(home.path())));
        let error = remote.client_half(&remote.model(None).unwrap()).unwrap_err();
        assert!(matches!(error, RemoteError::OtherHash { .. } | RemoteError::TooLong { .. }), "{error}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "nothing is kept");
    }
}

#[test]
fn a_server_half_of_another_hash_is_refused() {
    let (half, model) = library();
    let (_, other) = crate::common::model("another library");
    let mut offer = offer(&half, &model);
    offer["hash"] = other.hash().to_string().into();
    let (list, bytes) = (models(&offer), half.bundle().unwrap().to_bytes());
    let server = StandIn::new(move |request| match &*request.path {
        "/v1/models" => Answer::ok(list.clone()),
        _ => Answer::ok(bytes.clone()),
    });
    let remote = remote(&server.url, options(None));
    let offer = remote.model(None).unwrap();
    let error = remote.client_half(&offer).unwrap_err();
    assert!(matches!(error, RemoteError::OtherHash { .. }), "{error}");
}

#[test]
fn models_are_found_by_name() {
    let (half, model) = library();
    let one = offer(&half, &model);
    let mut two = one.clone();
    two["name"] = "a second\u{1b}[31m".into();
    let body = serde_json::json!({"models": [one, two]}).to_string();
    let server = StandIn::new(move |_| Answer::ok(body.clone()));
    let remote = remote(&server.url, options(None));
    assert_eq!(remote.model(Some("library")).unwrap().name, "library");
    for name in [None, Some("a third")] {
        let error = remote.model(name).unwrap_err().to_string();
        assert!(error.contains("library, a second\\u{1b}") && !error.contains('\u{1b}'), "{error}");
    }
    let offer = remote.model(Some("library")).unwrap();
    let error = remote.hello(&offer, "four-trip").unwrap_err();
    assert!(matches!(error, RemoteError::NoProtocol { .. }), "{error}");
    assert!(error.to_string().contains("flat, routed, decided"), "{error}");
}
