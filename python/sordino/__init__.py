"""Naming under fully homomorphic encryption: of music, and of anything that has a vector of features.

``EncryptedClassifier`` is a scikit-learn classifier. ``Client`` and ``Server`` are its halves, which speak bytes; ``Model`` holds both.
``RemoteClient`` asks a server over HTTP. ``sordino.network`` takes an embedding network of one's own.
"""

from sordino._sordino import (
    Answer,
    Client,
    EvaluationKey,
    Model,
    Network,
    RemoteClient,
    SecretKey,
    Server,
    SordinoError,
    Worker,
    __version__,
    decode,
    default_settings,
    log_mel,
    train,
)

__all__ = [
    "Answer",
    "Client",
    "EncryptedClassifier",
    "EvaluationKey",
    "Model",
    "Network",
    "RemoteClient",
    "SecretKey",
    "Server",
    "SordinoError",
    "Worker",
    "decode",
    "default_settings",
    "log_mel",
    "train",
]


def __dir__() -> list[str]:
    return [*globals(), "EncryptedClassifier"]


def __getattr__(name: str) -> object:
    # Whoever needs no estimator needs no scikit-learn.
    if name == "EncryptedClassifier":
        from sordino._estimator import EncryptedClassifier

        return EncryptedClassifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
