//! The encrypted front beside the same front on plain integers, its noise beside the formulas, and whole queries beside clear ones.

use std::sync::Arc;

use sordino_model::circuit::{Circuit, Clear, ClearValue, Machine, StageId};
use sordino_model::raw::{Length, RawFront, RawInput, RawSpec};
use sordino_model::stage::{Hierarchy, Stage};
use sordino_model::{ModelHash, Resolution};
use tfhe::core_crypto::prelude::*;

use super::{Keys, REAL, Random, TORUS};
use crate::bootstrap::evaluator::Evaluator;
use crate::params::{INSECURE_N512, STANDARD};
use crate::raw::leads::Reading;
use crate::raw::machine::{RawMachine, RawValue};
use crate::raw::samples::{BODY_BITS, plaintexts};
use crate::raw::{Client, Plan, RawNoise, Server, difference_unit};
use crate::ring::glwe::{Lwe, difference, trivial_lwe};
use crate::ring::random::Random as Source;
use crate::wire::{expansion, seeded};
use crate::{ClientKey, FheError, ServerKey};

const HASH: ModelHash = ModelHash([9; 32]);

/// A front in which every band holds what white noise has in it.
fn front(spec: RawSpec) -> RawFront {
    front_at(spec, 1.0)
}

/// A front for sound of which every band has so much.
fn front_at(spec: RawSpec, reference: f64) -> RawFront {
    let reference = vec![reference; spec.bands];
    RawFront::mel(spec, &reference).unwrap()
}

fn spec() -> RawSpec {
    RawSpec { cells: 6, bands: 8, ..RawSpec::default() }
}

/// Noise whose loudness changes from cell to cell, with a spectrum that falls as that of music does.
fn sound(spec: &RawSpec, random: &mut Random<'_>) -> Vec<f32> {
    coloured(spec, 0.9, 2, random)
}

/// Noise of one of many colours and rhythms.
fn coloured(spec: &RawSpec, colour: f64, rhythm: usize, random: &mut Random<'_>) -> Vec<f32> {
    let mut before = 0.0;
    let sample = |i: usize| {
        before = colour * before + random.unit() * (1.0 + (i / spec.cell * rhythm % 5) as f64);
        before as f32
    };
    (0..spec.query_samples()).map(sample).collect()
}

/// A model whose rows are these: each with its bias, and held against the length times `factor / 2^16`. The length is along the features themselves.
fn model(front: RawFront, rows: &[Vec<i32>], centre: &[i32], factor: u32, spread: u64) -> Hierarchy {
    let width = front.spec().width();
    let offset = |row: &[i32]| -row.iter().zip(centre).map(|(w, m)| w * m).sum::<i32>();
    let weights = rows.iter().flatten().map(|&w| w as i8).collect();
    let biases = rows.iter().map(|row| offset(row)).collect();
    let stage = Stage::new(rows.len(), front.spec().bound(), weights, biases, vec![rows.len()]).unwrap();
    let unit = |j: usize| -> Vec<i32> { (0..width).map(|i| if i == j { 16 } else { 0 }).collect() };
    let directions: Vec<Vec<i32>> = (0..width).map(unit).collect();
    let along = directions.iter().flatten().map(|&w| w as i8).collect();
    let offsets = directions.iter().map(|d| offset(d)).collect();
    let directions = Stage::new(width, front.spec().bound(), along, offsets, vec![width]).unwrap();
    let length = Length::new(directions, factor).unwrap();
    Hierarchy::new(vec![stage]).unwrap().hearing(RawInput::new(front, length, spread).unwrap()).unwrap()
}

