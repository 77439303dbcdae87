//! Queries: a message comes, its reply goes.

use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{AppendHeaders, IntoResponse, Response};
use bytes::Bytes;
use sordino_fhe::{FheError, KeyId, ServerKey};
use sordino_service::ServiceError;

use super::models::offers;
use super::{Raw, Unread, announced};
use crate::budget::Left;
use crate::caller::{Caller, Owner};
use crate::catalogue::Offer;
use crate::lane::Wanted;
use crate::metrics::Which;
use crate::problem::{Kind, OfQueries, Problem};
use crate::state::{App, State as Shared};
use crate::store::LoadError;

/// Answers one message of a query, which names its trip and, where the server decides, its evaluation key.
///
/// The same bytes may be sent again as long as nothing was decrypted: a message changes nothing here but the budget.
#[utoipa::path(
    post,
    path = "/v1/models/{model}/protocols/{protocol}/queries",
    params(
        ("model" = String, Path, description = "The model's name"),
        ("protocol" = String, Path, pattern = "^(flat|routed|decided|picked|picked-decided|raw)$", description = "One of the protocols in the model's list")
    ),
    request_body(content = Raw, content_type = "application/octet-stream", description = "A query message"),
    responses(
        (
            status = OK, description = "The reply message", body = Raw, content_type = "application/octet-stream",
            headers(
                ("RateLimit-Policy" = String, description = "The query budget"),
                ("RateLimit" = String, description = "What is left of it"),
                ("Server-Timing" = String, description = "Milliseconds in the queue and under evaluation")
            )
        ),
        OfQueries
    ),
    security(("token" = []), ())
)]
pub(super) async fn ask(
    State(app): State<App>,
    Path((model, protocol)): Path<(String, String)>,
    caller: Result<Caller, Problem>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    /// Longer than any query of a model that is known.
    const DRAINED: u64 = 16 << 20;
    let mut body = Unread(Some(body));
    let reply = reply(&app, model, &protocol, caller, &headers, &mut body).await;
    body.drain(DRAINED).await;
    reply
}

async fn reply(
    app: &App,
    model: String,
    protocol: &str,
    caller: Result<Caller, Problem>,
    headers: &HeaderMap,
    body: &mut Unread,
) -> Result<Response, Problem> {
    let caller = caller?;
    let deadline = Instant::now() + app.settings.deadline;
    let offers = offers(app, &model, protocol)?;
    let (offer, name) = (offers[0].clone(), offers[0].server.protocol().name());
    let lane = app.lanes.get(name).ok_or_else(|| Kind::Internal.because("the protocol has no queue"))?;
    // A body is read by whoever has a seat, and seats are bounded: so is memory.
    let seat = lane.seat(caller.share)?;
    let most = offers.iter().map(|offer| offer.most_bytes).max().unwrap_or(0);
    let query = read(headers, body, most, deadline).await?;

    let what = format!("{model}/{name}");
    let left = match offer.words.budget {
        Some(budget) => Some((budget, app.budgets.spend(caller.share, &what, offer.words.trips as u64, budget).await?)),
        None => None,
    };
    let (shared, runtime) = (app.clone(), tokio::runtime::Handle::current());
    let work = move |wanted: &Wanted| evaluate(&shared, &runtime, caller, &offers, &query, wanted);
    let done = seat.run(deadline, work).await;
    if left.is_some() && done.is_err() {
        // What was not answered is not counted.
        app.budgets.refund(caller.share, &what).await;
    }
    let done = done?;
    let which = Which { model, protocol: name };
    app.metrics.waited.get_or_create(&which).observe(done.waited.as_secs_f64());
    let reply = done.outcome?;
    app.metrics.answered.get_or_create(&which).observe(done.took.as_secs_f64());

    let milliseconds = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    let timing = format!("queue;dur={:.1}, answer;dur={:.1}", milliseconds(done.waited), milliseconds(done.took));
    let left = left.map(|(budget, Left { queries, reset })| {
        AppendHeaders([
            ("ratelimit-policy", format!("\"queries\";q={};w={}", budget.queries, budget.seconds)),
            ("ratelimit", format!("\"queries\";r={queries};t={}", reset.as_secs())),
        ])
    });
    let kind = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::HeaderName::from_static("server-timing"), timing),
    ];
    Ok(match left {
        Some(left) => (kind, left, reply).into_response(),
        None => (kind, reply).into_response(),
    })
}

