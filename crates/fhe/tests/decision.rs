//! Decisions, encrypted, against the same circuit on plain integers.

mod common;

use std::sync::{Arc, LazyLock};

use common::{MODEL, key};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sordino_fhe::decision::{Client, Options, Plan, Server, Share, ShareServer, Shares};
use sordino_fhe::params::{INSECURE_N256, INSECURE_N512, ParameterSet, STANDARD};
use sordino_fhe::{ClientKey, EvaluationKey, FheError, SecretKey, ServerKey};
use sordino_front::VectorBound;
use sordino_model::circuit::{Clear, ClearValue};
use sordino_model::cost::WeightForm;
use sordino_model::layout::MESSAGE_HEADER;
use sordino_model::stage::{Hierarchy, Stage};
use sordino_model::{ModelHash, Resolution};

const SCALE: f64 = 60.0;

struct Keys {
    secret: Arc<SecretKey>,
    server: ServerKey,
}

impl Keys {
    fn new(parameters: &'static ParameterSet, seed: u64) -> Self {
        let secret = key(parameters, seed);
        let server = EvaluationKey::generate_from_insecure_seed(&secret, seed, |_| {}).expand();
        Self { secret, server }
    }

    fn client(&self) -> ClientKey {
        ClientKey::registered(self.secret.clone(), self.server.id())
    }
}

static KEYS: LazyLock<Vec<Keys>> = LazyLock::new(|| (1..=5).map(|seed| Keys::new(&INSECURE_N512, seed)).collect());

fn bound(width: usize) -> VectorBound {
    VectorBound { width, max_abs: 31, norm_squared: (SCALE * SCALE) as u64 }
}

/// A random direction of norm `SCALE`, rounded towards zero.
fn direction(width: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
    let x: Vec<f64> = (0..width).map(|_| (0..6).map(|_| rng.random::<f64>() - 0.5).sum()).collect();
    let norm = x.iter().map(|v| v * v).sum::<f64>().sqrt();
    x.iter().map(|v| v / norm * SCALE).collect()
}

fn integers(x: &[f64]) -> Vec<i32> {
    x.iter().map(|v| v.trunc().clamp(-31.0, 31.0) as i32).collect()
}

/// Stages of random directions; in the last one, scores are above zero from about half of a full match on. Where `ragged`, groups
/// of the last stage use different numbers of slots.
fn hierarchy(outputs: &[usize], width: usize, ragged: bool, seed: u64) -> Hierarchy {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut groups = 1;
    let stages = outputs.iter().enumerate().map(|(s, &slots)| {
        let last = s + 1 == outputs.len();
        let rows = (0..groups * slots).flat_map(|_| integers(&direction(width, &mut rng)));
        let weights = rows.map(|w| w as i8).collect();
        let bias = vec![if last { -(SCALE * SCALE * 0.55) as i32 } else { 0 }; groups * slots];
        let counts = (0..groups).map(|_| if last && ragged { rng.random_range(1..=slots) } else { slots }).collect();
        groups *= slots;
        Stage::new(slots, bound(width), weights, bias, counts).unwrap()
    });
    Hierarchy::new(stages.collect()).unwrap()
}

/// Vectors close to the rows on the way to a random track, or to nothing.
fn query(model: &Hierarchy, known: bool, rng: &mut ChaCha8Rng) -> Vec<Vec<i32>> {
    let mut group = 0;
    let stages = model.stages().iter().enumerate().map(|(s, stage)| {
        let slot = rng.random_range(0..stage.count(group).max(1));
        let row: Vec<f64> = stage.row(group, slot).iter().map(|&w| f64::from(w)).collect();
        let width = row.len();
        let noise = direction(width, rng);
        let mix = if known || s + 1 < model.stages().len() { 0.15 } else { 3.0 };
        let x: Vec<f64> = row.iter().zip(&noise).map(|(a, b)| a + mix * b).collect();
        let norm = x.iter().map(|v| v * v).sum::<f64>().sqrt();
        group = group * stage.outputs() + slot;
        integers(&x.iter().map(|v| v / norm * SCALE).collect::<Vec<_>>())
    });
    stages.collect()
}

fn clear(model: &Hierarchy, plan: &Plan, vectors: &[Vec<i32>]) -> Vec<Option<usize>> {
    clear_above(model, plan, vectors, 0)
}