/// A model of four sounds that are far apart, each with a row that points from the mean of all to its features, and with two shorter rows that way, which
/// win for no sound; and the sounds. Every one is named with certainty.
fn library(factor: u32) -> (Hierarchy, Vec<Vec<i32>>) {
    let (spec, count) = (RawSpec { headroom_db: 12.0, bend_db: 6.0, ..spec() }, 4);
    let front = falling(spec.clone());
    let mut random = REAL.random(13);
    let sounds = (0..count).map(|i| {
        let colour = 0.95 * (2.0 * i as f64 / (count - 1) as f64 - 1.0);
        spec.samples(&coloured(&spec, colour, i + 1, &mut random)).unwrap()
    });
    let sounds: Vec<Vec<i32>> = sounds.collect();
    let features: Vec<Vec<i32>> = sounds.iter().map(|samples| front.features(samples)).collect();
    let centre: Vec<i32> =
        (0..spec.width()).map(|i| features.iter().map(|f| f[i]).sum::<i32>() / count as i32).collect();
    let row = |f: &Vec<i32>, length: f64| -> Vec<i32> {
        let away: Vec<f64> = f.iter().zip(&centre).map(|(x, m)| f64::from(x - m)).collect();
        let norm = away.iter().map(|a| a * a).sum::<f64>().sqrt();
        away.iter().map(|a| (a / norm * length).round() as i32).collect()
    };
    let lengths = [100.0, 50.0, 25.0].into_iter();
    let rows: Vec<Vec<i32>> = lengths
        .flat_map(|length| features.iter().map(move |f| (f, length)))
        .map(|(f, length)| row(f, length))
        .collect();
    let score = |row: &Vec<i32>, f: &Vec<i32>| -> i64 {
        row.iter().zip(f).zip(&centre).map(|((w, x), m)| i64::from(*w) * i64::from(x - m)).sum()
    };
    let spreads = features.iter().map(|f| {
        let scores: Vec<i64> = rows.iter().map(|row| score(row, f)).collect();
        scores.iter().max().unwrap() - scores.iter().min().unwrap()
    });
    let spread = spreads.max().unwrap() as u64 * 5 / 4;
    (model(front, &rows, &centre, factor, spread), sounds)
}

/// A server of a model that has one row and no spread to speak of, for what comes before rows.
fn server(front: RawFront, keys: &Keys) -> Server {
    let width = front.spec().width();
    let hierarchy = model(front, &[vec![1; width]], &vec![0; width], 0, 1 << 20);
    Server::new(HASH, &hierarchy, Plan::new(keys.secret.parameters(), &hierarchy).unwrap()).unwrap()
}

fn machine<'a>(server: &'a Server, key: &'a ServerKey) -> RawMachine<'a> {
    let evaluator = Evaluator::new(key, Resolution::Standard);
    RawMachine::new(server.heard(), key.raw.as_ref().unwrap(), evaluator, trivial_lwe(0, key.fourier.size()))
}

/// Encrypted samples as a server reads them.
fn encrypted(spec: &RawSpec, keys: &Keys, samples: &[i32], seed: u64) -> RawValue {
    let key = keys.secret.for_samples();
    let (ring, mut out) = (key.parameters().ring(), Vec::new());
    let mut random = Source::from_insecure_seed("samples", seed);
    seeded::encrypt(&key, &plaintexts(spec, ring, samples), BODY_BITS, &mut random, &mut out);
    RawValue::Samples(expansion::expand(&out, spec.cells, ring, BODY_BITS))
}

fn energies(value: &RawValue) -> &[Lwe] {
    let RawValue::Energies(energies) = value else { panic!("no energies") };
    energies
}

fn levels(value: &RawValue) -> (&[Lwe], &[Lwe]) {
    let RawValue::Levels { large, small } = value else { panic!("no levels") };
    (large, small)
}

/// The errors of energies of several queries, in shape `[queries cells, bands]`.
fn errors_of_energies(front: &RawFront, keys: &Keys, queries: u64) -> Vec<Vec<f64>> {
    let server = server(front.clone(), keys);
    let (spec, mut random) = (front.spec(), keys.random(11));
    let key = keys.secret.for_samples();
    let query = |query| {
        let samples = spec.samples(&sound(spec, &mut random)).unwrap();
        let value = encrypted(spec, keys, &samples, query);
        let found = machine(&server, &keys.server).energies(&value).unwrap();
        let errors = energies(&found).iter().zip(front.energies(&samples)).map(|(found, clear)| {
            let expected = (clear as u64).wrapping_mul(1 << (64 - spec.product_log2));
            let phase = decrypt_lwe_ciphertext(&key.glwe().as_lwe_secret_key(), found).0;
            phase.wrapping_sub(expected) as i64 as f64
        });
        errors.collect::<Vec<f64>>().chunks(spec.bands).map(<[f64]>::to_vec).collect::<Vec<_>>()
    };
    (0..queries).flat_map(query).collect()
}

