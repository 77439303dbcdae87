"""The estimator as scikit-learn uses it."""

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

from sordino import EncryptedClassifier, Server, SordinoError

FAST = {"least_clips": 0, "clips_per_track": 32, "router": {"hidden": [64]}}


@pytest.fixture(scope="module")
def digits():
    x, y = load_digits(return_X_y=True)
    return x[:1200], y[:1200], x[1200:], y[1200:]


@pytest.fixture(scope="module")
def fitted(digits):
    x, y, _, _ = digits
    return EncryptedClassifier(settings=FAST).fit(x, y)


def test_digits_are_named_encrypted_as_in_the_clear(digits, fitted):
    _, _, x, y = digits
    assert fitted.score(x, y) > 0.88
    for protocol in ["flat", "routed", "decided"]:
        fitted.set_params(protocol=protocol)
        assert (fitted.predict(x[:4], fhe="encrypted") == fitted.predict(x[:4])).all(), protocol
    fitted.set_params(protocol="routed")
    with pytest.raises(ValueError, match="encrypted"):
        fitted.predict(x[:4], fhe="simulate")


def test_clusters_are_picked_where_the_routing_layers_are_public(digits, fitted):
    x, y, test, _ = digits
    picked = EncryptedClassifier(settings=FAST, protocol="picked-decided").fit(x, y)
    assert (picked.predict(test[:3], fhe="encrypted") == picked.predict(test[:3])).all()
    assert picked.cost()["protocol"] == "picked-decided" and len(picked.cost()["trips"]) == 1
    picked.set_params(protocol="picked")
    assert (picked.predict(test[:3], fhe="encrypted") == picked.predict(test[:3])).all()
    # One that was fitted for other protocols keeps its layers to itself.
    fitted.set_params(protocol="picked")
    with pytest.raises(SordinoError, match="routing layers"):
        fitted.predict(test[:3])
    fitted.set_params(protocol="routed")


def test_it_says_what_it_costs(fitted):
    cost = fitted.cost()
    assert cost["protocol"] == "routed" and cost["failure_log2"] < -40 and len(cost["trips"]) == 2
    assert all(stage["largest_score"] <= stage["largest_score_allowed"] for stage in fitted.range())
    scores = fitted.decision_function(np.zeros((3, 64)))
    assert scores.shape == (3, 10)


def test_it_is_copied_saved_and_served(digits, fitted, tmp_path):
    _, _, x, _ = digits
    again = pickle.loads(pickle.dumps(fitted))
    assert (again.predict(x) == fitted.predict(x)).all()
    fitted.save(tmp_path / "digits")
    loaded = EncryptedClassifier.load(tmp_path / "digits", protocol="flat")
    assert loaded.classes_.dtype.kind == "i"
    assert (loaded.predict(x) == fitted.decision_function(x).argmax(axis=1)).all()
    assert isinstance(fitted.server(), Server)


def test_a_refit_that_fails_leaves_what_was_learned(digits):
    x, y, _, _ = digits
    classifier = EncryptedClassifier(settings=FAST, stages=()).fit(x[:300], y[:300])
    before = classifier.predict(x[:50])

    def stop(phase, step, steps):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classifier.set_params(progress=stop).fit(x[:100, :9], y[:100])
    with pytest.raises(ValueError, match="one class"):
        classifier.set_params(progress=None).fit(x[:3], [4, 4, 4])
    assert (classifier.predict(x[:50]) == before).all()
    with pytest.raises(ValueError, match="protocol"):
        classifier.set_params(protocol="magic").fit(x, y)
    with pytest.raises(ValueError, match="probes"):
        classifier.set_params(protocol="flat", probes=0).fit(x, y)


def test_labels_may_be_words():
    rng = np.random.default_rng(0)
    words = np.array(["ash", "birch", "cedar", "elm", "fir", "oak"])
    centres = 4 * rng.normal(size=(6, 8))
    y = np.repeat(words, 20)
    x = np.repeat(centres, 20, axis=0) + rng.normal(size=(120, 8))
    classifier = EncryptedClassifier(settings=FAST).fit(x, y)
    assert classifier.score(x, y) > 0.95 and classifier.predict(x[:1])[0] == "ash"
    # What is far from everything is not known.
    assert classifier.known(x).mean() > 0.9


def test_it_works_in_pipelines_and_searches(digits):
    x, y, _, _ = digits
    pipeline = make_pipeline(StandardScaler(), EncryptedClassifier(settings=FAST, stages=()))
    search = GridSearchCV(pipeline, {"encryptedclassifier__bits": [2, 6]}, cv=2).fit(x[:400], y[:400])
    assert search.best_score_ > 0.8


def test_scikit_learn_accepts_it():
    # Few examples of a few classes with nothing in common are no library; smaller settings let the checks take seconds.
    check_estimator(EncryptedClassifier(settings={"least_clips": 0, "clips_per_track": 8, "router": {"hidden": [16]}}, jitter=0.1))
