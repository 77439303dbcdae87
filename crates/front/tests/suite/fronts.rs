//! The public front end against plain loops, and what it refuses.

use ndarray::{Array1, Array2, Array3, Axis, array};
use proptest::prelude::*;
use sordino_front::{
    Activation, Conv1d, Crop, Front, FrontError, Head, Layer, MelFrontEnd, Network, POOL_EPSILON, Pool, Quantiser,
    Step, log_mel,
};

use crate::sample::{affine, clip, conv, floats, front, network, rng, spec};

fn quantiser(width: usize) -> Quantiser {
    Quantiser::for_unit_vectors(width, 6, 40.0).unwrap()
}

fn head(layers: Vec<Layer>, input: usize, output: usize) -> Result<Head, FrontError> {
    Head::new("h", input, layers, quantiser(output))
}

fn close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (f, e) in found.iter().zip(expected) {
        assert!((f - e).abs() <= 1e-4 * (1.0 + e.abs()), "{found:?} is not {expected:?}");
    }
}

#[test]
fn layers_compute_what_they_say() {
    let one = |layer, x: &[f32], out| head(vec![layer], x.len(), out).unwrap().embed(x).unwrap();
    let weight = array![[1.0, 2.0], [3.0, 4.0], [0.0, -1.0]];
    close(&one(Layer::Affine { weight, bias: array![0.5, 0.0, 0.0] }, &[10.0, 20.0], 3), &[50.5, 110.0, -20.0]);
    let standardise = Layer::Standardise { mean: array![1.0, 2.0], inv_std: array![2.0, 0.5] };
    close(&one(standardise, &[3.0, 3.0], 2), &[4.0, 0.5]);
    close(&one(Layer::Activation(Activation::Relu), &[-1.0, 2.0], 2), &[0.0, 2.0]);
    // x Phi(x) from a table of the normal distribution.
    close(&one(Layer::Activation(Activation::Gelu), &[-1.0, 0.0, 2.0], 3), &[-0.158_655, 0.0, 1.954_5]);
    close(&one(Layer::UnitNorm, &[3.0, -4.0], 2), &[0.6, -0.8]);
    close(&one(Layer::UnitNorm, &[0.0, 0.0], 2), &[0.0, 0.0]);
}

#[test]
fn parts_that_do_not_fit_are_refused_by_name() {
    let r = &mut rng(1);
    let named = |error: Result<Head, FrontError>, expected: &str| {
        let error = error.unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    };
    named(head(vec![affine(r, 3, 4), affine(r, 3, 4)], 4, 3), "heads.h.layers.1 has input width 4, expected 3");
    named(head(vec![affine(r, 3, 4)], 4, 5), "heads.h has output width 3, expected 5");
    named(head(vec![Layer::Affine { weight: floats(r, (3, 4)), bias: floats(r, 2) }], 4, 3), "bias width 2");
    named(head(vec![Layer::Standardise { mean: floats(r, 4), inv_std: floats(r, 3) }], 4, 4), "inv_std width 3");
    for bad in [f32::NAN, f32::INFINITY] {
        let mut weight: Array2<f32> = floats(r, (3, 4));
        weight[[2, 1]] = bad;
        named(head(vec![Layer::Affine { weight, bias: floats(r, 3) }], 4, 3), "heads.h.layers.0 holds a number");
    }
    let net = |steps, layers| Network::new(8, steps, Pool::Mean, layers).map(drop).unwrap_err();
    let wrong = net(vec![Step::Conv1d(conv(r, 5, 8, 3)), Step::Conv1d(conv(r, 5, 8, 3))], vec![]);
    assert_eq!(
        wrong,
        FrontError::Shape { part: "network.steps.1".into(), what: "input channels", found: 8, expected: 5 }
    );
    let strided = Step::Conv1d(Conv1d { stride: 2, ..conv(r, 8, 8, 3) });
    assert!(net(vec![Step::Residual(vec![strided])], vec![]).to_string().contains("network.steps.0"));
    let narrow = Step::Residual(vec![Step::Conv1d(conv(r, 7, 8, 3))]);
    assert!(matches!(net(vec![narrow], vec![]), FrontError::Shape { found: 7, expected: 8, .. }));
}

