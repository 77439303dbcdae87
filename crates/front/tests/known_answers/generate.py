"""Known answers for the front end, from librosa and NumPy. Run once, by hand, in this folder:

    pip install librosa==0.11.0 && python generate.py

Writes front_end.json. The signal and the spectrogram below are rebuilt in tests/suite/known_answers.rs from the same formulas.
"""

import json

import librosa
import numpy as np

RATE, FFT, HOP, BANDS, LOW, HIGH = 8000, 1024, 256, 64, 60.0, 4000.0


def lcg(count, seed):
    """Uniform numbers in -1..1 from the 32-bit generator of Numerical Recipes."""
    state, out = seed, []
    for _ in range(count):
        state = (1664525 * state + 1013904223) % 2**32
        out.append(state / 2**31 - 1.0)
    return np.array(out)


def signal():
    """A rising chirp, a beating tone and faint noise: 9,600 samples, rounded to 32 bits."""
    t = np.arange(9600) / RATE
    chirp = 0.3 * np.sin(2 * np.pi * (150 * t + 1200 * t * t))
    tone = 0.2 * np.sin(2 * np.pi * 1000 * t) * np.sin(2 * np.pi * 3 * t)
    return (chirp + tone + 0.01 * lcg(t.size, 1)).astype(np.float32).astype(np.float64)


def mel_power(y, htk):
    return librosa.feature.melspectrogram(
        y=y, sr=RATE, n_fft=FFT, hop_length=HOP, center=False, window="hann", power=2.0,
        n_mels=BANDS, fmin=LOW, fmax=HIGH, htk=htk, norm="slaney",
    )


def log_mel(power, floor=1e-6):
    log = np.log(power + floor * power.mean())
    return log - log.mean()


def walk():
    """A log-mel spectrogram that wanders: 200 frames of 16 bands."""
    steps = lcg(200 * 16, 2).reshape(200, 16)
    return (np.cumsum(steps, axis=0) * 0.3 + np.arange(16) * 0.1).astype(np.float32).astype(np.float64)


def moments(log):
    def lagged(lag):
        return np.abs(log[lag:] - log[:-lag]).mean(axis=0)

    return np.concatenate([log.mean(axis=0), log.std(axis=0), lagged(1), lagged(4)])


def rises(log):
    def lagged(lag):
        return np.sqrt((np.maximum(log[lag:] - log[:-lag], 0) ** 2).mean(axis=0))

    return np.concatenate([lagged(lag) for lag in (1, 4, 16)])


def correlations(log):
    bands = log.shape[1]
    kept = min(32, bands)
    basis = np.cos(np.pi * np.outer(np.arange(bands) + 0.5, np.arange(kept)) / bands) * np.sqrt(2 / bands)
    coefficients = log @ basis
    coefficients = (coefficients - coefficients.mean(axis=0)) / (coefficients.std(axis=0) + 1e-3)
    matrix = coefficients.T @ coefficients / log.shape[0]
    return matrix[np.triu_indices(kept, 1)]


def rhythm(log, registers=4):
    rise = np.maximum(np.diff(log, axis=0), 0)
    onsets = np.stack([part.mean(axis=1) for part in np.split(rise, registers, axis=1)])
    onsets -= onsets.mean(axis=1, keepdims=True)
    onsets /= onsets.std(axis=1, keepdims=True) + 1e-4
    lags = range(4, 128, 3)
    return np.array([(o[lag:] * o[:-lag]).mean() for lag in lags for o in onsets])


def numbers(array, digits=7):
    return [float(f"{x:.{digits}g}") for x in np.asarray(array).ravel()]


y, power = signal(), {}
for scale in ("htk", "slaney"):
    power[scale] = mel_power(y, scale == "htk")
decibels = librosa.power_to_db(power["htk"], ref=1.0, amin=1e-10, top_db=80.0)
wander = walk()
answers = {
    "made_by": f"librosa {librosa.__version__}, numpy {np.__version__}",
    "frames": power["htk"].shape[1],
    # All arrays are [frames, bands], row by row.
    "mel_power_htk": numbers(power["htk"].T),
    "mel_power_slaney": numbers(power["slaney"].T),
    "log_mel_htk": numbers(log_mel(power["htk"]).T),
    "mfcc_htk": numbers(librosa.feature.mfcc(S=decibels, n_mfcc=20, dct_type=2, norm="ortho").T),
    "moments": numbers(moments(wander)),
    "rich": numbers(np.concatenate([moments(wander), rises(wander), correlations(wander), rhythm(wander)])),
}
with open("front_end.json", "w") as out:
    json.dump(answers, out, separators=(",", ":"))
