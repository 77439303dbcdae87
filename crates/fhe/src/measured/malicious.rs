//! A client that sends no encryption of zero: what it reads of the server's blinding, and then of the weights.

use sordino_front::VectorBound;
use sordino_model::ModelHash;
use sordino_model::cost::WeightForm;
use sordino_model::layout::{MESSAGE_HEADER, Packing, StageLayout};
use sordino_model::stage::{Hierarchy, Stage};
use tfhe::core_crypto::prelude::Polynomial;

use crate::SecretKey;
use crate::linear::fill;
use crate::params::INSECURE_N256;
use crate::scores::{Plan, PlannerOptions, Server, TripPlan};
use crate::wire::bits::unpack;
use crate::wire::expansion;
use crate::wire::seeded::seeded_len;
use crate::wire::sender::Sender;

const MODEL: ModelHash = ModelHash([1; 32]);

/// One group whose slots fill a ciphertext's.
fn library() -> Hierarchy {
    const SLOTS: usize = 64;
    const WIDTH: usize = 12;
    let weights = (0..SLOTS * WIDTH).map(|i| (i * 37 % 63) as i8 - 31).collect();
    let input = VectorBound { width: WIDTH, max_abs: 31, norm_squared: 5_000 };
    Hierarchy::new(vec![Stage::new(SLOTS, input, weights, vec![0; SLOTS], vec![SLOTS]).unwrap()]).unwrap()
}

/// `flat` does not keep its weights from a client that cheats. Where the query should hold an encryption of zero, it holds one of
/// multiples of `X^(iS)` far above the flooding. A returned coefficient then shows a coefficient of the blinding `u` for every `i`;
/// and with `u`, the mask of the reply is a linear function of the weights, in all N coefficients. `docs/crypto.md` says so.
#[test]
fn a_malformed_zero_key_lays_open_the_masks_of_flat() {
    let (p, model) = (&INSECURE_N256, library());
    let planned = Plan::flat(p, &model, PlannerOptions::default()).unwrap().trips()[0];
    // So many features a ciphertext that the slots fill it, as at 25,000 tracks.
    let packing = Packing::new(p.ring(), 4, model.last().shape()).unwrap();
    let layout = StageLayout { packing, ..planned.layout };
    let trip = TripPlan { layout, norm_squared: 1 << 20, ..planned };
    let plan = Plan::new(p, vec![trip]).unwrap();
    let (packing, ring) = (trip.layout.packing, p.ring());
    let (slots, features) = (packing.slots(), packing.features());
    assert!(slots == model.last().outputs() && features > 1, "every slot is used, {features} features a ciphertext");
    let server = Server::of_any_plan(MODEL, &model, plan.clone(), WeightForm::default()).unwrap();
    let key = SecretKey::generate_from_insecure_seed(p, 1);
    let mut sender = Sender::new(key.into(), p, MODEL, plan.digest()).unwrap().with_insecure_seed(1);

    // Digits of base 4 below half of the torus, of which the last is above the flooding.
    let digit = |i: usize| 1u64 << (61 - 2 * i);
    assert!(digit(features - 1) > 4 * trip.flood);
    let mut malformed = vec![0; ring];
    (0..features).for_each(|i| malformed[i * slots] = digit(i));
    let mut draft = sender.draft(0, trip.query_len(p, &trip.circuit(model.shape()).unwrap()));
    draft.encrypt(malformed, trip.envelope.zero_key_bits);
    draft.vector(&[0; 12], &packing, trip.encoding(), trip.layout.body_bits);
    let query = draft.finish();
    let reply = server.answer(&query).unwrap();

    // A phase is a sum of ternary digits: `u[c] 2^61 - u[c - S + N] 2^59 - ...`, and what lies below them.
    let bits = trip.envelope.reply_bits;
    let length = crate::wire::bits::packed_len(ring + slots, bits);
    let phases = sender.open(0, &reply, length, bits, std::iter::once(slots)).unwrap();
    let mut blinding = vec![0u64; ring];
    for c in 0..slots {
        let mut rest = phases[0].at(c, c);
        for i in 0..features {
            let ternary = (rest.wrapping_add(digit(i) / 2) as i64).div_euclid(digit(i) as i64) as u64;
            rest = rest.wrapping_sub(ternary.wrapping_mul(digit(i)));
            blinding[(c + ring - i * slots) % ring] = if i == 0 { ternary } else { ternary.wrapping_neg() };
        }
    }
    assert!(blinding.iter().all(|u| matches!(*u as i64, -1..=1)));
    assert!(blinding.iter().filter(|u| **u == 0).count().abs_diff(ring / 2) < ring / 5, "half of it is zero");

    // What is left of the reply's mask is the weights times masks that the client knows, but for rounding and fresh noise.
    let times = |x: &[u64], y: &[u64]| {
        let mut out = Polynomial::new(0u64, p.polynomial_size);
        let (x, y) = (Polynomial::from_container(x), Polynomial::from_container(y));
        tfhe::core_crypto::algorithms::polynomial_algorithms::polynomial_wrapping_mul(&mut out, &x, &y);
        out.into_container()
    };
    let payload = &query[MESSAGE_HEADER..];
    let (zero_key, vector) = payload.split_at(seeded_len(1, ring, trip.envelope.zero_key_bits));
    let zero_key = expansion::expand(zero_key, 1, ring, trip.envelope.zero_key_bits);
    let vector = &vector[..seeded_len(packing.inputs(), ring, trip.layout.body_bits)];
    let vector = expansion::expand(vector, packing.inputs(), ring, trip.layout.body_bits);
    let mut left = vec![0; ring];
    unpack(&reply[MESSAGE_HEADER..], bits, &mut left);
    let mut subtract = |product: Vec<u64>| left.iter_mut().zip(product).for_each(|(x, y)| *x = x.wrapping_sub(y));
    subtract(times(&blinding, zero_key[0].mask()));
    for (j, input) in vector.iter().enumerate() {
        let mut weights = vec![0; ring];
        fill(&mut weights, model.last(), &packing, 0, j);
        // As integers again: the server writes them at the top of the torus.
        weights.iter_mut().for_each(|weight| *weight = (*weight as i64 >> 56) as u64);
        subtract(times(&weights, input.mask()));
    }
    let most = (1u64 << (63 - bits)) + (1 << (p.glwe_noise_log2 + 1));
    assert!(left.iter().all(|x| (*x as i64).unsigned_abs() <= most), "N equations of the weights");
}
