//! Where a client keeps its files: the folders of the XDG base directory specification.

use std::path::PathBuf;

/// The user's cache, in which everything can be fetched or computed again: `$XDG_CACHE_HOME/sordino` or `~/.cache/sordino`.
pub fn cache() -> Option<PathBuf> {
    folder("XDG_CACHE_HOME", ".cache")
}

/// The user's settings, tokens and keys: `$XDG_CONFIG_HOME/sordino` or `~/.config/sordino`.
pub fn config() -> Option<PathBuf> {
    folder("XDG_CONFIG_HOME", ".config")
}

fn folder(variable: &str, otherwise: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = set(variable).or_else(|| set("HOME").map(|home| home.join(otherwise)));
    home.map(|home| home.join("sordino"))
}
