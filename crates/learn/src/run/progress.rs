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
    state: Mutex<State>,
}

/// Bars by phase, and the phase of the last report, whose bar is the lowest.
#[derive(Debug, Default)]
struct State {
    bars: HashMap<String, Bar>,
    last: String,
    /// When the last report came.
    at: Option<Instant>,
}

/// A phase, with what tells how long it will go on. Phases take turns, and one step may take a minute: an estimate from the last few
/// seconds would be nonsense.
#[derive(Debug)]
struct Bar {
    bar: ProgressBar,
    /// The step of the first report: one that was resumed does not begin with the first.
    first: usize,
    /// Time since then that was this phase's.
    spent: Duration,
}

/// How long a phase goes on that took so long for some of its steps; nothing where it has taken none.
fn left(spent: Duration, done: usize, remaining: usize) -> String {
    if done == 0 {
        return String::new();
    }
    match (spent.as_secs_f64() * remaining as f64 / done as f64).round() as u64 {
        seconds @ 0..100 => format!("{seconds}s"),
        seconds @ 100..6_000 => format!("{}m", seconds.div_ceil(60)),
        seconds => format!("{}h", seconds.div_ceil(3_600)),
    }
}

impl Bars {
    /// Bars on standard error; hidden where that is no terminal.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bars elsewhere.
    pub fn on(all: MultiProgress) -> Self {
        Self { all, state: Mutex::default() }
    }
}

impl Progress for Bars {
    fn report(&self, report: &Report<'_>) -> ControlFlow<()> {
        // A poisoned lock means that another reporter panicked; the bars themselves are still good.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { bars, last, at } = &mut *state;
        let now = Instant::now();
        let passed = at.replace(now).map_or(Duration::ZERO, |before| now - before);
        let Bar { bar, first, spent } =
            bars.entry(report.phase.to_owned()).and_modify(|bar| bar.spent += passed).or_insert_with(|| {
                let style = ProgressStyle::with_template("{prefix:16} [{bar:30}] {pos}/{len} {msg}");
                // Dressed before it is added: what is added may be drawn at once.
                let bar = ProgressBar::new(report.steps as u64).with_prefix(report.phase.to_owned());
                let bar = self.all.add(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())));
                Bar { bar, first: report.step, spent: Duration::ZERO }
            });
        if *last != report.phase {
            // A phase that goes on after another one is the phase at hand: in a pipe, the lowest line is what is written.
            report.phase.clone_into(last);
            self.all.remove(bar);
            *bar = self.all.add(bar.clone());
        }
        bar.set_length(report.steps as u64);
        bar.set_position(report.step as u64);
        let loss = report.loss.map(|loss| format!("loss {loss:.4}"));
        let metric = report.metric.map(|metric| format!("{} {:.3}", metric.name, metric.value));
        let left = left(*spent, report.step.saturating_sub(*first), report.steps.saturating_sub(report.step));
        let figures: Vec<String> = [loss, metric].into_iter().flatten().collect();
        bar.set_message(format!("{left:>5} {}", figures.join("  ")));
        if report.step >= report.steps {
            bar.finish();
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use indicatif::{ProgressDrawTarget, TermLike};

    use super::*;

    /// A terminal that keeps the last line that was drawn.
    #[derive(Clone, Debug, Default)]
    struct LastLine(Arc<Mutex<String>>);

    impl TermLike for LastLine {
        fn width(&self) -> u16 {
            100
        }
        fn move_cursor_up(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> std::io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> std::io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> std::io::Result<()> {
            if !text.trim().is_empty() {
                *self.0.lock().unwrap() = text.to_owned();
            }
            Ok(())
        }
        fn clear_line(&self) -> std::io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_lowest_line_is_that_of_the_phase_at_hand() {
        let line = LastLine::default();
        let target = ProgressDrawTarget::term_like_with_hz(Box::new(line.clone()), 250);
        let bars = Bars::on(MultiProgress::with_draw_target(target));
        for (phase, step) in [("clips", 1), ("space", 1), ("clips", 2), ("songs", 1), ("clips", 3)] {
            std::thread::sleep(Duration::from_millis(20));
            let report = Report { phase, step, steps: 9, loss: None, metric: None };
            assert!(bars.report(&report).is_continue());
            let drawn = line.0.lock().unwrap().clone();
            assert!(drawn.starts_with(phase) && drawn.contains(&format!("{step}/9")), "{drawn:?} after {phase} {step}");
        }
    }

    #[test]
    fn the_time_that_is_left_is_that_of_the_steps_that_are() {
        let minute = Duration::from_secs(60);
        assert_eq!(left(minute, 0, 9), "");
        assert_eq!(
            (left(minute, 10, 5), left(minute, 1, 5), left(minute, 1, 500)),
            ("30s".into(), "5m".into(), "9h".into())
        );
        assert_eq!(left(minute, 4, 0), "0s");
    }

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
