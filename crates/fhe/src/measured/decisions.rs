//! Every noise formula of the decisions against what is measured, key by key.

use sordino_model::Resolution;
use sordino_model::layout::{NUMBER_BYTES, SparsePacking};
use tfhe::core_crypto::prelude::Polynomial;

use super::{Keys, REAL, Random, SMALL};
use crate::bootstrap::blind_rotation::Table;
use crate::bootstrap::circuit_bootstrap::level_table;
use crate::bootstrap::evaluator::Evaluator;
use crate::ring::glwe::{Glwe, Lwe};
use crate::wire::expansion::expand_numbers;
use crate::wire::seeded;

/// What a measured variance may be of its formula for a key of the same weight.
const TOLERANCE: std::ops::Range<f64> = 0.7..1.3;
/// The same where the transform's rounding prevails.
const FOURIER: std::ops::Range<f64> = 0.2..1.0;

/// Mean square of signed torus elements.
fn variance(errors: impl IntoIterator<Item = u64>) -> f64 {
    let squares: Vec<f64> = errors.into_iter().map(|e| (e as i64 as f64).powi(2)).collect();
    squares.iter().sum::<f64>() / squares.len() as f64
}

/// Of few independent `samples`, the mean square may be off by four standard deviations more.
fn assert_within(what: &str, ratio: f64, range: std::ops::Range<f64>, samples: usize) {
    let few = 4.0 * (2.0 / samples as f64).sqrt();
    let (low, high) = (range.start - few, range.end + few);
    println!("{what}: {ratio:.2} of the formula, {samples} samples");
    assert!(ratio > low && ratio < high, "{what}: {ratio:.3} of the formula, expected {low:.2} to {high:.2}");
}

fn assert_close(what: &str, measured: f64, formula: f64, samples: usize) {
    assert_within(what, measured / formula, TOLERANCE, samples);
}

#[test]
fn at_the_standard_parameters_too() {
    measure_thresholds(&REAL, 400);
    measure_switches(&REAL, 24);
    measure_rotation(&REAL);
    measure_conversions(&[&REAL], 40);
    measure_selectors(&[&REAL], 3);
    measure_unpacked(&[&REAL], 4);
}

#[test]
fn noise_is_what_the_formulas_say() {
    for keys in SMALL.iter() {
        measure_thresholds(keys, 400);
        measure_switches(keys, 400);
        measure_rotation(keys);
    }
    measure_conversions(&SMALL.iter().collect::<Vec<_>>(), 100);
    measure_selectors(&SMALL.iter().collect::<Vec<_>>(), 24);
    measure_unpacked(&SMALL.iter().collect::<Vec<_>>(), 40);
}

/// A keyswitch adds nothing that is the same for every input. Digits of mean -1/2 would add half the sum of all rows' noises, whose
/// deviation over keys is `sqrt(3 / (B^2 + 2))` of a switch's: 0.21 for the compared, far above what remains in the mean of so many.
#[test]
fn a_keyswitch_has_no_constant_error() {
    const COUNT: usize = 4_000;
    let means = SMALL.iter().map(|keys| {
        let mut random = keys.random(17);
        let inputs: Vec<Lwe> = (0..COUNT).map(|_| random.encrypt(0.0)).collect();
        let small = keys.server.compare.keyswitch.switch(&inputs);
        let errors = inputs.iter().zip(&small).map(|(input, small)| {
            let phase = u64::from(keys.small_phase(small, keys.secret.compare())) << 32;
            phase.wrapping_sub(keys.phase(input)) as i64 as f64
        });
        errors.sum::<f64>() / COUNT as f64 / keys.noise().compare_keyswitch().sqrt()
    });
    let squares: f64 = means.map(|mean| mean * mean).sum::<f64>() / SMALL.len() as f64;
    // Of five keys; a mean of 4,000 errors has the deviation 0.016.
    assert!(squares.sqrt() < 2.5 / (COUNT as f64).sqrt(), "the means deviate by {:.3} of a switch", squares.sqrt());
}

/// The threshold that a client sends, read back as the server reads it.
fn measure_thresholds(keys: &Keys, count: usize) {
    let ring = keys.secret.parameters().ring();
    let mut random = crate::ring::random::Random::from_insecure_seed("thresholds", 3);
    let errors = (0..count as u64).map(|i| {
        let (plaintext, mut bytes) = (i.wrapping_mul(0x9e37_79b9_7f4a_7c15), Vec::new());
        seeded::encrypt_numbers(&keys.secret, &[plaintext], &mut random, &mut bytes);
        assert_eq!(bytes.len(), NUMBER_BYTES);
        let number = &expand_numbers(&bytes, SparsePacking::new(ring, 1), ring)[0];
        keys.phase(&number.extract(0)).wrapping_sub(plaintext)
    });
    assert_close("threshold", variance(errors), keys.noise().threshold(), count);
}