/// What energies have in common with those `apart` bands further on, over that of the formula.
fn ratio_of_energies(front: &RawFront, keys: &Keys, errors: &[Vec<f64>], apart: usize) -> f64 {
    let noise = RawNoise::new(keys.secret.parameters());
    let bands = 0..front.spec().bands - apart;
    let scale = |band: usize| noise.energy(front, band).sqrt();
    let of = |band: usize| scale(band) * scale(band + apart);
    let found = errors.iter().flat_map(|cell| bands.clone().map(|b| cell[b] * cell[b + apart] / of(b))).sum::<f64>();
    let formula = bands.clone().map(|b| noise.covariance(front, b, b + apart) / of(b)).sum::<f64>();
    found / (formula * errors.len() as f64)
}

/// A front for sound whose spectrum falls by 25 dB: its bands are of several scales.
fn falling(spec: RawSpec) -> RawFront {
    let reference: Vec<f64> =
        (0..spec.bands).map(|b| 100f64.powf(0.25 - 1.25 * b as f64 / (spec.bands - 1) as f64)).collect();
    RawFront::mel(spec, &reference).unwrap()
}

#[test]
fn energies_are_as_noisy_as_the_formula_says() {
    let small = RawSpec { cell: 448, cells: 6, taps: 64, bands: 8, product_log2: 26, ..RawSpec::default() };
    let small = [front(small.clone()), falling(small)];
    assert_eq!(small[1].scales(), [0, 4]);
    // The formula takes the heaviest key, and a `k` of which no frequency is missing: measured is between a quarter and three quarters.
    let mut together = [0.0; 2];
    for seed in 0..5 {
        let keys = Keys::hearing(&INSECURE_N512, 100 * seed);
        for (front, together) in small.iter().zip(&mut together) {
            let errors = errors_of_energies(front, &keys, 4);
            let ratio = ratio_of_energies(front, &keys, &errors, 0);
            assert!((0.2..1.0).contains(&ratio), "{ratio}");
            *together += ratio_of_energies(front, &keys, &errors, 1) / 5.0;
        }
    }
    // Neighbours, in one scale and across two, have something in common, and no more than that.
    assert!(together.iter().all(|ratio| (0.2..1.2).contains(ratio)), "{together:?}");
    let real = falling(RawSpec { cells: 5, bands: 32, ..RawSpec::default() });
    let errors = errors_of_energies(&real, &REAL, 1);
    let ratios = [0, 1].map(|apart| ratio_of_energies(&real, &REAL, &errors, apart));
    assert!(ratios.iter().all(|ratio| (0.2..1.2).contains(ratio)), "{ratios:?}");
}

#[test]
fn no_energy_is_much_noisier_than_training_draws() {
    // Of a band as loud as this, whichever scale it has; a tenth more by the formula is less than that as measured.
    let noise = RawNoise::new(&STANDARD);
    for halves in -2..16 {
        let front = front_at(RawSpec::default(), 0.5f64.powf(f64::from(halves) / 2.0));
        let deviations = (0..front.spec().bands).map(|band| noise.level(&front, band).sqrt() / (TORUS / 2.0));
        let most = deviations.fold(0.0, f64::max);
        assert!(most <= 1.1 * f64::from(RawSpec::TABLE_NOISE), "{most} at {halves} halves");
    }
}

/// How many deviations an input of a table may be off.
const DEVIATIONS: f64 = 5.0;

