//! A client over HTTP.
