//! [`LiveWave`]: a WAV stream that is decoded while it comes.

use std::io::{ErrorKind, Read};

use super::{DecodeLimits, Samples, decode_bytes};
use crate::AudioError;

/// Most bytes in front of the sound.
const MOST_HEAD: usize = 1 << 20;
/// Most bytes of a second of sound: eight channels of 32 bits at the highest rate.
const MOST_RATE: u32 = 768_000 * 8 * 4;

/// A WAV stream that goes on, as a recorder writes it to a pipe. Each window is decoded when it is whole, as a file of its own: what the
/// header says of the stream's length does not matter.
#[derive(Debug)]
pub struct LiveWave<R> {
    reader: R,
    /// What to put before a window so that it is a file: its format.
    head: Vec<u8>,
    /// Bytes of one sample in every channel.
    block: u32,
    bytes_per_second: u32,
}

impl<R: Read> LiveWave<R> {
    /// Reads up to the first sample, and waits for it.
    ///
    /// # Errors
    /// [`AudioError::NotAudio`] for anything but a WAV stream; [`AudioError::UnsupportedRate`]; [`AudioError::Unreadable`].
    pub fn open(mut reader: R) -> Result<Self, AudioError> {
        let mut read = |into: &mut [u8]| {
            reader.read_exact(into).map_err(|error| match error.kind() {
                ErrorKind::UnexpectedEof => AudioError::NotAudio,
                _ => AudioError::Unreadable(error),
            })
        };
        let mut start = [0; 12];
        read(&mut start)?;
        if &start[..4] != b"RIFF" || &start[8..] != b"WAVE" {
            return Err(AudioError::NotAudio);
        }
        let (mut head, mut format, mut skipped) = (b"RIFF\xff\xff\xff\xffWAVE".to_vec(), None, 0);
        loop {
            let mut chunk = [0; 8];
            read(&mut chunk)?;
            if &chunk[..4] == b"data" {
                break;
            }
            let size = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]) as usize;
            skipped += size;
            if size > MOST_HEAD || skipped > MOST_HEAD {
                return Err(AudioError::NotAudio);
            }
            let mut content = vec![0; size.next_multiple_of(2)];
            read(&mut content)?;
            if &chunk[..4] == b"fmt " && size >= 16 && format.is_none() {
                let at = |at: usize| u32::from_le_bytes(std::array::from_fn(|i| content[at + i]));
                format = Some((at(8), at(12) & 0xffff));
                head.extend(chunk);
                head.extend(content);
            }
        }
        // The length of a stream: a reader takes what is there.
        head.extend(b"data\xff\xff\xff\xff");
        match format {
            Some((bytes_per_second @ 1..=MOST_RATE, block @ 1..)) => Ok(Self { reader, head, block, bytes_per_second }),
            Some((found, _)) => Err(AudioError::UnsupportedRate { found }),
            None => Err(AudioError::NotAudio),
        }
    }

    /// Waits for the next `seconds` of sound, and decodes them to mono at `target_rate`. `None` at the end, whatever is left by then.
    ///
    /// # Errors
    /// A variant of [`AudioError`] per cause, [`AudioError::Silent`] among them; the next window can be asked for all the same.
    pub fn window(
        &mut self,
        seconds: f32,
        target_rate: u32,
        limits: &DecodeLimits,
    ) -> Result<Option<Samples>, AudioError> {
        let bytes = f64::from(self.bytes_per_second) * f64::from(seconds.clamp(0.0, limits.max_seconds));
        let length = (bytes.ceil() as usize).next_multiple_of(self.block as usize);
        let mut file = self.head.clone();
        let read = self.reader.by_ref().take(length as u64).read_to_end(&mut file).map_err(AudioError::Unreadable)?;
        if read < length {
            return Ok(None);
        }
        decode_bytes(&file, target_rate, limits).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A WAV stream of 16 bits, as `arecord` and `ffmpeg` write them: the length is wrong.
    fn stream(seconds: usize, rate: u32, length: u32) -> Vec<u8> {
        let mut out = b"RIFF\xff\xff\xff\xffWAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0\x01\0\x02\0".to_vec();
        [rate, rate * 4].iter().for_each(|field| out.extend(field.to_le_bytes()));
        out.extend(b"\x04\0\x10\0data");
        out.extend(length.to_le_bytes());
        for i in 0..seconds * rate as usize {
            // Each second is louder than the one before.
            let sample = (1_000.0 * (1 + i / rate as usize) as f32 * (i as f32 * 0.3).sin()) as i16;
            out.extend(sample.to_le_bytes());
            out.extend(sample.to_le_bytes());
        }
        out
    }

    #[test]
    fn windows_follow_one_another_whatever_the_header_says() {
        let limits = DecodeLimits::default();
        for length in [0, u32::MAX, 0x8000_0000, 400] {
            let bytes = stream(5, 8_000, length);
            let mut live = LiveWave::open(&bytes[..]).unwrap();
            let mut levels = Vec::new();
            while let Some(window) = live.window(2.0, 4_000, &limits).unwrap() {
                assert_eq!((window.rate, window.data.len()), (4_000, 8_000));
                levels.push(window.data.iter().fold(0.0_f32, |most, x| most.max(x.abs())));
            }
            assert_eq!(levels.len(), 2, "the fifth second is no whole window");
            assert!(levels[1] > 1.5 * levels[0], "{levels:?}");
        }
    }

    #[test]
    fn a_silent_window_is_no_end() {
        let mut bytes = stream(3, 8_000, u32::MAX);
        let start = bytes.len() - 3 * 32_000;
        bytes[start..start + 32_000].fill(0);
        let mut live = LiveWave::open(&bytes[..]).unwrap();
        let limits = DecodeLimits::default();
        assert!(matches!(live.window(1.0, 8_000, &limits), Err(AudioError::Silent { .. })));
        assert!(live.window(1.0, 8_000, &limits).unwrap().is_some());
        // Whoever wants silence too gets it.
        let limits = DecodeLimits { min_dbfs: f32::NEG_INFINITY, ..limits };
        let mut live = LiveWave::open(&bytes[..]).unwrap();
        assert!(live.window(1.0, 8_000, &limits).unwrap().is_some_and(|window| window.data.iter().all(|x| *x == 0.0)));
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        let good = stream(1, 8_000, u32::MAX);
        let head = good.len() - 32_000;
        for length in 0..head {
            assert!(matches!(LiveWave::open(&good[..length]), Err(AudioError::NotAudio)), "{length} bytes");
        }
        assert!(LiveWave::open(&good[..head]).unwrap().window(1.0, 8_000, &DecodeLimits::default()).unwrap().is_none());
        let with = |at: usize, bytes: &[u8]| {
            let mut wrong = good.clone();
            wrong[at..at + bytes.len()].copy_from_slice(bytes);
            LiveWave::open(std::io::Cursor::new(wrong)).map(drop)
        };
        let format = good.windows(4).position(|name| name == b"fmt ").unwrap() + 8;
        assert!(matches!(with(0, b"RIFX"), Err(AudioError::NotAudio)));
        assert!(matches!(with(16, &[0xff; 4]), Err(AudioError::NotAudio)), "a chunk without an end");
        assert!(matches!(with(format + 8, &[0xff; 4]), Err(AudioError::UnsupportedRate { .. })));
        assert!(matches!(with(format + 12, &[0; 2]), Err(AudioError::UnsupportedRate { .. })));
    }
}
