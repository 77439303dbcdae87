//! [`line_of`]: where in a `run.toml` a mistake is.

use super::Size;

/// The number of the line that a reason is about, of the `part` of `text` that begins with the table in question: the one that sets what the
/// reason names, for this size if there is one of its own, or that holds the value that it names, or else the table's first.
pub(super) fn line_of(text: &str, part: &str, size: Size, reason: &str) -> usize {
    let header = part.lines().next().unwrap_or_default().trim().trim_matches(['[', ']']);
    // The next table is none of it, but one within it is.
    let within =
        |line: &str| line.trim().trim_matches('[').strip_prefix(header).is_some_and(|rest| rest.starts_with('.'));
    let own = part.lines().enumerate();
    let own = own.take_while(|(place, line)| *place == 0 || !line.trim().starts_with('[') || within(line));
    let (mut section, mut lines) = ("", Vec::new());
    for (place, line) in own {
        let line = line.trim();
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']).rsplit('.').next().unwrap_or_default();
        }
        let other = Size::ALL.iter().any(|one| *one != size && one.name() == section);
        if !other {
            lines.push((place, section == size.name(), line));
        }
    }
    // Serde says "unknown field `x`, expected ..." or "... in `x`", a path to what is wrong.
    let named =
        reason.split_once("in `").map(|(_, rest)| rest).or(reason.split_once("unknown field `").map(|(_, rest)| rest));
    let named =
        named.and_then(|rest| rest.split('`').next()).and_then(|path| path.rsplit('.').next()).unwrap_or_default();
    let sets = |line: &str| {
        let names = line.split_once('=').map(|(key, value)| (key.trim(), value));
        !named.is_empty()
            && names.is_some_and(|(key, value)| {
                key.rsplit('.').next() == Some(named) || value.contains(&format!("{named} ="))
            })
    };
    // What is expected is not what is wrong.
    let wrong = reason.split(", expected").next().unwrap_or_default();
    let holds = |line: &str| {
        let values = line.split('"').skip(1).step_by(2);
        !line.starts_with("title") && values.into_iter().any(|value| value.len() > 1 && wrong.contains(value))
    };
    let found = |test: &dyn Fn(&str) -> bool| {
        let fitting = || lines.iter().filter(|(_, _, line)| test(line));
        fitting().find(|(_, own, _)| *own).or_else(|| fitting().next()).map(|(place, ..)| *place)
    };
    let before = text[..text.len() - part.len()].matches('\n').count() + 1;
    before + found(&sets).or_else(|| found(&holds)).unwrap_or(0)
}
