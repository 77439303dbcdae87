//! Whatever arrives, in either direction, is answered or refused with a typed error: no panic, no allocation by its claims.

mod common;

use common::{MODEL, Pair, hierarchy, key};
use std::sync::Arc;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sordino_fhe::params::{INSECURE_N256, INSECURE_N512};
use sordino_fhe::scores::{Client, Plan, PlannerOptions, Server, TripPlan};
use sordino_fhe::{FheError, SecretKey};
use sordino_front::VectorBound;
use sordino_model::layout::{CHECKSUM_BYTES, MESSAGE_HEADER, Packing, StageLayout};
use sordino_model::stage::{Hierarchy, StageShape};
use sordino_model::{ModelHash, Protocol};

struct Setup {
    key: Arc<SecretKey>,
    hierarchy: Hierarchy,
}

fn setup() -> Setup {
    Setup { key: key(&INSECURE_N256, 1), hierarchy: hierarchy(&[(5, 4), (3, 6)], 1) }
}

impl Setup {
    fn pair(&self) -> Pair<'_> {
        Pair::staged(&self.key, &self.hierarchy, 2, 1)
    }

    fn x(&self, stage: usize) -> Vec<i32> {
        vec![1; self.hierarchy.stages()[stage].input().width]
    }
}

/// A valid query and reply of the second trip.
fn messages(pair: &mut Pair<'_>, x: &[i32]) -> (Vec<u8>, Vec<u8>) {
    let query = pair.client.query(1, x, &[4, 0]).unwrap();
    let reply = pair.server.answer(&query).unwrap();
    (query, reply)
}

/// The message with a checksum that fits it.
fn sealed(mut message: Vec<u8>) -> Vec<u8> {
    message.truncate(message.len() - CHECKSUM_BYTES);
    let checksum = ModelHash::of(&message);
    message.extend(checksum.0);
    message
}

#[test]
fn a_reply_to_another_query_is_refused() {
    let setup = setup();
    let mut pair = setup.pair();
    let x = setup.x(1);
    let first = pair.client.query(1, &x, &[4, 0]).unwrap();
    let second = pair.client.query(1, &x, &[4, 0]).unwrap();
    let replies = [&first, &second].map(|query| pair.server.answer(query).unwrap());
    assert!(matches!(pair.client.scores(1, &replies[0], &[4, 0]), Err(FheError::OtherQuery)));
    assert!(pair.client.scores(1, &replies[1], &[4, 0]).is_ok());
    // A reply may come twice: it says the same.
    assert!(pair.client.scores(1, &replies[1], &[4, 0]).is_ok());
    let fresh = setup.pair();
    assert!(matches!(fresh.client.scores(1, &replies[1], &[4, 0]), Err(FheError::OtherQuery)), "nothing was asked");
}

#[test]
fn a_clone_of_a_client_draws_other_masks() {
    // A snapshot of a process is the same state twice. Here: the same seed, and the system's entropy on top.
    let setup = setup();
    let ask = |client: Client| {
        let mut client = client;
        client.query(0, &setup.x(0), &[]).unwrap()
    };
    let client =
        || Client::new(setup.key.clone(), setup.pair().server.plan().clone(), MODEL, setup.hierarchy.shape()).unwrap();
    assert_eq!(ask(client().with_insecure_seed(1)), ask(client().with_insecure_seed(1)));
    assert_ne!(ask(client()), ask(client()));
}

#[test]
fn every_truncation_and_extension_is_refused() {
    let setup = setup();
    let mut pair = setup.pair();
    let (query, reply) = messages(&mut pair, &setup.x(1));
    let expect = |result: Result<(), FheError>, length: usize, whole: usize| match result {
        Err(FheError::NotAMessage { .. }) => assert!(length < MESSAGE_HEADER),
        Err(FheError::Length { found, expected }) => assert_eq!((found, expected), (length, whole)),
        other => panic!("{length} bytes of {whole}: {other:?}"),
    };
    for length in 0..query.len() {
        expect(pair.server.answer(&query[..length]).map(drop), length, query.len());
    }
    for length in 0..reply.len() {
        expect(pair.client.scores(1, &reply[..length], &[4, 0]).map(drop), length, reply.len());
    }
    for extra in [1, 2, 100, 1 << 20] {
        let longer = [&query[..], &vec![0; extra]].concat();
        expect(pair.server.answer(&longer).map(drop), longer.len(), query.len());
        let longer = [&reply[..], &vec![0; extra]].concat();
        expect(pair.client.scores(1, &longer, &[4, 0]).map(drop), longer.len(), reply.len());
    }
}

