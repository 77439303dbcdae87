//! A document between whose marks blocks of numbers stand: `<!-- summary: NAME -->`, the block, `<!-- end -->`.

use std::collections::BTreeMap;

const OPEN: &str = "<!-- summary: ";
const CLOSE: &str = "<!-- end -->";

/// A block of a document that is not as it should be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Difference {
    pub(crate) block: String,
    pub(crate) found: String,
    pub(crate) expected: String,
}

/// The document with every block filled, and the blocks that were different.
///
/// `blocks` are texts by name, and whether they stand within a line.
///
/// # Errors
/// A sentence about a mark without an end, or about a block that nothing is known of.
pub(crate) fn fill(
    document: &str,
    blocks: &BTreeMap<String, (String, bool)>,
) -> Result<(String, Vec<Difference>), String> {
    let (mut filled, mut differences) = (String::new(), Vec::new());
    let mut rest = document;
    while let Some((before, after)) = rest.split_once(OPEN) {
        if before.ends_with('`') {
            // A document about marks, not one with a mark.
            filled.push_str(before);
            filled.push_str(OPEN);
            rest = after;
            continue;
        }
        let (name, behind) = after.split_once(" -->").ok_or("a mark <!-- summary: without its -->")?;
        let (found, behind) =
            behind.split_once(CLOSE).ok_or_else(|| format!("block {name} has no {CLOSE} behind it"))?;
        if found.contains(OPEN) {
            return Err(format!("block {name} has no {CLOSE} before the next block begins"));
        }
        let (text, within_line) = blocks.get(name).ok_or_else(|| {
            let known = blocks.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
            format!("there is no block {name} in experiments/summary.toml, expected one of {known}")
        })?;
        let expected = if *within_line { text.clone() } else { format!("\n{text}\n") };
        filled.push_str(&format!("{before}{OPEN}{name} -->{expected}{CLOSE}"));
        if found != expected {
            differences.push(Difference { block: name.to_owned(), found: found.to_owned(), expected });
        }
        rest = behind;
    }
    filled.push_str(rest);
    Ok((filled, differences))
}

impl Difference {
    /// The first line that differs, as a sentence.
    pub(crate) fn sentence(&self) -> String {
        let lines = |text: &str| text.trim_matches('\n').lines().map(str::to_owned).collect::<Vec<_>>();
        let (found, expected) = (lines(&self.found), lines(&self.expected));
        let place = (0..found.len().max(expected.len())).find(|&i| found.get(i) != expected.get(i)).unwrap_or(0);
        let line = |lines: &[String]| lines.get(place).map_or("nothing".to_owned(), |line| format!("\"{line}\""));
        format!("block {}: found {}, expected {}", self.block, line(&found), line(&expected))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks() -> BTreeMap<String, (String, bool)> {
        BTreeMap::from([("t".into(), ("| a |\n|---|".into(), false)), ("s".into(), ("5 s".into(), true))])
    }

    #[test]
    fn blocks_are_filled_and_the_rest_stays() {
        let document = "# A\n<!-- summary: t -->\nold\n<!-- end -->\nIt takes <!-- summary: s -->4 s<!-- end -->.\n";
        let (filled, differences) = fill(document, &blocks()).unwrap();
        let expected = "# A\n<!-- summary: t -->\n| a |\n|---|\n<!-- end -->\n\
                        It takes <!-- summary: s -->5 s<!-- end -->.\n";
        assert_eq!(filled, expected);
        assert_eq!(differences.len(), 2);
        assert_eq!(differences[1].sentence(), "block s: found \"4 s\", expected \"5 s\"");
        assert_eq!(differences[0].sentence(), "block t: found \"old\", expected \"| a |\"");
        assert_eq!(fill(&filled, &blocks()).unwrap(), (filled, vec![]));
        let about = "Write `<!-- summary: NAME -->` before it.";
        assert_eq!(fill(about, &blocks()).unwrap(), (about.to_owned(), vec![]));
    }

    #[test]
    fn broken_marks_are_named() {
        let wrong = |document: &str| fill(document, &blocks()).unwrap_err();
        assert!(wrong("<!-- summary: t -->\nold").contains("<!-- end -->"));
        assert!(wrong("<!-- summary: x -->1<!-- end -->").contains("no block x"));
        assert!(wrong("<!-- summary: t --> <!-- summary: s --><!-- end -->").contains("block t"));
    }
}
