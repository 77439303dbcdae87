//! The tutorial is true: its program runs, every block of Rust in it is a piece of that program, and what it says is printed is printed.

use std::fs;
use std::path::Path;
use std::sync::Mutex;

static PRINTED: Mutex<String> = Mutex::new(String::new());

// In the place of the standard one, for the program below.
macro_rules! println {
    ($($argument:tt)*) => {{
        let line = format!($($argument)*) + "\n";
        crate::PRINTED.lock().expect("one thread prints").push_str(&line);
    }};
}

#[path = "../examples/tutorial.rs"]
mod program;

/// Blocks of code in one language, in the order in which the tutorial has them.
fn blocks(language: &str) -> Vec<String> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let read = |name: &str| fs::read_to_string(docs.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let summary = read("SUMMARY.md");
    let chapters = summary.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(name, _)| name);
    let text: String = chapters.filter(|name| name.starts_with("tutorial")).map(read).collect();
    let fence = format!("\n```{language}\n");
    text.split(fence.as_str()).skip(1).filter_map(|rest| Some(rest.split_once("\n```")?.0.to_owned())).collect()
}

/// Lines without their indentation.
fn bare(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim().to_owned()).collect()
}

#[test]
fn every_block_is_a_piece_of_the_program() {
    let program = bare(include_str!("../examples/tutorial.rs"));
    let blocks = blocks("rust");
    assert!(blocks.len() > 20, "{} blocks", blocks.len());
    for block in blocks {
        let lines = bare(&block);
        assert!(program.windows(lines.len()).any(|piece| piece == lines), "not in examples/tutorial.rs:\n{block}");
    }
}

/// Digits may differ in the last place from one processor to the next; words may not.
fn without_digits(line: &str) -> String {
    line.chars().filter(|c| !c.is_ascii_digit()).collect()
}

#[test]
fn the_program_prints_what_the_tutorial_says() {
    program::main().expect("the tutorial's program runs");
    let printed: Vec<String> = PRINTED.lock().expect("it has run").lines().map(without_digits).collect();
    let said = blocks("text");
    assert!(said.len() > 8, "{} blocks", said.len());
    for line in said.iter().flat_map(|block| block.lines()) {
        assert!(printed.contains(&without_digits(line)), "not printed: {line}");
    }
}