fn clear_above(model: &Hierarchy, plan: &Plan, vectors: &[Vec<i32>], above: i64) -> Vec<Option<usize>> {
    clear_among(model, plan, vectors, &[], above)
}

fn clear_among(
    model: &Hierarchy,
    plan: &Plan,
    vectors: &[Vec<i32>],
    groups: &[usize],
    above: i64,
) -> Vec<Option<usize>> {
    let circuit = plan.circuit(model.shape()).unwrap();
    let vectors = vectors.iter().cloned().map(ClearValue::Vector);
    let inputs = vectors.chain(groups.iter().map(|&group| ClearValue::Index(group))).collect();
    let reply = circuit.run(&mut Clear::new(model).above(above), inputs).unwrap();
    let answer = |value: ClearValue| match value {
        ClearValue::Answer(answer) => answer,
        other => panic!("a reply of {other:?}"),
    };
    reply.into_iter().map(answer).collect()
}

struct Session<'a> {
    client: Client,
    server: Server,
    keys: &'a Keys,
    model: &'a Hierarchy,
}

impl<'a> Session<'a> {
    fn new(keys: &'a Keys, model: &'a Hierarchy, options: Options, seed: u64) -> Self {
        let plan = Plan::new(keys.secret.parameters(), model, options).unwrap();
        let server = Server::new(MODEL, model, plan).unwrap();
        // The plan travels as bytes.
        let plan = Plan::from_bytes(&server.plan().to_bytes()).unwrap();
        assert_eq!(&plan, server.plan());
        let client = Client::new(keys.client(), plan, MODEL, model.shape()).unwrap().with_insecure_seed(seed);
        Self { client, server, keys, model }
    }

    fn encrypted(&mut self, vectors: &[Vec<i32>]) -> Vec<Option<usize>> {
        self.encrypted_above(vectors, 0)
    }

    fn encrypted_above(&mut self, vectors: &[Vec<i32>], above: i64) -> Vec<Option<usize>> {
        self.encrypted_among(vectors, &[], above)
    }

    fn encrypted_among(&mut self, vectors: &[Vec<i32>], groups: &[usize], above: i64) -> Vec<Option<usize>> {
        let query = self.client.query(vectors, groups, above).unwrap();
        let (reply, work) = self.server.answer_and_measure(&self.keys.server, &query).unwrap();
        let cost = self.server.plan().cost(self.model.shape()).unwrap();
        assert_eq!((query.len(), reply.len()), (cost.bytes_up, cost.bytes_down), "bytes as priced");
        assert_eq!(work.decisions, cost.decisions, "decisions as priced");
        assert_eq!(work.counts, cost.counts, "operations as priced");
        self.client.answers(&reply, groups).unwrap()
    }
}

/// Every answer that the margins make certain is that of plain integers; returns how many were, of how many.
fn agree(keys: &Keys, outputs: &[usize], ragged: bool, options: Options, queries: usize, seed: u64) -> (usize, usize) {
    let model = hierarchy(outputs, 24, ragged, seed);
    let mut session = Session::new(keys, &model, options, seed);
    let margins = session.server.plan().margins(model.shape()).unwrap();
    assert!(margins.failure_log2 <= options.failure_log2, "{margins:?}");
    let mut rng = ChaCha8Rng::seed_from_u64(1000 + seed);
    let (mut sure, mut right) = (0, 0);
    for i in 0..queries {
        let vectors = query(&model, i % 4 != 3, &mut rng);
        let (found, expected) = (session.encrypted(&vectors), clear(&model, session.server.plan(), &vectors));
        right += usize::from(found == expected);
        if session.server.plan().leads(&model, &vectors, &[], |_| None).unwrap().are_certain(&margins) {
            sure += 1;
            assert_eq!(found, expected, "query {i}, {outputs:?}, seed {seed}");
        }
    }
    (sure, right)
}

