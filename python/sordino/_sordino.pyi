"""The Rust core. Arrays and bytes in, arrays and bytes out; what takes long runs without the interpreter's lock."""

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from typing import Literal, final

import numpy as np
import numpy.typing as npt

_Protocol = Literal["flat", "routed", "decided", "picked", "picked-decided", "raw"]
_Resolution = Literal["standard", "fine", "finest"]
_Effort = Literal["quick", "standard", "thorough"]

class SordinoError(Exception):
    """What was expected, what was found, and what to do."""

__version__: str

@final
class SecretKey:
    """A client's secret key, of 128 bits of security. Whoever has it reads the client's queries and answers."""

    def __new__(cls) -> SecretKey: ...
    @staticmethod
    def from_bytes(data: bytes) -> SecretKey: ...
    def to_bytes(self) -> bytes: ...

@final
class EvaluationKey:
    """What a server needs to decide under encryption, made in a second or two and sent once. It is public."""

    def __new__(cls, secret: SecretKey, *, samples: bool = False) -> EvaluationKey:
        """With ``samples`` it is one for ``raw`` as well, and twice as large."""
    @staticmethod
    def from_bytes(data: bytes) -> EvaluationKey: ...
    def to_bytes(self) -> bytes: ...
    @property
    def id(self) -> str:
        """Its name, the SHA-256 of the key, in hexadecimal digits."""

@final
class Answer:
    """What a query gave."""

    @property
    def known(self) -> bool:
        """Whether what was asked about is like anything that was learned."""
    @property
    def labels(self) -> list[int]:
        """Labels, counted from 0, the best first. Where the server decides, only what it returned."""
    @property
    def scores(self) -> list[int]:
        """Their scores in integer units; empty where the server decides."""

@final
class Client:
    """The half that holds a secret key: features go in, messages come out, and an answer from the server's replies."""

    def __new__(cls, model: bytes, key: SecretKey, hello: bytes, evaluation_key: str | None = None) -> Client: ...
    def start(self, features: npt.ArrayLike) -> bytes:
        """The first message of a query about one vector."""
    def receive(self, reply: bytes) -> bytes | Answer:
        """The next message, or the answer. It must not travel back to the server, nor anything that follows from it."""
    def accept(self, share: float) -> None:
        """From the next query on, lets such a share of strangers pass for known, from 0.001 to 0.5, or 1 for all."""

@final
class Server:
    """The half that holds the weights: it answers encrypted messages, of any number of clients at once."""

    def __new__(
        cls,
        model: bytes,
        protocol: _Protocol = "routed",
        *,
        probes: int = 2,
        answers: int = 1,
        resolution: _Resolution = "standard",
    ) -> Server: ...
    @property
    def hello(self) -> bytes:
        """What it says first: protocol, model and plan, for ``Client``."""
    def register(self, key: EvaluationKey) -> str:
        """Keeps a client's evaluation key; returns its name."""
    def answer(self, message: bytes) -> bytes:
        """The reply to one message."""
    @property
    def weight_bytes(self) -> int:
        """Bytes of the prepared weights in memory."""

@final
class RemoteClient:
    """A client of a server over HTTP, such as ``sordino serve``. What it sends are ciphertexts."""

    def __new__(
        cls,
        server: str,
        key: SecretKey,
        *,
        protocol: _Protocol = "routed",
        model: str | None = None,
        evaluation_key: EvaluationKey | None = None,
        token: str | None = None,
        certificates: str | PathLike[str] | None = None,
        plain_http: bool = False,
    ) -> RemoteClient:
        """A client of the model of the name ``model``, or the only one, at ``http://127.0.0.1:7664`` or ``https://music.example.org``.

        ``decided``, ``picked-decided`` and ``raw`` need ``evaluation_key``, one of ``key`` (for ``raw`` with ``samples``), and a ``token`` of 16 characters or more under which the server keeps it.
        ``certificates`` is a PEM file to trust instead of the usual ones; ``plain_http`` allows ``http`` to another machine.
        """
    @staticmethod
    def models(
        server: str, *, certificates: str | PathLike[str] | None = None, plain_http: bool = False
    ) -> list[str]:
        """Names of the models that a server answers for."""
    def ask(self, features: npt.ArrayLike) -> Answer:
        """Asks about one vector of features, and waits for the answer."""
    def accept(self, share: float) -> None:
        """From the next query on, lets such a share of strangers pass for known, from 0.001 to 0.5, or 1 for all."""
    @property
    def labels(self) -> list[tuple[str, str, str, str]]:
        """Artist, title, album and licence of every label, by their numbers."""
    @property
    def sample_rate(self) -> int:
        """Samples a second of the sound that it takes; an error for a model of vectors."""
    @property
    def query_seconds(self) -> float:
        """Seconds of sound that a query has."""
    def features(self, samples: npt.ArrayLike, *, start: float | None = None) -> npt.NDArray[np.float32]:
        """The features of mono samples at ``sample_rate``, shape (width,), from ``start`` seconds on, or from the middle."""