#[test]
fn every_flipped_bit_is_refused_and_every_payload_that_was_sent_so_is_answered() {
    let setup = setup();
    let mut pair = setup.pair();
    let (query, reply) = messages(&mut pair, &setup.x(1));
    let flipped = |message: &[u8], bit: usize| {
        let mut flipped = message.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    };
    for bit in 0..8 * query.len() {
        assert!(pair.server.answer(&flipped(&query, bit)).is_err(), "query bit {bit}");
    }
    for bit in 0..8 * reply.len() {
        assert!(pair.client.scores(1, &flipped(&reply, bit), &[4, 0]).is_err(), "reply bit {bit}");
    }
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..60 {
        // Whoever sends something else on purpose makes its checksum fit.
        let mut other = query.clone();
        for _ in 0..rng.random_range(1..50) {
            let bit = rng.random_range(8 * MESSAGE_HEADER..8 * (query.len() - CHECKSUM_BYTES));
            other[bit / 8] ^= 1 << (bit % 8);
        }
        assert_eq!(pair.server.answer(&sealed(other)).unwrap().len(), reply.len());
        let mut other = reply.clone();
        rng.fill_bytes(&mut other[MESSAGE_HEADER..]);
        let scores = pair.client.scores(1, &sealed(other), &[4, 0]).unwrap();
        assert_eq!(scores.iter().map(Vec::len).collect::<Vec<_>>(), [4, 0].map(|g| setup.hierarchy.last().count(g)));
    }
}

#[test]
fn noise_is_refused() {
    let setup = setup();
    let pair = setup.pair();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    for _ in 0..500 {
        let mut noise = vec![0; rng.random_range(0..5_000)];
        rng.fill_bytes(&mut noise);
        assert!(matches!(pair.server.answer(&noise), Err(FheError::NotAMessage { .. })));
        assert!(matches!(pair.client.scores(1, &noise, &[4, 0]), Err(FheError::NotAMessage { .. })));
        assert!(matches!(Plan::from_bytes(&noise), Err(FheError::Plan { .. })));
    }
}

