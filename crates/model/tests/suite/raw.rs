//! The front that runs encrypted, on plain integers: what it hears, and what it refuses.

use std::f32::consts::PI;

use sordino_front::Crop;
use sordino_model::circuit::{Circuit, Clear, ClearValue, Input, Range, RangeValue};
use sordino_model::files::{Bundle, FileError, load_pair};
use sordino_model::raw::{Length, RawFront, RawInput, RawSpec};
use sordino_model::stage::{Hierarchy, Stage, StageError};
use sordino_model::{
    Card, ClientError, ClientHierarchy, ClientModel, Library, Pair, Protocol, ServerError, ServerModel, save,
};

use crate::sample;

fn spec() -> RawSpec {
    RawSpec { cells: 4, bands: 32, emphasis: 0.9, lags: vec![1], ..RawSpec::default() }
}

fn front() -> RawFront {
    RawFront::mel(spec(), &[1.0; 32]).unwrap()
}

/// A tone of so many Hz.
fn tone(hz: f32) -> Vec<f32> {
    (0..spec().query_samples()).map(|i| (2.0 * PI * hz * i as f32 / 8_000.0).sin()).collect()
}

#[test]
fn a_tone_is_in_its_band() {
    let spec = spec();
    // Centres of the mel bands, from the definition.
    let mel = |hz: f32| 2595.0 * (1.0 + hz / 700.0).log10();
    let hz = |mel: f32| 700.0 * (10f32.powf(mel / 2595.0) - 1.0);
    for band in [3, 12, 25] {
        let centre = hz(mel(60.0) + (mel(4_000.0) - mel(60.0)) * (band + 1) as f32 / 33.0);
        let energies = front().energies(&spec.samples(&tone(centre)).unwrap());
        for cell in energies.chunks(spec.bands) {
            let loudest = (0..spec.bands).max_by_key(|&b| cell[b]).unwrap();
            assert_eq!(loudest, band, "{centre} Hz");
        }
    }
}

#[test]
fn energies_are_those_of_the_spectrum() {
    // By Parseval: with all weights on lag 0 a band has the energy of the samples.
    let spec = RawSpec { bands: 1, taps: 2, ..spec() };
    let samples = spec.samples(&tone(700.0)).unwrap();
    let front = RawFront::new(spec.clone(), vec![1, 0]).unwrap();
    let own: Vec<i64> = samples.chunks(spec.cell).map(|c| c.iter().map(|&x| i64::from(x * x)).sum()).collect();
    assert_eq!(front.energies(&samples), own);
}

#[test]
fn a_quiet_band_has_a_scale_and_the_same_energies() {
    let spec = RawSpec { emphasis: 0.0, ..spec() };
    let quiet = |b: usize| 0.5f64.powi(b as i32 / 3);
    let front = RawFront::mel(spec.clone(), &(0..spec.bands).map(quiet).collect::<Vec<_>>()).unwrap();
    assert_eq!(front.scales(), [0, 4, 8]);
    let mut state = 1u32;
    let noise: Vec<f32> = (0..spec.query_samples())
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        })
        .collect();
    let samples = spec.samples(&noise).unwrap();
    // The same bands without a gain, in floating point.
    let powers = spec.powers(&spec.responses(), &samples);
    let full = 2f64.powi(spec.product_log2 as i32 - 1) / 10f64.powf(spec.headroom_db / 10.0);
    let correlations: Vec<Vec<i32>> = samples.chunks(spec.cell).map(|cell| spec.autocorrelation(cell)).collect();
    for (i, (energy, power)) in front.energies(&samples).into_iter().zip(&powers).enumerate() {
        let (cell, band) = (i / spec.bands, i % spec.bands);
        assert!(front.band(band).iter().all(|w| w % (1 << front.scale(band)) == 0));
        assert!(front.band(band)[0] >> front.scale(band) >= 16 || front.scale(band) == 0);
        // Half a step of every weight.
        let lags: f64 = correlations[cell].iter().map(|r| f64::from(r.abs())).sum();
        let off = f64::from(1 << front.scale(band)) / 2.0 * lags;
        let expected = power * full / quiet(band);
        assert!((energy as f64 - expected).abs() <= off && off < 0.5 * expected, "{band}: {energy}, {expected}, {off}");
    }
}

