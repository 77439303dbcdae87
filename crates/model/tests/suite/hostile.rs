//! Damaged and hostile files: a typed error or the same model, never a panic, never memory for a claimed size.

use std::fs;
use std::path::Path;

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};
use sordino_front::FrontError;
use sordino_model::stage::StageError;
use sordino_model::{
    Card, ClientError, ClientModel, FileError, ModelHash, ServerModel, load_client, load_pair, load_server, save,
};

use crate::files::FILES;
use crate::sample::model;

fn saved() -> (tempfile::TempDir, ClientModel, ServerModel) {
    let temp = tempfile::tempdir().unwrap();
    let (client, server) = model(1, &[3, 2]);
    save(temp.path(), &client, &server, &Card::default()).unwrap();
    (temp, client, server)
}

/// Writes a file anew. (Overwriting one makes some file systems wait for the disk, thousands of times here.)
fn put(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::remove_file(path).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Makes the checksums of a half right again, as whoever tampers with it would.
fn sign(half: &Path) {
    let sums = fs::read_to_string(half.join("SHA256SUMS")).unwrap();
    let line = |line: &str| {
        let name = &line[66..];
        format!("{}  {name}\n", ModelHash::of(&fs::read(half.join(name)).unwrap()))
    };
    put(&half.join("SHA256SUMS"), sums.lines().map(line).collect::<String>());
}

/// The error of opening the half after `change`, with right checksums.
fn forged(half: &str, file: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> FileError {
    let (temp, ..) = saved();
    let path = temp.path().join(half).join(file);
    put(&path, change(fs::read(&path).unwrap()));
    sign(&temp.path().join(half));
    let error = match half {
        "client" => load_client(temp.path()).map(drop),
        _ => load_server(temp.path()).map(drop),
    };
    error.expect_err("a forged file was accepted")
}

fn edited(half: &str, file: &str, edit: impl FnOnce(&mut Value)) -> FileError {
    forged(half, file, |bytes| {
        let mut value = serde_json::from_slice(&bytes).unwrap();
        edit(&mut value);
        serde_json::to_vec(&value).unwrap()
    })
}

type Tensors = Vec<(String, Dtype, Vec<usize>, Vec<u8>)>;

fn retensored(half: &str, edit: impl FnOnce(&mut Tensors)) -> FileError {
    forged(half, "weights.safetensors", |bytes| {
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut tensors: Tensors =
            file.iter().map(|(name, t)| (name.into(), t.dtype(), t.shape().to_vec(), t.data().to_vec())).collect();
        edit(&mut tensors);
        let views = tensors
            .iter()
            .map(|(name, dtype, shape, data)| (name, TensorView::new(*dtype, shape.clone(), data).unwrap()));
        safetensors::serialize(views, None).unwrap()
    })
}

fn tensor<'a>(tensors: &'a mut Tensors, name: &str) -> &'a mut (String, Dtype, Vec<usize>, Vec<u8>) {
    tensors.iter_mut().find(|t| t.0 == name).unwrap()
}

#[test]
fn every_flipped_byte_is_noticed_or_harmless() {
    let (temp, client, server) = saved();
    for file in FILES {
        let path = temp.path().join(file);
        let good = fs::read(&path).unwrap();
        for (at, mask) in (0..good.len()).step_by(97).flat_map(|at| [(at, 0x01), (at, 0x20), (at, 0xff)]) {
            let mut bad = good.clone();
            bad[at] ^= mask;
            put(&path, &bad);
            if let Ok(read) = load_pair(temp.path()) {
                assert!(read == (client.clone(), server.clone()), "{file}, byte {at} xor {mask:#x}");
            }
        }
        put(&path, &good);
    }
    assert!(load_pair(temp.path()).unwrap() == (client, server));
}

#[test]
fn every_flipped_byte_with_right_checksums_is_an_error_or_a_model() {
    // Whoever can flip a byte can also correct the checksums: then the parsers are on their own.
    let (temp, ..) = saved();
    let mut models = 0;
    for file in FILES.iter().filter(|file| !file.ends_with("SHA256SUMS")) {
        let path = temp.path().join(file);
        let half = path.parent().unwrap();
        let good = fs::read(&path).unwrap();
        let step = (good.len() / 400).max(1);
        for (at, mask) in (0..good.len()).step_by(step).flat_map(|at| [(at, 0x01), (at, 0x80)]) {
            let mut bad = good.clone();
            bad[at] ^= mask;
            put(&path, &bad);
            sign(half);
            let opened = if file.starts_with("client") {
                load_client(temp.path()).map(drop)
            } else {
                load_server(temp.path()).map(drop)
            };
            models += usize::from(opened.is_ok());
        }
        put(&path, &good);
        sign(half);
    }
    assert!(models > 100, "weights with another bit are still weights: {models}");
}