#[test]
fn messages_for_something_else_say_what_differs() {
    let setup = setup();
    let mut pair = setup.pair();
    let (query, reply) = messages(&mut pair, &setup.x(1));
    let plan = pair.server.plan().clone();
    let shape = setup.hierarchy.shape();

    // Another trip: a message names its own, so it is measured against that trip's length; a reply must be of the trip asked.
    let first = pair.client.query(0, &setup.x(0), &[]).unwrap();
    let mut moved = query.clone();
    moved[6] = 0;
    let (found, expected) = (query.len(), first.len());
    assert!(
        matches!(pair.server.answer(&moved), Err(FheError::Length { found: f, expected: e }) if (f, e) == (found, expected))
    );
    moved[6] = 2;
    assert!(matches!(pair.server.answer(&moved), Err(FheError::NoTrip { found: 2, trips: 2 })));
    assert!(matches!(pair.client.scores(0, &reply, &[]), Err(FheError::Trip { found: 1, expected: 0 })));

    // A reply is no query, and the other way round.
    assert!(matches!(pair.server.answer(&reply), Err(FheError::NotAMessage { expected: "query", .. })));
    assert!(matches!(pair.client.scores(1, &query, &[4, 0]), Err(FheError::NotAMessage { expected: "reply", .. })));

    // Another model.
    let other = ModelHash([8; 32]);
    let mut stranger = Client::new(setup.key.clone(), plan.clone(), other, shape).unwrap().with_insecure_seed(2);
    let strange = stranger.query(1, &setup.x(1), &[4, 0]).unwrap();
    assert!(
        matches!(pair.server.answer(&strange), Err(FheError::Model { found, expected }) if found == other && expected == MODEL)
    );

    // Another plan of the same model.
    let mut options = PlannerOptions::default();
    options.hiding = 2;
    let replanned = Plan::routed(&INSECURE_N256, &setup.hierarchy, 2, options).unwrap();
    assert_ne!(replanned.digest(), plan.digest());
    let mut outdated = Client::new(setup.key.clone(), replanned, MODEL, shape).unwrap().with_insecure_seed(3);
    let outdated = outdated.query(1, &setup.x(1), &[4, 0]).unwrap();
    assert!(matches!(pair.server.answer(&outdated), Err(FheError::OtherPlan { .. })));

    // Another parameter set.
    let (wide_key, (small, wide)) = (key(&INSECURE_N512, 1), (INSECURE_N256.id.0, INSECURE_N512.id.0));
    let wide_plan = Plan::routed(&INSECURE_N512, &setup.hierarchy, 2, PlannerOptions::default()).unwrap();
    let mut wide_client = Client::new(wide_key.clone(), wide_plan, MODEL, shape).unwrap().with_insecure_seed(4);
    let wide_query = wide_client.query(1, &setup.x(1), &[4, 0]).unwrap();
    assert!(
        matches!(pair.server.answer(&wide_query), Err(FheError::Parameters { found, expected }) if (found, expected) == (wide, small))
    );
    assert!(matches!(
        Client::new(wide_key.clone(), plan.clone(), MODEL, shape),
        Err(FheError::Parameters { found, expected }) if (found, expected) == (wide, small)
    ));

    // A plan for a model of the same shape with larger weights: its noise bounds would not hold.
    let louder = common::hierarchy_of_weights(&[(5, 4), (3, 6)], 1, 127);
    assert!(matches!(Server::new(MODEL, &louder, plan.clone()), Err(FheError::Plan { .. })));

    // A plan for a model of another shape, on both sides.
    let larger = hierarchy(&[(5, 4), (4, 6)], 1);
    assert!(matches!(Server::new(MODEL, &larger, plan.clone()), Err(FheError::Plan { .. })));
    assert!(matches!(Client::new(setup.key.clone(), plan, MODEL, larger.shape()), Err(FheError::Plan { .. })));
}

#[test]
fn a_wrong_key_decrypts_to_noise_and_not_to_an_error() {
    let setup = setup();
    let mut pair = setup.pair();
    let (_, reply) = messages(&mut pair, &setup.x(1));
    let right = pair.client.scores(1, &reply, &[4, 0]).unwrap();
    // A stranger that knows the reply's reference: the same seed gives the same nonce, but other ciphertexts.
    let other = key(&INSECURE_N256, 2);
    let mut stranger = Client::new(other, pair.server.plan().clone(), MODEL, setup.hierarchy.shape()).unwrap();
    assert!(matches!(stranger.scores(1, &reply, &[4, 0]), Err(FheError::OtherQuery)));
    let query = stranger.query(1, &setup.x(1), &[4, 0]).unwrap();
    let mut redirected = reply.clone();
    redirected[MESSAGE_HEADER - CHECKSUM_BYTES..MESSAGE_HEADER].copy_from_slice(&query[query.len() - CHECKSUM_BYTES..]);
    assert_ne!(stranger.scores(1, &sealed(redirected), &[4, 0]).unwrap(), right);
}

