//! The client in a browser.
