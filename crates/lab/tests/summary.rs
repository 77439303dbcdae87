//! The documents of this repository: every number in them is the one in the results, every picture the one that its rows give.

use std::path::{Path, PathBuf};

use sordino_lab::{Drawing, Summary};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn every_number_of_a_document_is_the_one_in_the_results() {
    let wrong = Summary::of_repository(&root()).unwrap().check(&root()).unwrap();
    assert!(wrong.is_empty(), "{}\nrun `sordino lab summary` to write them anew", wrong.join("\n"));
}

#[test]
fn every_picture_is_the_one_that_its_rows_give() {
    let mut drawn = 0;
    for folder in ["experiments", "docs"] {
        for inner in std::fs::read_dir(root().join(folder)).unwrap() {
            let inner = inner.unwrap().path();
            let files = if inner.is_dir() { std::fs::read_dir(&inner).unwrap().collect() } else { Vec::new() };
            for file in files {
                let file = file.unwrap().path();
                let declared = file.extension().is_some_and(|end| end == "toml")
                    && (file.ends_with("figure.toml") || inner.ends_with("docs/figures"));
                if declared {
                    let svg = Drawing::draw(&file).unwrap();
                    let kept = std::fs::read_to_string(file.with_extension("svg")).unwrap_or_default();
                    assert!(svg == kept, "{} is drawn anew by `sordino lab draw`", file.display());
                    drawn += 1;
                }
            }
        }
    }
    assert!(drawn > 10, "{drawn} pictures");
}

/// A repository of one document and one file of results.
fn small(document: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("README.md", document);
    write("experiments/bits/results/rows.csv", "condition,top_1\nclean,99.51\n5dB,98\n");
    write(
        "experiments/summary.toml",
        "[[number]]\nid = 'bits.{}'\nfile = 'bits/results/rows.csv'\ncolumn = 'top_1'\neach = ['condition']\ndecimals = 1\n\
         [[block]]\nname = 'bits'\ncorner = 'top-1'\ncolumns = [['clean', 'clean'], ['5 dB', '5dB']]\n\
         [[block.row]]\nhead = 'flat'\ncells = '{bits.@}'\n",
    );
    folder
}

#[test]
fn a_number_that_differs_is_named_with_its_file_and_its_block_and_can_be_mended() {
    let folder = small(
        "# A\n<!-- summary: bits -->\n| top-1 | clean | 5 dB |\n|---|---|---|\n| flat | 99.9 | 98.0 |\n<!-- end -->\n",
    );
    let summary = Summary::of_repository(folder.path()).unwrap();
    let wrong = summary.check(folder.path()).unwrap();
    assert_eq!(wrong.len(), 2, "the document, and a summary.csv that is not there: {wrong:?}");
    let sentence = "README.md: block bits: found \"| flat | 99.9 | 98.0 |\", expected \"| flat | 99.5 | 98.0 |\"";
    assert_eq!(wrong[1], sentence);
    assert_eq!(summary.write(folder.path()).unwrap().len(), 2);
    assert_eq!(summary.check(folder.path()).unwrap(), Vec::<String>::new());
    assert!(std::fs::read_to_string(folder.path().join("README.md")).unwrap().contains("| flat | 99.5 | 98.0 |"));
}

#[test]
fn a_block_that_nothing_is_known_of_is_named() {
    let folder = small("<!-- summary: speed -->\n<!-- end -->\n");
    let wrong = Summary::of_repository(folder.path()).unwrap().check(folder.path()).unwrap();
    assert!(wrong.iter().any(|wrong| wrong.contains("README.md") && wrong.contains("speed")), "{wrong:?}");
}
