//! [`Problem`]: why a request was refused, as a problem detail of RFC 9457.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sordino_fhe::FheError;
use sordino_service::ServiceError;
use utoipa::openapi::{self, ContentBuilder, Ref, RefOr, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

use crate::store::StoreError;

/// The media type of [`Detail`].
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// When to ask again where the store does not answer.
const AWAY: Duration = Duration::from_secs(5);

/// A problem detail (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Detail {
    /// What kind of problem it is: `urn:sordino:problem:` and a word.
    #[serde(rename = "type")]
    kind: String,
    /// The kind for people.
    title: &'static str,
    /// The status code.
    status: u16,
    /// What was expected, what was found, and what to do.
    detail: String,
}

/// Why a request was refused. Nothing in it comes from the client but names that it chose for models and protocols.
#[derive(Debug)]
pub(crate) struct Problem {
    kind: Kind,
    detail: String,
    after: Option<Duration>,
}

/// Kinds of problems.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    NotFound,
    Method,
    TokenMissing,
    TokenUnknown,
    KeyMissing,
    ModelChanged,
    Malformed,
    Length,
    Busy,
    TooMany,
    Budget,
    Quota,
    Deadline,
    Stopping,
    Store,
    Workers,
    Internal,
}

impl Kind {
    fn parts(self) -> (&'static str, &'static str, StatusCode) {
        match self {
            Self::NotFound => ("not-found", "There is no such thing here", StatusCode::NOT_FOUND),
            Self::Method => ("method", "That method is not taken here", StatusCode::METHOD_NOT_ALLOWED),
            Self::TokenMissing => ("token-missing", "A token is needed", StatusCode::UNAUTHORIZED),
            Self::TokenUnknown => ("token-unknown", "The token is not one of this server", StatusCode::UNAUTHORIZED),
            Self::KeyMissing => ("key-missing", "The evaluation key is not registered", StatusCode::NOT_FOUND),
            Self::ModelChanged => ("model-changed", "The model or its plan is another now", StatusCode::CONFLICT),
            Self::Malformed => ("malformed", "The body is not what was expected", StatusCode::BAD_REQUEST),
            Self::Length => ("length", "The body is too long", StatusCode::PAYLOAD_TOO_LARGE),
            Self::Busy => ("busy", "All places in the queue are taken", StatusCode::SERVICE_UNAVAILABLE),
            Self::TooMany => ("too-many", "This client has too many requests under way", StatusCode::TOO_MANY_REQUESTS),
            Self::Budget => ("budget", "The query budget is spent", StatusCode::TOO_MANY_REQUESTS),
            Self::Quota => ("quota", "No more keys are kept", StatusCode::INSUFFICIENT_STORAGE),
            Self::Deadline => ("deadline", "The answer would have come too late", StatusCode::SERVICE_UNAVAILABLE),
            Self::Stopping => ("stopping", "The server is stopping", StatusCode::SERVICE_UNAVAILABLE),
            Self::Store => ("store", "The key store does not answer", StatusCode::SERVICE_UNAVAILABLE),
            Self::Workers => ("workers", "A part of the server does not answer", StatusCode::SERVICE_UNAVAILABLE),
            Self::Internal => ("internal", "The server failed", StatusCode::INTERNAL_SERVER_ERROR),
        }
    }

    /// The word that names it.
    pub(crate) fn name(self) -> &'static str {
        self.parts().0
    }

    /// With what is to be said of this case.
    pub(crate) fn because(self, detail: impl Into<String>) -> Problem {
        Problem { kind: self, detail: detail.into(), after: None }
    }
}

impl Problem {
    /// When it is worth asking again.
    pub(crate) fn retry_after(self, after: Duration) -> Self {
        Self { after: Some(after), ..self }
    }

    /// What kind it is.
    #[cfg(test)]
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Why a query was refused by the evaluator.
    pub(crate) fn of_query(error: &ServiceError) -> Self {
        let kind = match error {
            ServiceError::Fhe(FheError::Share { what }) => {
                // Where workers are is the operator's to know.
                tracing::error!(what, "a worker failed");
                return Kind::Workers.because("a part of the server does not answer; ask again").retry_after(AWAY);
            }
            ServiceError::Fhe(FheError::NoEvaluationKey) => Kind::KeyMissing,
            ServiceError::Fhe(FheError::Model { .. } | FheError::OtherPlan { .. }) => Kind::ModelChanged,
            _ => Kind::Malformed,
        };
        kind.because(error.to_string())
    }
}

/// The store failed: the operator is told why, the client is not.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(error = error.unnamed(), "the key store failed");
        match error {
            // Storage at the other end of a network comes back.
            StoreError::Storage(_) => Kind::Store.because("the key store does not answer; ask again").retry_after(AWAY),
            _ => Kind::Internal.because("the key store failed; tell the operator"),
        }
    }
}

/// Names what an address may refuse, for the API's document.
macro_rules! refusals {
    ($($name:ident: $($kind:ident)|+;)*) => {$(
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
                described(&[$(Kind::$kind),+])
            }
        }
    )*};
}

refusals! {
    OfModels: NotFound;
    OfHalves: NotFound | ModelChanged;
    OfOwners: TokenMissing | TokenUnknown | Store | Internal;
    OfKeys: TokenMissing | TokenUnknown | NotFound | KeyMissing | Store | Internal;
    OfRegistrations: TokenMissing | TokenUnknown | NotFound | Malformed | Length | TooMany | Quota | Deadline | Store | Internal;
    OfQueries: TokenMissing | TokenUnknown | NotFound | KeyMissing | ModelChanged | Malformed | Length | Busy | TooMany | Budget | Deadline | Store | Workers | Internal;
    OfReadiness: Stopping;
}

/// A response for every status of these kinds.
fn described(kinds: &[Kind]) -> BTreeMap<String, RefOr<openapi::Response>> {
    let mut words: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for kind in kinds {
        let (_, title, status) = kind.parts();
        words.entry(status.as_str().to_owned()).or_default().push(title);
    }
    let detail = || ContentBuilder::new().schema(Some(Ref::from_schema_name("Detail"))).build();
    let response = |titles: Vec<&str>| {
        ResponseBuilder::new().description(titles.join(". ")).content(MEDIA_TYPE, detail()).build().into()
    };
    words.into_iter().map(|(status, titles)| (status, response(titles))).collect()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let (name, title, status) = self.kind.parts();
        let kind = format!("urn:sordino:problem:{name}");
        let detail = Detail { kind, title, status: status.as_u16(), detail: self.detail };
        // Strings and a number always have a JSON form.
        let body = serde_json::to_vec(&detail).unwrap_or_default();
        let mut response = (status, [(header::CONTENT_TYPE, MEDIA_TYPE)], body).into_response();
        if let Some(after) = self.after {
            let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0)).max(1);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response.extensions_mut().insert(self.kind);
        response
    }
}
