//! Models: their descriptions, their client halves, and what a server says first.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Raw;
use super::bytes::Fixed;
use crate::catalogue::{Description, Edition, Offer, Rows};
use crate::problem::{Kind, OfHalves, OfModels, Problem};
use crate::state::{App, State as Shared};

/// All models.
#[derive(Serialize, ToSchema)]
pub(super) struct Models {
    models: Vec<Description>,
}

/// The models that are served.
#[utoipa::path(get, path = "/v1/models", responses((status = OK, description = "All of them", body = Models)))]
pub(super) async fn list(State(app): State<App>) -> Json<Models> {
    Json(Models { models: app.catalogue.all().iter().map(|edition| edition.description.clone()).collect() })
}

/// One model.
#[utoipa::path(
    get,
    path = "/v1/models/{model}",
    params(("model" = String, Path, description = "Its name")),
    responses(
        (status = OK, description = "What it is and what it costs", body = Description),
        OfModels
    )
)]
pub(super) async fn one(State(app): State<App>, Path(model): Path<String>) -> Result<Json<Description>, Problem> {
    Ok(Json(current(&app, &model)?.description.clone()))
}

#[derive(Deserialize, IntoParams)]
pub(super) struct Version {
    /// Hash of the half that is expected.
    hash: Option<String>,
}

/// The client half of a model as one body, a `ustar` archive of its files.
#[utoipa::path(
    get,
    path = "/v1/models/{model}/client",
    params(("model" = String, Path, description = "Its name"), Version),
    responses(
        (status = OK, description = "The half", body = Raw, content_type = "application/x-tar"),
        (status = PARTIAL_CONTENT, description = "A range of it", body = Raw, content_type = "application/x-tar"),
        (status = NOT_MODIFIED, description = "It is the one whose ETag was sent"),
        (status = RANGE_NOT_SATISFIABLE, description = "The range lies beyond its end"),
        OfHalves
    )
)]
pub(super) async fn client(
    State(app): State<App>,
    Path(model): Path<String>,
    Query(version): Query<Version>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let edition = match &version.hash {
        None => current(&app, &model)?,
        Some(hash) => {
            let editions = app.catalogue.editions(&model);
            let Some(newest) = editions.first().cloned() else { return Err(no_model()) };
            let found = editions.into_iter().find(|edition| edition.description.client.hash == *hash);
            found.ok_or_else(|| {
                let hash = &newest.description.client.hash;
                Kind::ModelChanged
                    .because(format!("the client half has the hash {hash} now; ask for the model's description again"))
            })?
        }
    };
    let fixed = Fixed {
        media_type: "application/x-tar",
        tag: edition.description.client.hash.clone(),
        plain: edition.half.clone(),
        gzip: Some(edition.half_gzip.clone()),
        for_ever: version.hash.is_some(),
    };
    Ok(fixed.response(&headers))
}

/// The names of the rows of the part that hears encrypted samples, in their order. A client of `raw` without a half of the model tells by them what it was told.
/// All of them are sent, whatever it was.
#[utoipa::path(
    get,
    path = "/v1/models/{model}/rows",
    params(("model" = String, Path, description = "Its name")),
    responses(
        (status = OK, description = "The rows", body = Rows),
        (status = PARTIAL_CONTENT, description = "A range of them", body = Raw, content_type = "application/json"),
        (status = NOT_MODIFIED, description = "They are those whose ETag was sent"),
        (status = RANGE_NOT_SATISFIABLE, description = "The range lies beyond their end"),
        OfModels
    )
)]
pub(super) async fn rows(
    State(app): State<App>,
    Path(model): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let edition = current(&app, &model)?;
    let none = || Kind::NotFound.because("the model hears no encrypted samples, so it has no rows for them");
    let plain = edition.rows.clone().ok_or_else(none)?;
    let tag = edition.description.client.hash.clone();
    Ok(Fixed { media_type: "application/json", tag, plain, gzip: None, for_ever: false }.response(&headers))
}

/// What a client needs to know before it asks: the hello message, with protocol, model and plan.
#[utoipa::path(
    get,
    path = "/v1/models/{model}/protocols/{protocol}/hello",
    params(
        ("model" = String, Path, description = "The model's name"),
        ("protocol" = String, Path, pattern = "^(flat|routed|decided|picked|picked-decided|raw)$", description = "One of the protocols in the model's list")
    ),
    responses(
        (status = OK, description = "The message", body = Raw, content_type = "application/octet-stream"),
        (status = PARTIAL_CONTENT, description = "A range of it", body = Raw, content_type = "application/octet-stream"),
        (status = NOT_MODIFIED, description = "It is the one whose ETag was sent"),
        (status = RANGE_NOT_SATISFIABLE, description = "The range lies beyond its end"),
        OfModels
    )
)]
pub(super) async fn hello(
    State(app): State<App>,
    Path((model, protocol)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let offer = offers(&app, &model, &protocol)?.swap_remove(0);
    let fixed = Fixed {
        media_type: "application/octet-stream",
        tag: offer.hello_hash.to_string(),
        plain: offer.hello.clone(),
        gzip: None,
        for_ever: false,
    };
    Ok(fixed.response(&headers))
}

fn no_model() -> Problem {
    Kind::NotFound.because("no model of that name is served; GET /v1/models lists them")
}

/// The edition of a model that is served.
fn current(app: &Shared, model: &str) -> Result<Arc<Edition>, Problem> {
    app.catalogue.editions(model).into_iter().next().ok_or_else(no_model)
}

/// A protocol of a model, of its current edition first. There is one at least.
pub(super) fn offers(app: &Shared, model: &str, protocol: &str) -> Result<Vec<Arc<Offer>>, Problem> {
    let editions = app.catalogue.editions(model);
    if editions.is_empty() {
        return Err(no_model());
    }
    let offers: Vec<_> = editions.iter().filter_map(|edition| edition.offers.get(protocol).cloned()).collect();
    if offers.is_empty() {
        let spoken: Vec<&str> = editions[0].offers.keys().copied().collect();
        return Err(Kind::NotFound.because(format!("no such protocol is spoken here; expected {}", spoken.join(", "))));
    }
    Ok(offers)
}