/// A body of at most so many bytes, before the deadline.
async fn read(headers: &HeaderMap, body: &mut Unread, most: usize, deadline: Instant) -> Result<Bytes, Problem> {
    let too_long =
        || Kind::Length.because(format!("the body is longer than {most} bytes, the longest query of this protocol"));
    if announced(headers).is_some_and(|announced| announced > most as u64) {
        return Err(too_long());
    }
    match tokio::time::timeout_at(deadline.into(), to_bytes(body.take(), most)).await {
        Ok(Ok(query)) => Ok(query),
        Ok(Err(_)) => Err(too_long()),
        Err(_) => Err(Kind::Deadline.because("the body did not arrive in time; send it again over a faster line")),
    }
}

/// The reply of the edition that the query was written for; nothing where it is no longer wanted. Blocks.
fn evaluate(
    app: &Shared,
    runtime: &tokio::runtime::Handle,
    caller: Caller,
    offers: &[Arc<Offer>],
    query: &[u8],
    wanted: &Wanted,
) -> Option<Result<Vec<u8>, Problem>> {
    let mut refused = None;
    for offer in offers {
        let answered = match offer.server.key_of(query) {
            Ok(None) => offer.server.answer_under(None, query, &**wanted),
            Ok(Some(id)) => {
                let key = match caller.owner().and_then(|owner| key(app, runtime, owner, id)) {
                    Ok(key) => key,
                    Err(problem) => return Some(Err(problem)),
                };
                offer.server.answer_under(Some(&key), query, &**wanted)
            }
            Err(error) => Err(error),
        };
        match answered {
            Ok(reply) => return Some(Ok(reply)),
            Err(ServiceError::Fhe(FheError::Stopped)) => return None,
            Err(error) => {
                let other = matches!(
                    error,
                    ServiceError::Fhe(FheError::Model { .. } | FheError::OtherPlan { .. } | FheError::Length { .. })
                );
                // What the newest edition says of it is what the client has to know.
                refused = refused.or(Some(Problem::of_query(&error)));
                if !other {
                    break;
                }
            }
        }
    }
    Some(Err(refused.unwrap_or_else(|| Kind::NotFound.because("no edition of the model is served"))))
}

/// The evaluation key of a query, from memory or from the store. Its owner alone may use it.
fn key(app: &Shared, runtime: &tokio::runtime::Handle, owner: Owner, id: KeyId) -> Result<Arc<ServerKey>, Problem> {
    let missing = || Kind::KeyMissing.because(FheError::NoEvaluationKey.to_string());
    let record = runtime.block_on(app.store.record(owner, id))?;
    let Some(record) = record else {
        // Taken back by its owner or by the operator, in this process or another.
        app.cache.forget(id);
        return Err(missing());
    };
    if let Err(error) = runtime.block_on(app.store.touch(owner, id, &record, app.settings.keep_keys)) {
        // The key is good; that it is forgotten early is the operator's to mend.
        tracing::warn!(error = error.unnamed(), "the day on which a key is forgotten could not be put off");
    }
    if let Some(key) = app.cache.get(id) {
        app.metrics.key_hits.inc();
        return Ok(key);
    }
    app.metrics.key_loads.inc();
    app.cache.make_room(Shared::EXPANDED_KEY);
    let key = match app.store.load(runtime, owner, id) {
        Ok(key) if key.id() == id => Arc::new(key),
        Ok(_) | Err(LoadError::Key(_)) => {
            tracing::error!("a registered key was damaged in the store; its owner is asked to register it again");
            return Err(missing());
        }
        Err(LoadError::Store(error)) => return Err(error.into()),
    };
    app.cache.put(key.clone());
    Ok(key)
}
