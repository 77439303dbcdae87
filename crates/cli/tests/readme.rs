//! The README says what the code says: who learns what, and a program that compiles.

use std::fs;
use std::path::{Path, PathBuf};

use sordino_model::{Decider, Protocol, Routing};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_table_of_who_learns_what_is_that_of_the_protocols() {
    let readme = read("README.md");
    for protocol in Protocol::ALL {
        let decider = match protocol.decider() {
            Decider::Client => "client",
            Decider::Server => "server",
        };
        // A trip for every stage, where the client picks the next stage's groups.
        let trips = match (protocol.routing(), protocol.decider()) {
            (Routing::Encrypted, Decider::Client) => "one a stage",
            _ => "1",
        };
        let learns = protocol.learns();
        let row = format!("| `{}` | {trips} | {decider} | {} | {} |", protocol.name(), learns.server, learns.client);
        assert!(readme.lines().any(|line| line == row), "README.md has no row\n{row}");
    }
}

#[test]
fn the_program_in_the_readme_is_an_example_that_compiles() {
    let (readme, example) = (read("README.md"), read("crates/cli/examples/first_query.rs"));
    let shown = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a block of Rust");
    let lines =
        |text: &str| text.lines().map(str::trim).filter(|line| !line.is_empty()).map(String::from).collect::<Vec<_>>();
    let example = lines(&example).join("\n");
    assert!(example.contains(&lines(shown).join("\n")), "README.md shows other lines than first_query.rs:\n{shown}");
}