@final
class Model:
    """Both halves of a trained model."""

    @staticmethod
    def load(folder: str | PathLike[str]) -> Model:
        """Opens the model in a folder."""
    @staticmethod
    def from_bytes(client: bytes, server: bytes) -> Model:
        """Puts two halves together."""
    def save(self, folder: str | PathLike[str]) -> None:
        """Saves the model as a folder, in place of a model that is there."""
    def client_bytes(self) -> bytes:
        """The client's half. It is public."""
    def server_bytes(self) -> bytes:
        """The server's half: the weights."""
    @property
    def titles(self) -> list[str]:
        """Names of the labels, by their numbers."""
    @property
    def labels(self) -> list[tuple[str, str, str, str]]:
        """Artist, title, album and licence of every label, by their numbers."""
    @property
    def sample_rate(self) -> int:
        """Samples a second of the sound that it takes; an error for a model of vectors."""
    @property
    def query_seconds(self) -> float:
        """Seconds of sound that a query has."""
    def features(
        self, samples: npt.ArrayLike, *, start: float | None = None, protocol: _Protocol = "flat"
    ) -> npt.NDArray[np.float32]:
        """The features of mono samples at ``sample_rate``, shape (width,), from ``start`` seconds on, or from the middle; for ``raw`` the sound that is sent."""
    @property
    def clusters(self) -> int:
        """Choices of the first stage; 1 in a flat model."""
    @property
    def width(self) -> int:
        """Width of a vector of features."""
    def predict(
        self,
        x: npt.ArrayLike,
        protocol: _Protocol = "routed",
        *,
        probes: int = 2,
        answers: int = 1,
        resolution: _Resolution = "standard",
        closed: bool = False,
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
        """Names every row of ``x``, shape (n, width), in the clear: the best label, -1 where there is none, and whether it is known.

        Where the server decides, it names none below the threshold; ``closed`` takes every row for known.
        """
    def scores(self, x: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Scores of every label, shape (n, labels), in integer units above the unknown threshold."""
    def cost(
        self,
        protocol: _Protocol = "routed",
        *,
        probes: int = 2,
        answers: int = 1,
        resolution: _Resolution = "standard",
    ) -> str:
        """What a query costs and how surely it is answered, as JSON."""
    def range(self) -> str:
        """What every stage holds, and the largest score that any query can reach there, as JSON."""

@final
class Worker:
    """A share of the last stage of a model in which the server decides: it answers the requests of a coordinator, which
    ``sordino serve --worker`` is, and holds no key of any client."""

    def __new__(
        cls,
        model: bytes,
        share: str,
        protocol: str = "decided",
        *,
        probes: int = 1,
        answers: int = 1,
        resolution: str = "standard",
        compact: bool = False,
    ) -> Worker:
        """Prepares share ``share``, such as ``"2/4"``, of a model's other half (:meth:`Model.server_bytes`) for one protocol. ``compact`` holds
        weights as bytes, in an eighth of the memory."""

    @property
    def weight_bytes(self) -> int:
        """Bytes of the prepared weights."""

    def answer(self, request: bytes) -> bytes:
        """Answers one request with one reply."""

@final
class Network:
    """An embedding network that runs in the clear on every client; ``sordino.network`` builds one."""

    @staticmethod
    def assemble(description: str, arrays: Mapping[str, npt.NDArray[np.float32]]) -> Network:
        """Puts a network together from its description, which is JSON, and its arrays by their names. Raises ``SordinoError``."""
    @staticmethod
    def load(path: str | PathLike[str]) -> Network:
        """Opens the network in a file."""
    def save(self, path: str | PathLike[str]) -> None:
        """Saves the network as a file, which ``sordino train --network`` takes."""
    def embed(self, log_mel: npt.ArrayLike) -> npt.NDArray[np.float32]:
        """The embedding of one log-mel spectrogram, shape (frames, bands): shape (width,)."""
    @property
    def width(self) -> int:
        """Numbers in an embedding."""
    @property
    def bands(self) -> int:
        """Mel bands that go in."""
    @property
    def min_frames(self) -> int:
        """Fewest frames that leave something to pool."""

def run(arguments: Sequence[str]) -> int:
    """Runs the ``sordino`` program with these arguments, the first of which is its name; returns its exit code."""

def decode(path: str | PathLike[str], rate: int, *, seconds: float = 1.0) -> npt.NDArray[np.float32]:
    """Decodes a sound file to mono samples of ``rate`` Hz, shape (n,), between -1 and 1. ``seconds`` is the shortest that is taken."""

def log_mel(samples: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """The log-mel spectrogram of mono samples of 8,000 Hz, shape (frames, 64): 31.25 frames a second, of mean 0 over the clip.

    It is what a network of one's own takes. A model hears clips of its query's length: give as many samples.
    """

def default_settings(effort: _Effort) -> str:
    """The settings of an effort, as JSON."""

def train(
    x: npt.ArrayLike,
    y: Sequence[int] | npt.NDArray[np.integer],
    names: Sequence[str],
    *,
    effort: _Effort = "standard",
    settings: str = "{}",
    jitter: float = 0.0,
    held_out: float = 0.2,
    checkpoints: str | PathLike[str] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> Model:
    """Learns from vectors ``x``, shape (n, width), and labels ``y``, shape (n,), counted from 0 without a gap.

    ``names`` has a title for each label, ``settings`` are JSON over those of the effort, ``jitter`` is noise on every example in deviations of a
    feature within labels, ``held_out`` the share of every label's vectors by which the unknown threshold is chosen. ``progress`` is called
    with phase, step and steps; what it raises stops the training. Raises ``SordinoError``.
    """

def part_labels(part: str, labels: int) -> tuple[int, int]:
    """The labels of a part, written as in ``"2/8"``, of so many: the first, and the first behind it."""

def part_files(step: str, part: str, rows: bool) -> tuple[list[str], list[str], list[str]]:
    """The files of a step of a part in the folder of parts: those that it reads, those that it writes for merges, and those that it writes for
    its own next steps. ``rows`` says whether the last merge learns anything from all examples."""

def merged_file(step: str) -> str | None:
    """The file that a merge leaves behind a step; none behind the last."""

def descends(*, effort: _Effort = "quick", settings: str = "{}") -> bool:
    """Whether the last merge learns anything from all examples with these settings."""

def train_part(
    x: npt.ArrayLike,
    y: Sequence[int] | npt.NDArray[np.integer],
    *,
    part: str,
    labels: int,
    most: int,
    folder: str | PathLike[str],
    effort: _Effort = "quick",
    settings: str = "{}",
    held_out: float = 0.2,
    progress: Callable[[str, int, int], None] | None = None,
) -> str:
    """Takes the step that is due of a part: see ``sordino.ray`` for the order. ``x``, shape (n, width), and ``y``, shape (n,), are the part's
    vectors and their labels among ``labels`` labels, of which each has at most ``most`` vectors. Returns the step."""

def merge_parts(
    names: Sequence[str],
    *,
    width: int,
    most: int,
    folder: str | PathLike[str],
    effort: _Effort = "quick",
    settings: str = "{}",
    held_out: float = 0.2,
    checkpoints: str | PathLike[str] | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[str | None, Model | None]:
    """Merges what all parts have come to. ``names`` has a title for each label. Returns the model after the last step, and before that the
    name of the step that the parts go on with."""
