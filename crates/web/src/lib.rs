//! The client in a browser: Sordino's crates for a page, as JavaScript classes.
//!
//! Comes in: the client's half of a model, samples, hellos and replies, as bytes. Goes out: features, messages and answers. Whatever
//! is secret stays in the module's memory, but for [`Key::to_bytes`], which a page keeps where it keeps secrets. This crate refuses to
//! know about transport, sound files and the page. Errors are the sentences of the crates below.

mod evaluation;
mod key;
mod listener;
mod model;

pub use evaluation::{Evaluation, Pieces};
pub use key::Key;
pub use listener::{Listener, Step};
pub use model::Model;

use wasm_bindgen::JsError;

/// An error of a crate below as JavaScript's: its sentence, and those of its causes.
fn sentence(error: &dyn std::error::Error) -> JsError {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        // A transparent error says what its cause says.
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    JsError::new(&text)
}
