//! [`Fixed`]: bytes that are served as they are: with an ETag, compressed where the client likes, in ranges (RFC 9110).

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

/// Bytes that are served as they are.
pub(super) struct Fixed {
    pub(super) media_type: &'static str,
    /// What changes with them.
    pub(super) tag: String,
    pub(super) plain: Bytes,
    pub(super) gzip: Option<Bytes>,
    /// Whether a copy may be used without asking.
    pub(super) for_ever: bool,
}

impl Fixed {
    /// The response to a request with these headers.
    pub(super) fn response(self, asked: &HeaderMap) -> Response {
        let text = |name| asked.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
        let range = text(header::RANGE).and_then(|range| slice(range, self.plain.len()));
        // Ranges are those of the plain bytes.
        let gzip = self.gzip.filter(|_| range.is_none() && text(header::ACCEPT_ENCODING).is_some_and(takes_gzip));
        let tag = if gzip.is_some() { format!("\"{}-gzip\"", self.tag) } else { format!("\"{}\"", self.tag) };
        let control = if self.for_ever { "public, max-age=31536000, immutable" } else { "no-cache" };
        let mut response = Response::builder()
            .header(header::ETAG, &tag)
            .header(header::CACHE_CONTROL, control)
            .header(header::VARY, "accept-encoding")
            .header(header::ACCEPT_RANGES, "bytes");
        let known = |tags: &str| {
            tags.split(',').any(|known| known.trim().trim_start_matches("W/") == tag || known.trim() == "*")
        };
        if text(header::IF_NONE_MATCH).is_some_and(known) {
            response = response.status(StatusCode::NOT_MODIFIED);
            return response.body(Body::empty()).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR).into_response();
        }
        response = response.header(header::CONTENT_TYPE, self.media_type);
        // A range of another version is of no use: then all of it is sent.
        let range = range.filter(|_| text(header::IF_RANGE).is_none_or(|version| version == tag));
        let body = match (range, gzip) {
            (Some(Err(())), _) => {
                response = response
                    .status(StatusCode::RANGE_NOT_SATISFIABLE)
                    .header(header::CONTENT_RANGE, format!("bytes */{}", self.plain.len()));
                Bytes::new()
            }
            (Some(Ok((start, end))), _) => {
                response = response
                    .status(StatusCode::PARTIAL_CONTENT)
                    .header(header::CONTENT_RANGE, format!("bytes {start}-{}/{}", end - 1, self.plain.len()));
                self.plain.slice(start..end)
            }
            (None, Some(gzip)) => {
                response = response.header(header::CONTENT_ENCODING, "gzip");
                gzip
            }
            (None, None) => self.plain,
        };
        response.body(Body::from(body)).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR).into_response()
    }
}

/// Whether gzip is among the encodings that are taken.
fn takes_gzip(accepted: &str) -> bool {
    accepted.split(',').any(|entry| {
        let (name, weight) = entry.split_once(';').unwrap_or((entry, ""));
        matches!(name.trim(), "gzip" | "*") && !matches!(weight.trim(), "q=0" | "q=0.0" | "q=0.00" | "q=0.000")
    })
}

/// The slice that a Range header asks for; `None` where it is to be ignored, an error where there is nothing of it.
fn slice(range: &str, len: usize) -> Option<Result<(usize, usize), ()>> {
    // Several ranges may be answered by everything.
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    Some(match (first.trim(), last.trim()) {
        ("", last) => match last.parse::<usize>().ok()? {
            0 => Err(()),
            count => Ok((len.saturating_sub(count), len)),
        },
        (first, last) => {
            let first = first.parse::<usize>().ok()?;
            let end = if last.is_empty() { len } else { last.parse::<usize>().ok()?.saturating_add(1).min(len) };
            if first < end { Ok((first, end)) } else { Err(()) }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_those_of_the_standard() {
        assert_eq!(slice("bytes=0-3", 10), Some(Ok((0, 4))));
        assert_eq!(slice("bytes=4-", 10), Some(Ok((4, 10))));
        assert_eq!(slice("bytes=-3", 10), Some(Ok((7, 10))));
        assert_eq!(slice("bytes=-30", 10), Some(Ok((0, 10))));
        assert_eq!(slice("bytes=8-30", 10), Some(Ok((8, 10))));
        assert_eq!(slice("bytes=10-", 10), Some(Err(())));
        assert_eq!(slice("bytes=-0", 10), Some(Err(())));
        assert_eq!(slice("bytes=5-2", 10), Some(Err(())));
        assert_eq!(slice("bytes=0-1,3-4", 10), None, "several are ignored");
        assert_eq!(slice("lines=0-1", 10), None);
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        assert!(takes_gzip("gzip, deflate, br") && takes_gzip("br;q=1, gzip;q=0.5") && takes_gzip("*"));
        assert!(!takes_gzip("br") && !takes_gzip("gzip;q=0") && !takes_gzip("identity"));
    }
}