#[test]
fn two_stages_answer_as_plain_integers_do() {
    let (mut sure, mut right, mut queries) = (0, 0, 0);
    for (k, keys) in KEYS.iter().enumerate() {
        for (i, (outputs, ragged)) in
            [([11, 7], false), ([5, 13], true), ([1, 6], false), ([9, 1], true)].into_iter().enumerate()
        {
            let seed = (10 * k + i) as u64;
            let (s, r) = agree(keys, &outputs, ragged, Options::default(), 6, seed);
            (sure, right, queries) = (sure + s, right + r, queries + 6);
        }
    }
    // Known tracks at this distance are mostly beyond the margin, and noise seldom reaches it.
    assert!(sure * 2 > queries, "{sure} of {queries} queries were certain");
    assert!(right * 20 > queries * 19, "{right} of {queries} queries were right");
}

/// The client names the groups of the last stage, in any order and twice if it likes; whatever stages come before it.
#[test]
fn groups_that_the_client_picked_answer_as_plain_integers_do() {
    let (mut sure, mut right, mut queries) = (0, 0, 0);
    for (k, keys) in KEYS.iter().enumerate() {
        for (outputs, ragged, probes, answers) in [
            (&[11, 7][..], false, 1, 1),
            (&[5, 13], true, 3, 1),
            (&[1, 6], false, 1, 2),
            (&[9, 1], true, 9, 1),
            (&[300, 2], true, 5, 1),
            (&[3, 4, 5], true, 2, 2),
        ] {
            let seed = (10 * k + probes) as u64;
            let model = hierarchy(outputs, 24, ragged, seed);
            let options = Options::new(probes, answers, Resolution::Standard).picked();
            let mut session = Session::new(keys, &model, options, seed);
            let margins = session.server.plan().margins(model.shape()).unwrap();
            assert!(margins.failure_log2 <= options.failure_log2, "{margins:?}");
            let (last, mut rng) = (model.last(), ChaCha8Rng::seed_from_u64(2000 + seed));
            for i in 0..4 {
                // The best group of all comes last, and before it any.
                let vectors = query(&model, i % 4 != 3, &mut rng).split_off(outputs.len() - 1);
                let best =
                    |group: &usize| (0..last.count(*group)).map(|slot| last.score(*group, slot, &vectors[0])).max();
                let mut groups: Vec<usize> = (1..probes).map(|_| rng.random_range(0..last.groups())).collect();
                groups.push((0..last.groups()).max_by_key(best).unwrap());
                let plan = session.server.plan();
                let expected = clear_among(&model, plan, &vectors, &groups, 0);
                // A group that is asked for twice ties with itself: either of its entries is right.
                let slot = |place: usize| Some(place);
                let certain = plan.leads(&model, &vectors, &groups, slot).unwrap().are_certain(&margins);
                let found = session.encrypted_among(&vectors, &groups, 0);
                right += usize::from(found == expected);
                queries += 1;
                if certain {
                    sure += 1;
                    assert_eq!(found, expected, "query {i}, {outputs:?}, {probes} probes, seed {seed}");
                }
            }
        }
    }
    assert!(sure * 2 > queries, "{sure} of {queries} queries were certain");
    assert!(right * 20 > queries * 19, "{right} of {queries} queries were right");
}

#[test]
fn groups_that_were_not_asked_for_are_refused() {
    let model = hierarchy(&[5, 4], 24, false, 1);
    let options = Options::new(2, 1, Resolution::Standard).picked();
    let mut session = Session::new(&KEYS[0], &model, options, 1);
    let vectors = query(&model, true, &mut ChaCha8Rng::seed_from_u64(1));
    let last = &vectors[1..];
    assert!(matches!(session.client.query(&vectors, &[0, 1], 0), Err(FheError::Vectors { .. })));
    assert!(matches!(session.client.query(last, &[0], 0), Err(FheError::Groups { found: 1, expected: 2 })));
    assert!(matches!(session.client.query(last, &[0, 5], 0), Err(FheError::Group { groups: 5 })));
    let query = session.client.query(last, &[0, 4], 0).unwrap();
    let reply = session.server.answer(&KEYS[0].server, &query).unwrap();
    assert!(matches!(session.client.answers(&reply, &[]), Err(FheError::Groups { .. })));
    // Numbers that are no bits give some answer: whoever sends them makes the checksum fit.
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for _ in 0..4 {
        let mut other = query[..query.len() - 32].to_vec();
        let (at, bits) = (other.len() - 200, other.len());
        rng.fill_bytes(&mut other[at..bits]);
        let checksum = ModelHash::of(&other);
        other.extend(checksum.0);
        assert_eq!(session.server.answer(&KEYS[0].server, &other).unwrap().len(), reply.len());
    }
    // Whatever is asked for, the message is as long.
    assert_eq!(session.client.query(last, &[3, 3], 0).unwrap().len(), query.len());
    for (outputs, probes) in [([2, 4], 3), ([5, 4], 0)] {
        let model = hierarchy(&outputs, 24, false, 1);
        let options = Options::new(probes, 1, Resolution::Standard).picked();
        assert!(matches!(Plan::new(&INSECURE_N512, &model, options), Err(FheError::Circuit(_))));
    }
}

