//! Whether the server lives, whether it is ready, and what it has done.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use crate::problem::{Kind, OfReadiness, Problem};
use crate::state::App;

/// The process answers.
#[utoipa::path(get, path = "/healthz", responses((status = OK, description = "It lives", body = String)))]
pub(super) async fn alive() -> &'static str {
    "alive\n"
}

/// The server takes queries. While it is stopping, it does not.
#[utoipa::path(
    get,
    path = "/readyz",
    responses(
        (status = OK, description = "It is ready", body = String),
        OfReadiness
    )
)]
pub(super) async fn ready(State(app): State<App>) -> Result<&'static str, Problem> {
    if app.ready() { Ok("ready\n") } else { Err(Kind::Stopping.because("the server is stopping; ask another one")) }
}

pub(super) async fn metrics(State(app): State<App>) -> impl IntoResponse {
    let text = app.metrics.text(&app);
    (StatusCode::OK, [(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text)
}