#[test]
fn claimed_reaches_beyond_any_clip_are_refused() {
    let r = &mut rng(1);
    let base = conv(r, 2, 8, 3);
    for bad in [
        Conv1d { stride: 0, ..base.clone() },
        Conv1d { stride: usize::MAX, ..base.clone() },
        Conv1d { dilation: 0, ..base.clone() },
        Conv1d { dilation: usize::MAX, ..base.clone() },
        Conv1d { padding: 3, ..base.clone() },
        Conv1d { padding: usize::MAX, ..base.clone() },
        Conv1d { weight: Array3::zeros((2, 8, 0)), ..base.clone() },
        Conv1d { weight: Array3::zeros((0, 8, 3)), bias: Array1::zeros(0), ..base.clone() },
    ] {
        let found = Network::new(8, vec![Step::Conv1d(bad)], Pool::Mean, vec![]);
        assert!(matches!(found, Err(FrontError::Setting { .. })), "{found:?}");
    }
    let many = (0..40).map(|_| Step::Conv1d(Conv1d { stride: 4_096, padding: 0, ..conv(r, 8, 8, 3) })).collect();
    assert!(matches!(Network::new(8, many, Pool::Mean, vec![]), Err(FrontError::Setting { .. })));
}

#[test]
fn pooling_computes_what_it_says() {
    let x = array![[1.0, -2.0], [3.0, -2.0], [8.0, 1.0]];
    let pool = |pool| Network::new(2, vec![], pool, vec![]).unwrap().embed(x.view()).unwrap();
    close(&pool(Pool::Mean), &[4.0, -1.0]);
    close(&pool(Pool::Max), &[8.0, 1.0]);
    close(&pool(Pool::MeanMax), &[4.0, -1.0, 8.0, 1.0]);
    let deviation = |variance: f32| (variance + POOL_EPSILON).sqrt();
    close(&pool(Pool::MeanStd), &[4.0, -1.0, deviation(26.0 / 3.0), deviation(2.0)]);
}

