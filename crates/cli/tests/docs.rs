//! What people read is true to the repository: links lead somewhere, the drawing of the crates is that of `Cargo.toml`, and the book
//! holds every chapter.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Markdown file below `folder`, results of experiments and built things left out.
fn markdown(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder).expect("a folder").map(|e| e.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if path.is_dir() {
            if !name.starts_with('.') && !["target", "book", "runs", "music", "results", "node_modules"].contains(&name)
            {
                markdown(&path, found);
            }
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

/// Text without blocks of code and code in lines, where brackets are no links.
fn without_code(text: &str) -> String {
    let mut fenced = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    lines.map(|line| line.split('`').step_by(2).collect::<String>() + "\n").collect()
}

/// Targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    let text = without_code(text);
    let after = text.split("](").skip(1);
    after.filter_map(|rest| Some(rest.split_once(')')?.0.split_whitespace().next()?.to_owned())).collect()
}

/// Names of a page's headings, as GitHub and mdBook make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut fenced = false;
    let headings = text.lines().filter(|line| {
        fenced ^= line.trim_start().starts_with("```");
        !fenced && line.starts_with('#')
    });
    let slug = |heading: &str| {
        let text = heading.trim_start_matches('#').trim().to_lowercase();
        text.chars()
            .filter(|c| c.is_alphanumeric() || "-_ ".contains(*c))
            .map(|c| if c == ' ' { '-' } else { c })
            .collect()
    };
    headings.map(slug).collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut pages = Vec::new();
    markdown(&root(), &mut pages);
    assert!(pages.len() > 10, "{} pages", pages.len());
    let mut broken = Vec::new();
    for page in &pages {
        for link in links(&read(page)) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = if path.is_empty() { page.clone() } else { page.with_file_name("").join(path) };
            let sound = if anchor.is_empty() || target.extension().is_none_or(|e| e != "md") {
                target.exists()
            } else {
                target.exists() && anchors(&read(&target)).contains(anchor)
            };
            if !sound {
                broken.push(format!("{}: {link}", page.strip_prefix(root()).unwrap_or(page).display()));
            }
        }
    }
    assert!(broken.is_empty(), "links that lead nowhere:\n{}", broken.join("\n"));
}

/// Every Rust file below `folder`.
fn rust(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_test_that_a_page_relies_on_is_there() {
    let mut files = Vec::new();
    ["crates", "fuzz"].iter().for_each(|folder| rust(&root().join(folder), &mut files));
    let sources: String = files.iter().map(|path| read(path)).collect();
    for page in ["SECURITY.md", "experiments/security/findings.md"] {
        let text = read(&root().join(page));
        // A name in code of at least four words is that of a test.
        let is_test =
            |name: &&str| name.matches('_').count() >= 3 && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric());
        let names: Vec<&str> = text.split('`').skip(1).step_by(2).filter(is_test).collect();
        assert!(names.len() >= 10, "{page} names {} tests", names.len());
        let missing: Vec<&&str> = names.iter().filter(|name| !sources.contains(&format!("fn {name}("))).collect();
        assert!(missing.is_empty(), "{page} relies on tests that are not there: {missing:?}");
    }
}

#[test]
fn the_book_holds_every_chapter() {
    let docs = root().join("docs");
    let mut chapters = Vec::new();
    markdown(&docs, &mut chapters);
    let listed: BTreeSet<PathBuf> = links(&read(&docs.join("SUMMARY.md"))).iter().map(|link| docs.join(link)).collect();
    let missing: Vec<_> = chapters.iter().filter(|c| !listed.contains(*c) && !c.ends_with("SUMMARY.md")).collect();
    assert!(missing.is_empty(), "not in docs/SUMMARY.md: {missing:?}");
}

/// Which crates each crate uses, itself left out, directly or through others.
fn reach(uses: &BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = uses.clone();
    loop {
        let next: BTreeMap<_, BTreeSet<String>> = all
            .iter()
            .map(|(from, to)| {
                let further = to.iter().filter_map(|name| all.get(name)).flatten();
                (from.clone(), to.iter().chain(further).cloned().collect())
            })
            .collect();
        if next == all {
            return all;
        }
        all = next;
    }
}

#[test]
fn the_drawing_shows_the_crates_as_they_are() {
    let mut uses = BTreeMap::new();
    for entry in fs::read_dir(root().join("crates")).expect("the crates") {
        let folder = entry.expect("an entry").path();
        let manifest: toml::Table = read(&folder.join("Cargo.toml")).parse().expect("a manifest");
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table).expect("dependencies");
        let name = folder.file_name().expect("a name").to_string_lossy().into_owned();
        let ours: BTreeSet<String> =
            dependencies.keys().filter_map(|key| Some(key.strip_prefix("sordino-")?.to_owned())).collect();
        uses.insert(name, ours);
    }
    let mut drawn: BTreeMap<String, BTreeSet<String>> =
        uses.keys().map(|name| (name.clone(), BTreeSet::new())).collect();
    for edge in read(&root().join("docs/figures/crates.svg")).split("data-edge=\"").skip(1) {
        let (from, to) =
            edge.split_once('"').and_then(|(edge, _)| edge.split_once(' ')).expect("data-edge=\"from to\"");
        drawn.get_mut(from).unwrap_or_else(|| panic!("{from} is drawn, but is no crate")).insert(to.to_owned());
    }
    assert_eq!(
        reach(&drawn),
        reach(&uses),
        "draw docs/figures/crates.svg anew: left what is drawn, right what Cargo.toml says"
    );
}