#[test]
fn truncated_files_are_refused_at_every_length() {
    let (temp, ..) = saved();
    for file in FILES {
        let path = temp.path().join(file);
        let good = fs::read(&path).unwrap();
        for length in (0..good.len()).step_by((good.len() / 40).max(1)) {
            put(&path, &good[..length]);
            assert!(load_pair(temp.path()).is_err(), "{file} cut to {length} bytes");
        }
        let longer = [&good[..], b"\n"].concat();
        put(&path, longer);
        assert!(load_pair(temp.path()).is_err(), "{file} with a byte more");
        put(&path, &good);
    }
}

#[test]
fn truncated_files_with_right_checksums_are_refused_too() {
    for (half, file) in [("client", "labels.json"), ("client", "model.json"), ("server", "model.json")] {
        let error = forged(half, file, |bytes| bytes[..bytes.len() / 2].to_vec());
        assert!(matches!(error, FileError::Json { .. }), "{error}");
    }
    for half in ["client", "server"] {
        for keep in [0, 7, 8, 50] {
            let error = forged(half, "weights.safetensors", |bytes| bytes[..keep].to_vec());
            assert!(matches!(error, FileError::Tensors(_)), "{error}");
        }
        let error = forged(half, "weights.safetensors", |bytes| bytes[..bytes.len() - 1].to_vec());
        assert!(matches!(error, FileError::TensorEnd { .. }), "{error}");
    }
}

#[test]
fn a_missing_file_is_named() {
    for file in FILES {
        let (temp, ..) = saved();
        fs::remove_file(temp.path().join(file)).unwrap();
        let error = load_pair(temp.path()).unwrap_err();
        let name = file.rsplit('/').next().unwrap();
        assert!(matches!(error, FileError::Io { .. }) && error.to_string().contains(name), "{error}");
    }
}