#[test]
fn queries_that_break_their_promise_are_not_sent() {
    let setup = setup();
    let mut pair = setup.pair();
    let x = setup.x(1);
    let client = &mut pair.client;
    assert!(matches!(client.query(1, &x[1..], &[0, 1]), Err(FheError::Vector { width: 6, .. })));
    assert!(matches!(client.query(1, &[32, 0, 0, 0, 0, 0], &[0, 1]), Err(FheError::Vector { max_abs: 31, .. })));
    assert!(matches!(client.query(1, &[31; 6], &[0, 1]), Err(FheError::Vector { .. })));
    assert!(matches!(client.query(1, &x, &[0]), Err(FheError::Groups { found: 1, expected: 2 })));
    assert!(matches!(client.query(1, &x, &[0, 5]), Err(FheError::Group { groups: 5 })));
    assert!(matches!(client.query(0, &setup.x(0), &[0]), Err(FheError::Groups { found: 1, expected: 0 })));
    assert!(matches!(client.query(7, &x, &[]), Err(FheError::NoTrip { found: 7, trips: 2 })));
}

#[test]
fn damaged_plans_are_refused_or_harmless() {
    let setup = setup();
    let pair = setup.pair();
    let bytes = pair.server.plan().to_bytes();
    assert_eq!(&Plan::from_bytes(&bytes).unwrap(), pair.server.plan());
    for length in 0..bytes.len() {
        assert!(Plan::from_bytes(&bytes[..length]).is_err(), "{length} bytes");
    }
    assert!(Plan::from_bytes(&[&bytes[..], &[0]].concat()).is_err());
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let Ok(plan) = Plan::from_bytes(&flipped) else { continue };
        // What is still a plan is another plan, for this model or for none, and both sides can work with it.
        assert_ne!(plan.digest(), pair.server.plan().digest());
        if plan.parameters().is_insecure() && plan.check_shape(setup.hierarchy.shape()).is_ok() {
            let (key, failure) = (key(plan.parameters(), 1), plan.failure_log2());
            match Client::new(key, plan, MODEL, setup.hierarchy.shape()) {
                Ok(client) => drop(client.with_insecure_seed(5).query(1, &setup.x(1), &[0, 1])),
                Err(FheError::Plan { .. }) => assert!(failure > -40.0, "a plan that keeps its promise was refused"),
                Err(other) => panic!("{other}"),
            }
        }
    }
    // A length field of 2^64 - 1 trips.
    let mut claim = bytes[..8 + 2].to_vec();
    claim.extend([0xff; 8]);
    assert!(matches!(Plan::from_bytes(&claim), Err(FheError::Plan { .. })));
}

#[test]
fn a_plan_that_names_a_stage_beyond_all_is_refused() {
    let setup = setup();
    let flat = Pair::flat(&setup.key, &setup.hierarchy, 1).server.plan().trips()[0];
    let beyond = TripPlan { stage: usize::MAX, ..flat };
    let plan = Plan::new(&INSECURE_N256, vec![beyond]).unwrap();
    assert!(beyond.circuit(setup.hierarchy.shape()).is_err());
    assert!(sordino_fhe::Plan::Scores(plan.clone()).check(Protocol::Flat, setup.hierarchy.shape()).is_err());
    assert!(Client::new(setup.key.clone(), plan, MODEL, setup.hierarchy.shape()).is_err());
}

#[test]
fn plans_of_endless_messages_are_refused() {
    let setup = setup();
    let good = setup.pair().server.plan().trips()[1];
    let ring = INSECURE_N256.ring();
    let bound = |width| VectorBound { width, max_abs: 1, norm_squared: 1 };
    // As many ciphertexts of the query as features, and of the reply as groups.
    let wide = Packing::new(ring, 1, &StageShape::new(1, bound(1 << 20), vec![1]).unwrap()).unwrap();
    let long = Packing::new(ring, ring, &StageShape::new(1, bound(1), vec![1; 1 << 20]).unwrap()).unwrap();
    for (packing, probes) in [(wide, Some(1)), (long, None)] {
        let used = packing.groups() * packing.outputs();
        let layout = StageLayout { packing, used, ..good.layout };
        let plan = Plan::new(&INSECURE_N256, vec![TripPlan { layout, probes, ..good }]);
        assert!(matches!(plan, Err(FheError::Plan { what }) if what.contains("32 bits")), "{plan:?}");
    }
}
