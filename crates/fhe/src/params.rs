//! [`ParameterSet`]: the lattice parameters that a key, a message and a prepared model must share.
//!
//! Nothing here is tuned by hand: the standard set consists of two versioned constants of tfhe-rs over one ring, chosen by its
//! maintainers for 128 bits of security. Sets for tests say `insecure` in their name.

use tfhe::core_crypto::prelude::{DynamicDistribution, GlweDimension, GlweSize, LweDimension, PolynomialSize};

use crate::FheError;

/// Identifies a [`ParameterSet`] in files and messages. Numbers are never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParameterId(pub u16);

/// Ring, key sizes and noise. The ring is `Z_q[X]/(X^N + 1)` with `q = 2^64` and GLWE dimension 1 in every set; secret
/// keys are binary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParameterSet {
    /// Identifier on the wire.
    pub id: ParameterId,
    /// Name for people.
    pub name: &'static str,
    /// Ring degree `N`.
    pub polynomial_size: PolynomialSize,
    /// Noise of fresh GLWE ciphertexts: uniform on `[-2^b, 2^b]` with halved ends (tfhe's `TUniform(b)`); this is `b`.
    pub glwe_noise_log2: u32,
    /// The small key under which scores are compared.
    pub compare: SmallKey,
    /// The small key under which bits are refreshed. A bit is a quarter of the torus from a wrong one, so this key may be noisier and
    /// therefore shorter, and every refresh takes that many steps fewer.
    pub refresh: SmallKey,
}

/// A small LWE key that bootstrapping uses, binary.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SmallKey {
    /// Dimension.
    pub dimension: LweDimension,
    /// Noise of fresh LWE ciphertexts under it, as for [`ParameterSet::glwe_noise_log2`].
    pub noise_log2: u32,
}

/// `V1_8_PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128` of tfhe 1.8: `N = 2048`, `n = 918`, 128-bit security; and for refreshes the
/// small key of `V1_8_PARAM_GPU_KREYVIUM_MESSAGE_1_CARRY_0_TUNIFORM_2M128`, `n = 720` under the same ring, 128-bit security as well.
///
/// The numbers are written out, so that a build needs only the core of tfhe; a test compares them with the constants.
pub const STANDARD: ParameterSet = ParameterSet {
    id: ParameterId(1),
    name: "tfhe-v1_8-message-2-carry-2-tuniform-2m128",
    polynomial_size: PolynomialSize(2048),
    glwe_noise_log2: 17,
    compare: SmallKey { dimension: LweDimension(918), noise_log2: 45 },
    refresh: SmallKey { dimension: LweDimension(720), noise_log2: 50 },
};

/// The ring in which samples are encrypted for [`crate::raw`]: that of `V1_4_PARAM_MESSAGE_1_CARRY_4_KS_PBS_GAUSSIAN_2M128` of tfhe, `N = 4096`,
/// 128-bit security. Its noise is a Gaussian of deviation 2^-62, or 4 units; `TUniform(3)` has 4.6. The small keys are those of [`STANDARD`]; only its
/// comparisons are used.
pub const SAMPLES: ParameterSet = ParameterSet {
    id: ParameterId(2),
    name: "tfhe-v1_4-message-1-carry-4-2m128-ring",
    polynomial_size: PolynomialSize(4096),
    glwe_noise_log2: 3,
    ..STANDARD
};

/// A small ring for tests of [`crate::raw`]: fast, and breakable on a laptop.
pub const INSECURE_SAMPLES_N512: ParameterSet = ParameterSet {
    id: ParameterId(0xff03),
    name: "insecure-samples-n512",
    glwe_noise_log2: SAMPLES.glwe_noise_log2,
    ..INSECURE_N512
};

/// A small ring for tests: fast, and breakable on a laptop.
pub const INSECURE_N512: ParameterSet = insecure(ParameterId(0xff01), "insecure-n512", 512);

/// A smaller ring for combinatorial tests: fast, and breakable on a laptop.
pub const INSECURE_N256: ParameterSet = insecure(ParameterId(0xff02), "insecure-n256", 256);

const ALL: [&ParameterSet; 3] = [&STANDARD, &INSECURE_N512, &INSECURE_N256];