#[test]
fn an_altered_file_is_named_with_both_hashes() {
    let (temp, ..) = saved();
    let path = temp.path().join("server/weights.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let expected = ModelHash::of(&bytes);
    *bytes.last_mut().unwrap() ^= 1;
    put(&path, &bytes);
    match load_server(temp.path()).unwrap_err() {
        FileError::Damaged { path: found_path, found, expected: wanted } => {
            assert_eq!((found_path, found, wanted), (path, ModelHash::of(&bytes), expected));
        }
        other => panic!("expected damage, got {other}"),
    }
}

#[test]
fn checksums_must_list_exactly_the_files() {
    let (temp, ..) = saved();
    let path = temp.path().join("server/SHA256SUMS");
    let good = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = good.lines().collect();
    let bad = [
        String::new(),
        lines[0].to_owned() + "\n",
        format!("{}\n{}\n", lines[1], lines[0]),
        format!("{good}{}\n", lines[0]),
        good.replace("  model", " *model"),
        good.replace("model.json", "../model.json"),
        good.to_uppercase(),
        good.trim_end().to_owned(),
    ];
    for text in bad {
        put(&path, &text);
        let error = load_server(temp.path());
        assert!(matches!(error, Err(FileError::Sums { .. })), "{text:?}");
    }
    put(&path, good.repeat(50));
    let sentence = load_server(temp.path()).unwrap_err().to_string();
    assert!(sentence.contains("bytes, expected at most"), "{sentence}");
}

#[test]
fn another_version_or_kind_says_so() {
    for half in ["client", "server"] {
        let error = edited(half, "model.json", |model| model["version"] = json!(2));
        assert!(matches!(error, FileError::Version { found: 2, expected: 1, .. }), "{error}");
        let error = edited(half, "model.json", |model| {
            model["version"] = json!(2);
            model["something_new"] = json!({});
        });
        assert!(matches!(error, FileError::Version { .. }), "the version is looked at before what it may change");
        let error = edited(half, "model.json", |model| model["format"] = json!("sordino-garden"));
        assert!(matches!(error, FileError::Format { .. }), "{error}");
        let error = edited(half, "model.json", |model| model["something_new"] = json!(1));
        assert!(matches!(error, FileError::Json { .. }), "{error}");
    }
    let error = edited("server", "model.json", |model| model["format"] = json!("sordino-client"));
    assert!(error.to_string().contains("other half"), "{error}");
}

#[test]
fn json_that_means_nothing_is_refused() {
    let client = |edit: fn(&mut Value)| edited("client", "model.json", edit);
    let front = |error| matches!(error, FileError::Front(_));
    assert!(matches!(client(|m| m["vectors"] = json!(38)), FileError::Input));
    assert!(matches!(client(|m| drop(m.as_object_mut().unwrap().remove("spec"))), FileError::Input));
    assert!(front(client(|m| m["spec"]["hop"] = json!(0))));
    assert!(front(client(|m| m["spec"]["mel_bands"] = json!(u64::MAX))));
    assert!(front(client(|m| m["spec"]["mel_bands"] = json!(9))));
    assert!(front(client(|m| m["statistics"] = json!(false))));
    assert!(front(client(|m| m["heads"][0]["quantiser"]["bits"] = json!(1))));
    assert!(front(client(|m| m["heads"][0]["quantiser"]["scale"] = json!(0.0))));
    assert!(front(client(|m| m["heads"][0]["quantiser"]["bound"]["width"] = json!(8))));
    assert!(front(client(|m| m["heads"][1]["name"] = json!("clusters"))));
    assert!(front(client(|m| m["network"]["steps"][1]["conv1d"]["padding"] = json!(u64::MAX))));
    assert!(front(client(|m| m["network"]["steps"][1]["conv1d"]["dilation"] = json!(1u64 << 60))));
    let json = |error| matches!(error, FileError::Json { .. });
    assert!(json(client(|m| m["network"]["pool"] = json!("median"))));
    assert!(json(client(|m| m["network"]["something_new"] = json!(1))));
    assert!(json(client(|m| m["server"] = json!("abc"))));
    assert!(json(client(|m| m["hierarchy"]["stages"][0]["counts"] = json!([99]))));
    assert!(json(client(|m| m["hierarchy"]["stages"][0]["outputs"] = json!(u64::MAX))));
    let deep = edited("client", "model.json", |m| {
        m["network"]["steps"] = (0..200).fold(json!([]), |steps, _| json!([{ "residual": steps }]));
    });
    assert!(json(deep), "nesting is limited");
    let half = |error| matches!(error, FileError::Client(_));
    assert!(half(client(|m| m["hierarchy"]["heads"] = json!([0, 9]))));
    assert!(half(client(|m| m["hierarchy"]["heads"] = json!([0]))));
    assert!(half(client(|m| m["hierarchy"]["stages"][1]["input"]["max_abs"] = json!(30))));
    let labels = edited("client", "labels.json", |labels| *labels = json!([]));
    assert!(matches!(labels, FileError::Client(ClientError::NoLabel { found: 0, labels: 0, .. })), "{labels}");
}

#[test]
fn weights_of_the_wrong_shape_or_type_are_refused() {
    let error = retensored("server", |t| {
        let bias = tensor(t, "hierarchy.1.bias");
        bias.2.reverse();
    });
    assert!(matches!(error, FileError::Tensor { .. }), "{error}");
    let error = retensored("server", |t| tensor(t, "hierarchy.1.weights").2.reverse());
    assert!(matches!(error, FileError::Tensor { .. }), "{error}");
    let error = retensored("server", |t| {
        let flat = tensor(t, "hierarchy.1.weights");
        flat.2 = vec![flat.3.len()];
    });
    assert!(matches!(error, FileError::Tensor { .. }), "{error}");
    let error = retensored("server", |t| tensor(t, "hierarchy.1.weights").1 = Dtype::U8);
    assert!(matches!(error, FileError::Tensor { .. }), "{error}");
    let error = retensored("server", |t| t.retain(|t| t.0 != "flat.0.bias"));
    assert!(matches!(&error, FileError::NoTensor { name } if name == "flat.0.bias"), "{error}");
    let error = retensored("server", |t| t.push(("titles".into(), Dtype::U8, vec![2], vec![1, 2])));
    assert!(matches!(&error, FileError::Unclaimed { found: 1, name } if name == "titles"), "{error}");
    let error = retensored("client", |t| tensor(t, "heads.0.layers.1.weight").2.reverse());
    assert!(matches!(error, FileError::Front(FrontError::Shape { .. })), "{error}");
    let error = retensored("client", |t| {
        let slots = tensor(t, "hierarchy.slots");
        slots.2[0] -= 1;
        slots.3.truncate(slots.2[0] * 4);
    });
    assert!(matches!(error, FileError::Client(ClientError::Length { table: "slots", .. })), "{error}");
    let error = edited("server", "model.json", |m| m["hierarchy"][1]["counts"][0] = json!(3));
    assert!(matches!(error, FileError::Json { .. }), "{error}");
    let error = edited("server", "model.json", |m| m["hierarchy"][0]["counts"][0] = json!(1));
    assert!(matches!(error, FileError::Stage(StageError::Orphan { .. })), "{error}");
    let error = edited("server", "model.json", |m| m["hierarchy"][0]["input"]["width"] = json!(u64::MAX));
    assert!(matches!(error, FileError::Tensor { .. }), "{error}");
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    for name in ["heads.1.layers.1.weight", "heads.0.layers.0.inv_std", "network.steps.1.bias", "network.layers.0.bias"]
    {
        for bad in [f32::NAN, f32::INFINITY] {
            let error = retensored("client", |t| tensor(t, name).3[4..8].copy_from_slice(&bad.to_le_bytes()));
            assert!(matches!(error, FileError::Front(FrontError::WeightNotFinite { .. })), "{name}: {error}");
        }
    }
}

#[test]
fn a_server_half_that_could_overflow_is_refused() {
    let error = retensored("server", |t| {
        let bias = tensor(t, "hierarchy.1.bias");
        bias.3[..4].copy_from_slice(&(1i32 << 20).to_le_bytes());
    });
    assert!(error.to_string().contains("times the largest score allowed"), "{error}");
    let error = edited("server", "model.json", |m| {
        m["hierarchy"][0]["input"]["norm_squared"] = json!(u64::MAX);
        m["hierarchy"][0]["input"]["max_abs"] = json!(i32::MAX);
    });
    assert!(matches!(error, FileError::Server(_)), "{error}");
}

/// A safetensors file with this header and this much data.
fn container(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

#[test]
fn claimed_sizes_allocate_nothing() {
    let mut bad = vec![u64::MAX.to_le_bytes().to_vec(), (1u64 << 40).to_le_bytes().to_vec()];
    bad.push(container(r#"{"a":{"dtype":"I8","shape":[4294967296,4294967296],"data_offsets":[0,1]}}"#, 1));
    bad.push(container(r#"{"a":{"dtype":"I8","shape":[1099511627776],"data_offsets":[0,1099511627776]}}"#, 1));
    bad.push(container(r#"{"a":{"dtype":"I8","shape":[1],"data_offsets":[1,0]}}"#, 1));
    bad.push(container(r#"{"a":{"dtype":"I8","shape":[0,18446744073709551615],"data_offsets":[0,0]}}"#, 0));
    bad.push(container(r#"{"a":{"dtype":"I8","shape":[-1],"data_offsets":[0,1]}}"#, 1));
    // Nine tensors whose sizes add up to more than 2^64 in steps that each fit.
    let part = (1u64 << 61) - 1;
    let tensors: Vec<String> = (0..8u64)
        .map(|i| {
            format!(r#""t{i}":{{"dtype":"I8","shape":[{part}],"data_offsets":[{},{}]}}"#, i * part, (i + 1) * part)
        })
        .collect();
    bad.push(container(&format!("{{{}}}", tensors.join(",")), 16));
    for bytes in bad {
        for half in ["client", "server"] {
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            let error = forged(half, "weights.safetensors", |_| bytes.clone());
            let refused = matches!(
                error,
                FileError::Tensors(_)
                    | FileError::TensorEnd { .. }
                    | FileError::Json { .. }
                    | FileError::NoTensor { .. }
            );
            assert!(refused, "{shown}: {error}");
        }
    }
    let empty = retensored("server", |t| {
        let bias = tensor(t, "hierarchy.0.bias");
        (bias.2, bias.3) = (vec![0, usize::MAX / 2], vec![]);
    });
    assert!(matches!(empty, FileError::Tensor { .. } | FileError::Stage(StageError::Length { .. })), "{empty}");
}
