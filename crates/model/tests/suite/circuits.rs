//! Circuits on the machines Clear and Range.

use ndarray::Array2;
use proptest::prelude::*;
use rand::RngExt;
use sordino_front::VectorBound;
use sordino_model::circuit::{
    Circuit, CircuitError, Clear, ClearError, ClearValue, Input, Op, Range, RangeError, RangeValue, Register, StageId,
};
use sordino_model::stage::Hierarchy;

use crate::sample::{bound, hierarchy, rng, vector};

fn sample(seed: u64, outputs: &[usize]) -> Hierarchy {
    let inputs: Vec<VectorBound> = (0..outputs.len()).map(|stage| bound(6 + stage)).collect();
    hierarchy(seed, outputs, &inputs)
}

fn scores(value: &ClearValue) -> &[Vec<i64>] {
    match value {
        ClearValue::Scores(groups) => groups,
        other => panic!("expected scores, got {other:?}"),
    }
}

#[test]
fn flat_returns_every_score_of_the_last_stage() {
    let model = sample(1, &[3, 4]);
    let circuit = Circuit::flat(&model);
    assert_eq!(circuit.inputs, [Input::Vector(bound(7))]);
    let x = vector(&mut rng(2), bound(7));
    let reply = circuit.run(&mut Clear::new(&model), vec![ClearValue::Vector(x.clone())]).unwrap();
    assert_eq!(reply.len(), 1);
    for (g, group) in scores(&reply[0]).iter().enumerate() {
        let expected: Vec<i64> = (0..model.last().count(g)).map(|t| model.last().score(g, t, &x)).collect();
        assert_eq!(*group, expected);
    }
}

#[test]
fn client_and_server_build_the_same_circuits() {
    let model = sample(1, &[3, 4, 2]);
    assert_eq!(Circuit::flat(&model), Circuit::flat(model.shape()));
    for stage in 0..3 {
        assert_eq!(Circuit::trip(&model, stage, 2), Circuit::trip(model.shape(), stage, 2));
    }
    let error = Circuit::trip(&model, 3, 1);
    assert_eq!(error, Err(CircuitError::NoStage { stage: 3, stages: 3 }));
}

#[test]
fn a_circuit_survives_json() {
    let circuit = Circuit::trip(&sample(1, &[3, 4]), 1, 2).unwrap();
    let json = serde_json::to_string(&circuit).unwrap();
    assert_eq!(serde_json::from_str::<Circuit>(&json).unwrap(), circuit);
}

#[test]
fn clear_refuses_what_breaks_a_bound() {
    let model = sample(1, &[3, 4]);
    let mut clear = Clear::new(&model);
    let circuit = Circuit::trip(&model, 1, 1).unwrap();
    let x = ClearValue::Vector(vector(&mut rng(2), bound(7)));
    let mut run = |x: &ClearValue, index: usize| circuit.run(&mut clear, vec![x.clone(), ClearValue::Index(index)]);
    assert!(run(&x, 1).is_ok());
    assert_eq!(run(&x, 3), Err(ClearError::Index { found: 3, groups: 3 }));
    for bad in [vec![32, 0, 0, 0, 0, 0, 0], vec![31; 7], vec![0; 6]] {
        let error = run(&ClearValue::Vector(bad), 0);
        assert_eq!(error, Err(ClearError::Bound { width: 7, max_abs: 31, norm_squared: 3_600 }));
    }
    assert!(matches!(run(&ClearValue::Index(0), 0), Err(ClearError::Kind { op: "linear", .. })));
}

#[test]
fn programs_that_are_not_well_formed_are_refused() {
    let model = sample(1, &[3, 4]);
    let x = || ClearValue::Vector(vector(&mut rng(2), bound(6)));
    let run = |circuit: &Circuit, inputs| circuit.run(&mut Clear::new(&model), inputs).map(drop).unwrap_err();
    let good = Circuit::trip(&model, 0, 1).unwrap();
    assert_eq!(run(&good, vec![]), CircuitError::Inputs { found: 0, expected: 1 }.into());
    let with = |ops: Vec<Op>, reply: Vec<usize>| Circuit {
        ops,
        reply: reply.into_iter().map(Register).collect(),
        ..good.clone()
    };
    let linear = |stage, input| Op::Linear { stage: StageId(stage), input: Register(input) };
    let unwritten = |register, written| CircuitError::Unwritten { register, written }.into();
    assert_eq!(run(&with(vec![linear(0, 1)], vec![0]), vec![x()]), unwritten(1, 1));
    assert_eq!(run(&with(vec![linear(0, 0)], vec![usize::MAX]), vec![x()]), unwritten(usize::MAX, 2));
    assert_eq!(run(&with(vec![linear(0, 0)], vec![1, 1]), vec![x()]), CircuitError::Repeated { register: 1 }.into());
    assert_eq!(
        run(&with(vec![linear(2, 0)], vec![1]), vec![x()]),
        CircuitError::NoStage { stage: 2, stages: 2 }.into()
    );
    let select = Op::Select { scores: Register(0), index: Register(0) };
    assert!(matches!(run(&with(vec![select], vec![1]), vec![x()]), ClearError::Kind { op: "select", .. }));
}

#[test]
fn range_says_by_how_much_a_stage_overflows() {
    let model = sample(1, &[3, 4]);
    let bound = model.stages()[1].score_bound();
    let circuit = Circuit::trip(&model, 1, 2).unwrap();
    let scores = RangeValue::Scores { groups: 1, bound };
    assert_eq!(Range::new(&model, bound).prove(&circuit), Ok(vec![scores; 2]));
    let error = Range::new(&model, bound - 1).prove(&circuit).unwrap_err();
    assert_eq!(error, RangeError::Overflow { stage: 1, bound, limit: bound - 1 });
    let error = Range::new(&model, bound / 3).prove(&circuit).unwrap_err().to_string();
    assert!(error.contains("3.00 times") && error.contains(&bound.to_string()), "{error}");
}

