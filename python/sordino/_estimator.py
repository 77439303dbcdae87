"""A scikit-learn classifier that is asked under encryption."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from sordino._sordino import Answer, Client, EvaluationKey, Model, SecretKey, Server, train

Protocol = Literal["flat", "routed", "decided", "picked", "picked-decided"]
PROTOCOLS = ("flat", "routed", "decided", "picked", "picked-decided")


class EncryptedClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Names vectors of features without the server learning which, or what they are.

    Features are whitened, the classes clustered, and two stages of linear classifiers trained on integers: first the cluster,
    then the class in it. Encrypted predictions equal those in the clear, except where the server decides between near ties.

    Only the direction of a whitened vector counts, not its length. That loses little among dozens of features and much among a few:
    of iris flowers, with four, it names four in five.

    Parameters
    ----------
    stages : sequence of int, default (0,)
        Clusters of every routing stage; 0 balances the stages, and ``()`` makes a flat classifier.
    bits : int, default 6
        Bits of weights and inputs.
    probes : int, default 2
        Clusters that are followed, but in ``flat``.
    protocol : {"routed", "flat", "decided", "picked", "picked-decided"}, default "routed"
        Who decides. In ``flat`` one trip returns every score; in ``routed`` the client picks clusters in the first trip and asks for
        them by encrypted selectors in the second; in ``decided`` the server finds the class under encryption. In ``picked`` and
        ``picked-decided`` the routing layers are public: the client picks clusters in the clear, and one trip is left.
    spill : int, default 1
        Clusters that a class may live in.
    width : int, default 256
        Components of a vector that the last stage sees.
    effort : {"quick", "standard", "thorough"}, default "quick"
        Preset of everything else.
    jitter : float, default 0.0
        Normal noise on every training example, in deviations of a feature within classes. With one or two examples a class, give some.
    settings : dict, optional
        Further settings of training by name, such as ``{"router": {"hidden": [512]}}``; those of an effort are
        ``json.loads(sordino.default_settings("quick"))``.
    random_state : int or None, default 1
        Seed of everything random; None draws one.
    progress : callable, optional
        Called with phase, step and steps while fitting.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class labels.
    n_features_in_ : int
        Width of a vector.
    model_ : Model
        Both halves.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from sordino import EncryptedClassifier
    >>> X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
    >>> classifier = EncryptedClassifier().fit(X, y)
    >>> bool(classifier.score(X_test, y_test) > 0.9)
    True
    >>> bool((classifier.predict(X_test[:2], fhe="encrypted") == classifier.predict(X_test[:2])).all())
    True
    """

    def __init__(
        self,
        stages: Sequence[int] = (0,),
        bits: int = 6,
        probes: int = 2,
        protocol: Protocol = "routed",
        spill: int = 1,
        width: int = 256,
        effort: Literal["quick", "standard", "thorough"] = "quick",
        jitter: float = 0.0,
        settings: dict[str, Any] | None = None,
        random_state: int | None = 1,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> None:
        self.stages = stages
        self.bits = bits
        self.probes = probes
        self.protocol = protocol
        self.spill = spill
        self.width = width
        self.effort = effort
        self.jitter = jitter
        self.settings = settings
        self.random_state = random_state
        self.progress = progress

    def fit(self, X: npt.ArrayLike, y: npt.ArrayLike) -> EncryptedClassifier:
        """Learns from ``X``, shape (n, features), and the class of each row, ``y``.

        Raises ``ValueError`` for fewer than two classes and :class:`SordinoError` for settings that do not fit.
        """
        if self.protocol not in PROTOCOLS:
            raise ValueError(f"protocol is {self.protocol!r}, expected one of {', '.join(PROTOCOLS)}")
        if int(self.probes) < 1:
            raise ValueError(f"probes is {self.probes}, expected at least 1")
        settings = json.dumps(self._settings())
        # What was learned before stays whole until something else is.
        learned = clone(self)
        X, y = validate_data(learned, X, y, dtype=np.float32)
        check_classification_targets(y)
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y has one class, {classes[0]}; expected at least two")
        if np.abs(X).max() > 1e18:
            raise ValueError("X has values beyond 1e18, whose squares are no numbers of single precision; scale it")
        self.model_ = train(
            np.ascontiguousarray(X),
            labels,
            [str(name) for name in classes],
            effort=self.effort,
            settings=settings,
            jitter=float(self.jitter),
            progress=self.progress,
        )
        self.classes_, self.n_features_in_ = classes, learned.n_features_in_
        if hasattr(learned, "feature_names_in_"):
            self.feature_names_in_ = learned.feature_names_in_
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        return self

    def predict(self, X: npt.ArrayLike, fhe: Literal["clear", "encrypted"] = "clear") -> npt.NDArray[Any]:
        """The class of every row of ``X``, shape (n,).

        With ``fhe="encrypted"`` every row is encrypted, answered by a server in this process that sees ciphertexts alone, and decrypted:
        under a second a row, and the same answers as ``"clear"``, which computes in the same integers.
        """
        rows = self._rows(X)
        if fhe == "encrypted":
            answers = self._ask(rows)
            labels = np.array([answer.labels[0] for answer in answers], dtype=np.int64)
        elif fhe == "clear":
            labels, _ = self.model_.predict(rows, self.protocol, probes=self._probes(), closed=True)
        else:
            raise ValueError(f'fhe is {fhe!r}, expected "clear" or "encrypted"')
        return np.asarray(self.classes_[labels])

    def known(self, X: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        """Whether each row of ``X`` is close enough to what was learned, shape (n,).

        The threshold is the model's own: a share of real rows is refused, too (``settings={"unknown": {"lost": 0.05, "accepted": 0.01}}``).
        A row's direction counts and not its length, so that a very distant row may pass.
        """
        rows = self._rows(X)
        _, known = self.model_.predict(rows, self.protocol, probes=self._probes())
        return known

    def decision_function(self, X: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Scores of every class, shape (n, classes), or (n,) of the second of two: what a client of ``flat`` decrypts, in integer units."""
        rows = self._rows(X)
        scores = self.model_.scores(rows).astype(np.float64)
        return scores if scores.shape[1] > 2 else scores[:, 1] - scores[:, 0]

    def cost(self) -> dict[str, Any]:
        """What a query costs, before anyone pays.

        ``bytes_up``, ``bytes_down``, ``evaluation_key_bytes`` (None where none is needed), ``failure_log2`` (base-2 logarithm of a bound on the
        probability of a wrong answer) and ``trips``, with every operation counted.
        """
        check_is_fitted(self)
        return dict(json.loads(self.model_.cost(self.protocol, probes=self._probes())))

    def range(self) -> list[dict[str, Any]]:
        """For every stage ``groups``, ``slots``, ``width``, and the ``largest_score`` that any query can reach: proven, not sampled."""
        check_is_fitted(self)
        return list(json.loads(self.model_.range()))

    def server(self) -> Server:
        """The half that holds the weights, ready to answer: bytes in, bytes out."""
        check_is_fitted(self)
        return Server(self.model_.server_bytes(), self.protocol, probes=self._probes())

    def client(self, key: SecretKey, hello: bytes, evaluation_key: str | None = None) -> Client:
        """The half that encrypts and decrypts, under a key of the client's own."""
        check_is_fitted(self)
        return Client(self.model_.client_bytes(), key, hello, evaluation_key)

    def save(self, folder: str | Path) -> None:
        """Writes the model as a folder, which ``sordino inspect`` takes too. Its titles are the classes."""
        check_is_fitted(self)
        self.model_.save(folder)

    @classmethod
    def load(cls, folder: str | Path, **parameters: Any) -> EncryptedClassifier:
        """A fitted classifier of what :meth:`save` wrote, with these parameters. Classes are words, or whole numbers if all of them are."""
        model = Model.load(folder)
        classifier = cls(**parameters)
        titles = model.titles
        numbers = all(title.lstrip("-").isdecimal() and str(int(title)) == title for title in titles)
        classifier.model_, classifier.n_features_in_ = model, model.width
        classifier.classes_ = np.array([int(title) for title in titles] if numbers else titles)
        return classifier

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        model = state.pop("model_", None)
        if model is not None:
            state["_halves"] = (model.client_bytes(), model.server_bytes())
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        halves = state.pop("_halves", None)
        super().__setstate__(state)
        if halves is not None:
            self.model_ = Model.from_bytes(*halves)

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {
            "seed": int(np.random.default_rng().integers(2**31) if self.random_state is None else self.random_state),
            "stages": [int(slots) for slots in self.stages],
            "spill": int(self.spill),
            "width": int(self.width),
            "public_routing": self.protocol.startswith("picked"),
            "router": {"input_bits": int(self.bits), "weight_bits": int(self.bits)},
            # Hubness matters where classes are thousands of songs, and costs where they are few and large.
            "tracks": {"input_bits": int(self.bits), "weight_bits": int(self.bits), "hubness": 0.0},
        }
        for name, value in (self.settings or {}).items():
            known = settings.get(name)
            settings[name] = {**known, **value} if isinstance(known, dict) and isinstance(value, dict) else value
        return settings

    def _probes(self) -> int:
        return max(1, min(int(self.probes), self.model_.clusters))

    def _rows(self, X: npt.ArrayLike) -> npt.NDArray[np.float32]:
        check_is_fitted(self)
        return np.ascontiguousarray(validate_data(self, X, dtype=np.float32, reset=False))

    def _ask(self, rows: npt.NDArray[np.float32]) -> list[Answer]:
        key, server = SecretKey(), self.server()
        name = server.register(EvaluationKey(key)) if self.protocol.endswith("decided") else None
        client = self.client(key, server.hello, name)
        # Every row is of one of the classes. What is far from all of them is told by `known`.
        client.accept(1.0)

        def ask(row: npt.NDArray[np.float32]) -> Answer:
            step: bytes | Answer = client.start(row)
            while isinstance(step, bytes):
                step = client.receive(server.answer(step))
            return step

        return [ask(row) for row in rows]
