"""What pickles and copies of fitted estimators hold."""

import copy
import io
import pickle

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from skorch.callbacks import LRScheduler
from torch import nn

from skda.adaptation import (
    ADDAClassifier,
    CoGANClassifier,
    DANNClassifier,
    DSNClassifier,
    ShallowDANNClassifier,
)
from skda.fine_tuning import FineTuneClassifier
from skda.training import AdaptationNet

SHORT = {"max_epochs": 1, "random_state": 0}


def pickled(estimator):
    return pickle.loads(pickle.dumps(estimator))


def joblib_stored(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    return joblib.load(file)


def fit(cls, few, **params):
    target = {} if cls is FineTuneClassifier else {"X_target": few["X_target"]}
    return cls(**SHORT, **params).fit(few["X"], few["y"], **target)


@pytest.fixture(scope="module")
def dann(digits):
    return DANNClassifier(**SHORT).fit(
        digits.X[:200], digits.y[:200], X_target=digits.X_target[:200]
    )


@pytest.mark.parametrize("stored", [pickled, joblib_stored])
@pytest.mark.parametrize(
    "cls", [DANNClassifier, ADDAClassifier, ShallowDANNClassifier, FineTuneClassifier]
)
def test_pickles_predict_the_same_without_what_training_needs(cls, stored, few):
    clf = fit(cls, few)
    before = set(vars(clf.net_))
    loaded = stored(clf)
    X = few["X_target"]
    np.testing.assert_array_equal(loaded.predict_proba(X), clf.predict_proba(X))
    np.testing.assert_array_equal(loaded.transform(X), clf.transform(X))
    assert loaded.score(X, few["y_target"]) == clf.score(X, few["y_target"])
    assert not [name for name in vars(loaded.net_) if name.endswith("optimizer_")]
    assert loaded.net_.alignment is None and not list(loaded.net_.alignment_.parameters())
    assert set(vars(clf.net_)) == before  # the estimator in memory keeps all
    assert loaded.history_ is loaded.net_.history


def test_a_pickle_takes_the_memory_of_the_weights(few):
    wide = {"module__hidden_layer_sizes": (256, 256), "discriminator__hidden_layer_sizes": (512,)}
    clf = fit(DANNClassifier, few, **wide)
    n_bytes = sum(p.numel() * 4 for p in clf.net_.module_.parameters())
    assert len(pickle.dumps(clf)) < 1.3 * n_bytes
    clf.set_params(keep_training_state=True)
    assert len(pickle.dumps(clf)) > 5 * n_bytes


def test_keep_training_state_keeps_all(few):
    clf = fit(DANNClassifier, few, keep_training_state=True)
    loaded = pickled(clf)
    moments = [s["exp_avg"] for s in clf.net_.optimizer_.state.values()]
    kept = [s["exp_avg"] for s in loaded.net_.optimizer_.state.values()]
    assert all(map(torch.equal, moments, kept))
    assert loaded.net_.alignment is loaded.net_.alignment_
    assert len(list(loaded.net_.alignment_.parameters())) > 0


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_within_a_process_hold_all(copied, few):
    clf = fit(FineTuneClassifier, few)
    other = copied(clf)
    assert other.net_.optimizer_.state
    for estimator in (clf, other) if copied is copy.deepcopy else (other,):
        estimator.partial_fit(few["X"], few["y"])
    np.testing.assert_array_equal(
        other.predict_proba(few["X_target"]), clf.predict_proba(few["X_target"])
    )


def test_a_deep_copy_shares_no_weights(dann, few):
    other = copy.deepcopy(dann)
    expected = dann.predict_proba(few["X_target"])
    with torch.no_grad():
        for parameter in other.net_.module_.parameters():
            parameter.zero_()
    np.testing.assert_array_equal(dann.predict_proba(few["X_target"]), expected)


def test_partial_fit_after_a_pickle_begins_with_new_optimisers(few):
    clf = fit(FineTuneClassifier, few)
    loaded, fresh = pickled(clf), copy.deepcopy(clf)
    with_new = fresh.net_
    with_new._initialize_optimizer()
    for estimator in (loaded, fresh):
        estimator.partial_fit(few["X"], few["y"])
    np.testing.assert_array_equal(
        loaded.predict_proba(few["X_target"]), fresh.predict_proba(few["X_target"])
    )
    assert loaded.n_iter_ == 2


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_net_without_its_alignment_does_not_train_without_it(method, dann):
    net = pickled(dann).net_
    with pytest.raises(ValueError, match=r"without its alignment: .* keep_training_state=True"):
        getattr(net, method)(None, None)


def test_what_was_left_out_is_told(dann):
    net = pickled(dann).net_
    with pytest.raises(AttributeError, match=r"no attribute 'optimizer_': it was left out when"):
        net.optimizer_  # noqa: B018
    with pytest.raises(AttributeError, match=r"no attribute 'nonsense'$"):
        net.nonsense  # noqa: B018


def test_a_loaded_estimator_fits_anew_and_clones(dann, few):
    loaded = pickled(dann)
    again = clone(loaded).fit(few["X"], few["y"], X_target=few["X_target"])
    np.testing.assert_array_equal(
        loaded.fit(few["X"], few["y"], X_target=few["X_target"]).predict_proba(few["X_target"]),
        again.predict_proba(few["X_target"]),
    )


def test_a_net_pickled_by_itself_keeps_all(dann):
    net = pickled(dann.net_)
    assert isinstance(net, AdaptationNet) and net.optimizer_.state
    assert list(net.alignment_.parameters())


def test_generators_and_decoders_stay(few):
    cogan, dsn = fit(CoGANClassifier, few), fit(DSNClassifier, few)
    np.testing.assert_array_equal(
        pickled(cogan).sample(3, random_state=0)[1], cogan.sample(3, random_state=0)[1]
    )
    X = few["X_target"]
    np.testing.assert_array_equal(pickled(dsn).reconstruct(X), dsn.reconstruct(X))


def test_the_best_weights_go_with_the_training_state(few):
    clf = fit(FineTuneClassifier, few, early_stopping=True)
    held = [getattr(part, "best_model_weights_", None) for _, part in clf.net_.callbacks_]
    assert any(held)
    for _, part in pickled(clf).net_.callbacks_:
        assert getattr(part, "best_model_weights_", None) is None


def test_schedulers_go_with_their_optimiser_and_begin_anew(few):
    callbacks = [("schedule", LRScheduler("StepLR", step_size=1))]
    clf = fit(FineTuneClassifier, few, callbacks=callbacks)
    loaded = pickled(clf)
    assert not hasattr(dict(loaded.net_.callbacks_)["schedule"], "lr_scheduler_")
    assert hasattr(dict(clf.net_.callbacks_)["schedule"], "lr_scheduler_")
    loaded.partial_fit(few["X"], few["y"])
    assert loaded.n_iter_ == 2


def test_there_is_no_row_in_a_pickle(few):
    clf = fit(DANNClassifier, few, keep_training_state=True, module=nn.Linear(64, 8))
    content = pickle.dumps(clf)
    for X in (few["X"], few["X_target"]):
        row = np.asarray(X, dtype=np.float32)[3]
        assert row.tobytes() not in content and row[:16].tobytes() not in content
