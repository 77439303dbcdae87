//! [`Microphone`]: the machine's microphone, through cpal.

use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use anyhow::Context as _;
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{FromSample, Sample, SampleFormat, SizedSample};
use sordino_audio::resample;

/// How long to wait for a microphone that says nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// A block of mono samples, or why there are no more.
type Block = Result<Vec<f32>, String>;

/// The system's default microphone, as it is set up.
pub(crate) struct Microphone {
    rate: u32,
    blocks: Receiver<Block>,
    /// It records for as long as it is held.
    _stream: cpal::Stream,
}

impl Microphone {
    /// Begins to record.
    pub(crate) fn open() -> anyhow::Result<Self> {
        let device = cpal::default_host().default_input_device();
        let device = device.context("no microphone was found; expected one that the system records from by default")?;
        let config = device.default_input_config().context("the microphone has no format to record in")?;
        let (stream, blocks) = match config.sample_format() {
            SampleFormat::I8 => start::<i8>(&device, config),
            SampleFormat::I16 => start::<i16>(&device, config),
            SampleFormat::I32 => start::<i32>(&device, config),
            SampleFormat::U8 => start::<u8>(&device, config),
            SampleFormat::U16 => start::<u16>(&device, config),
            SampleFormat::F32 => start::<f32>(&device, config),
            SampleFormat::F64 => start::<f64>(&device, config),
            found => anyhow::bail!("the microphone records {found}, expected whole numbers or floats of up to 32 bits"),
        }?;
        stream.play().context("the microphone does not start")?;
        Ok(Self { rate: config.sample_rate(), blocks, _stream: stream })
    }

    /// The next `seconds` from now, mono at `rate`. What was recorded meanwhile is dropped: a slow server gets fewer windows, not later
    /// ones.
    pub(crate) fn window(&mut self, seconds: f32, rate: u32) -> anyhow::Result<Vec<f32>> {
        while let Ok(block) = self.blocks.try_recv() {
            block.map_err(anyhow::Error::msg)?;
        }
        let length = (f64::from(seconds) * f64::from(self.rate)).ceil() as usize;
        let mut samples = Vec::with_capacity(length);
        while samples.len() < length {
            let block = self.blocks.recv_timeout(PATIENCE).context("the microphone sends nothing")?;
            samples.extend(block.map_err(anyhow::Error::msg)?);
        }
        Ok(resample(&samples, self.rate, rate)?)
    }
}

/// Starts a stream of one kind of sample.
fn start<T: SizedSample>(
    device: &cpal::Device,
    config: cpal::SupportedStreamConfig,
) -> anyhow::Result<(cpal::Stream, Receiver<Block>)>
where
    f32: FromSample<T>,
{
    let (sender, blocks) = channel();
    let (channels, failed) = (usize::from(config.channels()).max(1), sender.clone());
    let record = move |data: &[T], _: &cpal::InputCallbackInfo| {
        let mean = |frame: &[T]| frame.iter().map(|x| f32::from_sample(*x)).sum::<f32>() / channels as f32;
        // Nobody listens any more: the program is about to end.
        let _ = sender.send(Ok(data.chunks_exact(channels).map(mean).collect()));
    };
    let fail = move |error: cpal::Error| {
        let passing = [cpal::ErrorKind::Xrun, cpal::ErrorKind::DeviceChanged, cpal::ErrorKind::RealtimeDenied];
        if !passing.contains(&error.kind()) {
            let _ = failed.send(Err(format!("the microphone stopped: {error}")));
        }
    };
    let stream = device.build_input_stream(config.into(), record, fail, None);
    Ok((stream.context("the microphone cannot be opened")?, blocks))
}
