//! Where the user's files are kept: the folders of the XDG base directory specification.

use std::path::PathBuf;

/// The user's cache, in which everything can be fetched or computed again: `$XDG_CACHE_HOME/sordino` or `~/.cache/sordino`.
pub fn cache() -> Option<PathBuf> {
    folder("XDG_CACHE_HOME", ".cache")
}

/// The user's settings, tokens and keys: `$XDG_CONFIG_HOME/sordino` or `~/.config/sordino`.
pub fn config() -> Option<PathBuf> {
    folder("XDG_CONFIG_HOME", ".config")
}

/// What the user's programs keep of their own, such as a server's store: `$XDG_DATA_HOME/sordino` or `~/.local/share/sordino`.
pub fn data() -> Option<PathBuf> {
    folder("XDG_DATA_HOME", ".local/share")
}

fn folder(variable: &str, otherwise: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set(variable).or_else(|| set("HOME").map(|home| home.join(otherwise)));
    home.map(|home| home.join("sordino"))
}