#[test]
fn one_and_three_stages_run_the_same_way() {
    for (k, keys) in KEYS.iter().enumerate().take(3) {
        for outputs in [&[23][..], &[4, 3, 5], &[2, 5, 3, 4]] {
            let (_, right) = agree(keys, outputs, true, Options::default(), 6, 60 + k as u64);
            assert!(right >= 5, "{right} of 6 right, {outputs:?}");
        }
    }
}

#[test]
fn leads_are_those_of_the_clear_scores() {
    // Scores of the first stage are 4, 3 and 1 times x, those of the last 20, 8 and 30 times y less 100, whatever the group.
    let input = VectorBound { width: 1, max_abs: 10, norm_squared: 100 };
    let first = Stage::new(3, input, vec![4, 3, 1], vec![0; 3], vec![3]).unwrap();
    let last = Stage::new(3, input, [20, 8, 30].repeat(3), vec![-100; 9], vec![3; 3]).unwrap();
    let model = Hierarchy::new(vec![first, last]).unwrap();
    let leads = |probes, answers| {
        let options = Options::new(probes, answers, Resolution::Standard);
        let plan = Plan::new(&STANDARD, &model, options).unwrap();
        plan.leads(&model, &[vec![5], vec![7]], &[], |_| None).unwrap()
    };
    assert_eq!((leads(1, 1).stages, leads(1, 1).threshold), (vec![5, 70], 109.5));
    // With two probes the second group must lead the third, and both groups hold the same scores.
    assert_eq!(leads(2, 1).stages, [10, 0]);
    // Two answers: the first leads the second by 70, the second the third by 84; the second's score is 40.
    assert_eq!((leads(1, 2).stages, leads(1, 2).threshold), (vec![5, 70], 39.5));
    let plan = Plan::new(&STANDARD, &model, Options::default()).unwrap();
    // The first and the last slot of every group are one track's: it leads the other by 154.
    let shared = plan.leads(&model, &[vec![5], vec![7]], &[], |slot| Some(slot % 3 % 2)).unwrap();
    assert_eq!((shared.stages, shared.siblings), (vec![5, 154], 1));
    assert!(matches!(plan.leads(&model, &[vec![5]], &[], |_| None), Err(FheError::Vectors { .. })));
    assert!(matches!(plan.leads(&model, &[vec![5], vec![11]], &[], |_| None), Err(FheError::Vector { .. })));
}

#[test]
fn a_track_is_known_above_the_score_that_the_client_sends() {
    let mut lengths = std::collections::BTreeSet::new();
    for (k, keys) in KEYS.iter().enumerate() {
        let model = hierarchy(&[5, 7], 24, true, 400 + k as u64);
        let mut session = Session::new(keys, &model, Options::default(), 2);
        let margins = session.server.plan().margins(model.shape()).unwrap();
        let mut rng = ChaCha8Rng::seed_from_u64(70 + k as u64);
        for known in [true, false] {
            // Whether the song is known to the model says nothing here; only its score against what was asked for.
            let vectors = query(&model, known, &mut rng);
            let plan = session.server.plan().clone();
            if !plan.leads(&model, &vectors, &[], |_| None).unwrap().are_certain(&margins) && known {
                continue;
            }
            // The largest threshold that the best track exceeds, by bisection in the clear.
            let most = plan.stages()[1].difference as i64;
            let (mut low, mut high) = (-most - 1, most);
            while high - low > 1 {
                let middle = (low + high).div_euclid(2);
                let known = clear_above(&model, &plan, &vectors, middle)[0].is_some();
                (low, high) = if known { (middle, high) } else { (low, middle) };
            }
            let far = margins.threshold.ceil() as i64;
            for above in [high - far, high + far, 0, most, -most, i64::MAX, i64::MIN] {
                if (above.clamp(-most, most) - high).abs() < far {
                    continue;
                }
                let expected = clear_above(&model, &plan, &vectors, above);
                assert_eq!(expected[0].is_some(), above < high);
                let found = session.encrypted_above(&vectors, above);
                // A stranger's winner has no lead; that there is one is what the threshold says.
                assert_eq!(found[0].is_some(), expected[0].is_some(), "key {k}, above {above} of {high}");
                assert!(!known || found == expected, "key {k}, above {above} of {high}");
                lengths.insert(session.client.query(&vectors, &[], above).unwrap().len());
            }
        }
    }
    assert_eq!(lengths.len(), 1, "a query's length says nothing of its threshold");
}

