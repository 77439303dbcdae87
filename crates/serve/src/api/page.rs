//! The page: its files, embedded in the program.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::Bytes;
use sordino_model::ModelHash;

use super::bytes::Fixed;
use crate::catalogue::gzip;
use crate::problem::{Kind, Problem};
use crate::state::App;

/// A file of the page.
struct File {
    name: &'static str,
    media_type: &'static str,
    plain: &'static [u8],
    gzip: Bytes,
    hash: ModelHash,
}

impl File {
    fn response(&self, asked: &HeaderMap) -> Response {
        let fixed = Fixed {
            media_type: self.media_type,
            tag: self.hash.to_string(),
            plain: Bytes::from_static(self.plain),
            gzip: Some(self.gzip.clone()),
            for_ever: false,
        };
        let mut response = fixed.response(asked);
        for (name, value) in HEADERS {
            response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        response
    }
}

/// Nothing comes from elsewhere and nothing goes elsewhere. The isolation is what shared memory asks for.
const HEADERS: [(&str, &str); 5] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("permissions-policy", "microphone=(self), camera=(), geolocation=()"),
    ("x-frame-options", "DENY"),
];

macro_rules! files {
    ($($name:literal $media_type:literal,)*) => {
        [$(($name, $media_type, include_bytes!(concat!("../../page/", $name)).as_slice())),*]
    };
}

static FILES: LazyLock<Vec<File>> = LazyLock::new(|| {
    let files = files![
        "index.html" "text/html; charset=utf-8",
        "style.css" "text/css; charset=utf-8",
        "icon.svg" "image/svg+xml",
        "app.js" "text/javascript; charset=utf-8",
        "recorder.js" "text/javascript; charset=utf-8",
        "seen.js" "text/javascript; charset=utf-8",
        "sound.js" "text/javascript; charset=utf-8",
        "spectrogram.js" "text/javascript; charset=utf-8",
        "texts.js" "text/javascript; charset=utf-8",
        "client/evaluation.js" "text/javascript; charset=utf-8",
        "client/pieces.js" "text/javascript; charset=utf-8",
        "client/server.js" "text/javascript; charset=utf-8",
        "client/store.js" "text/javascript; charset=utf-8",
        "client/worker.js" "text/javascript; charset=utf-8",
        "module/sordino_web.js" "text/javascript; charset=utf-8",
        "module/sordino_web_bg.wasm" "application/wasm",
    ];
    let file =
        |(name, media_type, plain)| File { name, media_type, plain, gzip: gzip(plain), hash: ModelHash::of(plain) };
    files.map(file).into()
});

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(async |headers: HeaderMap| file("index.html", &headers)))
        .route("/favicon.ico", get(async |headers: HeaderMap| file("icon.svg", &headers)))
        .route("/assets/{*name}", get(async |Path(name): Path<String>, headers: HeaderMap| file(&name, &headers)))
}

fn file(name: &str, asked: &HeaderMap) -> Result<Response, Problem> {
    let found = FILES.iter().find(|file| file.name == name);
    found
        .map(|file| file.response(asked).into_response())
        .ok_or_else(|| Kind::NotFound.because("the page has no such file; open / for it"))
}
