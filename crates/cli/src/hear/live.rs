//! [`Live`]: sound that goes on, window after window.

#[cfg(feature = "microphone")]
mod microphone;

use std::io::{BufReader, Stdin, stdin};

use sordino_audio::{DecodeLimits, LiveWave};

/// Sound that goes on.
pub(crate) enum Live {
    /// WAV on standard input.
    StandardInput(LiveWave<BufReader<Stdin>>),
    /// The machine's microphone.
    #[cfg(feature = "microphone")]
    Microphone(microphone::Microphone),
}

impl Live {
    /// A WAV stream on standard input.
    pub(crate) fn standard_input() -> anyhow::Result<Self> {
        Ok(Self::StandardInput(LiveWave::open(BufReader::new(stdin())).map_err(|error| {
            anyhow::anyhow!("standard input: {error}; --continuous needs WAV, such as `arecord -f cd` writes")
        })?))
    }

    /// The machine's microphone.
    #[cfg(feature = "microphone")]
    pub(crate) fn microphone() -> anyhow::Result<Self> {
        Ok(Self::Microphone(microphone::Microphone::open()?))
    }

    /// The machine's microphone.
    #[cfg(not(feature = "microphone"))]
    pub(crate) fn microphone() -> anyhow::Result<Self> {
        anyhow::bail!(
            "this program was built without the microphone: build it with `--features microphone` (on Linux after \
             `apt install libasound2-dev`), or let a recorder write to it: `arecord -d 12 -f cd | sordino identify MODEL -`"
        )
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::StandardInput(_) => "standard input",
            #[cfg(feature = "microphone")]
            Self::Microphone(_) => "microphone",
        }
    }

    /// The next `seconds`, mono at `rate`. Silence is sound too: whether something is asked must not tell when there was music.
    pub(crate) fn window(&mut self, seconds: f32, rate: u32) -> anyhow::Result<Option<Vec<f32>>> {
        match self {
            Self::StandardInput(stream) => {
                let limits = DecodeLimits { min_dbfs: f32::NEG_INFINITY, ..DecodeLimits::default() };
                Ok(stream.window(seconds, rate, &limits)?.map(|samples| samples.data))
            }
            #[cfg(feature = "microphone")]
            Self::Microphone(microphone) => microphone.window(seconds, rate).map(Some),
        }
    }
}