#[test]
fn range_refuses_circuits_that_do_not_fit_the_model() {
    let model = sample(1, &[3, 4]);
    let prove = |circuit: &Circuit| Range::new(&model, u64::MAX).prove(circuit).unwrap_err();
    let mut wide = Circuit::trip(&model, 1, 1).unwrap();
    wide.inputs[0] = Input::Vector(VectorBound { max_abs: 32, ..bound(7) });
    assert!(matches!(prove(&wide), RangeError::Bound { stage: 1, .. }));
    let mut far = Circuit::trip(&model, 1, 1).unwrap();
    far.inputs[1] = Input::Index { bound: 4 };
    assert_eq!(prove(&far), RangeError::Index { found: 4, groups: 3 });
    let mut chained = Circuit::trip(&model, 0, 1).unwrap();
    chained.ops.push(Op::Linear { stage: StageId(1), input: Register(1) });
    assert!(matches!(prove(&chained), RangeError::Kind { op: "linear", found: "scores", .. }));
    chained.ops[1] = Op::Select { scores: Register(1), index: Register(0) };
    assert!(matches!(prove(&chained), RangeError::Kind { op: "select", found: "a vector", .. }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn select_is_indexing(seed: u64, clusters in 1usize..8, tracks in 1usize..8, probes in 1usize..5) {
        let model = sample(seed, &[clusters, tracks]);
        let rng = &mut rng(seed ^ 1);
        let x = vector(rng, bound(7));
        let picked: Vec<usize> = (0..probes).map(|_| rng.random_range(0..clusters)).collect();
        let all = Circuit::flat(&model).run(&mut Clear::new(&model), vec![ClearValue::Vector(x.clone())]).unwrap();
        let mut inputs = vec![ClearValue::Vector(x)];
        inputs.extend(picked.iter().map(|&g| ClearValue::Index(g)));
        let reply = Circuit::trip(&model, 1, probes).unwrap().run(&mut Clear::new(&model), inputs).unwrap();
        prop_assert_eq!(reply.len(), probes);
        for (value, &g) in reply.iter().zip(&picked) {
            prop_assert_eq!(&scores(value)[0], &scores(&all[0])[g]);
        }
    }

    #[test]
    fn clear_lies_within_range(seed: u64, outputs in proptest::collection::vec(1usize..6, 1..4), probes in 1usize..4) {
        let model = sample(seed, &outputs);
        let rng = &mut rng(seed ^ 1);
        for stage in 0..outputs.len() {
            let circuit = Circuit::trip(&model, stage, probes).unwrap();
            let ranges = Range::new(&model, u64::MAX).prove(&circuit).unwrap();
            let inputs = circuit.inputs.iter().map(|input| match *input {
                Input::Vector(bound) => ClearValue::Vector(vector(rng, bound)),
                Input::Index { bound } => ClearValue::Index(rng.random_range(0..bound)),
                Input::Samples { .. } => panic!("a trip takes no samples"),
            });
            let inputs = inputs.collect();
            let reply = circuit.run(&mut Clear::new(&model), inputs).unwrap();
            prop_assert_eq!(reply.len(), ranges.len());
            for (value, range) in reply.iter().zip(&ranges) {
                let RangeValue::Scores { groups, bound } = *range else { panic!("{range:?}") };
                prop_assert_eq!(scores(value).len(), groups);
                prop_assert!(scores(value).iter().flatten().all(|s| s.unsigned_abs() <= bound));
            }
        }
    }

    #[test]
    fn a_batch_scores_as_single_vectors_do(seed: u64, outputs in proptest::collection::vec(1usize..7, 1..4), n in 0usize..9, large: bool) {
        // A large bound leaves single precision behind.
        let wide = VectorBound { width: 5, max_abs: 30_000, norm_squared: 1 << 34 };
        let inputs: Vec<VectorBound> = outputs.iter().map(|_| if large { wide } else { bound(5) }).collect();
        let model = hierarchy(seed, &outputs, &inputs);
        let rng = &mut rng(seed ^ 1);
        for (level, stage) in model.stages().iter().enumerate() {
            let rows: Vec<Vec<i32>> = (0..n).map(|_| vector(rng, stage.input())).collect();
            let x = Array2::from_shape_vec((n, 5), rows.concat()).unwrap();
            let batch = Clear::new(&model).linear_batch(StageId(level), x.view()).unwrap();
            for (row, x) in rows.iter().enumerate() {
                for g in 0..stage.groups() {
                    for t in 0..stage.outputs() {
                        let expected = if t < stage.count(g) { stage.score(g, t, x) } else { 0 };
                        prop_assert_eq!(batch[[row, g * stage.outputs() + t]], expected);
                    }
                }
            }
        }
    }
}

#[test]
fn a_batch_with_a_vector_out_of_bounds_is_refused() {
    let model = sample(1, &[3, 4]);
    let x = Array2::from_elem((2, 6), 31);
    let error = Clear::new(&model).linear_batch(StageId(0), x.view());
    assert!(matches!(error, Err(ClearError::Bound { .. })), "{error:?}");
    let wide = Array2::zeros((2, 5));
    assert!(Clear::new(&model).linear_batch(StageId(0), wide.view()).is_err());
    assert!(matches!(Clear::new(&model).linear_batch(StageId(2), wide.view()), Err(ClearError::Circuit(_))));
}
