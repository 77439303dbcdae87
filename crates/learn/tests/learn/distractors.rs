//! Rows of labels that do not exist, beside those that do.

use std::collections::BTreeSet;

use sordino_learn::distractors::DistractorSettings;
use sordino_learn::examples::{LabelledVectors, titles};
use sordino_learn::run::Quiet;
use sordino_learn::{FloatModel, TrainConfig, train_vectors};
use sordino_model::{Pair, Protocol};

use crate::vectors::{Planted, config, named};

/// Labels that exist.
const REAL: usize = 120;
/// Rows that are drawn beside them.
const DRAWN: usize = 600;

fn trained(classes: usize, rows: usize, stages: &[usize]) -> FloatModel {
    let (vectors, labels) = Planted::new(classes, 1).examples(12, 2);
    let library = LabelledVectors::new(vectors, &labels).unwrap().with_jitter(0.3).unwrap();
    let distractors = DistractorSettings { rows, components: 0 };
    let config = TrainConfig { distractors, stages: stages.to_vec(), ..config() };
    train_vectors(&library, &config, None, &Quiet).unwrap()
}

#[test]
fn distractors_are_rows_like_any_other() {
    for stages in [vec![0], vec![0, 0]] {
        let model = trained(REAL, DRAWN, &stages);
        assert_eq!((model.labels(), model.tree.leaves().concat().len()), (REAL + DRAWN, REAL + DRAWN));
        // Whoever has labels describes those that exist.
        let (client, server) = model.halves("crowded", titles((0..REAL).map(|i| format!("class {i}")))).unwrap();
        let ids: BTreeSet<u32> = client.labels().iter().map(|label| label.track_id).collect();
        assert_eq!((client.labels().len(), ids.len()), (REAL + DRAWN, REAL + DRAWN));
        assert!(model.halves("crowded", titles((0..REAL + DRAWN).map(|i| format!("class {i}")))).is_err());
        let pair = Pair::new(&client, &server).unwrap();
        let (vectors, labels) = Planted::new(REAL, 1).examples(4, 3);
        for (protocol, least) in [(Protocol::Flat, 0.9), (Protocol::Routed { probes: 4 }, 0.8)] {
            let (right, _) = named(&pair, protocol, &vectors, &labels);
            assert!(right > least, "{stages:?}, {protocol:?}: {right}");
        }
    }
}

/// The mean cosine, before rounding, of a query with the best row of another label.
fn best_rival(model: &FloatModel, asked: usize) -> f32 {
    let (vectors, labels) = Planted::new(asked, 1).examples(4, 3);
    let ranked = model.rank(vectors.view(), None, 2).unwrap();
    let rival = |(ranked, own): (&Vec<sordino_learn::Match>, &u32)| {
        ranked.iter().find(|found| found.label != *own).map_or(-1.0, |found| found.score)
    };
    ranked.iter().zip(&labels).map(rival).sum::<f32>() / labels.len() as f32
}

#[test]
fn drawn_rows_rival_a_query_as_real_ones_do() {
    // The first labels of both are not the same, but of one distribution, and so are the rest.
    let few = best_rival(&trained(REAL, 0, &[]), REAL);
    let real = best_rival(&trained(REAL + DRAWN, 0, &[]), REAL);
    let drawn = best_rival(&trained(REAL, DRAWN, &[]), REAL);
    println!("{few} alone, {real} among real rows, {drawn} among drawn ones");
    assert!(real > few + 0.03 && (drawn - real).abs() < 0.3 * (real - few), "{few}, {real}, {drawn}");
}