/// Keyswitches and modulus switches, to the key of comparisons and to that of refreshes.
fn measure_switches(keys: &Keys, count: usize) {
    let noise = keys.noise();
    let mut random = keys.random(11);
    let inputs: Vec<Lwe> = (0..count)
        .map(|_| {
            let phase = random.unit() / 2.0;
            random.encrypt(phase)
        })
        .collect();
    let (server, secret) = (&keys.server, &keys.secret);
    let kinds = [
        ("compare", &server.compare, secret.compare(), 0, noise.compare_keyswitch(), noise.compare_modulus_switch(1.0)),
        ("refresh", &server.refresh, secret.refresh(), 2, noise.refresh_keyswitch(), noise.refresh_modulus_switch()),
    ];
    for (what, lookup, bits, stride_log2, keyswitch, modulus_switch) in kinds {
        let small = lookup.keyswitch.switch(&inputs);
        let phase = |small: &Vec<u32>| u64::from(keys.small_phase(small, bits)) << 32;
        let errors = inputs.iter().zip(&small).map(|(input, small)| phase(small).wrapping_sub(keys.phase(input)));
        assert_close(&format!("{what}, keyswitch"), variance(errors), keyswitch, count);

        let table = Table::new(server.fourier.size(), 0, stride_log2, |_| 0);
        let shift = 64 - table.modulus_log2();
        let half = 1u64 << (shift + stride_log2 - 1);
        let errors = small.iter().map(|small| {
            let index = table.exponents(small).phase(bits);
            // An index stands for the middle of its step.
            (index << shift).wrapping_add(half).wrapping_sub(phase(small))
        });
        assert_close(&format!("{what}, modulus switch"), variance(errors), modulus_switch, count);
    }
}

/// Both kinds of blind rotation, over all coefficients. A binary key has a mean of one half, through which the coefficients of one
/// rotation share much of their error: they count as few independent samples.
fn measure_rotation(keys: &Keys) {
    const INDEPENDENT: usize = 16;
    let noise = keys.noise();
    let (server, mut random) = (&keys.server, keys.random(12));
    let size = server.fourier.size();
    let kinds = [
        ("comparison", &server.compare, keys.secret.compare(), noise.compare_rotation()),
        ("refresh", &server.refresh, keys.secret.refresh(), noise.refresh_rotation()),
    ];
    for (what, lookup, bits, formula) in kinds {
        let table = Table::new(size, 0, 0, |index| (index as u64) << 40);
        let inputs: Vec<Lwe> =
            [-0.4, -0.2, -0.1, 0.01, 0.1, 0.3].into_iter().map(|phase| random.encrypt(phase)).collect();
        let exponents: Vec<_> = lookup.keyswitch.switch(&inputs).iter().map(|small| table.exponents(small)).collect();
        let rotated = lookup.rotation.rotate(&table, &exponents, &server.fourier, &mut server.fourier.scratch());
        let errors = exponents.iter().zip(&rotated).flat_map(|(exponents, rotated)| {
            let start = exponents.phase(bits) as usize;
            keys.phases(rotated).into_iter().enumerate().map(move |(i, phase)| {
                let index = (start + i) % (2 * size);
                let expected = ((index % size) as u64) << 40;
                phase.wrapping_sub(if index < size { expected } else { expected.wrapping_neg() })
            })
        });
        assert_close(what, variance(errors), formula, INDEPENDENT * inputs.len());
    }
}

/// Gates driven by selectors of both bits, each in its window; the formula is for a set bit, whose gate also rounds.
fn measure_selectors(keys: &[&Keys], count: usize) {
    let mut ratios = Vec::new();
    for keys in keys {
        let (evaluator, noise) = (Evaluator::new(&keys.server, Resolution::Standard), keys.noise());
        let mut random = keys.random(13);
        for set in [false, true] {
            let phase = |random: &mut Random<'_>| (0.03 + 0.2 * random.unit().abs()) * if set { 1.0 } else { -1.0 };
            let inputs: Vec<Lwe> = (0..count)
                .map(|_| {
                    let phase = phase(&mut random);
                    random.encrypt(phase)
                })
                .collect();
            for bit in evaluator.selectors(&evaluator.signs(&inputs)) {
                // Ciphertexts whose other coefficients are full-size noise, as in a tournament's rounds.
                let ends = [0.1, -0.07].map(|phase| Glwe::embed(&random.encrypt(phase)));
                let chosen = evaluator.cmux(&bit, &[(&ends[0], &ends[1])]);
                let expected = keys.phases(&ends[usize::from(set)]);
                let errors = keys.phases(&chosen[0]).into_iter().zip(expected).map(|(x, y)| x.wrapping_sub(y));
                let ratio = variance(errors) / noise.gate();
                assert!(ratio < 9.0, "a selector is out of its window: {ratio:.1} times the formula");
                ratios.extend(set.then_some(ratio));
            }
        }
    }
    let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
    assert_close("gate", mean, 1.0, ratios.len());
}

