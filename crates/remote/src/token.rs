//! [`Token`]: by which a server knows a client again.

use std::fmt;
use std::io::{ErrorKind, Write};
use std::path::Path;

use sordino_model::ModelHash;
use sordino_model::files::{Aside, read_text};

use crate::{Address, RemoteError};

/// What a client shows a server, so that it finds the keys that it registered and nobody else's are touched. It says nothing of
/// who the client is. Never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    text: String,
    /// An operator gave it, and may want to see it with every request.
    issued: bool,
}

/// Most bytes read from a file of a token.
const LIMIT: u64 = 1 << 10;

impl Token {
    /// A token that an operator issued: 16 to 256 visible ASCII characters.
    ///
    /// # Errors
    /// [`RemoteError::Token`].
    pub fn new(text: &str) -> Result<Self, RemoteError> {
        let what = match text {
            _ if !text.bytes().all(|byte| byte.is_ascii_graphic()) => "it holds what is no visible ASCII character",
            _ if !(16..=256).contains(&text.len()) => "it has fewer or more characters than that",
            _ => return Ok(Self { text: text.into(), issued: true }),
        };
        Err(RemoteError::Token { what })
    }

    /// A token in a file, white space around it.
    ///
    /// # Errors
    /// [`RemoteError::File`] or [`RemoteError::Token`].
    pub fn load(path: &Path) -> Result<Self, RemoteError> {
        Self::new(read_text(path, LIMIT).map_err(RemoteError::file("read", path))?.trim())
    }

    /// The token for one server, from a secret in a file that is made where there is none, for its owner alone. Each server gets
    /// another: no operator can speak for the client at a second one, or tell that it is the same client.
    ///
    /// # Errors
    /// [`RemoteError::File`], or [`RemoteError::Token`] for a file that holds something else.
    pub fn kept(path: &Path, server: &Address) -> Result<Self, RemoteError> {
        let secret = match Self::load(path) {
            Err(RemoteError::File { source, .. }) if source.kind() == ErrorKind::NotFound => Self::made(path)?,
            secret => secret?,
        };
        let text = ModelHash::of(format!("sordino token\n{}\n{server}", secret.text).as_bytes()).to_string();
        Ok(Self { text, issued: false })
    }

    /// Makes a secret and keeps it.
    fn made(path: &Path) -> Result<Self, RemoteError> {
        let mut random = [0; 32];
        getrandom::getrandom(&mut random).map_err(|error| RemoteError::File {
            action: "draw random bytes for",
            path: path.into(),
            source: error.into(),
        })?;
        let secret = Self::new(&ModelHash(random).to_string())?;
        let kept = || {
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            let mut file = Aside::create_private(path)?;
            writeln!(file, "{}", secret.text)?;
            file.publish_new()
        };
        match kept() {
            Ok(()) => Ok(secret),
            // Another program was first.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Self::load(path),
            Err(error) => Err(RemoteError::file("write", path)(error)),
        }
    }

    /// Whether an operator issued it. One that was made up here links what is asked, and is shown only where it must be.
    pub(crate) fn is_issued(&self) -> bool {
        self.issued
    }

    /// The header that shows it.
    pub(crate) fn header(&self) -> String {
        format!("Bearer {}", self.text)
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_made_once_for_its_owner_and_differs_between_servers() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("deep/er/token");
        let address = |text| Address::parse(text, false).unwrap();
        let (one, other) = (address("https://a.example.org"), address("https://b.example.org"));
        let token = Token::kept(&path, &one).unwrap();
        assert_eq!(Token::kept(&path, &one).unwrap(), token);
        assert_ne!(Token::kept(&path, &other).unwrap(), token);
        let secret = std::fs::read_to_string(&path).unwrap();
        assert!(!token.text.contains(secret.trim()) && token.text.len() == 64);
        assert_eq!(format!("{token:?}"), "Token(..)");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_repeated() {
        for text in ["", "short", "sixteen letters and a space", &"x".repeat(257), "ünïcödeünïcödeünïcöde"] {
            let error = Token::new(text).unwrap_err().to_string();
            assert!(error.contains("16 to 256") && (text.is_empty() || !error.contains(text)), "{error}");
        }
        assert!(Token::new(&"x".repeat(16)).is_ok() && Token::new(&"x".repeat(256)).is_ok());
        let home = tempfile::tempdir().unwrap();
        let error = Token::load(&home.path().join("nowhere")).unwrap_err().to_string();
        assert!(error.contains("nowhere"), "{error}");
    }
}