#[test]
fn scales_keep_within_the_modulus() {
    let narrow = RawSpec { taps: 2, bands: 2, product_log2: 12, lags: vec![1], cells: 2, ..spec() };
    // Samples of five bits and a sign leave four of twelve: one step.
    let scales = |weights: Vec<i32>| RawFront::new(narrow.clone(), weights).unwrap().scales();
    assert_eq!((narrow.most_scale(), narrow.most_products()), (4, 2));
    assert_eq!(scales(vec![1 << 20, 0, 0, 0]), [0, 4]);
    assert_eq!(scales(vec![0, -16, 3, 5]), [0, 4]);
    assert_eq!(RawFront::new(RawSpec { cells: 5, ..narrow.clone() }, vec![i32::MAX; 4]).unwrap().scales(), [0]);
    let huge = RawSpec { sample_max: 127, cell: 1 << 16, taps: 1 << 14, bands: 1, ..narrow };
    let refused = RawFront::new(huge, vec![i32::MIN; 1 << 14]).unwrap_err();
    assert_eq!(refused.field, "weights");
    assert_eq!(RawFront::mel(spec(), &[1e-12; 32]).unwrap_err().field, "reference");
}

#[test]
fn loudness_does_not_matter() {
    let loud: Vec<f32> = tone(500.0).iter().map(|x| 40.0 * x).collect();
    assert_eq!(spec().samples(&loud).unwrap(), spec().samples(&tone(500.0)).unwrap());
}

#[test]
fn levels_rise_and_turn_round_without_a_jump() {
    let front = front();
    let (levels, full) = (front.levels(), 1i64 << 29);
    let all: Vec<i32> = (-64..=192).map(|i| levels.of_energy(i * full / 64)).collect();
    assert_eq!((levels.of_energy(0), levels.of_energy(full - 1), levels.of_energy(full)), (-31, 31, 31));
    assert!(all.windows(2).all(|pair| (pair[1] - pair[0]).abs() < 31), "{all:?}");
    assert!((0..2_047).all(|i| levels.at_index(i, 2_048) <= levels.at_index(i + 1, 2_048)));
    assert!(all.iter().all(|level| level % 2 != 0));
}

#[test]
fn features_of_a_steady_sound_have_no_differences() {
    let front = front();
    let levels: Vec<i32> = (0..4 * 32).map(|i| if i / 32 % 2 == 0 { 3 } else { 9 }).collect();
    let features = front.features_of(&levels);
    assert_eq!((features[0], features[32]), (24, 9));
    assert_eq!(front.features_of(&[5; 4 * 32])[32..], [0; 32]);
}

#[test]
fn what_is_out_of_range_is_refused() {
    let refused = |spec: RawSpec| RawFront::mel(spec.clone(), &vec![1.0; spec.bands]).unwrap_err().field;
    assert_eq!(refused(RawSpec { lags: vec![4], ..spec() }), "lags");
    assert_eq!(refused(RawSpec { sample_max: 0, ..spec() }), "sample_max");
    assert_eq!(refused(RawSpec { max_hz: 5_000.0, ..spec() }), "min_hz..max_hz");
    assert_eq!(RawFront::mel(spec(), &[1.0; 31]).unwrap_err().field, "reference");
    assert_eq!(RawFront::mel(spec(), &[0.0; 32]).unwrap_err().field, "reference");
    assert_eq!(spec().samples(&[0.0; 5]).unwrap_err().field, "sound");
    assert!(spec().samples(&vec![0.0; spec().query_samples()]).unwrap_err().to_string().contains("silence"));
    assert!(spec().samples(&vec![f32::NAN; spec().query_samples()]).is_err());
}

/// Random rows on the features of a front, and a length along three directions.
fn hearing(front: RawFront, rows: usize, factor: u32) -> Hierarchy {
    use rand::RngExt;
    let (rng, width) = (&mut sample::rng(rows as u64), front.spec().width());
    let mut weights = |count: usize| (0..count * width).map(|_| rng.random_range(-9..=9)).collect();
    let biases = (0..rows as i32).collect();
    let stage = Stage::new(rows, front.spec().bound(), weights(rows), biases, vec![rows]).unwrap();
    let directions = Stage::new(3, front.spec().bound(), weights(3), vec![5, -7, 0], vec![3]).unwrap();
    let length = Length::new(directions, factor).unwrap();
    let padded = Stage::new(2, front.spec().bound(), vec![1; 2 * width], vec![0; 2], vec![1]).unwrap();
    assert_eq!(Length::new(padded, factor).unwrap_err().field, "length");
    Hierarchy::new(vec![stage]).unwrap().hearing(RawInput::new(front, length, 1_000).unwrap()).unwrap()
}

