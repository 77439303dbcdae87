//! What leaves a server that decided, and how its client reads it: bits, each half of the torus if set, in the leading coefficients of one ciphertext.

use sordino_model::layout::Envelope;

use crate::FheError;
use crate::wire::sender::Sender;

/// Largest flooding noise: half of the distance from a bit of the reply to a wrong decision.
pub(crate) const FLOOD: u64 = 1 << 61;

/// The first `count` bits of a reply with a payload of `payload` bytes to the sender's last query.
///
/// # Errors
/// Those of [`Sender::open`].
pub(crate) fn open_bits(
    sender: &Sender,
    reply: &[u8],
    payload: usize,
    envelope: Envelope,
    count: usize,
) -> Result<Vec<bool>, FheError> {
    let phases = sender.open(0, reply, payload, envelope.reply_bits, std::iter::once(count))?;
    // A set bit is half of the torus.
    let set = |i: usize| phases.iter().all(|phases| phases.at(i, i).wrapping_add(1 << 62) >> 63 == 1);
    Ok((0..count).map(set).collect())
}

/// The number that bits say, the most significant first.
pub(crate) fn number(bits: &[bool]) -> usize {
    bits.iter().fold(0, |number, &bit| 2 * number + usize::from(bit))
}

#[cfg(feature = "server")]
pub(crate) use sealing::seal_bits;

#[cfg(feature = "server")]
mod sealing {
    use super::*;
    use crate::params::ParameterSet;
    use crate::ring::fourier::Fourier;
    use crate::ring::glwe::Glwe;
    use crate::ring::random::Random;
    use crate::ring::zero_key::ZeroKey;
    use crate::wire::bits::pack;
    use crate::wire::checksum;

    /// Ends a message with the reply to a query: the ciphertext that holds `count` bits, re-randomised, flooded, and of its body only those bits.
    pub(crate) fn seal_bits(
        mut message: Vec<u8>,
        mut out: Glwe,
        count: usize,
        (zero_key, envelope): (&ZeroKey, Envelope),
        parameters: &ParameterSet,
        fourier: &Fourier,
    ) -> Vec<u8> {
        let mut random = Random::from_system();
        zero_key.rerandomise(&mut out, parameters, &mut random, fourier, &mut fourier.scratch());
        let mut values = out.mask().to_vec();
        values.extend(out.body()[..count].iter().map(|&body| {
            let mut body = [body];
            random.add_noise(parameters.glwe_noise_log2, &mut body);
            body[0].wrapping_add(random.below(2 * FLOOD)).wrapping_sub(FLOOD)
        }));
        pack(values, envelope.reply_bits, &mut message);
        checksum::seal(&mut message);
        message
    }
}