#[test]
fn levels_and_differences_are_those_of_the_clear_front() {
    let (front, spec) = (front(spec()), spec());
    let server = server(front.clone(), &REAL);
    let (mut machine, delta) = (machine(&server, &REAL.server), server.plan().delta());
    let samples = spec.samples(&sound(&spec, &mut REAL.random(12))).unwrap();
    let noise = RawNoise::new(&STANDARD);
    let energy = f64::from(spec.product_log2).exp2() / TORUS;
    let decrypted = |lwe: &Lwe, unit: u64| (REAL.phase(lwe) as i64 as f64 / unit as f64).round() as i32;

    let found = machine.energies(&encrypted(&spec, &REAL, &samples, 1)).unwrap();
    let value = machine.levels(&found).unwrap();
    let (large, small) = levels(&value);
    // A unit of a feature is small beside what a table may get wrong, and many are summed.
    let off_by = DEVIATIONS * noise.table().sqrt() / delta as f64;
    let mut read = Vec::new();
    for (i, clear) in front.energies(&samples).into_iter().enumerate() {
        let off = (DEVIATIONS * noise.level(&front, i % spec.bands).sqrt() * energy) as i64;
        // One energy more or less decides nothing, but where the table turns round both ends are the same level.
        let bounds = [clear - off, clear, clear + off].map(|energy| front.levels().of_energy(energy));
        let found = decrypted(&large[i], difference_unit(&spec));
        assert!(bounds.iter().min() <= Some(&found) && Some(&found) <= bounds.iter().max(), "{i}: {found}, {bounds:?}");
        let same = REAL.phase(&small[i]) as i64 as f64 / delta as f64;
        assert!((same - f64::from(found)).abs() <= off_by, "{i}: the same index, of two tables: {same}, {found}");
        read.push(found);
    }

    let value = machine.differences(&value, 1).unwrap();
    let RawValue::Differences(differences) = value else { panic!("no differences") };
    let step = 2.0 * difference_unit(&spec) as f64;
    let most = 0.5 + DEVIATIONS * noise.difference().sqrt() / step + off_by;
    for (i, found) in differences.iter().enumerate() {
        let clear = (read[i + spec.bands] - read[i]).abs() / 2;
        let found = REAL.phase(found) as i64 as f64 / delta as f64;
        assert!((found - f64::from(clear)).abs() <= most, "{i}: {found}, {clear} to within {most}");
    }
}

#[test]
fn tables_are_as_noisy_as_the_formula_says() {
    let server = server(front(spec()), &REAL);
    let raw = REAL.server.raw.as_ref().unwrap();
    let evaluator = Evaluator::new(&REAL.server, Resolution::Standard);
    let inputs: Vec<Lwe> = (0..64).map(|i| REAL.random(i).encrypt(0.001 * i as f64)).collect();
    let unit = 1i64 << 54;
    let table = crate::bootstrap::blind_rotation::Table::new(2_048, 0, 0, |p| (p as u64 / 100) << 54);
    let keyswitch = &evaluator.comparison().keyswitch;
    let found = evaluator.look_up(keyswitch, &[(&raw.rotation, &table)], &inputs).pop().unwrap();
    let squares = found.iter().map(|lwe| {
        let phase = REAL.phase(lwe) as i64;
        let error = (phase - (phase + unit / 2).div_euclid(unit) * unit) as f64;
        error * error
    });
    let ratio = squares.sum::<f64>() / 64.0 / RawNoise::new(server.plan().parameters()).table();
    assert!((0.4..1.5).contains(&ratio), "{ratio}");
}

/// A client of a server, under the real key.
fn client(server: &Server, hierarchy: &Hierarchy) -> Client {
    let secret = crate::SecretKey::generate_from_insecure_seed(&STANDARD, 7);
    let key = ClientKey::registered(Arc::new(secret), REAL.server.id());
    Client::new(key, server.plan().clone(), HASH, hierarchy.shape()).unwrap().with_insecure_seed(5)
}

