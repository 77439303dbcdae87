//! Circuits in which the server decides, on the machines Clear and Range.

use proptest::prelude::*;
use sordino_front::VectorBound;
use sordino_model::circuit::{Circuit, CircuitError, Clear, ClearError, ClearValue, Input, Op, Range, RangeValue};
use sordino_model::stage::Hierarchy;

use crate::sample::{bound, hierarchy, rng, vector};

fn sample(seed: u64, outputs: &[usize]) -> Hierarchy {
    let inputs: Vec<VectorBound> = (0..outputs.len()).map(|stage| bound(6 + stage)).collect();
    hierarchy(seed, outputs, &inputs)
}

/// The best `keep` of the slots below `groups`, as paths and scores.
fn best(model: &Hierarchy, stage: usize, groups: &[usize], x: &[i32], keep: usize) -> Vec<(usize, i64)> {
    let s = &model.stages()[stage];
    let slots = groups.iter().flat_map(|&g| (0..s.count(g)).map(move |t| (g, t)));
    let mut slots: Vec<(usize, i64)> = slots.map(|(g, t)| (g * s.outputs() + t, s.score(g, t, x))).collect();
    slots.sort_by_key(|&(_, score)| std::cmp::Reverse(score));
    slots.truncate(keep);
    slots
}

proptest! {
    #[test]
    fn decided_follows_the_best_groups_to_the_best_tracks(
        seed: u64, outputs in proptest::collection::vec(1usize..6, 1..4), probes in 1usize..4, answers in 1usize..4,
    ) {
        let model = sample(seed, &outputs);
        let circuit = match Circuit::decided(&model, probes, answers) {
            Ok(circuit) => circuit,
            Err(CircuitError::Choices { found, slots, .. }) => {
                prop_assert!(found > slots);
                return Ok(());
            }
            Err(other) => panic!("{other}"),
        };
        let rng = &mut rng(seed ^ 1);
        let vectors: Vec<Vec<i32>> = model.stages().iter().map(|s| vector(rng, s.input())).collect();
        let inputs = vectors.iter().cloned().map(ClearValue::Vector).collect();
        let reply = circuit.run(&mut Clear::new(&model), inputs).unwrap();
        let mut groups = vec![0];
        for (stage, x) in vectors.iter().enumerate().take(outputs.len() - 1) {
            groups = best(&model, stage, &groups, x, probes).into_iter().map(|(path, _)| path).collect();
        }
        let tracks = best(&model, outputs.len() - 1, &groups, vectors.last().unwrap(), answers);
        prop_assert_eq!(reply.len(), answers);
        for (i, value) in reply.iter().enumerate() {
            let expected = tracks.get(i).filter(|(_, score)| *score > 0).map(|(path, _)| *path);
            prop_assert_eq!(value, &ClearValue::Answer(expected));
        }
    }

    #[test]
    fn no_difference_leaves_its_range(seed: u64, outputs in proptest::collection::vec(1usize..6, 1..3), probes in 1usize..3) {
        let model = sample(seed, &outputs);
        let Ok(circuit) = Circuit::decided(&model, probes, 1) else { return Ok(()) };
        let ranges = Range::new(&model, u64::MAX).prove(&circuit).unwrap();
        let paths = model.last().groups() * model.last().outputs();
        prop_assert_eq!(ranges, vec![RangeValue::Answer { paths }]);
        let rng = &mut rng(seed ^ 2);
        for stage in model.stages() {
            let (low, high) = stage.score_range();
            for _ in 0..8 {
                let x = vector(rng, stage.input());
                let mut everything = Vec::new();
                for g in 0..stage.groups() {
                    let scores: Vec<i64> = (0..stage.count(g)).map(|t| stage.score(g, t, &x)).collect();
                    let spread = scores.iter().max().zip(scores.iter().min()).map_or(0, |(a, b)| a.abs_diff(*b));
                    prop_assert!(spread <= stage.difference_bound());
                    everything.extend(scores);
                }
                prop_assert!(everything.iter().all(|s| (low..=high).contains(s)));
            }
            prop_assert!(stage.difference_bound() <= stage.spread_bound());
            prop_assert!(stage.spread_bound() <= 2 * stage.score_bound().max(low.unsigned_abs()).max(high.unsigned_abs()));
        }
    }
}

#[test]
fn differences_of_similar_rows_are_bounded_closer_than_their_scores() {
    // Two rows that differ in one place: their scores can be 18 * 20 each, and never differ by more than 20.
    let input = VectorBound { width: 4, max_abs: 10, norm_squared: 400 };
    let weights = vec![9, 9, 9, 9, 9, 9, 9, 8];
    let stage = sordino_model::stage::Stage::new(2, input, weights, vec![0, 0], vec![2]).unwrap();
    assert_eq!(stage.difference_bound(), 20);
    assert!(stage.score_bound() > 300);
}

#[test]
fn client_and_server_build_the_same_circuit_of_decisions() {
    let model = sample(1, &[3, 4, 2]);
    assert_eq!(Circuit::decided(&model, 1, 2), Circuit::decided(model.shape(), 1, 2));
    let circuit = Circuit::decided(&model, 1, 2).unwrap();
    assert_eq!(circuit.inputs, [bound(6), bound(7), bound(8)].map(Input::Vector));
    let json = serde_json::to_string(&circuit).unwrap();
    assert_eq!(serde_json::from_str::<Circuit>(&json).unwrap(), circuit);
    let refused =
        |probes, answers| matches!(Circuit::decided(&model, probes, answers), Err(CircuitError::Choices { .. }));
    assert!(refused(0, 1) && refused(1, 0) && refused(3, 1));
}

#[test]
fn decisions_on_the_wrong_kind_are_refused() {
    let model = sample(1, &[3, 4]);
    let mut circuit = Circuit::decided(&model, 1, 1).unwrap();
    // The argmax of the first stage is fed the vector instead of the scores.
    for op in &mut circuit.ops {
        if let Op::Argmax { entries, .. } = op {
            entries[0].scores.0 = 0;
            break;
        }
    }
    let rng = &mut rng(3);
    let inputs = model.stages().iter().map(|s| ClearValue::Vector(vector(rng, s.input()))).collect();
    let error = circuit.run(&mut Clear::new(&model), inputs);
    assert!(matches!(error, Err(ClearError::Kind { op: "argmax", .. })));
    assert!(Range::new(&model, u64::MAX).prove(&circuit).is_err());
}
