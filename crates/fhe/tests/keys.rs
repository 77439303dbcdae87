//! Keys on disk and on the wire: whole, damaged, exposed, somebody else's.

mod common;

use std::path::Path;

use common::key;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sordino_fhe::params::INSECURE_N256;
use sordino_fhe::{EvaluationKey, FheError, Pieces, SecretKey, ServerKey};

fn evaluation(secret: &SecretKey, seed: u64) -> EvaluationKey {
    EvaluationKey::generate_from_insecure_seed(secret, seed, |_| ())
}

fn written(key: &EvaluationKey) -> Vec<u8> {
    let mut out = Vec::new();
    key.write(&mut out).unwrap();
    assert_eq!(out.len(), EvaluationKey::wire_bytes(key.parameters()));
    out
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn an_evaluation_key_is_named_by_what_is_in_it() {
    let secret = key(&INSECURE_N256, 1);
    let (one, again, another) = (evaluation(&secret, 1), evaluation(&secret, 1), evaluation(&secret, 2));
    assert_eq!(one.id(), again.id());
    assert_ne!(one.id(), another.id());
    assert_eq!(EvaluationKey::read(&mut &written(&one)[..]).unwrap().id(), one.id());
    assert_eq!(ServerKey::read(&mut &written(&one)[..]).unwrap().id(), one.id());
    // Nothing in the public bytes is a seed of the secret key, or a name drawn with it.
    assert_ne!(written(&one)[..64], secret.to_bytes()[..64]);
}

#[test]
fn an_evaluation_key_knows_whose_it_is() {
    let (mine, other) = (key(&INSECURE_N256, 1), key(&INSECURE_N256, 2));
    let evaluation = evaluation(&mine, 1);
    assert!(evaluation.belongs_to(&mine) && !evaluation.belongs_to(&other));
    let server = evaluation.expand();
    assert!(server.belongs_to(&mine) && !server.belongs_to(&other));
}

#[test]
fn no_flipped_bit_of_an_evaluation_key_is_used() {
    let bytes = written(&evaluation(&key(&INSECURE_N256, 1), 1));
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let bits = (0..8 * 42).chain((0..60).map(|_| rng.random_range(0..8 * bytes.len())));
    for bit in bits {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(EvaluationKey::read(&mut &flipped[..]).is_err(), "bit {bit}");
        assert!(ServerKey::read(&mut &flipped[..]).is_err(), "bit {bit}");
    }
    for length in [0, 9, 10, 42, bytes.len() / 2, bytes.len() - 1] {
        assert!(
            matches!(ServerKey::read(&mut &bytes[..length]), Err(FheError::EvaluationKey { .. })),
            "{length} bytes"
        );
    }
}

#[test]
fn a_saved_key_is_whole_private_and_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let (path, evaluation_path) = (folder.path().join("key"), folder.path().join("eval"));
    let (key, other) = (key(&INSECURE_N256, 1), key(&INSECURE_N256, 2));
    key.save(&path).unwrap();
    assert_eq!(SecretKey::load(&path).unwrap().to_bytes(), key.to_bytes());
    assert!(matches!(other.save(&path), Err(FheError::Io { .. })));
    assert_eq!(SecretKey::load(&path).unwrap().to_bytes(), key.to_bytes());
    evaluation(&key, 1).save(&evaluation_path).unwrap();
    assert!(evaluation(&key, 2).save(&evaluation_path).is_err());
    assert!(EvaluationKey::load(&evaluation_path).unwrap().belongs_to(&key));
    // What is not kept leaves nothing; what is, takes the place in one step.
    drop(other.stage(&path).unwrap());
    assert_eq!(SecretKey::load(&path).unwrap().to_bytes(), key.to_bytes());
    other.stage(&path).unwrap().keep(true).unwrap();
    assert_eq!(SecretKey::load(&path).unwrap().to_bytes(), other.to_bytes());
    let mut left = names(folder.path());
    left.sort();
    assert_eq!(left, ["eval", "key"]);
    // A byte more.
    let longer = [std::fs::read(&evaluation_path).unwrap(), vec![0]].concat();
    std::fs::write(&evaluation_path, longer).unwrap();
    let refused = ServerKey::load(&evaluation_path).err().unwrap().to_string();
    assert!(refused.contains("eval: ") && refused.contains("longer"), "{refused}");
    assert!(matches!(SecretKey::load(folder.path()), Err(FheError::Io { .. })), "a folder is no key");
}

#[cfg(unix)]
#[test]
fn a_secret_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    key(&INSECURE_N256, 1).save(&path).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for mode in [0o640, 0o604, 0o660, 0o644] {
        std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        let error = SecretKey::load(&path).unwrap_err();
        assert!(matches!(error, FheError::Exposed { .. }), "{mode:o}");
        assert!(error.to_string().contains("chmod 600"));
    }
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
    assert!(SecretKey::load(&path).is_ok());
}

#[test]
fn a_key_is_put_together_from_pieces_made_apart() {
    let secret = key(&INSECURE_N256, 1);
    let (parameters, count) = (secret.parameters(), Pieces::count(secret.parameters()));
    // Two workers that share nothing, one of which begins at the end.
    let mut pieces = vec![Vec::new(); count];
    let places: Vec<usize> = (0..count).rev().step_by(2).chain((0..count - 1).rev().step_by(2)).collect();
    places.iter().for_each(|&place| pieces[place] = Pieces::of(&secret).make(place).unwrap());
    assert_eq!(Pieces::of(&secret).make(count), None);
    let made = EvaluationKey::of_pieces(parameters, pieces.clone()).unwrap();
    assert!(made.belongs_to(&secret));
    assert_eq!(EvaluationKey::read(&mut &written(&made)[..]).unwrap().id(), made.id());
    // Nothing is drawn twice.
    assert_ne!(Pieces::of(&secret).make(0).unwrap(), pieces[0]);
    pieces.swap(0, count - 1);
    for pieces in [pieces, vec![Vec::new(); count], Vec::new()] {
        let error = EvaluationKey::of_pieces(parameters, pieces).err();
        assert!(matches!(error, Some(FheError::EvaluationKey { .. })), "{error:?}");
    }
}