#[test]
fn a_track_may_lose_to_itself() {
    // Slots 2 i and 2 i + 1 of the last stage are one track's, and nearly alike.
    let whose = |slot: usize| Some(slot / 2);
    let (mut sure, mut sure_of_slots, mut swapped) = (0, 0, 0);
    for (k, keys) in KEYS.iter().enumerate() {
        let model = hierarchy(&[5, 8], 24, false, 300 + k as u64);
        let [first, last] = model.stages() else { panic!("two stages") };
        let mut weights = last.weights().to_vec();
        for pair in weights.chunks_exact_mut(2 * 24) {
            let (one, other) = pair.split_at_mut(24);
            other.copy_from_slice(one);
            other[k] += 1 - 2 * i8::from(other[k] > 0);
        }
        let last = Stage::new(8, bound(24), weights, last.biases().to_vec(), vec![8; 5]).unwrap();
        let model = Hierarchy::new(vec![first.clone(), last]).unwrap();
        let mut session = Session::new(keys, &model, Options::default(), 7);
        let margins = session.server.plan().margins(model.shape()).unwrap();
        let (margin, threshold) = margins.last_stage(0);
        let (wider, further) = margins.last_stage(1);
        assert!(wider > margin && wider < 1.3 * margin && further > threshold && further < 1.1 * threshold);
        assert!(margins.last_stage(100).0.is_infinite());
        let mut rng = ChaCha8Rng::seed_from_u64(40 + k as u64);
        for i in 0..8 {
            let vectors = query(&model, i % 4 != 3, &mut rng);
            let (found, expected) = (session.encrypted(&vectors), clear(&model, session.server.plan(), &vectors));
            let plan = session.server.plan();
            let leads = plan.leads(&model, &vectors, &[], whose).unwrap();
            assert_eq!(leads.siblings, 1);
            sure_of_slots += usize::from(plan.leads(&model, &vectors, &[], |_| None).unwrap().are_certain(&margins));
            if leads.are_certain(&margins) {
                sure += 1;
                assert_eq!(found[0].map(|slot| slot / 2), expected[0].map(|slot| slot / 2), "query {i}");
                swapped += usize::from(found != expected);
            }
        }
    }
    assert_eq!(sure_of_slots, 0);
    assert!(sure > 10 && swapped > 0, "{sure} of 40 were certain, {swapped} named the track by its other slot");
}

#[test]
fn finer_resolution_is_certain_more_often() {
    let model = hierarchy(&[11, 7], 24, false, 3);
    let margins_at = |resolution| {
        let options = Options::new(1, 1, resolution);
        Plan::new(&STANDARD, &model, options).unwrap().margins(model.shape()).unwrap()
    };
    let (standard, fine) = (margins_at(Resolution::Standard), margins_at(Resolution::Fine));
    for (standard, fine) in standard.relative.iter().zip(&fine.relative) {
        assert!(fine < &(0.7 * standard), "{fine} {standard}");
    }
    let options = Options::new(1, 1, Resolution::Fine);
    let (sure, _) = agree(&KEYS[0], &[11, 7], false, options, 6, 3);
    assert!(sure >= 3);
}

