//! CONTRIBUTING lists the files of every errand: they must be there.

use std::path::Path;

#[test]
fn every_file_that_contributing_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let text = std::fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let tops = ["crates/", "benches/", "docs/", "experiments/", "models/", ".ci/"];
    // What stands between back quotes, or behind a link.
    let named = text.split(['`', '(', ')']).filter(|part| tops.iter().any(|top| part.starts_with(top)));
    let named: Vec<&str> = named.filter(|path| !path.contains([' ', '\n'])).collect();
    assert!(named.len() > 20, "{named:?}");
    for path in named {
        assert!(root.join(path).exists(), "CONTRIBUTING.md names {path}");
    }
}
