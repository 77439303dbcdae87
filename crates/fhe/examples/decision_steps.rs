//! What each step of an encrypted decision costs, on one thread and on all.
//!
//! ```text
//! cargo run --release -p sordino-fhe --example decision_steps [repetitions]
//! ```

use sordino_fhe::params::STANDARD;
use sordino_fhe::{Calibration, EvaluationKey, Resolution, SecretKey};

fn main() {
    let repetitions = std::env::args().nth(1).and_then(|a| a.parse().ok()).unwrap_or(10);
    let secret = SecretKey::generate(&STANDARD);
    let key = EvaluationKey::generate(&secret, |_| {}).expand();
    for resolution in [Resolution::Standard, Resolution::Fine, Resolution::Finest] {
        println!("{resolution:?}\n{}\n", Calibration::measure(&key, resolution, repetitions));
    }
}
