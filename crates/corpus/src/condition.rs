//! [`Condition`]: under which circumstances a query is heard.

use std::fmt;
use std::str::FromStr;

use sordino_audio::Phone;

use crate::CorpusError;

/// What happens to a query on its way to the listener: the player's speed first and its loudspeaker, then the room, noise, the
/// telephone, and the line.
///
/// Written `clean`, or joined with `+`: `4%fast` or `2%slow`, `5dB`, `reverb`, `phone`, `300-3400Hz`; for instance `5dB+reverb`.
/// `phone` is `loudspeaker+microphone+codec`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Condition {
    /// By how many per cent it is played too fast, and so too high; negative for too slow.
    pub fast_percent: Option<f32>,
    /// Background noise at this signal-to-noise ratio in dB, over the length of the query.
    pub noise_db: Option<f32>,
    /// Convolution with an impulse response.
    pub reverb: bool,
    /// Parts of a telephone's chain.
    pub phone: Phone,
    /// Band limits in Hz.
    pub band_hz: Option<(f32, f32)>,
}

impl Condition {
    /// The clip itself.
    pub const CLEAN: Self =
        Self { fast_percent: None, noise_db: None, reverb: false, phone: Phone::NONE, band_hz: None };

    /// Background noise at a signal-to-noise ratio in dB.
    pub const fn noise(snr_db: f32) -> Self {
        Self { noise_db: Some(snr_db), ..Self::CLEAN }
    }

    /// The same played so many per cent too fast, or too slow where negative.
    pub const fn with_speed(self, fast_percent: f32) -> Self {
        Self { fast_percent: Some(fast_percent), ..self }
    }

    /// How many times as fast as it should be it is played.
    pub fn speed(&self) -> f32 {
        1.0 + self.fast_percent.unwrap_or(0.0) / 100.0
    }

    /// The same in a room.
    pub const fn with_reverb(self) -> Self {
        Self { reverb: true, ..self }
    }

    /// The same through these parts of a telephone's chain.
    pub const fn with_phone(self, phone: Phone) -> Self {
        Self { phone, ..self }
    }

    /// The same through a line that passes this band, in Hz.
    pub const fn with_band(self, low: f32, high: f32) -> Self {
        Self { band_hz: Some((low, high)), ..self }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = |percent: f32| if percent < 0.0 { "slow" } else { "fast" };
        let speed = self.fast_percent.map(|percent| format!("{}%{}", percent.abs(), way(percent)));
        let noise = self.noise_db.map(|db| format!("{db}dB"));
        let reverb = self.reverb.then(|| "reverb".to_owned());
        let band = self.band_hz.map(|(low, high)| format!("{low}-{high}Hz"));
        let phone = (self.phone != Phone::NONE).then(|| self.phone.to_string());
        let parts: Vec<String> = [speed, noise, reverb, phone, band].into_iter().flatten().collect();
        f.write_str(if parts.is_empty() { "clean".into() } else { parts.join("+") }.as_str())
    }
}

impl FromStr for Condition {
    type Err = CorpusError;

    fn from_str(text: &str) -> Result<Self, CorpusError> {
        let bad = || CorpusError::Setting {
            setting: "condition",
            found: format!("\"{text}\""),
            expected: "clean, or parts such as 4%fast, 5dB, reverb, phone, 300-3400Hz joined with +".into(),
        };
        let number = |text: &str| text.trim().parse::<f32>().ok().filter(|x| x.is_finite()).ok_or_else(bad);
        let mut condition = Self::CLEAN;
        for part in text.split('+').map(str::trim) {
            let lower = part.to_ascii_lowercase();
            if lower == "reverb" && !condition.reverb {
                condition.reverb = true;
            } else if condition.phone.add(&lower) {
            } else if let Some((percent, way)) = lower.split_once('%').filter(|_| condition.fast_percent.is_none()) {
                let percent = number(percent)?;
                let signed = match way.trim() {
                    "fast" => percent,
                    "slow" => -percent,
                    _ => return Err(bad()),
                };
                if !(0.0..=50.0).contains(&percent) {
                    return Err(bad());
                }
                condition.fast_percent = Some(signed);
            } else if let Some(snr) = lower.strip_suffix("db").filter(|_| condition.noise_db.is_none()) {
                condition.noise_db = Some(number(snr)?);
            } else if let Some(band) = lower.strip_suffix("hz").filter(|_| condition.band_hz.is_none()) {
                let (low, high) = band.split_once('-').ok_or_else(bad)?;
                let (low, high) = (number(low)?, number(high)?);
                if !(0.0 < low && low < high) {
                    return Err(bad());
                }
                condition.band_hz = Some((low, high));
            } else if !(lower == "clean" && text.trim().eq_ignore_ascii_case("clean")) {
                return Err(bad());
            }
        }
        Ok(condition)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_as_they_are_written() {
        for text in [
            "clean",
            "10dB",
            "-2.5dB",
            "reverb",
            "5dB+reverb",
            "0dB+reverb+300-3400Hz",
            "200-3000Hz",
            "4%fast+5dB",
            "1.5%slow",
            "5dB+reverb+phone",
            "loudspeaker+codec",
            "microphone+300-3400Hz",
        ] {
            assert_eq!(text.parse::<Condition>().unwrap().to_string(), text);
        }
        assert_eq!(" 5 dB + Reverb ".parse::<Condition>().unwrap(), Condition::noise(5.0).with_reverb());
        assert_eq!("codec+microphone+loudspeaker".parse::<Condition>().unwrap().to_string(), "phone");
        for text in [
            "",
            "loud",
            "dB",
            "5dB+",
            "5dB+3dB",
            "clean+reverb",
            "3400-300Hz",
            "NaNdB",
            "300Hz",
            "infdB",
            "4%",
            "-4%fast",
            "4%fast+2%slow",
            "60%slow",
            "phone+codec",
            "codec+phone",
            "telephone",
        ] {
            assert!(text.parse::<Condition>().is_err(), "{text}");
        }
    }
}
