#!/usr/bin/env python3
"""One system on one dataset: fitted, asked in the clear, asked encrypted. Prints one line of JSON.

    system.py sordino flat planted 1000
    system.py concrete-ml scores digits 10

`sordino` needs this project's package, `concrete-ml` the one of that name; both scikit-learn. `compare.py` runs them in turn.
"""

import json
import resource
import sys
import time

import numpy as np

WIDTH, SIGNAL, EACH = 96, 32, 12
ASKED = 2_000


def digits():
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    x, y = load_digits(return_X_y=True)
    x, x_test, y, y_test = train_test_split(x, y, test_size=0.3, random_state=0, stratify=y)
    return x, y, x_test, y_test


def planted(classes):
    """Centres in 32 directions of 96, half a deviation of scatter around them, and noise in all directions; 12 examples of each."""
    rng = np.random.default_rng(1)
    basis = rng.normal(size=(SIGNAL, WIDTH)) / np.sqrt(SIGNAL)
    centres = rng.normal(size=(classes, SIGNAL))

    def draw(y):
        near = centres[y] + 0.5 * rng.normal(size=(len(y), SIGNAL))
        return near @ basis + 0.3 * rng.normal(size=(len(y), WIDTH))

    y = np.repeat(np.arange(classes), EACH)
    y_test = rng.integers(classes, size=ASKED)
    return draw(y), y, draw(y_test), y_test


class Sordino:
    def __init__(self, protocol):
        self.protocol = protocol

    def fit(self, x, y):
        from sordino import EncryptedClassifier

        flat, self.probes = self.protocol == "flat", 1 if self.protocol == "decided" else 2
        self.model = EncryptedClassifier(protocol=self.protocol, stages=() if flat else (0,), spill=1 if flat else 2,
                                         probes=self.probes)
        self.model.fit(x, y)

    def prepare(self, x):
        from sordino import EvaluationKey, SecretKey

        now = time.perf_counter()
        key = SecretKey()
        evaluation = EvaluationKey(key) if self.protocol == "decided" else None
        self.keygen = time.perf_counter() - now
        self.server = self.model.server()
        name = self.server.register(evaluation) if evaluation else None
        self.client = self.model.client(key, self.server.hello, name)
        self.client.accept(1.0)
        return {"evaluation_key_bytes": len(evaluation.to_bytes()) if evaluation else 0, "keygen_seconds": self.keygen}

    def predict(self, x):
        return self.model.predict(x)

    def ask(self, row):
        up = down = 0
        step = self.client.start(row.tolist())
        while isinstance(step, bytes):
            reply = self.server.answer(step)
            up, down = up + len(step), down + len(reply)
            step = self.client.receive(reply)
        return self.model.classes_[step.labels[0]], up, down


class ConcreteML:
    def __init__(self, _):
        pass

    def fit(self, x, y):
        from concrete.ml.sklearn import LogisticRegression

        self.mean, self.deviation = x.mean(axis=0), x.std(axis=0) + 1e-9
        self.model = LogisticRegression(n_bits=8, max_iter=100)
        self.model.fit(self.standard(x), y)

    def standard(self, x):
        return ((x - self.mean) / self.deviation).astype(np.float32)

    def prepare(self, x):
        now = time.perf_counter()
        self.circuit = self.model.compile(self.standard(x[:: max(1, len(x) // 2000)]))
        compiled = time.perf_counter() - now
        now = time.perf_counter()
        self.circuit.keygen(force=True)
        keys = self.circuit.size_of_bootstrap_keys + self.circuit.size_of_keyswitch_keys
        return {"compile_seconds": compiled, "keygen_seconds": time.perf_counter() - now, "evaluation_key_bytes": keys}

    def predict(self, x):
        return self.model.predict(self.standard(x))

    def ask(self, row):
        found = self.model.predict(self.standard(row[None, :]), fhe="execute")[0]
        return found, self.circuit.size_of_inputs, self.circuit.size_of_outputs


def main():
    name, protocol, dataset, classes = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    x, y, x_test, y_test = digits() if dataset == "digits" else planted(classes)
    system = {"sordino": Sordino, "concrete-ml": ConcreteML}[name](protocol)
    row = {"system": name, "protocol": protocol, "dataset": dataset, "classes": classes, "width": x.shape[1]}
    now = time.perf_counter()
    system.fit(x, y)
    row["fit_seconds"] = time.perf_counter() - now
    clear = system.predict(x_test)
    row["queries"], row["top_1"] = len(y_test), 100 * float((clear == y_test).mean())
    row.update({"compile_seconds": 0.0, **system.prepare(x)})
    times, equal = [], 0
    # The first warms up, and is not counted.
    for i in range(11):
        now = time.perf_counter()
        found, up, down = system.ask(x_test[i])
        times.append(time.perf_counter() - now)
        equal += int(found == clear[i])
    row.update(encrypted=len(times), equal=equal, seconds=float(np.median(times[1:])), least_seconds=min(times[1:]),
               bytes_up=up, bytes_down=down)
    row["gigabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps(row))


if __name__ == "__main__":
    main()