/// Convolution by the definition, one product at a time.
fn convolve(conv: &Conv1d, x: &Array2<f32>) -> Array2<f32> {
    let (out, into, taps) = conv.weight.dim();
    let frames = x.nrows() + 2 * conv.padding;
    let frames = (frames - conv.dilation * (taps - 1) - 1) / conv.stride + 1;
    Array2::from_shape_fn((frames, out), |(t, o)| {
        let mut sum = conv.bias[o];
        for i in 0..into {
            for j in 0..taps {
                let at = (t * conv.stride + j * conv.dilation).checked_sub(conv.padding);
                sum += at.and_then(|at| x.get((at, i))).map_or(0.0, |v| conv.weight[[o, i, j]] * v);
            }
        }
        sum
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_convolution_is_its_definition(seed: u64, into in 1usize..5, out in 1usize..5, taps in 1usize..5, stride in 1usize..4, dilation in 1usize..4, pad in 0.0f64..=1.0, extra in 0usize..20) {
        let r = &mut rng(seed);
        let padding = (pad * (dilation * (taps - 1)) as f64) as usize;
        let conv = Conv1d { weight: floats(r, (out, into, taps)), bias: floats(r, out), stride, dilation, padding };
        let expect = |x: &Array2<f32>| convolve(&conv, x).sum_axis(Axis(0)) / convolve(&conv, x).nrows() as f32;
        let network = Network::new(into, vec![Step::Conv1d(conv.clone())], Pool::Mean, vec![]).unwrap();
        // The fewest frames are exactly those that leave an output.
        let least = (dilation * (taps - 1) + 1).saturating_sub(2 * padding).max(1);
        prop_assert_eq!(network.min_frames(), least);
        let x: Array2<f32> = floats(r, (least + extra, into));
        close(&network.embed(x.view()).unwrap(), &expect(&x).to_vec());
        let short: Array2<f32> = floats(r, (least - 1, into));
        prop_assert!(matches!(network.embed(short.view()), Err(FrontError::Shape { what: "frames", .. })), "too few frames");
    }

    #[test]
    fn a_row_does_not_depend_on_its_batch(seed: u64, n in 1usize..600) {
        let front = front(seed);
        let features: Array2<f32> = floats(&mut rng(seed), (n, front.width()));
        for (i, head) in front.heads().iter().enumerate() {
            let batch = head.embed_batch(features.view()).unwrap();
            let integers = head.input_batch(features.view()).unwrap();
            for row in [0, n / 2, n - 1] {
                let single = front.embed(i, &features.row(row).to_vec()).unwrap();
                prop_assert_eq!(batch.row(row).to_vec(), single);
                let single = head.input(&features.row(row).to_vec()).unwrap();
                prop_assert!(head.quantiser().bound.admits(&single));
                prop_assert_eq!(integers.row(row).to_vec(), single);
            }
        }
    }
}

#[test]
fn a_residual_adds_its_input() {
    let r = &mut rng(3);
    let inner = conv(r, 4, 4, 3);
    let x: Array2<f32> = floats(r, (10, 4));
    let expected = (&x + &convolve(&inner, &x)).mean_axis(Axis(0)).unwrap();
    let network = Network::new(4, vec![Step::Residual(vec![Step::Conv1d(inner)])], Pool::Mean, vec![]).unwrap();
    close(&network.embed(x.view()).unwrap(), &expected.to_vec());
}

#[test]
fn features_are_statistics_then_embedding() {
    let front = front(5);
    let samples = clip(1, 1.0);
    let power = MelFrontEnd::new(&spec()).unwrap().mel_power(&samples);
    let log = log_mel(power.0.view(), spec().log_floor);
    let mut expected = spec().statistics.of(log.view());
    assert_eq!(expected.len(), 32);
    expected.extend(front.network().unwrap().embed(log.view()).unwrap());
    assert_eq!(front.features(&samples).unwrap(), expected);
    assert_eq!(front.features_of_mel(power.0.view()).unwrap(), expected);
    let batch = front.features_of_mels(&[power.0.view(), power.0.view()]).unwrap();
    assert_eq!(batch.row(1).to_vec(), expected);
    let inputs = front.inputs(&expected).unwrap();
    assert_eq!(inputs.iter().map(Vec::len).collect::<Vec<_>>(), [7, 9, 9]);
}

#[test]
fn louder_is_the_same_piece() {
    let front = front(5);
    let quiet = clip(1, 1.0);
    let loud: Vec<f32> = quiet.iter().map(|v| v * 8.0).collect();
    close(&front.features(&loud).unwrap(), &front.features(&quiet).unwrap());
}

#[test]
fn the_window_is_where_the_crop_says() {
    let front = front(5);
    let samples: Vec<f32> = (0..5_000).map(|i| i as f32).collect();
    let start = |crop| front.window(&samples, crop).map(|window| (window[0], window.len()));
    assert_eq!(start(Crop::Start), Ok((0.0, 2_000)));
    assert_eq!(start(Crop::Middle), Ok((1_500.0, 2_000)));
    assert_eq!(start(Crop::At(1.5)), Ok((3_000.0, 2_000)));
    for outside in [1.501, -0.1, f32::NAN, f32::INFINITY] {
        let error = start(Crop::At(outside));
        assert!(matches!(error, Err(FrontError::Outside { .. })), "{error:?}");
    }
    let samples = clip(1, 2.5);
    let middle = front.features(&samples).unwrap();
    assert_eq!(front.features_at(&samples, Crop::Middle).unwrap(), middle);
    assert_eq!(front.features(&samples[1_500..3_500]).unwrap(), middle);
    assert_ne!(front.features_at(&samples, Crop::Start).unwrap(), middle);
}

#[test]
fn clips_that_cannot_be_named_are_refused() {
    let front = front(5);
    let error = front.features(&clip(1, 0.75)).unwrap_err();
    assert_eq!(error, FrontError::Short { found: 0.75, expected: 1.0 });
    assert_eq!(front.features(&[]).unwrap_err(), FrontError::Short { found: 0.0, expected: 1.0 });
    assert!(matches!(front.features(&[0.0; 2_000]), Err(FrontError::NotFinite { .. })), "silence");
    for bad in [f32::NAN, f32::INFINITY, 3e38] {
        let mut samples = clip(1, 1.0);
        samples[700] = bad;
        assert!(matches!(front.features(&samples), Err(FrontError::NotFinite { .. })), "{bad}");
    }
    let few: Array2<f32> = Array2::ones((7, 8));
    assert!(matches!(front.features_of_mel(few.view()), Err(FrontError::Shape { what: "frames", .. })));
    let wide: Array2<f32> = Array2::ones((30, 9));
    assert!(matches!(front.features_of_mel(wide.view()), Err(FrontError::Shape { what: "bands", .. })));
    assert!(matches!(front.embed(3, &[0.0]), Err(FrontError::NoHead { found: 3, heads: 3 })));
    assert!(matches!(front.embed(0, &[0.0]), Err(FrontError::Shape { what: "input width", .. })));
}

#[test]
fn a_front_of_vectors_takes_no_sound() {
    let r = &mut rng(4);
    let heads = vec![Head::new("a", 5, vec![affine(r, 3, 5)], quantiser(3)).unwrap()];
    let front = Front::of_vectors(5, heads.clone()).unwrap();
    assert_eq!((front.width(), front.has_statistics(), front.network()), (5, false, None));
    assert_eq!(front.inputs(&[0.1, -0.2, 0.3, 0.0, 1.0]).unwrap().len(), 1);
    let refused = Err(FrontError::NotSound { width: 5 });
    assert_eq!(front.spec().map(drop), refused);
    assert_eq!(front.features(&[0.1; 4_000]).map(drop), refused);
    assert_eq!(front.features_of_mel(ndarray::Array2::ones((40, 8)).view()).map(drop), refused);
    assert!(matches!(Front::of_vectors(0, heads.clone()), Err(FrontError::Setting { what: "width", .. })));
    assert!(matches!(Front::of_vectors(4, heads), Err(FrontError::Shape { found: 5, expected: 4, .. })));
    assert!(matches!(Front::of_vectors(5, vec![]), Err(FrontError::Setting { what: "heads", .. })));
}

#[test]
fn fronts_that_make_no_sense_are_refused() {
    let r = &mut rng(1);
    let heads = |name: &str, width| vec![Head::new(name, width, vec![affine(r, 3, width)], quantiser(3)).unwrap()];
    let heads = std::cell::RefCell::new(heads);
    let heads = |name, width| (heads.borrow_mut())(name, width);
    let front = |statistics, network, heads| Front::new(spec(), statistics, network, heads).map(drop);
    assert_eq!(front(true, None, heads("a", 32)), Ok(()));
    assert!(matches!(front(false, None, heads("a", 32)), Err(FrontError::Setting { what: "width", .. })));
    assert!(matches!(front(true, None, vec![]), Err(FrontError::Setting { what: "heads", .. })));
    assert!(matches!(front(true, None, heads("a", 31)), Err(FrontError::Shape { found: 31, expected: 32, .. })));
    let twins = [heads("a", 32), heads("a", 32)].concat();
    assert!(matches!(front(true, None, twins), Err(FrontError::Setting { what: "two names", .. })));
    let bands = network(&mut rng(2), 9);
    assert!(matches!(front(false, Some(bands), heads("a", 6)), Err(FrontError::Shape { what: "mel bands", .. })));
    let far = Step::Conv1d(Conv1d { dilation: 40, padding: 0, ..conv(&mut rng(2), 8, 8, 3) });
    let far = Network::new(8, vec![far], Pool::Mean, vec![]).unwrap();
    assert!(matches!(front(false, Some(far), heads("a", 8)), Err(FrontError::Shape { what: "fewest frames", .. })));
    let spec = sordino_front::FeatureSpec { hop: 0, ..spec() };
    assert!(matches!(Front::new(spec, true, None, heads("a", 32)), Err(FrontError::Spec(_))));
}
