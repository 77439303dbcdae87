// Sound from the microphone or a file, as samples of one channel. It stays in the tab.

/** The rate at which files are decoded: above that of any model, so that the module's own resampler is the one that cuts. */
const DECODE_RATE = 48000;
/** Seconds more than a query takes, so that the ends of the resampler's filter stay outside of it. */
const MARGIN = 0.5;

/** What a microphone or a file refuses: `kind` says what. */
export class SoundError extends Error {
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

/** Listens for `seconds`. `heard` gets all samples so far and the fraction done, about thirty times a second. */
export async function listen(seconds, heard, signal) {
  let stream;
  try {
    // The music is the signal: nothing may be done for speech.
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false };
    stream = await navigator.mediaDevices.getUserMedia({ audio });
  } catch (error) {
    const kinds = { NotAllowedError: 'denied', SecurityError: 'denied', NotFoundError: 'none' };
    throw new SoundError(kinds[error.name] ?? 'failed', error.message);
  }
  const context = new AudioContext();
  try {
    signal.throwIfAborted();
    await context.audioWorklet.addModule(new URL('recorder.js', import.meta.url));
    const source = context.createMediaStreamSource(stream);
    const recorder = new AudioWorkletNode(context, 'recorder', { numberOfOutputs: 0 });
    const rate = context.sampleRate;
    const samples = new Float32Array(Math.ceil((seconds + MARGIN) * rate));
    await context.resume();
    await new Promise((resolve, reject) => {
      let length = 0;
      let shown = 0;
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      stream.getAudioTracks()[0].addEventListener('ended', () => reject(new SoundError('failed', 'it was switched off')));
      recorder.port.onmessage = ({ data }) => {
        const room = samples.length - length;
        samples.set(data.length > room ? data.subarray(0, room) : data, length);
        length = Math.min(samples.length, length + data.length);
        if (length === samples.length || length - shown > rate / 30) {
          shown = length;
          heard(samples.subarray(0, length), rate, length / samples.length);
        }
        if (length === samples.length) resolve();
      };
      source.connect(recorder);
    });
    return { samples, rate };
  } finally {
    stream.getTracks().forEach((track) => track.stop());
    context.close();
  }
}

/** The middle of a sound file: as much as a query of `seconds` takes. */
export async function decode(file, seconds) {
  let buffer;
  try {
    buffer = await new OfflineAudioContext(1, 1, DECODE_RATE).decodeAudioData(await file.arrayBuffer());
  } catch (error) {
    throw new SoundError('undecodable', error.message);
  }
  const length = Math.min(buffer.length, Math.ceil((seconds + 2 * MARGIN) * buffer.sampleRate));
  const start = Math.floor((buffer.length - length) / 2);
  const samples = new Float32Array(length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel += 1) {
    const data = buffer.getChannelData(channel).subarray(start, start + length);
    data.forEach((x, i) => (samples[i] += x / buffer.numberOfChannels));
  }
  return { samples, rate: buffer.sampleRate };
}

/** Level of the last tenth of a second, in dB of full scale. */
export function level(samples, rate) {
  const last = samples.subarray(Math.max(0, samples.length - Math.round(rate / 10)));
  const power = last.reduce((sum, x) => sum + x * x, 0) / Math.max(1, last.length);
  return 10 * Math.log10(power + 1e-12);
}
