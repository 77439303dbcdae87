//! Evaluation keys: registered once by their owner, used by its queries, forgotten on demand.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt;
use serde::Serialize;
use sordino_fhe::KeyId;
use utoipa::ToSchema;

use super::{Raw, Unread, announced};
use crate::caller::Caller;
use crate::problem::{Kind, OfKeys, OfOwners, OfRegistrations, Problem};
use crate::state::App;
use crate::store::{KeyRecord, Store, UploadError};

/// Longest silence in an upload.
const SILENCE: Duration = Duration::from_secs(20);
/// Longest upload: a key at 100 KB/s.
const UPLOAD: Duration = Duration::from_secs(600);

/// The keys of a token.
#[derive(Serialize, ToSchema)]
pub(super) struct Keys {
    keys: Vec<KeyRecord>,
}

/// Registers an evaluation key under its name. Doing so again changes nothing.
#[utoipa::path(
    put,
    path = "/v1/keys/{key}",
    params(("key" = String, Path, pattern = "^[0-9a-f]{64}$", description = "Its name: the SHA-256 with which it ends, in hexadecimal")),
    request_body(content = Raw, content_type = "application/octet-stream", description = "The evaluation key"),
    responses(
        (status = OK, description = "It was there already", body = KeyRecord),
        (status = CREATED, description = "It is kept", body = KeyRecord),
        OfRegistrations
    ),
    security(("token" = []))
)]
pub(super) async fn register(
    State(app): State<App>,
    Path(key): Path<String>,
    caller: Result<Caller, Problem>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<KeyRecord>), Problem> {
    let mut body = Unread(Some(body));
    let kept = keep(&app, &key, caller, &headers, &mut body).await;
    body.drain(Store::key_bytes()[1]).await;
    kept
}

async fn keep(
    app: &App,
    key: &str,
    caller: Result<Caller, Problem>,
    headers: &HeaderMap,
    body: &mut Unread,
) -> Result<(StatusCode, Json<KeyRecord>), Problem> {
    let (owner, id) = (caller?.owner()?, name(key)?);
    if let Some(record) = app.store.record(owner, id).await? {
        return Ok((StatusCode::OK, Json(record)));
    }
    let expected = Store::key_bytes();
    if let Some(found) = announced(headers).filter(|announced| !expected.contains(announced)) {
        let [plain, samples] = expected;
        let kind = if found > samples { Kind::Length } else { Kind::Malformed };
        return Err(kind.because(format!(
            "{found} bytes announced, expected {plain}, the length of an evaluation key, or {samples}, of one for encrypted samples"
        )));
    }
    let Ok(_upload) = app.uploads.try_acquire() else {
        let busy = Kind::TooMany.because("other keys are being uploaded; send yours again in a while");
        return Err(busy.retry_after(SILENCE));
    };
    let (most, most_in_all) = (app.settings.keys_a_token, app.settings.most_keys);
    let own = app.store.keys_of(owner).await?.len();
    if own >= most {
        return Err(Kind::Quota.because(format!("this token has {own} keys, expected at most {most}; DELETE one")));
    }
    if app.store.count().await? >= most_in_all {
        return Err(
            Kind::Quota.because(format!("the server keeps {most_in_all} keys and takes no more; ask its operator"))
        );
    }
    let body = body
        .take()
        .into_data_stream()
        .map(|chunk| chunk.map_err(|_| UploadError::Refused("the upload broke off; send the key again".into())));
    // An upload that falls silent must not keep others out.
    let body = futures_util::stream::unfold(Box::pin(body), async |mut body| {
        match tokio::time::timeout(SILENCE, body.next()).await {
            Ok(chunk) => Some((chunk?, body)),
            Err(_) => Some((Err(UploadError::Refused(format!("nothing came for {} s", SILENCE.as_secs()))), body)),
        }
    });
    let upload = app.store.upload(owner, id, app.settings.keep_keys, Box::pin(body));
    match tokio::time::timeout(UPLOAD, upload).await {
        Ok(Ok(record)) => Ok((StatusCode::CREATED, Json(record))),
        Ok(Err(UploadError::Refused(reason))) => Err(Kind::Malformed.because(reason)),
        Ok(Err(UploadError::Store(error))) => Err(error.into()),
        Err(_) => Err(Kind::Deadline.because("the key did not arrive in time; send it over a faster line")),
    }
}

/// The keys that this token registered.
#[utoipa::path(
    get,
    path = "/v1/keys",
    responses(
        (status = OK, description = "Its keys", body = Keys),
        OfOwners
    ),
    security(("token" = []))
)]
pub(super) async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Keys>, Problem> {
    Ok(Json(Keys { keys: app.store.keys_of(caller.owner()?).await? }))
}

/// One key of this token.
#[utoipa::path(
    get,
    path = "/v1/keys/{key}",
    params(("key" = String, Path, pattern = "^[0-9a-f]{64}$", description = "Its name")),
    responses(
        (status = OK, description = "It is registered", body = KeyRecord),
        OfKeys
    ),
    security(("token" = []))
)]
pub(super) async fn one(
    State(app): State<App>,
    Path(key): Path<String>,
    caller: Caller,
) -> Result<Json<KeyRecord>, Problem> {
    let record = app.store.record(caller.owner()?, name(&key)?).await?;
    record.map(Json).ok_or_else(|| Kind::KeyMissing.because("this token registered no key of that name"))
}

/// Forgets a key.
#[utoipa::path(
    delete,
    path = "/v1/keys/{key}",
    params(("key" = String, Path, pattern = "^[0-9a-f]{64}$", description = "Its name")),
    responses(
        (status = NO_CONTENT, description = "It is forgotten, or was not there"),
        OfKeys
    ),
    security(("token" = []))
)]
pub(super) async fn forget(
    State(app): State<App>,
    Path(key): Path<String>,
    caller: Caller,
) -> Result<StatusCode, Problem> {
    let id = name(&key)?;
    app.store.forget(caller.owner()?, id).await?;
    app.cache.forget(id);
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets every key of this token.
#[utoipa::path(
    delete,
    path = "/v1/keys",
    responses(
        (status = NO_CONTENT, description = "They are forgotten"),
        OfOwners
    ),
    security(("token" = []))
)]
pub(super) async fn forget_all(State(app): State<App>, caller: Caller) -> Result<StatusCode, Problem> {
    let owner = caller.owner()?;
    for record in app.store.keys_of(owner).await? {
        if let Ok(id) = record.key.parse() {
            app.cache.forget(id);
        }
    }
    app.store.forget_all(owner).await?;
    Ok(StatusCode::NO_CONTENT)
}

fn name(key: &str) -> Result<KeyId, Problem> {
    key.parse().map_err(|_| Kind::NotFound.because("the name of a key has 64 lower-case hexadecimal digits"))
}