fn answered(hierarchy: &Hierarchy, samples: &[i32], above: i64) -> Option<usize> {
    let circuit = Circuit::raw(hierarchy.raw().unwrap().front().spec());
    let input = vec![ClearValue::Samples(samples.to_vec())];
    match circuit.run(&mut Clear::new(hierarchy).above(above), input).unwrap().pop() {
        Some(ClearValue::Answer(answer)) => answer,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_best_row_is_known_beyond_the_length() {
    let hierarchy = hearing(front(), 7, 20_000);
    let (stage, raw) = (hierarchy.last(), hierarchy.raw().unwrap());
    for hz in [300.0, 900.0, 2_700.0] {
        let samples = spec().samples(&tone(hz)).unwrap();
        let features = raw.front().features(&samples);
        assert!(spec().bound().admits(&features));
        let scores: Vec<i64> = (0..7).map(|row| stage.score(0, row, &features)).collect();
        let best = (0..7).rev().max_by_key(|&row| scores[row]).unwrap();
        // By the definition: absolute values of three sums of products, times the factor.
        let sums = (0..3).map(|j| {
            let (weights, bias) = (raw.length().direction(j), [5, -7, 0][j]);
            let sum: i64 = weights.iter().zip(&features).map(|(w, x)| i64::from(*w) * i64::from(*x)).sum();
            (sum + bias).abs()
        });
        let beyond = scores[best] - sums.sum::<i64>() * 20_000 / 65_536;
        assert_eq!(answered(&hierarchy, &samples, beyond - 1), Some(best));
        assert_eq!(answered(&hierarchy, &samples, beyond), None);
    }
    let circuit = Circuit::raw(&spec());
    assert_eq!(circuit.inputs, [Input::Samples { count: spec().query_samples(), max_abs: 31 }]);
    let wrong = circuit.run(&mut Clear::new(&hierarchy), vec![ClearValue::Samples(vec![32; 4 * 3_840])]);
    assert!(wrong.unwrap_err().to_string().contains("from -31 to 31"));
}

#[test]
fn every_range_holds_what_is_computed() {
    let hierarchy = hearing(front(), 5, 20_000);
    let proven = Range::new(&hierarchy, u64::MAX).prove(&Circuit::raw(&spec())).unwrap();
    assert_eq!(proven, [RangeValue::Answer { paths: 5 }]);
    // Each step on its own, with samples as loud as they may be.
    let mut circuit = Circuit::raw(&spec());
    let samples: Vec<i32> = (0..spec().query_samples()).map(|i| if i % 3 == 0 { 31 } else { -31 }).collect();
    for op in 0..circuit.ops.len() {
        circuit.reply = vec![sordino_model::circuit::Register(op + 1)];
        let range = Range::new(&hierarchy, u64::MAX).prove(&circuit).unwrap()[0];
        let value = circuit.run(&mut Clear::new(&hierarchy), vec![ClearValue::Samples(samples.clone())]).unwrap();
        let holds = match (&value[0], range) {
            (ClearValue::Energies(energies), RangeValue::Energies { bound }) => {
                energies.iter().all(|energy| energy.unsigned_abs() <= bound)
            }
            (ClearValue::Levels(levels), RangeValue::Levels { bound, cells }) => {
                levels.len() == cells * 32 && levels.iter().all(|level| u64::from(level.unsigned_abs()) <= bound)
            }
            (ClearValue::Vector(vector), RangeValue::Vector(bound)) => bound.admits(vector) && bound == spec().bound(),
            (ClearValue::Scores(scores), RangeValue::Scores { bound, .. }) => {
                scores.iter().flatten().all(|score| score.unsigned_abs() <= bound)
            }
            (ClearValue::Length(length), RangeValue::Length { bound }) => length.unsigned_abs() <= bound,
            (ClearValue::Choice(_), RangeValue::Choice { .. }) => true,
            (ClearValue::Answer(_), RangeValue::Answer { .. }) => true,
            other => panic!("{other:?}"),
        };
        assert!(holds, "op {op}");
    }
}

/// A front for sound of the sample models: a second at 2 kHz.
fn small() -> RawSpec {
    RawSpec {
        sample_rate: 2_000,
        cell: 480,
        cells: 4,
        taps: 32,
        bands: 6,
        max_hz: 1_000.0,
        lags: vec![1],
        ..RawSpec::default()
    }
}

/// A sample model that also hears samples.
fn pair() -> (ClientModel, ServerModel) {
    let (client, server) = sample::model(3, &[6, 6]);
    let front = RawFront::mel(small(), &[1.0; 6]).unwrap();
    let hierarchy = hearing(front, client.labels().len(), 100);
    let slots = (0..client.labels().len() as u32).rev().collect();
    let outline = ClientHierarchy::hearing(hierarchy.shape().clone(), small(), slots).unwrap();
    let server = server.with_raw(hierarchy).unwrap();
    let client = client.with_raw(outline).unwrap().of_server(server.hash());
    (client, server)
}

#[test]
fn both_halves_hear_what_files_keep() {
    let (client, server) = pair();
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("sample");
    save(&place, &client, &server, &Card::default()).unwrap();
    let (read_client, read_server) = load_pair(&place).unwrap();
    assert_eq!((&read_client, &read_server), (&client, &server));
    let pair = Pair::new(&read_client, &read_server).unwrap();
    let clip = sample::clip(1, 1.5);
    let heard = read_client.heard(Protocol::Raw, &clip, Crop::Middle).unwrap();
    // The middle 1,920 of the middle 2,000 of 3,000 samples.
    assert_eq!(heard, clip[540..2_460]);
    let found = pair.identify(Protocol::Raw, &heard).unwrap();
    let samples = small().samples(&heard).unwrap();
    let row = answered(server.raw().unwrap(), &samples, 0);
    let labels = client.labels().len();
    assert_eq!(found.best().map(|best| best.label), row.map(|row| labels - 1 - row));
    assert_eq!(found.known, row.is_some());

    let (plain, alone) = sample::model(3, &[6, 6]);
    assert_eq!(plain.speaks(Protocol::Raw), Err(ClientError::NotRaw));
    assert!(client.speaks(Protocol::Raw).is_ok());
    assert!(Pair::new(&plain.of_server(server.hash()), &server).unwrap_err().to_string().contains("raw sound"));
    assert!(matches!(alone.with_raw(server.hierarchy().clone()), Err(ServerError::NotRaw)));
    let stages = server.hierarchy().clone();
    let raw = server.raw().unwrap().raw().unwrap().clone();
    assert!(matches!(stages.hearing(raw), Err(StageError::Raw { .. })));
}

#[test]
fn a_library_that_changes_is_heard_on() {
    let (client, server) = pair();
    let mut library = Library::of(&client, &server).unwrap();
    assert_eq!(library.halves().unwrap(), (client.clone(), server.clone()));
    // Rows name labels backwards.
    let gone = client.labels()[1].track_id;
    library.remove(&[gone].into()).unwrap();
    assert!(library.hears_all());
    let (client, server) = library.halves().unwrap();
    let (raw, outline) = (server.raw().unwrap(), client.raw().unwrap());
    let rows: Vec<u32> = outline.slots().iter().map(|&label| client.labels()[label as usize].track_id).collect();
    assert_eq!((raw.last().count(0), rows.contains(&gone)), (client.labels().len(), false));
    assert!(rows.is_sorted_by(|a, b| a > b));
    library.add(sample::label(77), &[], None).unwrap();
    assert!(!library.hears_all());
}

#[test]
fn damaged_halves_that_hear_are_refused() {
    let (client, server) = pair();
    // With a fitting list of sums: what is wrong is what the description says.
    let edited = |bundle: Bundle<'static>, from: &str, to: &str| -> Bundle<'static> {
        let files: Vec<(String, Vec<u8>)> =
            bundle.files().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect();
        let edit = |(name, bytes): (String, Vec<u8>)| match name.as_str() {
            "model.json" => {
                let text = String::from_utf8(bytes).unwrap();
                assert!(text.contains(from), "{text}");
                (name, text.replacen(from, to, 1).into_bytes())
            }
            _ => (name, bytes),
        };
        let files: Vec<(String, Vec<u8>)> =
            files.into_iter().filter(|(name, _)| name != "SHA256SUMS").map(edit).collect();
        let sums = files.iter().map(|(name, bytes)| format!("{}  {name}\n", sordino_model::ModelHash::of(bytes)));
        let sums = ("SHA256SUMS".to_owned(), sums.collect::<String>().into_bytes());
        files.into_iter().chain([sums]).collect()
    };
    let server_refuses =
        |from: &str, to: &str| ServerModel::from_bundle(&edited(server.bundle().unwrap(), from, to)).unwrap_err();
    assert!(matches!(server_refuses("\"bands\": 6", "\"bands\": 5"), FileError::Raw(_)));
    assert!(matches!(server_refuses("\"cells\": 4", "\"cells\": 5"), FileError::Stage(_)));
    assert!(matches!(server_refuses("\"spread\": 1000", "\"spread\": 0"), FileError::Raw(_)));
    assert!(matches!(server_refuses("\"level_bits\": 5", "\"level_bits\": 77"), FileError::Raw(_)));
    let client_refuses =
        |from: &str, to: &str| ClientModel::from_bundle(&edited(client.bundle().unwrap(), from, to)).unwrap_err();
    assert!(matches!(client_refuses("\"bands\": 6", "\"bands\": 5"), FileError::Client(_)));
    assert!(matches!(client_refuses("\"cells\": 4", "\"cells\": 0"), FileError::Client(_)));
}
