//! Where progress is shown: bars on a terminal, a line now and then in a pipe or a log, nothing where quiet was asked for.

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use sordino_lab::Monitor;
use sordino_learn::run::{Bars, Progress};

use super::{is_quiet, note, plain};

/// Seconds between two lines of progress in a pipe.
const EVERY: Duration = Duration::from_secs(10);

/// A progress bar for one thing.
pub(crate) fn bar(length: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:16} [{bar:30}] {pos}/{len} {eta:>5} {msg}");
    let bar = ProgressBar::with_draw_target(Some(length), target()).with_prefix(what);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// Bars for the phases of a training.
pub(crate) fn bars() -> Bars {
    Bars::on(MultiProgress::with_draw_target(target()))
}

fn target() -> ProgressDrawTarget {
    match io::stderr().is_terminal() {
        _ if is_quiet() => ProgressDrawTarget::hidden(),
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::term_like_with_hz(Box::new(Lines::new()), 1),
    }
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
        Box::new(bars())
    }
}

/// A terminal without a cursor: of what is drawn, the last line is written, at most every [`EVERY`]. That is the phase at hand.
#[derive(Debug)]
struct Lines(Mutex<(Instant, String)>);

impl Lines {
    fn new() -> Self {
        Self(Mutex::new((Instant::now(), String::new())))
    }

    /// When a line was last written, and the line that is drawn.
    fn state(&self) -> MutexGuard<'_, (Instant, String)> {
        // A poisoned lock means that another writer panicked; what it holds is still good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TermLike for Lines {
    fn width(&self) -> u16 {
        100
    }

    fn move_cursor_up(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_down(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_right(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn move_cursor_left(&self, _: usize) -> io::Result<()> {
        Ok(())
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.write_str(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        if !text.trim().is_empty() {
            text.trim_end().clone_into(&mut self.state().1);
        }
        Ok(())
    }

    fn clear_line(&self) -> io::Result<()> {
        Ok(())
    }

    fn flush(&self) -> io::Result<()> {
        let mut state = self.state();
        if state.1.is_empty() || state.0.elapsed() < EVERY {
            return Ok(());
        }
        let line = std::mem::take(&mut state.1);
        state.0 = Instant::now();
        writeln!(io::stderr().lock(), "{}", plain(&line))
    }
}
