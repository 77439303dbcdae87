// Draws a clip's spectrogram from left to right, in the page's own colours.

const SIZE = 2048;
const LOWEST_HZ = 60;
const HIGHEST_HZ = 4000;
/** Range of colours, in dB below the loudest so far. */
const RANGE_DB = 70;

/** Power spectrum of `SIZE` samples under a Hann window: an iterative radix-2 transform. */
function spectrum(samples, at) {
  const re = new Float32Array(SIZE);
  const im = new Float32Array(SIZE);
  const bits = Math.log2(SIZE);
  for (let i = 0; i < SIZE; i += 1) {
    let reversed = 0;
    for (let b = 0; b < bits; b += 1) reversed |= ((i >> b) & 1) << (bits - 1 - b);
    re[reversed] = (samples[at + i] ?? 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / SIZE));
  }
  for (let half = 1; half < SIZE; half *= 2) {
    for (let k = 0; k < half; k += 1) {
      const c = Math.cos((-Math.PI * k) / half);
      const s = Math.sin((-Math.PI * k) / half);
      for (let i = k; i < SIZE; i += 2 * half) {
        const j = i + half;
        const x = re[j] * c - im[j] * s;
        const y = re[j] * s + im[j] * c;
        [re[j], im[j]] = [re[i] - x, im[i] - y];
        re[i] += x;
        im[i] += y;
      }
    }
  }
  return re.subarray(0, SIZE / 2).map((x, i) => x * x + im[i] * im[i]);
}

const channels = (colour) => colour.match(/\w\w/g).map((pair) => parseInt(pair, 16));

export class Spectrogram {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    this.clear();
  }

  clear() {
    // Two colours of the style sheet, from quiet to loud. Both themes keep their order in grey.
    const style = getComputedStyle(this.canvas);
    this.quiet = channels(style.getPropertyValue('--quiet').trim().slice(1));
    this.loud = channels(style.getPropertyValue('--loud').trim().slice(1));
    this.column = 0;
    this.loudest = 1e-9;
    this.context.fillStyle = style.getPropertyValue('--quiet').trim();
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** Draws the columns up to `fraction` of the width, from all samples so far. */
  draw(samples, rate, fraction) {
    const { width, height } = this.canvas;
    const total = samples.length / fraction;
    const last = Math.min(width, Math.floor(fraction * width));
    for (; this.column < last; this.column += 1) {
      const at = Math.floor((this.column / width) * total);
      if (fraction < 1 && at + SIZE > samples.length) return;
      const power = spectrum(samples, Math.min(at, Math.max(0, samples.length - SIZE)));
      const image = this.context.createImageData(1, height);
      for (let y = 0; y < height; y += 1) {
        const hz = LOWEST_HZ * (HIGHEST_HZ / LOWEST_HZ) ** (1 - y / height);
        const value = power[Math.round((hz * SIZE) / rate)] ?? 0;
        this.loudest = Math.max(this.loudest, value);
        const strength = Math.max(0, 1 + (10 * Math.log10(value / this.loudest + 1e-12)) / RANGE_DB);
        for (let c = 0; c < 3; c += 1) image.data[4 * y + c] = this.quiet[c] + strength * (this.loud[c] - this.quiet[c]);
        image.data[4 * y + 3] = 255;
      }
      this.context.putImageData(image, this.column, 0);
    }
  }
}
