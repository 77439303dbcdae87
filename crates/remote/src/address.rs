//! [`Address`]: where a server is, and how it is spoken to.

use std::fmt;
use std::net::IpAddr;

use ureq::http::Uri;

use crate::RemoteError;

/// The address of a server: `https://music.example.org`, perhaps with a port and a path before the API's own.
///
/// Plain `http` is for a server on the same machine. Over a network it would show the token and the sizes of all messages to whoever
/// is in between, and let them answer instead of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Scheme, host, port and path, without a slash at the end.
    base: String,
    loopback: bool,
    secure: bool,
}

impl Address {
    /// Reads an address. `plain_http` allows `http` to any machine.
    ///
    /// # Errors
    /// [`RemoteError::Address`] for anything but such an address, [`RemoteError::PlainHttp`] for `http` to another machine.
    pub fn parse(text: &str, plain_http: bool) -> Result<Self, RemoteError> {
        let refuse = |what| RemoteError::Address { found: text.into(), what };
        let uri: Uri = text.parse().map_err(|_| refuse("it is no URL"))?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(refuse("it begins with neither https:// nor http://")),
        };
        let authority = uri.authority().ok_or_else(|| refuse("it names no host"))?;
        let host = authority.host().to_ascii_lowercase();
        if host.is_empty() {
            return Err(refuse("it names no host"));
        }
        if authority.as_str().contains('@') {
            return Err(refuse("it holds a user name or a password, which belong in no address"));
        }
        if uri.query().is_some() || text.contains('#') {
            return Err(refuse("it goes on after the path"));
        }
        let number: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
        let loopback = host == "localhost" || number.is_some_and(|number| number.is_loopback());
        if !(secure || loopback || plain_http) {
            return Err(RemoteError::PlainHttp { found: text.into() });
        }
        let port = authority.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        let (scheme, path) = (if secure { "https" } else { "http" }, uri.path().trim_end_matches('/'));
        Ok(Self { base: format!("{scheme}://{host}{port}{path}"), loopback, secure })
    }

    /// Whether the server is on this machine.
    pub fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// Whether it is spoken to over TLS.
    pub fn is_secure(&self) -> bool {
        self.secure
    }

    /// A name for what is kept about this server, which any file system takes.
    pub fn file_name(&self) -> String {
        let kept = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        self.base.chars().map(|c| if kept(c) { c } else { '_' }).collect()
    }

    /// The address of something on the server, from its parts.
    pub(crate) fn join(&self, parts: &[&str]) -> String {
        parts.iter().fold(self.base.clone(), |url, part| url + "/" + &escaped(part))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.base)
    }
}

/// A part of a path, with everything that could end it or leave it percent-encoded (RFC 3986, section 2.1).
fn escaped(part: &str) -> String {
    let mut out = String::new();
    for byte in part.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'~' => out.push(byte.into()),
            // Two dots alone would lead a level up.
            b'.' if part.bytes().any(|byte| byte != b'.') => out.push('.'),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_leaves_this_machine_only_where_it_may() {
        for text in ["https://music.example.org", "https://10.0.0.1:8443/sordino/", "HTTPS://Music.example.org/"] {
            let address = Address::parse(text, false).unwrap();
            assert!(address.is_secure() && !address.is_loopback(), "{text}");
        }
        for text in ["http://localhost:8080", "http://127.0.0.1:8080/", "http://[::1]:8080"] {
            let address = Address::parse(text, false).unwrap();
            assert!(!address.is_secure() && address.is_loopback(), "{text}");
        }
        for text in ["http://music.example.org", "http://10.0.0.1:8080", "http://localhost.example.org"] {
            let error = Address::parse(text, false).unwrap_err();
            assert!(matches!(error, RemoteError::PlainHttp { .. }) && error.to_string().contains("https"), "{error}");
            assert!(Address::parse(text, true).is_ok());
        }
    }

    #[test]
    fn what_is_no_address_of_a_server_is_refused() {
        for (text, what) in [
            ("music.example.org", "https://"),
            ("ftp://music.example.org", "https://"),
            ("", "no URL"),
            ("https://", "no"),
            ("https://a b", "no URL"),
            ("https://me:secret@music.example.org", "password"),
            ("https://music.example.org/?q=1", "after the path"),
            ("https://music.example.org/#top", "after the path"),
        ] {
            let error = Address::parse(text, true).unwrap_err().to_string();
            assert!(error.contains(what), "{text}: {error}");
        }
    }

    #[test]
    fn paths_are_joined_and_nothing_leaves_them() {
        let address = Address::parse("HTTPS://Music.example.org:8443/sordino/", false).unwrap();
        assert_eq!(address.to_string(), "https://music.example.org:8443/sordino");
        assert_eq!(address.file_name(), "https___music.example.org_8443_sordino");
        assert_eq!(address.join(&["v1", "a/../b?c#é"]), format!("{address}/v1/a%2F..%2Fb%3Fc%23%C3%A9"));
        assert_eq!(address.join(&["..", "v1.2"]), format!("{address}/%2E%2E/v1.2"));
    }
}