#[test]
fn probes_and_runners_up_are_found() {
    for (k, keys) in KEYS.iter().enumerate().take(3) {
        let model = hierarchy(&[6, 5], 24, false, 90 + k as u64);
        for (probes, answers) in [(3, 1), (1, 3), (2, 2)] {
            let options = Options::new(probes, answers, Resolution::Standard);
            let mut session = Session::new(keys, &model, options, 3);
            let mut rng = ChaCha8Rng::seed_from_u64(5 + k as u64);
            for _ in 0..2 {
                // Only the winner is planted; the others may lie closer together than the noise.
                let vectors = query(&model, true, &mut rng);
                let (found, expected) = (session.encrypted(&vectors), clear(&model, session.server.plan(), &vectors));
                assert_eq!(found.len(), answers);
                assert_eq!(found[0], expected[0], "{probes} probes, {answers} answers");
                assert!(expected[0].is_some());
            }
        }
    }
}

#[test]
fn runners_up_follow_the_winner_where_they_are_far_apart() {
    // One stage whose scores are 40, 30, 20 and 10 times the largest feature; three answers are known, the fourth is not.
    let input = VectorBound { width: 1, max_abs: 31, norm_squared: 31 * 31 };
    let weights = vec![10, 40, -20, 30, 20, -40];
    let stage = Stage::new(6, input, weights, vec![-465; 6], vec![6]).unwrap();
    let model = Hierarchy::new(vec![stage]).unwrap();
    let options = Options::new(1, 4, Resolution::Standard);
    for keys in KEYS.iter() {
        let mut session = Session::new(keys, &model, options, 1);
        assert_eq!(session.encrypted(&[vec![31]]), [Some(1), Some(3), Some(4), None]);
    }
}

#[test]
fn the_standard_parameters_answer_too() {
    let keys = Keys::new(&STANDARD, 9);
    let model = hierarchy(&[5, 4], 24, true, 4);
    let mut session = Session::new(&keys, &model, Options::default(), 1);
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    for known in [true, false] {
        let vectors = query(&model, known, &mut rng);
        let expected = clear(&model, session.server.plan(), &vectors);
        assert_eq!(expected[0].is_some(), known);
        assert_eq!(session.encrypted(&vectors), expected);
    }
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let model = hierarchy(&[3, 4], 24, false, 1);
    let mut session = Session::new(&KEYS[0], &model, Options::default(), 1);
    let vectors = query(&model, true, &mut ChaCha8Rng::seed_from_u64(1));
    let good = session.client.query(&vectors, &[], 0).unwrap();
    assert_eq!(session.server.key_of(&good).unwrap(), KEYS[0].server.id());
    let answer = |key: &ServerKey, query: &[u8]| session.server.answer(key, query);

    assert!(matches!(answer(&KEYS[1].server, &good), Err(FheError::Key { .. })));
    let other = Keys::new(&INSECURE_N256, 3);
    assert!(matches!(answer(&other.server, &good), Err(FheError::Parameters { .. })));
    let reply = answer(&KEYS[0].server, &good).unwrap();
    for length in [0, 3, MESSAGE_HEADER - 1, MESSAGE_HEADER, 200, good.len() - 1] {
        assert!(answer(&KEYS[0].server, &good[..length]).is_err(), "{length} bytes");
        assert!(session.client.answers(&reply[..length.min(reply.len() - 1)], &[]).is_err(), "{length} bytes");
    }
    let mut long = good.clone();
    long.push(0);
    assert!(matches!(answer(&KEYS[0].server, &long), Err(FheError::Length { .. })));
    for byte in 0..good.len() {
        let mut damaged = good.clone();
        damaged[byte] ^= 1;
        assert!(answer(&KEYS[0].server, &damaged).is_err(), "byte {byte}");
    }
    assert!(session.client.answers(&good, &[]).is_err(), "a query is no reply");

    let plan = session.server.plan().clone();
    let shape = model.shape();
    assert!(matches!(Client::new(other.client(), plan.clone(), MODEL, shape), Err(FheError::Parameters { .. })));
    let mut stranger = Client::new(KEYS[0].client(), plan.clone(), ModelHash([8; 32]), shape).unwrap();
    assert!(matches!(answer(&KEYS[0].server, &stranger.query(&vectors, &[], 0).unwrap()), Err(FheError::Model { .. })));
    let wide = hierarchy(&[3, 4, 2], 24, false, 1);
    assert!(matches!(Client::new(KEYS[0].client(), plan, MODEL, wide.shape()), Err(FheError::Plan { .. })));
    assert!(matches!(session.client.query(&vectors[..1], &[], 0), Err(FheError::Vectors { .. })));
    let large = vec![vec![32; 24], vec![0; 24]];
    assert!(matches!(session.client.query(&large, &[], 0), Err(FheError::Vector { .. })));
}

