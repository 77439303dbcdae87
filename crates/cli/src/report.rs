//! What the program prints: plain lines for people, one JSON value for scripts.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use serde::Serialize;
use sordino_lab::Monitor;
use sordino_learn::run::{Bars, Progress};

/// Prints `value` as JSON if asked to, else what `human` writes.
pub(crate) fn print<T: Serialize>(json: bool, value: &T, human: impl FnOnce(&T)) -> anyhow::Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(value)?);
    } else {
        human(value);
    }
    Ok(())
}

/// A note for people, on standard error so that it never mixes with a result.
macro_rules! note {
    ($($arg:tt)*) => { eprintln!($($arg)*) };
}
pub(crate) use note;

/// A progress bar on standard error, hidden where that is no terminal.
pub(crate) fn bar(length: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:16} [{bar:30}] {pos}/{len} {eta:>5} {msg}");
    let bar = ProgressBar::new(length).with_prefix(what);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Tells the terminal how evaluations and experiments go on.
pub(crate) struct Terminal;

impl Monitor for Terminal {
    fn note(&self, line: &str) {
        note!("{line}");
    }

    fn bar(&self, length: u64, what: &'static str) -> ProgressBar {
        bar(length, what)
    }

    fn training(&self) -> Box<dyn Progress> {
        Box::new(Bars::new())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_160_000), "1.16 MB");
        assert_eq!(seconds(Duration::from_micros(12_340)), "12.3 ms");
    }
}
