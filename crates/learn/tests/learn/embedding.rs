//! The learned embedding, with both losses.

use std::ops::ControlFlow;
use std::sync::Mutex;

use crate::patterns::{Patterns, config, queries, spec};
use sordino_learn::run::{Descent, Progress, Report};
use sordino_learn::sound::{Block, EmbeddingSettings, Loss};
use sordino_learn::{TrainConfig, train_on};

const LIBRARY: Patterns = Patterns { tracks: 24, seed: 5, noise: 1.0 };

#[derive(Default)]
struct Losses(Mutex<Vec<f32>>);

impl Progress for Losses {
    fn report(&self, report: &Report<'_>) -> ControlFlow<()> {
        if report.phase == "embedding" {
            self.0.lock().unwrap().extend(report.loss);
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn both_losses_learn_tracks_from_sound_alone() {
    for loss in [Loss::NtXent { temperature: 0.1 }, Loss::TrackSoftmax { scale: 8.0 }] {
        let block = |channels, stride| Block { channels, taps: 3, stride, dilation: 1 };
        let embedding = EmbeddingSettings {
            blocks: vec![block(24, 2), block(24, 1)],
            width: 16,
            loss,
            descent: Descent { epochs: 120, batch: 24, learning_rate: 5e-3, weight_decay: 1e-4 },
        };
        let config = TrainConfig { statistics: false, embedding: Some(embedding), ..config() };
        let losses = Losses::default();
        let model = train_on(&LIBRARY, &spec(), &config, None, &losses).unwrap();
        let losses = losses.0.into_inner().unwrap();
        assert!(losses[losses.len() - 1] < 0.7 * losses[0], "{loss:?}: {losses:?}");
        let (features, truths) = queries(&model, &LIBRARY, 4);
        let ranked = model.rank(features.view(), None, 1).unwrap();
        let right = ranked.iter().zip(&truths).filter(|(r, t)| r.first().is_some_and(|s| s.label == **t)).count();
        let share = right as f32 / truths.len() as f32;
        assert!(share > 0.6, "{loss:?} names {share} of the clips; chance is 0.04");
    }
}