fn clear(hierarchy: &Hierarchy, samples: &[i32], above: i64) -> Option<usize> {
    let circuit = Circuit::raw(hierarchy.raw().unwrap().front().spec());
    let mut machine = Clear::new(hierarchy).above(above);
    match circuit.run(&mut machine, vec![ClearValue::Samples(samples.to_vec())]).unwrap().pop() {
        Some(ClearValue::Answer(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_encrypted_sound_is_named_as_a_clear_one() {
    let (hierarchy, sounds) = library(2_000);
    let plan = Plan::new(&STANDARD, &hierarchy).unwrap();
    assert_eq!(crate::Plan::from_bytes(&plan.to_bytes()).unwrap(), crate::Plan::Raw(plan.clone()));
    let server = Server::new(HASH, &hierarchy, plan.clone()).unwrap();
    let mut client = client(&server, &hierarchy);
    let report = plan.cost(hierarchy.shape()).unwrap();
    let margins = plan.margins(hierarchy.shape()).unwrap();
    for (i, samples) in sounds.iter().enumerate() {
        let leads = plan.leads(&hierarchy, &margins, samples, Some).unwrap();
        assert!(leads.are_certain(), "{i}: {leads:?}");
        assert_eq!(clear(&hierarchy, samples, 0), Some(i));
        let query = client.query(samples, 0).unwrap();
        let (reply, work) = server.answer_and_measure(&REAL.server, &query).unwrap();
        assert_eq!(client.answer(&reply).unwrap(), Some(i), "{leads:?}");
        // What was counted before is what was done, byte for byte; the front has bands of several scales.
        assert!(work.decisions.correlations > server.plan().spec().cells);
        assert_eq!((query.len(), reply.len()), (report.bytes_up, report.bytes_down));
        assert_eq!(work.decisions, report.decisions);
    }
    // Beyond what any sound of the library reaches nothing is known.
    let query = client.query(&sounds[1], i64::MAX).unwrap();
    let reply = server.answer(&REAL.server, &query).unwrap();
    assert_eq!((client.answer(&reply).unwrap(), clear(&hierarchy, &sounds[1], i64::MAX)), (None, None));
    refusals(&server, &mut client, &hierarchy, &query, &reply);
}

/// What is none of this client's, this server's or this key's is refused.
fn refusals(server: &Server, client: &mut Client, hierarchy: &Hierarchy, query: &[u8], reply: &[u8]) {
    let samples = vec![0; server.plan().spec().query_samples()];
    assert!(matches!(client.query(&samples[1..], 0), Err(FheError::Raw(_))));
    assert!(matches!(client.query(&vec![99; samples.len()], 0), Err(FheError::Raw(_))));
    client.query(&samples, 0).unwrap();
    assert!(matches!(client.answer(reply), Err(FheError::OtherQuery)));
    let mut damaged = query.to_vec();
    damaged[query.len() / 2] ^= 1;
    assert!(matches!(server.answer(&REAL.server, &damaged), Err(FheError::Damaged { .. })));
    assert!(matches!(server.answer(&REAL.server, &query[1..]), Err(FheError::NotAMessage { .. })));
    assert!(matches!(server.answer(&REAL.server, &query[..query.len() - 1]), Err(FheError::Length { .. })));
    assert!(matches!(server.answer_while(&REAL.server, query, &|| false), Err(FheError::Stopped)));
    // A key without a part for samples, of the same name.
    let stripped = Keys::new(&INSECURE_N512, 1);
    assert!(matches!(server.answer(&stripped.server, query), Err(FheError::Parameters { .. })));
    let plan = Plan::new(&STANDARD, hierarchy).unwrap();
    let (other, _) = library(2_001);
    assert!(matches!(Server::new(HASH, &other, plan), Err(FheError::Plan { .. })));
    let plain = Hierarchy::new(hierarchy.stages().to_vec()).unwrap();
    assert!(matches!(Plan::new(&STANDARD, &plain), Err(FheError::Plan { .. })));
}

#[test]
fn what_tables_misread_is_as_the_leads_say() {
    let (spec, front, noise) = (spec(), front(spec()), RawNoise::new(&STANDARD));
    let mut random = REAL.random(21);
    let samples = spec.samples(&sound(&spec, &mut random)).unwrap();
    let reading = Reading::new(&front, &samples, &noise);
    let weights: Vec<f64> = (0..spec.width()).map(|_| (20.0 * random.unit()).round()).collect();
    let (shift, variance) = reading.of(&weights);
    // Energies with as much noise again and again, through the clear front; and each difference misread by itself.
    let energy = f64::from(spec.product_log2).exp2() / TORUS;
    let step = noise.difference().sqrt() / (2 * difference_unit(&spec)) as f64;
    let mut normal = || (0..12).map(|_| random.unit()).sum::<f64>() / 2.0;
    let clear = front.energies(&samples);
    let score = |features: &[f64]| -> f64 { weights.iter().zip(features).map(|(w, x)| w * x).sum() };
    let whole = |features: Vec<i32>| -> Vec<f64> { features.into_iter().map(f64::from).collect() };
    let expected = score(&whole(front.features(&samples)));
    let found: Vec<f64> = (0..2_000)
        .map(|_| {
            let noisy = clear.iter().enumerate().map(|(i, energy_of)| {
                energy_of + (noise.level(&front, i % spec.bands).sqrt() * energy * normal()) as i64
            });
            let levels = front.levels_of(&noisy.collect::<Vec<i64>>());
            let mut features: Vec<f64> = front.over_cells(&levels).into_iter().map(f64::from).collect();
            for &lag in &spec.lags {
                // A distance that is misread around nothing is still one.
                let differences = (0..(spec.cells - lag) * spec.bands).map(|d| {
                    let distance = f64::from(levels[d + lag * spec.bands] - levels[d]) / 2.0;
                    (distance + step * normal()).abs().round()
                });
                let differences: Vec<f64> = differences.collect();
                features.extend((0..spec.bands).map(|b| differences.iter().skip(b).step_by(spec.bands).sum::<f64>()));
            }
            score(&features) - expected
        })
        .collect();
    let mean = found.iter().sum::<f64>() / found.len() as f64;
    let scatter = found.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / found.len() as f64;
    // The variance is one of a linear map, and bounds what rounding adds; a quarter more or less of it is no matter to a margin.
    let ratio = scatter / variance;
    assert!((0.6..1.3).contains(&ratio), "{scatter}, {variance}");
    assert!((mean - shift).abs() < 0.5 * scatter.sqrt(), "{mean}, {shift}, of a deviation of {}", scatter.sqrt());
}

#[test]
fn scores_are_as_noisy_as_the_leads_say() {
    let (hierarchy, sounds) = library(2_000);
    let server = Server::new(HASH, &hierarchy, Plan::new(&STANDARD, &hierarchy).unwrap()).unwrap();
    let (input, stage, noise) = (hierarchy.raw().unwrap(), hierarchy.last(), RawNoise::new(&STANDARD));
    let (front, spec, delta) = (input.front(), input.front().spec(), server.plan().delta() as f64);
    let mut squares = Vec::new();
    for (query, samples) in sounds.iter().cycle().take(24).enumerate() {
        let (reading, features) = (Reading::new(front, samples, &noise), front.features(samples));
        let mut machine = machine(&server, &REAL.server);
        let energies = machine.energies(&encrypted(spec, &REAL, samples, query as u64)).unwrap();
        let levels = machine.levels(&energies).unwrap();
        let differences: Vec<RawValue> =
            spec.lags.iter().map(|&lag| machine.differences(&levels, lag).unwrap()).collect();
        let vector = machine.sums(&[&[&levels], &differences.iter().collect::<Vec<_>>()[..]].concat()).unwrap();
        let RawValue::Scores(scores) = machine.linear(StageId(0), &vector).unwrap() else { panic!("no scores") };
        // The winner's lead over one other sound. Noise behind the tables is a few thousandths of what is before them.
        let (own, other) = (query % sounds.len(), (query + 1) % sounds.len());
        let weights = stage.row(0, own).iter().zip(stage.row(0, other)).map(|(a, b)| f64::from(*a) - f64::from(*b));
        let (shift, variance) = reading.of(&weights.collect::<Vec<_>>());
        let clear = stage.score(0, own, &features) - stage.score(0, other, &features);
        let found = REAL.phase(&difference(&scores[own], &scores[other])) as i64 as f64 / delta;
        squares.push((found - clear as f64 - shift).powi(2) / variance);
    }
    let ratio = squares.iter().sum::<f64>() / squares.len() as f64;
    // The mean of 24 squares scatters by 0.3.
    assert!((0.3..2.0).contains(&ratio), "{ratio}");
}

#[test]
fn every_cut_and_flip_of_a_plan_is_refused_or_harmless() {
    let (hierarchy, _) = library(2_000);
    let bytes = Plan::new(&STANDARD, &hierarchy).unwrap().to_bytes();
    assert!((0..bytes.len()).all(|length| Plan::from_bytes(&bytes[..length]).is_err()));
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        if let Ok(plan) = Plan::from_bytes(&flipped) {
            // Read for what it says, and nothing larger is allocated or computed with than it may say.
            assert!(plan.margins(hierarchy.shape()).is_err() || plan.to_bytes() == flipped, "bit {bit}");
        }
    }
}
