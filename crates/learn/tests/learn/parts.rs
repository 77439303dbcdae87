//! Training in parts gives the model of one run, to the bit.

use std::path::Path;

use ndarray::{Array2, Axis};
use sordino_corpus::Part;
use sordino_learn::distractors::DistractorSettings;
use sordino_learn::examples::LabelledVectors;
use sordino_learn::run::{Descent, Quiet};
use sordino_learn::{
    Effort, FloatModel, LearnError, Merged, Step, TrainConfig, merge_vectors, train_vectors, train_vectors_part,
};

use crate::vectors::Planted;

const LABELS: usize = 200;
const EACH: usize = 10;

fn vectors() -> (Array2<f32>, Vec<u32>) {
    Planted::new(LABELS, 1).examples(EACH, 2)
}

fn config() -> TrainConfig {
    let mut config = TrainConfig { least_clips: 0, width: 32, flat: false, ..TrainConfig::effort(Effort::Quick) };
    config.router.directions = 32;
    config.router.hidden = vec![64];
    config.router.descent = Descent { epochs: 2, batch: 64, ..config.router.descent };
    config.router.least_steps = 20;
    config
}

fn of(part: Part) -> LabelledVectors {
    let (vectors, labels) = vectors();
    let rows: Vec<usize> = (0..labels.len()).filter(|&i| part.range(LABELS).contains(&(labels[i] as usize))).collect();
    let labels: Vec<u32> = rows.iter().map(|&row| labels[row]).collect();
    LabelledVectors::of_part(vectors.select(Axis(0), &rows), &labels, Some(part), LABELS, EACH).unwrap()
}

fn nobody() -> LabelledVectors {
    LabelledVectors::of_part(Array2::zeros((0, vectors().0.ncols())), &[], None, LABELS, EACH).unwrap()
}

fn in_parts(config: &TrainConfig, count: usize, folder: &Path) -> FloatModel {
    for step in Step::ALL {
        for part in Part::all(count) {
            assert_eq!(train_vectors_part(&of(part), config, part, folder, &Quiet).unwrap(), step);
        }
        match merge_vectors(&nobody(), config, folder, None, &Quiet).unwrap() {
            Merged::Model(model) => return *model,
            Merged::Next(next) => assert_eq!(Some(next), Step::ALL.iter().copied().skip_while(|s| *s != step).nth(1)),
            other => panic!("{other:?}"),
        }
    }
    panic!("no model after the last step");
}

#[test]
fn parts_make_the_model_of_one_run() {
    let (vectors, labels) = vectors();
    let library = LabelledVectors::new(vectors, &labels).unwrap();
    let mut means = config();
    means.router.learned = false;
    let mut all = TrainConfig { spill: 2, flat: true, ..config() };
    all.tracks.descent = Descent { epochs: 1, ..all.tracks.descent };
    let crowded = TrainConfig { distractors: DistractorSettings { rows: 300, components: 2 }, ..means.clone() };
    let all =
        [("quick", config(), &[1, 3][..]), ("means", means, &[2]), ("all", all, &[3]), ("crowded", crowded, &[2])];
    for (name, config, counts) in all {
        let whole = train_vectors(&library, &config, None, &Quiet).unwrap();
        for &count in counts {
            let folder = tempfile::tempdir().unwrap();
            assert!(in_parts(&config, count, folder.path()) == whole, "{name} in {count} parts");
        }
    }
}

#[test]
fn a_step_taken_again_changes_nothing_and_what_is_missing_is_said() {
    let (config, folder) = (config(), tempfile::tempdir().unwrap());
    let parts: Vec<Part> = Part::all(2).collect();
    let merge = || merge_vectors(&nobody(), &config, folder.path(), None, &Quiet);
    let says = |found: Result<Merged, LearnError>, text: &str| {
        let error = found.unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    };
    says(merge(), "run every part first");
    train_vectors_part(&of(parts[0]), &config, parts[0], folder.path(), &Quiet).unwrap();
    says(merge(), "part 2/2 has not taken the step \"clips\" yet");
    train_vectors_part(&of(parts[1]), &config, parts[1], folder.path(), &Quiet).unwrap();
    let file = folder.path().join("clips-1-of-2.part");
    let before = std::fs::read(&file).unwrap();
    train_vectors_part(&of(parts[0]), &config, parts[0], folder.path(), &Quiet).unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), before);

    // A part of another number, a damaged file, other settings.
    let third = "1/3".parse().unwrap();
    let refused = train_vectors_part(&of(third), &config, third, folder.path(), &Quiet).unwrap_err().to_string();
    assert!(refused.contains("the folder has parts of 2"), "{refused}");
    let other = TrainConfig { seed: 2, ..config.clone() };
    let refused = train_vectors_part(&of(parts[0]), &other, parts[0], folder.path(), &Quiet).unwrap_err().to_string();
    assert!(refused.contains("other settings"), "{refused}");
    let mut damaged = before.clone();
    let last = damaged.len() - 3;
    damaged[last] ^= 1;
    std::fs::write(&file, &damaged).unwrap();
    says(merge(), "damaged");
    std::fs::write(&file, &before).unwrap();
    says(merge_vectors(&nobody(), &other, folder.path(), None, &Quiet), "other settings");
    assert!(matches!(merge(), Ok(Merged::Next(Step::Covariance))));
    // Lost behind the merge of its step, a file is made again.
    std::fs::remove_file(&file).unwrap();
    assert_eq!(train_vectors_part(&of(parts[0]), &config, parts[0], folder.path(), &Quiet).unwrap(), Step::Covariance);
    assert_eq!(std::fs::read(&file).unwrap(), before);

    // What cannot go in parts.
    let focused = TrainConfig { focus: 1.0, ..config.clone() };
    says(merge_vectors(&nobody(), &focused, folder.path(), None, &Quiet), "where training goes in parts");
    assert!(of(parts[0]).with_jitter(0.1).is_err());
}