/// Numbers that a client packed, apart again; and gates driven by selectors of such bits, where the bit is set.
fn measure_unpacked(keys: &[&Keys], bits: usize) {
    let (mut unpacked, mut gates) = (Vec::new(), Vec::new());
    for keys in keys {
        let (evaluator, noise) = (Evaluator::new(&keys.server, Resolution::Standard), keys.noise());
        let (ring, gadget) = (keys.server.fourier.size(), keys.server.circuit.gadget());
        let mut random = keys.random(15);
        let levels = gadget.levels as usize;
        let packing = SparsePacking::new(ring, bits * levels);
        let sent: Vec<u64> = (0..bits).map(|i| 1 - i as u64 % 2).collect();
        let rows = sent.iter().flat_map(|bit| (1..=gadget.levels).map(move |level| bit * gadget.weight(level)));
        let rows: Vec<u64> = rows.collect();
        let mut bytes = Vec::new();
        let mut seed = crate::ring::random::Random::from_insecure_seed("bits", 4);
        seeded::encrypt_numbers(&keys.secret, &rows, &mut seed, &mut bytes);
        assert_eq!(bytes.len(), packing.bytes());
        let packed = expand_numbers(&bytes, packing, ring);

        for (packed, (count, rows)) in packed.iter().zip(packing.ciphertexts().zip(rows.chunks(ring))) {
            let numbers = keys.server.circuit.unpack(packed, count, packing.stride(count), &keys.server.fourier);
            assert_eq!(numbers.len(), count);
            for (number, row) in numbers.iter().zip(rows) {
                let mut expected = vec![0; ring];
                expected[0] = *row;
                let errors = keys.phases(number).into_iter().zip(expected).map(|(x, y)| x.wrapping_sub(y));
                unpacked.push(variance(errors) * ring as f64 / (noise.threshold() + noise.trace()));
            }
        }
        for (bit, set) in evaluator.unpacked(&packed, packing).iter().zip(&sent) {
            let ends = [0.1, -0.07].map(|phase| Glwe::embed(&random.encrypt(phase)));
            let chosen = evaluator.cmux(bit, &[(&ends[0], &ends[1])]);
            let expected = keys.phases(&ends[*set as usize]);
            let errors = keys.phases(&chosen[0]).into_iter().zip(expected).map(|(x, y)| x.wrapping_sub(y));
            let ratio = variance(errors) / noise.asked_gate();
            assert!(ratio < 9.0, "a selector is out of its window: {ratio:.1} times the formula");
            gates.extend((*set == 1).then_some(ratio));
        }
    }
    let mean = |ratios: &[f64]| ratios.iter().sum::<f64>() / ratios.len() as f64;
    // As for a trace, most is the transform's rounding; what the steps at the top of the tree add is shared.
    assert_within("unpacked", mean(&unpacked), FOURIER, unpacked.len());
    assert_within("gate of an unpacked bit", mean(&gates), TOLERANCE, gates.len());
}

/// The two halves of a conversion, apart: the trace, over all coefficients together, and the product with the key's square, in each.
fn measure_conversions(keys: &[&Keys], count: usize) {
    let (mut traces, mut squares) = (Vec::new(), Vec::new());
    for keys in keys {
        let (noise, mut random) = (keys.noise(), keys.random(14));
        let (fourier, circuit) = (&keys.server.fourier, &keys.server.circuit);
        let mut scratch = fourier.scratch();
        for _ in 0..count {
            // One message in coefficient 0, full-size noise in the others.
            let input = Glwe::embed(&random.encrypt(0.1));
            let traced = circuit.trace(&input, fourier, &mut scratch);
            let mut expected = vec![0; input.size()];
            expected[0] = keys.phases(&input)[0];
            let errors = keys.phases(&traced).into_iter().zip(expected).map(|(x, y)| x.wrapping_sub(y));
            // The formula is the sum over all coefficients.
            traces.push(variance(errors) * input.size() as f64 / noise.trace());

            let product = circuit.times_minus_key(&input, fourier, &mut scratch);
            let message = keys.phases(&input);
            let expected = keys.secret.times(&Polynomial::from_container(message));
            let errors = keys.phases(&product).into_iter().zip(expected).map(|(x, y)| x.wrapping_add(y));
            squares.push(variance(errors) / noise.square());
        }
    }
    let mean = |ratios: &[f64]| ratios.iter().sum::<f64>() / ratios.len() as f64;
    // Most of it is the transform's rounding, of which the formula is an upper estimate. A quarter of it is one coefficient's, so a
    // trace counts as eight independent samples.
    assert_within("trace", mean(&traces), FOURIER, 8 * traces.len());
    // The key's square is a ramp, through which all coefficients share their rounding: two samples.
    assert_within("square", mean(&squares), TOLERANCE, 2 * squares.len());
}

#[test]
fn level_tables_hold_half_weights() {
    let table = level_table(16, crate::ring::gadget::Gadget::new(4, 3));
    assert_eq!(table.modulus_log2(), 5);
    assert_eq!(table.extension(), 1);
}
