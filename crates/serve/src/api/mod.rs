//! The routes, and what every response has in common.

mod bytes;
mod health;
mod keys;
mod models;
mod page;
mod queries;

use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::{Json, Router};
use futures_util::StreamExt;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::metrics::Became;
use crate::problem::{Detail, Kind};
use crate::state::App;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Sordino",
        description = "Names a piece of music that the server cannot hear. Messages are bytes, specified in docs/formats.md. Every \
                       refusal is a problem detail (RFC 9457).",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    components(schemas(Detail)),
    modifiers(&Tokens)
)]
struct Document;

/// A body of bytes, in the document. A vector of bytes would be described as a JSON list of numbers.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "only its schema is used")]
struct Raw(Vec<u8>);

/// How a client says who it is.
struct Tokens;

impl utoipa::Modify for Tokens {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    }
}

/// The routes with their document.
fn described() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(health::alive))
        .routes(routes!(health::ready))
        .routes(routes!(models::list))
        .routes(routes!(models::one))
        .routes(routes!(models::client))
        .routes(routes!(models::rows))
        .routes(routes!(models::hello))
        .routes(routes!(queries::ask))
        .routes(routes!(keys::list, keys::forget_all))
        .routes(routes!(keys::one, keys::register, keys::forget))
}

/// The OpenAPI document.
pub(crate) fn document() -> utoipa::openapi::OpenApi {
    described().into_openapi()
}

/// Everything that clients reach.
pub(crate) fn router(app: App) -> Router {
    let (routes, document) = described().split_for_parts();
    routes
        .route("/v1/openapi.json", axum::routing::get(async move || Json(document)))
        .merge(page::routes())
        .fallback(async || Kind::NotFound.because("no such address; the API is described at /v1/openapi.json"))
        .method_not_allowed_fallback(async || {
            Kind::Method.because("this address does not take that method; the API is described at /v1/openapi.json")
        })
        .layer(middleware::from_fn_with_state(app.clone(), watch))
        .with_state(app)
}

/// What only the operator reaches.
pub(crate) fn operator(app: App) -> Router {
    Router::new()
        .route("/metrics", axum::routing::get(health::metrics))
        .route("/healthz", axum::routing::get(health::alive))
        .route("/readyz", axum::routing::get(health::ready))
        .with_state(app)
}

/// The length that a request announces for its body.
fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

/// A request's body, until somebody has read it.
struct Unread(Option<Body>);

impl Unread {
    fn take(&mut self) -> Body {
        self.0.take().unwrap_or_default()
    }

    /// What is left of the body is read and dropped, up to a bound. A connection that is closed while its client still sends loses the
    /// response that tells it why.
    async fn drain(self, most: u64) {
        const LONGEST: Duration = Duration::from_secs(10);
        let Some(body) = self.0 else { return };
        let mut chunks = body.into_data_stream();
        let read = async {
            let mut found = 0;
            while let Some(Ok(chunk)) = chunks.next().await {
                found += chunk.len() as u64;
                if found > most {
                    break;
                }
            }
        };
        // Whoever takes longer is cut off.
        let _ = tokio::time::timeout(LONGEST, read).await;
    }
}

/// Counts and logs a request by its route, which has the names of no client in it, and adds the headers that all responses have.
async fn watch(State(app): State<App>, route: Option<MatchedPath>, request: Request, next: Next) -> Response {
    let start = Instant::now();
    let method = request.method().clone();
    let mut response = next.run(request).await;
    let route = route.as_ref().map_or("none", MatchedPath::as_str);
    let problem = response.extensions().get::<Kind>().map_or("none", |kind| kind.name());
    let status = response.status().as_u16();
    app.metrics.requests.get_or_create(&Became { route: format!("{method} {route}"), status, problem }).inc();
    tracing::info!(%method, route, status, problem, seconds = start.elapsed().as_secs_f64(), "request");
    let headers = response.headers_mut();
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}