#[test]
fn damaged_plans_are_refused_or_harmless() {
    let model = hierarchy(&[3, 4], 24, false, 1);
    let plan = Plan::new(&INSECURE_N512, &model, Options::default()).unwrap();
    let bytes = plan.to_bytes();
    for length in 0..bytes.len() {
        assert!(Plan::from_bytes(&bytes[..length]).is_err());
    }
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for _ in 0..2_000 {
        let mut damaged = bytes.clone();
        for _ in 0..rng.random_range(1..4) {
            let byte = rng.random_range(0..damaged.len());
            damaged[byte] = rng.random();
        }
        if let Ok(plan) = Plan::from_bytes(&damaged) {
            // Whatever it says, it is priced, judged and used without a panic.
            let _ = plan.cost(model.shape());
            let _ = plan.margins(model.shape());
            let _ = Client::new(KEYS[0].client(), plan, MODEL, model.shape());
        }
    }
}

#[test]
fn scores_that_noise_would_drown_are_refused() {
    // A range of scores beyond what the torus has steps for.
    let input = VectorBound { width: 2, max_abs: i32::MAX, norm_squared: u64::MAX };
    let stage = Stage::new(2, input, vec![127, 127, -127, 127], vec![0; 2], vec![2]).unwrap();
    let model = Hierarchy::new(vec![stage]).unwrap();
    let plan = Plan::new(&STANDARD, &model, Options::default()).unwrap();
    // Still a plan: what is certain is a fraction of the range, whatever the range.
    assert!(plan.margins(model.shape()).unwrap().relative[0] < 0.2);
}

/// Shares of a last stage in this process; what goes to and fro is bytes.
struct Here {
    shares: Vec<ShareServer>,
    /// What becomes of the reply of a share.
    way: Way,
}

impl Here {
    fn new(model: &Hierarchy, plan: &Plan, of: usize) -> Self {
        let share = |number| {
            let share = Share::new(number, of).unwrap();
            ShareServer::new(MODEL, model, plan.clone(), share, WeightForm::Integers).unwrap()
        };
        Self { shares: (0..of).map(share).collect(), way: |_, reply| Ok(reply) }
    }
}

impl Shares for Here {
    fn count(&self) -> usize {
        self.shares.len()
    }

    fn ask(&self, request: &[u8]) -> Result<Vec<Vec<u8>>, FheError> {
        self.shares.iter().enumerate().map(|(i, share)| (self.way)(i, share.answer(request)?)).collect()
    }
}

#[test]
fn shares_of_the_last_stage_answer_as_one_machine_does() {
    let (mut sure, mut same, mut all, mut selecting) = (0, 0, 0, false);
    for (outputs, probes, picked) in [
        (&[11, 7][..], 1, false),
        (&[40, 3], 2, false),
        (&[6, 5, 7], 2, false),
        (&[3_000, 2], 5, true),
        (&[3, 4], 1, true),
    ] {
        let keys = &KEYS[0];
        let model = hierarchy(outputs, 24, true, 7);
        let mut options = Options::new(probes, 1, Resolution::Standard);
        options = if picked { options.picked() } else { options };
        let plan = Plan::new(keys.secret.parameters(), &model, options).unwrap();
        let margins = plan.margins(model.shape()).unwrap();
        let whole = Server::new(MODEL, &model, plan.clone()).unwrap();
        let mut client = Client::new(keys.client(), plan.clone(), MODEL, model.shape()).unwrap().with_insecure_seed(3);
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        for of in [1, 3, 4] {
            let here = Here::new(&model, &plan, of);
            // Shares select by bits of their own only in large libraries.
            selecting |= here.shares[0].request_len() > 100_000;
            let held: usize = here.shares.iter().map(ShareServer::weight_bytes).sum();
            let first = WeightForm::Transformed;
            let server = Server::coordinating(MODEL, &model, plan.clone(), first, Arc::new(here)).unwrap();
            assert!(server.weight_bytes() < whole.weight_bytes() && held > 0, "{outputs:?} in {of}");
            for i in 0..5 {
                let mut vectors = query(&model, i < 4, &mut rng);
                let groups: Vec<usize> = (0..if picked { probes } else { 0 }).collect();
                vectors = if picked { vectors.split_off(outputs.len() - 1) } else { vectors };
                let asked = client.query(&vectors, &groups, 0).unwrap();
                let (one, alone) = whole.answer_and_measure(&keys.server, &asked).unwrap();
                let expected = client.answers(&one, &groups).unwrap();
                let (reply, work) = server.answer_and_measure(&keys.server, &asked).unwrap();
                // The very gates of one machine. Transforms are chosen anew by every server and round differently, so a close race may differ.
                let found = client.answers(&reply, &groups).unwrap();
                all += 1;
                same += usize::from(found == expected);
                if plan.leads(&model, &vectors, &groups, Some).unwrap().are_certain(&margins) {
                    sure += 1;
                    assert_eq!(found, expected, "{outputs:?} in {of}");
                }
                assert_eq!(work.decisions.matches, alone.decisions.matches);
                assert!(work.decisions.gates <= alone.decisions.gates);
            }
        }
    }
    assert!(selecting, "no share had anything to select by");
    assert!(sure * 3 > all, "{sure} of {all} queries were certain");
    assert!(same * 20 > all * 19, "{same} of {all} answers were the same");
}

