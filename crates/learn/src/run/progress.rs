//! [`Progress`]: who is told how training goes, and may stop it.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// A figure with its name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric {
    /// What it measures.
    pub name: &'static str,
    /// Its value.
    pub value: f32,
}

/// How far a phase of training has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Report<'a> {
    /// The phase.
    pub phase: &'a str,
    /// Steps done.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// The loss at this step, where the phase has one.
    pub loss: Option<f32>,
    /// Another figure of this step.
    pub metric: Option<Metric>,
}

/// Receives reports while training runs.
pub trait Progress: Sync {
    /// Called every few steps of each phase, possibly from several threads. A `Break` stops training with
    /// [`crate::LearnError::Interrupted`]; what was checkpointed stays.
    fn report(&self, report: &Report<'_>) -> ControlFlow<()>;
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn report(&self, _report: &Report<'_>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Measures how long every phase takes, and passes reports on.
pub struct Stopwatch<'a> {
    next: &'a dyn Progress,
    phases: Mutex<(Instant, Vec<(String, Duration)>)>,
}

impl<'a> Stopwatch<'a> {
    /// Begins to measure.
    pub fn new(next: &'a dyn Progress) -> Self {
        Self { next, phases: Mutex::new((Instant::now(), Vec::new())) }
    }

    /// Wall-clock time of every phase so far, in the order in which they began. Time between two reports belongs to the phase
    /// of the later one.
    pub fn phases(&self) -> Vec<(String, Duration)> {
        self.phases.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

impl Progress for Stopwatch<'_> {
    fn report(&self, report: &Report<'_>) -> ControlFlow<()> {
        let mut phases = self.phases.lock().unwrap_or_else(PoisonError::into_inner);
        let (last, phases) = &mut *phases;
        let passed = last.elapsed();
        *last += passed;
        match phases.iter_mut().find(|(phase, _)| phase == report.phase) {
            Some((_, total)) => *total += passed,
            None => phases.push((report.phase.to_owned(), passed)),
        }
        self.next.report(report)
    }
}

/// One progress bar per phase, with live figures.
#[derive(Debug, Default)]
pub struct Bars {
    all: MultiProgress,
    bars: Mutex<HashMap<String, ProgressBar>>,
}

impl Bars {
    /// Bars on standard error; hidden where that is no terminal.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bars elsewhere.
    pub fn on(all: MultiProgress) -> Self {
        Self { all, bars: Mutex::default() }
    }
}

impl Progress for Bars {
    fn report(&self, report: &Report<'_>) -> ControlFlow<()> {
        // A poisoned lock means that another reporter panicked; the bars themselves are still good.
        let mut bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = bars.entry(report.phase.to_owned()).or_insert_with(|| {
            let style = ProgressStyle::with_template("{prefix:16} [{bar:30}] {pos}/{len} {eta:>5} {msg}");
            // Dressed before it is added: what is added may be drawn at once.
            let bar = ProgressBar::new(report.steps as u64).with_prefix(report.phase.to_owned());
            self.all.add(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
        });
        bar.set_length(report.steps as u64);
        bar.set_position(report.step as u64);
        let loss = report.loss.map(|loss| format!("loss {loss:.4}"));
        let metric = report.metric.map(|metric| format!("{} {:.3}", metric.name, metric.value));
        bar.set_message([loss, metric].into_iter().flatten().collect::<Vec<_>>().join("  "));
        if report.step >= report.steps {
            bar.finish();
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_add_up_in_the_order_they_began() {
        const NAP: Duration = Duration::from_millis(2);
        let start = Instant::now();
        let stopwatch = Stopwatch::new(&Quiet);
        for phase in ["clips", "space", "clips"] {
            std::thread::sleep(NAP);
            let report = Report { phase, step: 1, steps: 1, loss: None, metric: None };
            assert_eq!(stopwatch.report(&report), ControlFlow::Continue(()));
        }
        let phases = stopwatch.phases();
        assert_eq!(phases.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), ["clips", "space"]);
        // A nap takes at least as long as was asked for, on any machine.
        assert!(phases[0].1 >= 2 * NAP && phases[1].1 >= NAP, "{phases:?}");
        assert!(phases.iter().map(|(_, time)| *time).sum::<Duration>() <= start.elapsed(), "{phases:?}");
    }
}
