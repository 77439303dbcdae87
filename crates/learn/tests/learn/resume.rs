//! Training that was stopped goes on to the same result.

use std::ops::ControlFlow;
use std::sync::Mutex;

use crate::patterns::{Patterns, config, spec};
use sordino_learn::run::{Descent, Progress, Quiet, Report};
use sordino_learn::sound::{Block, EmbeddingSettings, Loss};
use sordino_learn::{LearnError, TrainConfig, train_on};

const LIBRARY: Patterns = Patterns { tracks: 20, seed: 3, noise: 1.0 };

/// Stops a phase at its second report.
pub(crate) struct Interruption(&'static str, Mutex<usize>);

impl Interruption {
    pub(crate) fn of(phase: &'static str) -> Self {
        Self(phase, Mutex::new(0))
    }
}

impl Progress for Interruption {
    fn report(&self, report: &Report<'_>) -> ControlFlow<()> {
        let mut seen = self.1.lock().unwrap();
        *seen += usize::from(report.phase == self.0);
        if *seen == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

fn with_embedding() -> TrainConfig {
    let block = |channels, stride| Block { channels, taps: 3, stride, dilation: 1 };
    let embedding = EmbeddingSettings {
        blocks: vec![block(16, 2), block(16, 1)],
        width: 12,
        loss: Loss::TrackSoftmax { scale: 8.0 },
        descent: Descent { epochs: 25, batch: 20, learning_rate: 3e-3, weight_decay: 1e-4 },
    };
    TrainConfig { embedding: Some(embedding), ..config() }
}

#[test]
fn stopped_anywhere_it_ends_the_same() {
    let config = with_embedding();
    let whole = train_on(&LIBRARY, &spec(), &config, None, &Quiet).unwrap();
    for phase in ["embedding", "routing 0", "tracks", "held-out clips"] {
        let folder = tempfile::tempdir().unwrap();
        let stopped = train_on(&LIBRARY, &spec(), &config, Some(folder.path()), &Interruption::of(phase));
        match stopped {
            Err(LearnError::Interrupted { phase: found, .. }) => assert_eq!(found, phase),
            other => panic!("{phase}: {:?}", other.map(|_| "finished")),
        }
        let resumed = train_on(&LIBRARY, &spec(), &config, Some(folder.path()), &Quiet).unwrap();
        assert!(resumed == whole, "stopped in {phase}, it ends differently");
    }
}

#[test]
fn another_run_does_not_take_the_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let config = config();
    train_on(&LIBRARY, &spec(), &config, Some(folder.path()), &Quiet).unwrap();
    let other = TrainConfig { seed: 2, ..config };
    let fresh = train_on(&LIBRARY, &spec(), &other, None, &Quiet).unwrap();
    assert!(train_on(&LIBRARY, &spec(), &other, Some(folder.path()), &Quiet).unwrap() == fresh);
}

#[test]
fn a_damaged_checkpoint_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    train_on(&LIBRARY, &spec(), &config(), Some(folder.path()), &Quiet).unwrap();
    let file = folder.path().join("routing-0.checkpoint");
    let bytes = std::fs::read(&file).unwrap();
    for end in [0, 10, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&file, &bytes[..end]).unwrap();
        let result = train_on(&LIBRARY, &spec(), &config(), Some(folder.path()), &Quiet);
        assert!(matches!(result, Err(LearnError::Checkpoint { .. })), "cut at {end} of {}", bytes.len());
    }
    // Any bit: of the hash, of the header, of the numbers.
    for place in (0..bytes.len()).step_by(bytes.len() / 40).chain([3, 20, 90, bytes.len() - 1]) {
        let mut flipped = bytes.clone();
        flipped[place] ^= 1 << (place % 8);
        std::fs::write(&file, flipped).unwrap();
        let result = train_on(&LIBRARY, &spec(), &config(), Some(folder.path()), &Quiet);
        let Err(LearnError::Checkpoint { reason, .. }) = result else { panic!("byte {place} of {}", bytes.len()) };
        assert!(reason.contains("damaged") || reason.contains("no checksum"), "byte {place}: {reason}");
    }
}