/// What becomes of a reply on its way.
type Way = fn(usize, Vec<u8>) -> Result<Vec<u8>, FheError>;

#[test]
fn a_share_that_fails_is_no_wrong_answer() {
    let keys = &KEYS[0];
    let model = hierarchy(&[5, 4], 24, false, 1);
    let plan = Plan::new(keys.secret.parameters(), &model, Options::default()).unwrap();
    let mut client = Client::new(keys.client(), plan.clone(), MODEL, model.shape()).unwrap().with_insecure_seed(3);
    let asked = client.query(&query(&model, true, &mut ChaCha8Rng::seed_from_u64(1)), &[], 0).unwrap();
    let ways: [(Way, &str); 5] = [
        (|_, _| Err(FheError::Share { what: "gone".into() }), "gone"),
        (
            |_, mut reply| {
                reply[100] ^= 1;
                Ok(reply)
            },
            "damaged",
        ),
        (|_, reply| Ok(reply[..reply.len() - 1].to_vec()), "bytes, expected"),
        // The shares in another order.
        (
            |share, mut reply| {
                reply[8] = 1 - share as u8;
                let end = reply.len() - 32;
                let checksum = ModelHash::of(&reply[..end]);
                reply[end..].copy_from_slice(&checksum.0);
                Ok(reply)
            },
            "of another share",
        ),
        (
            |_, mut reply| {
                // The reply to another request, whole in itself.
                let end = reply.len() - 32;
                reply[end - 1] ^= 1;
                let checksum = ModelHash::of(&reply[..end]);
                reply[end..].copy_from_slice(&checksum.0);
                Ok(reply)
            },
            "another query",
        ),
    ];
    for (way, expected) in ways {
        let here = Here { way, ..Here::new(&model, &plan, 2) };
        let server =
            Server::coordinating(MODEL, &model, plan.clone(), WeightForm::Transformed, Arc::new(here)).unwrap();
        let error = server.answer(&keys.server, &asked).unwrap_err();
        assert!(matches!(error, FheError::Share { .. }) && error.to_string().contains(expected), "{error}");
    }
    // A share takes nothing but requests for its model and plan.
    let share = &Here::new(&model, &plan, 2).shares[0];
    assert!(matches!(share.answer(&asked), Err(FheError::NotAMessage { .. })));
    let noise = |seed| {
        let mut bytes = vec![0; share.request_len()];
        ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut bytes);
        bytes
    };
    assert!(share.answer(&noise(1)).is_err());
    let others = [&b"sordshq1"[..], &3_u32.to_le_bytes(), &[0; 200]].concat();
    assert!(share.answer(&others).unwrap_err().to_string().contains("a server of 3 workers asks"));
    for of in [0, 1_000] {
        assert!(matches!(Share::new(0, of), Err(FheError::Share { .. })));
    }
    assert!(Share::new(3, 3).is_err());
}
