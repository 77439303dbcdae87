//! What the program prints: plain lines for people, one JSON value for scripts.

mod progress;

use std::ffi::OsString;
use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) use progress::{Terminal, bar, bars};
use serde::Serialize;
use sordino_corpus::is_unprintable;

/// A line of a result, on standard output. What stands in the way of it is told by [`heard`], once.
macro_rules! say {
    ($($arg:tt)*) => { $crate::report::line(format_args!($($arg)*)) };
}
pub(crate) use say;

/// Prints `value` as JSON if asked to, else what `human` writes.
pub(crate) fn print<T: Serialize>(json: bool, value: &T, human: impl FnOnce(&T)) -> anyhow::Result<()> {
    if json {
        say!("{}", escaped(&serde_json::to_string_pretty(value)?));
    } else {
        human(value);
    }
    heard()
}

/// Prints `value` as JSON on one line of its own, for results that come one by one.
pub(crate) fn json_line<T: Serialize>(value: &T) -> anyhow::Result<()> {
    say!("{}", escaped(&serde_json::to_string(value)?));
    heard()
}

/// A note for people, on standard error so that it never mixes with a result.
macro_rules! note {
    ($($arg:tt)*) => { $crate::report::remark(format_args!($($arg)*)) };
}
pub(crate) use note;

/// A warning, or what is wrong with one of several: told even where notes are declined.
macro_rules! warning {
    ($($arg:tt)*) => { $crate::report::complain(format_args!($($arg)*)) };
}
pub(crate) use warning;

/// Whether notes and progress were declined.
static QUIET: AtomicBool = AtomicBool::new(false);

/// Declines notes and progress from now on. Results and errors are told all the same.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Why standard output takes no more.
static DEAF: OnceLock<io::Error> = OnceLock::new();

/// Does what `say!` says.
pub(crate) fn line(text: fmt::Arguments<'_>) {
    if DEAF.get().is_none()
        && let Err(error) = writeln!(io::stdout().lock(), "{}", plain(&text.to_string()))
    {
        let _ = DEAF.set(error);
    }
}

/// Does what `note!` says. Where nobody hears of notes, they are not worth stopping for.
pub(crate) fn remark(text: fmt::Arguments<'_>) {
    if !is_quiet() {
        complain(text);
    }
}

/// A line on standard error, whether or not notes were declined: what ended the program.
pub(crate) fn complain(text: fmt::Arguments<'_>) {
    let _ = writeln!(io::stderr().lock(), "{}", plain(&text.to_string()));
}

/// Whether everything that was said was taken.
///
/// # Errors
/// [`io::Error`] of the kind that stood in the way first, such as a pipe that nobody reads any more.
pub(crate) fn heard() -> anyhow::Result<()> {
    match DEAF.get() {
        Some(error) => {
            let sentence = format!("cannot write to standard output: {error}");
            Err(io::Error::new(error.kind(), sentence).into())
        }
        None => Ok(()),
    }
}

/// Whether an error is that the reader of standard output has gone: what it wanted it has.
pub(crate) fn is_hang_up(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// A song that was not named, where that was to be told by the exit code. It has been told in words.
#[derive(Debug, thiserror::Error)]
#[error("a song is unknown")]
pub(crate) struct UnknownSong;

/// Text as a terminal shows it and does nothing else: names come from files, tags and models that anybody may have made.
pub(crate) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => out.push(c),
            c if is_unprintable(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// JSON that is safe to look at too: what it leaves as it is and a terminal does not stands within its strings.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            c if is_unprintable(c) && c != '\n' => _ = write!(out, "\\u{:04x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out
}

/// An error and its causes, each once: many name their cause themselves.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if !text.contains(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    text
}

/// Standard error for libraries that write to it themselves.
pub(crate) struct Remarks;

impl io::Write for Remarks {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stderr().lock().write_all(plain(&String::from_utf8_lossy(bytes)).as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().lock().flush()
    }
}

/// The command as it was given, for results that say how they were made.
pub(crate) fn command() -> Vec<String> {
    COMMAND.get().cloned().unwrap_or_default()
}

/// The arguments that the program was called with.
static COMMAND: OnceLock<Vec<String>> = OnceLock::new();

/// Keeps the arguments that the program was called with.
pub(crate) fn begin(arguments: &[OsString]) {
    // Nobody calls it twice.
    let _ = COMMAND.set(arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect());
}

/// Bytes in the unit that reads best (powers of 1,000).
pub(crate) fn bytes(n: u64) -> String {
    match n {
        0..1_000 => format!("{n} B"),
        1_000..1_000_000 => format!("{:.1} KB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.2} MB", n as f64 / 1e6),
        _ => format!("{:.2} GB", n as f64 / 1e9),
    }
}

/// A duration with three significant digits or so.
pub(crate) fn seconds(d: Duration) -> String {
    let s = d.as_secs_f64();
    match s {
        s if s < 1e-3 => format!("{:.0} us", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.2} s"),
        _ => format!("{:.1} min", s / 60.0),
    }
}

/// A place in a recording: minutes and whole seconds.
pub(crate) fn clock(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    format!("{}:{:02}", whole / 60, whole % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_160_000), "1.16 MB");
        assert_eq!(seconds(Duration::from_micros(12_340)), "12.3 ms");
        assert_eq!([9.4, 59.6, 3_725.0].map(clock), ["0:09", "1:00", "62:05"]);
    }

    #[test]
    fn a_terminal_is_given_no_orders() {
        assert_eq!(plain("a\u{1b}[31m\u{9b}\tb\r\u{202e}\n"), "a\\u{1b}[31m\\u{9b}\tb\\u{d}\\u{202e}\n");
        assert_eq!(plain("Ünïcode 音楽"), "Ünïcode 音楽");
        let json = serde_json::to_string_pretty(&["\u{1b}\u{9b}\u{7f}\u{202e}"]).unwrap();
        let safe = escaped(&json);
        assert!(safe.chars().all(|c| c == '\n' || !is_unprintable(c)), "{safe}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&safe).unwrap(), ["\u{1b}\u{9b}\u{7f}\u{202e}"]);
    }

    #[test]
    fn causes_are_told_once() {
        let error = anyhow::Error::msg("no such file").context("cannot read x: no such file").context("nothing done");
        assert_eq!(sentence(&error), "nothing done: cannot read x: no such file");
    }
}
