//! [`Monitor`]: who is told how an experiment goes on.

use indicatif::ProgressBar;
use sordino_learn::run::{Progress, Quiet};

/// Who is told how an experiment goes on.
pub trait Monitor: Sync {
    /// A line about what happens now.
    fn note(&self, line: &str);

    /// A bar for work of this length.
    fn bar(&self, length: u64, what: &'static str) -> ProgressBar;

    /// Who watches a training.
    fn training(&self) -> Box<dyn Progress>;
}

/// Nobody.
#[derive(Clone, Copy, Debug)]
pub struct Silent;

impl Monitor for Silent {
    fn note(&self, _line: &str) {}

    fn bar(&self, _length: u64, _what: &'static str) -> ProgressBar {
        ProgressBar::hidden()
    }

    fn training(&self) -> Box<dyn Progress> {
        Box::new(Quiet)
    }
}
