//! How long tfhe-rs's common-mask bootstrap takes for each of the messages that share a mask, beside its classic bootstrap, on one thread:
//! N = 2048, n = 918, 2^23 x 1. Keys and ciphertexts are made up, since times do not depend on them.
use std::time::Instant;
use tfhe::core_crypto::experimental::prelude::cm_fft64::programmable_bootstrap_cm_lwe_ciphertext;
use tfhe::core_crypto::experimental::prelude::*;
use tfhe::core_crypto::prelude::*;

fn main() {
    let (n, k, size) = (LweDimension(918), GlweDimension(1), PolynomialSize(2048));
    let (base, level, native) = (DecompositionBaseLog(23), DecompositionLevelCount(1), CiphertextModulus::new_native());
    let wave = |i: usize| (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let fill = |values: &mut [u64]| values.iter_mut().enumerate().for_each(|(i, v)| *v = wave(i));
    let mut key = LweBootstrapKey::new(0u64, k.to_glwe_size(), size, base, level, n, native);
    fill(key.as_mut());
    let mut fourier = FourierLweBootstrapKey::new(n, k.to_glwe_size(), size, base, level);
    par_convert_standard_lwe_bootstrap_key_to_fourier(&key, &mut fourier);
    let mut input = LweCiphertext::new(0u64, n.to_lwe_size(), native);
    fill(input.as_mut());
    let mut table = GlweCiphertext::new(0u64, k.to_glwe_size(), size, native);
    fill(table.as_mut());
    let mut output = LweCiphertext::new(0u64, LweDimension(2048).to_lwe_size(), native);
    let least = |f: &mut dyn FnMut()| (0..9).map(|_| { let t = Instant::now(); f(); t.elapsed().as_secs_f64() * 1e3 }).fold(f64::MAX, f64::min);
    println!("messages,ms_each,of_classic");
    let classic = least(&mut || programmable_bootstrap_lwe_ciphertext(&input, &mut output, &table, &fourier));
    println!("classic,{classic:.3},1");
    for d in [2, 3, 4, 6, 8, 10] {
        let d = CmDimension(d);
        let mut key = CmLweBootstrapKey::new(0u64, k, d, size, base, level, n, native);
        fill(key.as_mut());
        let mut fourier = FourierCmLweBootstrapKey::new(n, k, d, size, base, level);
        par_convert_standard_cm_lwe_bootstrap_key_to_fourier(&key, &mut fourier);
        let mut input = CmLweCiphertext::new(0u64, n, d, native);
        fill(input.as_mut());
        let mut table = CmGlweCiphertext::new(0u64, k, d, size, native);
        fill(table.as_mut());
        let mut output = CmLweCiphertext::new(0u64, fourier.output_lwe_dimension(), d, native);
        let again = least(&mut || programmable_bootstrap_cm_lwe_ciphertext(&input, &mut output, &table, &fourier)) / d.0 as f64;
        println!("{},{again:.3},{:.2}", d.0, again / classic);
    }
}