impl ParameterSet {
    /// The set that a message or file names.
    ///
    /// # Errors
    /// [`FheError::UnknownParameters`] for a number that this version does not have.
    pub fn by_id(id: ParameterId) -> Result<&'static Self, FheError> {
        ALL.into_iter().find(|p| p.id == id).ok_or(FheError::UnknownParameters { found: id.0 })
    }

    /// The set with a given name.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        ALL.into_iter().find(|p| p.name == name)
    }

    /// The set of the key under which a client encrypts samples, beside a key of this set.
    pub fn of_samples(&self) -> &'static Self {
        if self.is_insecure() { &INSECURE_SAMPLES_N512 } else { &SAMPLES }
    }

    /// Ring degree `N` as a number.
    pub fn ring(&self) -> usize {
        self.polynomial_size.0
    }

    /// Polynomials in a GLWE ciphertext: one mask, one body.
    pub const fn glwe_size(&self) -> GlweSize {
        GlweSize(2)
    }

    /// GLWE dimension `k = 1`.
    pub const fn glwe_dimension(&self) -> GlweDimension {
        GlweDimension(1)
    }

    /// Noise of fresh GLWE ciphertexts as tfhe takes it.
    pub fn glwe_noise(&self) -> DynamicDistribution<u64> {
        DynamicDistribution::new_t_uniform(self.glwe_noise_log2)
    }

    /// Whether this set exists for tests only.
    pub fn is_insecure(&self) -> bool {
        self.name.starts_with("insecure")
    }
}

const fn insecure(id: ParameterId, name: &'static str, ring: usize) -> ParameterSet {
    ParameterSet {
        id,
        name,
        polynomial_size: PolynomialSize(ring),
        glwe_noise_log2: STANDARD.glwe_noise_log2,
        // The modulus switch to 2N is as coarse as the ring is small, so the noise before it is kept below its share.
        compare: SmallKey { dimension: LweDimension(64), noise_log2: 30 },
        refresh: SmallKey { dimension: LweDimension(48), noise_log2: 50 },
    }
}

#[cfg(test)]
mod tests {
    use tfhe::shortint::parameters::ClassicPBSParameters;
    use tfhe::shortint::parameters::v1_4::V1_4_PARAM_MESSAGE_1_CARRY_4_KS_PBS_GAUSSIAN_2M128;
    use tfhe::shortint::parameters::v1_8::{
        V1_8_PARAM_GPU_KREYVIUM_MESSAGE_1_CARRY_0_TUNIFORM_2M128 as BIT_CONSTANT,
        V1_8_PARAM_MESSAGE_2_CARRY_2_KS_PBS_TUNIFORM_2M128 as STANDARD_CONSTANT,
    };

    use super::*;

    fn t_uniform(noise: DynamicDistribution<u64>) -> u32 {
        match noise {
            DynamicDistribution::TUniform(t) => t.bound_log2(),
            DynamicDistribution::Gaussian(_) => panic!("the noise formulas are written for TUniform noise"),
        }
    }

    fn small_key(p: ClassicPBSParameters) -> SmallKey {
        SmallKey { dimension: p.lwe_dimension, noise_log2: t_uniform(p.lwe_noise_distribution) }
    }

    #[test]
    fn samples_are_in_the_ring_of_a_constant_and_no_less_noisy() {
        let constant = V1_4_PARAM_MESSAGE_1_CARRY_4_KS_PBS_GAUSSIAN_2M128;
        assert_eq!(constant.polynomial_size, SAMPLES.polynomial_size);
        assert_eq!(constant.glwe_dimension, SAMPLES.glwe_dimension());
        let DynamicDistribution::Gaussian(noise) = constant.glwe_noise_distribution else { panic!("no Gaussian") };
        // In units of 2^-64.
        let deviation = noise.std * 64f64.exp2();
        assert!((3.9..4.1).contains(&deviation));
        assert!(crate::noise::Noise::new(&SAMPLES).fresh().sqrt() > deviation);
    }

    #[test]
    fn the_standard_set_consists_of_two_constants_of_one_ring() {
        for p in [STANDARD_CONSTANT, BIT_CONSTANT] {
            assert_eq!(p.glwe_dimension, STANDARD.glwe_dimension());
            assert_eq!(p.polynomial_size, STANDARD.polynomial_size);
            assert_eq!(p.glwe_noise_distribution, STANDARD.glwe_noise());
            assert_eq!(t_uniform(p.glwe_noise_distribution), STANDARD.glwe_noise_log2);
        }
        assert_eq!(STANDARD.compare, small_key(STANDARD_CONSTANT));
        assert_eq!(STANDARD.refresh, small_key(BIT_CONSTANT));
    }
}
