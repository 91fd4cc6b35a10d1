"""Held-out rows: no training step sees them, and the weights that are best on them are kept."""

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, Checkpoint, EarlyStopping

from skda.adaptation import ADDAClassifier, CoGANClassifier, DANNClassifier, MCDClassifier
from skda.base import DeepAdaptationClassifier
from skda.estimators import ClassificationTask
from skda.estimators._holdout import Holdout
from skda.fine_tuning import FineTuneClassifier
from skda.training import DomainDataset

N = 60


def _rows(start=1):
    """Rows that tell their number in the first column, none of which is 0."""
    rows = np.random.default_rng(start).standard_normal((N, 5)).astype(np.float32)
    rows[:, 0] = np.arange(start, start + N)
    return rows


X, X_TARGET = _rows(), _rows(1001)
Y = np.arange(N) % 3


def _fit(cls, X=X, y=Y, X_target=X_TARGET, **params):
    target = {} if cls is FineTuneClassifier else {"X_target": X_target}
    clf = cls(**{"max_epochs": 2, "batch_size": 16, "random_state": 0, **params})
    return clf.fit(X, y, **target)


# -- the split --------------------------------------------------------------------------------


def _split(X=X, random_state=0, **labels):
    task = ClassificationTask("Any")
    codes = task.encode(Y, X)
    return Holdout(task, 0.25, random_state)(DomainDataset(X, codes, (X_TARGET,), **labels))


def _numbers(rows):
    return np.asarray(rows[:])[:, 0].astype(int).tolist()


def _map(rows, folder):
    np.save(folder / "rows.npy", rows)
    return np.load(folder / "rows.npy", mmap_mode="r")


@pytest.mark.parametrize("in_memory", [True, False])
def test_every_source_row_trains_or_is_held_out(in_memory, tmp_path):
    train, valid = _split(X if in_memory else _map(X, tmp_path))
    trained, held = _numbers(train.X), _numbers(valid.X)
    assert len(held) == len(valid) == 15 and len(trained) == len(train) == 45
    assert sorted(trained + held) == list(range(1, N + 1))


def test_labels_go_with_their_rows():
    for part in _split():
        assert part.y.tolist() == Y[np.array(_numbers(part.X)) - 1].tolist()


def test_training_has_the_labels_of_its_rows_and_of_the_target():
    of_target = np.where(np.arange(N) < 9, Y, -100)
    train, _ = _split(target_labels=(of_target,))
    assert train.labels.tolist() == [*train.y, *of_target]
    assert np.array_equal(train.targets[0], X_TARGET)


def test_held_out_rows_are_of_all_classes():
    assert np.bincount(_split()[1].y).tolist() == [5, 5, 5]


def test_which_rows_are_held_out_comes_from_the_random_state():
    first, again, other = (set(_numbers(_split(random_state=s)[1].X)) for s in (0, 0, 1))
    assert first == again != other


# -- training ---------------------------------------------------------------------------------


class SourceRows(Callback):
    """Notes the numbers of the source rows that are trained on, and of those that are judged."""

    def on_train_begin(self, net, **kwargs):
        self.seen = {True: set(), False: set()}

    def on_batch_begin(self, net, batch, training, **kwargs):
        numbers = batch[0][:, 0].int().tolist()
        # Without a number are the source rows of which ADDA has the features.
        self.seen[training].update(n for n in numbers if 0 < n <= N)


def _seen(clf):
    seen = dict(clf.net_.callbacks_)["rows"].seen
    return seen[True], seen[False]


ASKED = [{"early_stopping": True}, {"validation_fraction": 0.25}]
CLASSIFIERS = [DeepAdaptationClassifier, DANNClassifier, MCDClassifier, CoGANClassifier]


@pytest.mark.parametrize("params", ASKED, ids=lambda params: next(iter(params)))
@pytest.mark.parametrize("cls", [*CLASSIFIERS, FineTuneClassifier])
def test_no_step_of_training_sees_a_row_that_is_held_out(cls, params):
    trained, held = _seen(_fit(cls, callbacks=[("rows", SourceRows())], **params))
    assert trained.isdisjoint(held)
    assert trained | held == set(range(1, N + 1))
    assert len(held) == (6 if "early_stopping" in params else 15)


@pytest.mark.parametrize("trade_off", [0, 1.0])
def test_nor_does_one_without_a_trade_off(trade_off):
    callbacks = [("rows", SourceRows())]
    trained, held = _seen(
        _fit(DANNClassifier, validation_fraction=0.25, trade_off=trade_off, callbacks=callbacks)
    )
    assert trained.isdisjoint(held) and len(held) == 15


def test_no_step_of_the_first_stage_of_adda_sees_a_row_that_is_held_out():
    noted = []

    class Shared(SourceRows):
        def __deepcopy__(self, memo):
            noted.append(Shared())
            return noted[-1]

    _fit(ADDAClassifier, validation_fraction=0.25, callbacks=[Shared()])
    first, second = (callback.seen for callback in noted)
    assert first[True].isdisjoint(first[False])
    assert first[True] | first[False] == set(range(1, N + 1)) and len(first[False]) == 15
    assert second == {True: set(), False: set()}


def test_without_a_fraction_no_row_is_held_out():
    trained, held = _seen(_fit(DANNClassifier, callbacks=[("rows", SourceRows())]))
    assert trained == set(range(1, N + 1)) and not held


def test_random_state_of_an_estimator_decides_which_rows_are_held_out():
    callbacks = [("rows", SourceRows())]
    first, again, other = (
        _seen(_fit(DANNClassifier, early_stopping=True, random_state=s, callbacks=callbacks))[1]
        for s in (0, 0, 1)
    )
    assert first == again != other


# -- the best weights -------------------------------------------------------------------------

NOISE = np.random.default_rng(1).integers(0, 2, N)  # labels of which nothing can be learned


class States(Callback):
    """Keeps the network as it is after every epoch, statistics included."""

    def on_train_begin(self, net, **kwargs):
        self.states = []

    def on_epoch_end(self, net, **kwargs):
        self.states.append({k: v.clone() for k, v in net.module_.state_dict().items()})


def _equal(first, second):
    return all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize("n_iter_no_change", [3, 100])
@pytest.mark.parametrize(
    "cls", [DeepAdaptationClassifier, DANNClassifier, CoGANClassifier, FineTuneClassifier]
)
def test_early_stopping_keeps_the_weights_of_the_best_epoch(cls, n_iter_no_change):
    clf = _fit(
        cls,
        X[:, 1:],
        NOISE,
        X_target=X_TARGET[:, 1:],
        max_epochs=15,
        lr=0.03,
        lr_schedule="constant",
        random_state=1,
        early_stopping=True,
        validation_fraction=0.3,
        n_iter_no_change=n_iter_no_change,
        callbacks=[("states", States())],
    )
    states = dict(clf.net_.callbacks_)["states"].states
    losses = clf.history_[:, "valid_loss"]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1
    assert (len(losses) < 15) == (n_iter_no_change == 3)
    final = clf.net_.module_.state_dict()
    assert [_equal(final, state) for state in states] == [n == best for n in range(len(states))]


def test_the_first_stage_of_adda_hands_its_best_weights_on():
    noted = []

    class Shared(States):
        def __deepcopy__(self, memo):
            noted.append(Shared())
            return noted[-1]

    clf = _fit(
        ADDAClassifier,
        X[:, 1:],
        NOISE,
        X_target=X_TARGET[:, 1:],
        max_epochs=12,
        lr=0.03,
        lr_schedule="constant",
        random_state=1,
        early_stopping=True,
        validation_fraction=0.3,
        n_iter_no_change=3,
        callbacks=[Shared()],
    )
    losses = clf.source_history_[:, "valid_loss"]
    best = int(np.argmin(losses))
    assert best < len(losses) - 1
    heads = [state["head.weight"] for state in noted[0].states]
    assert torch.equal(clf.net_.module_.head.weight, heads[best])
    assert not torch.equal(heads[best], heads[-1])


def test_without_early_stopping_the_last_weights_are_kept():
    clf = _fit(
        DANNClassifier,
        X[:, 1:],
        NOISE,
        X_target=X_TARGET[:, 1:],
        max_epochs=6,
        validation_fraction=0.3,
        callbacks=[("states", States())],
    )
    assert _equal(clf.net_.module_.state_dict(), dict(clf.net_.callbacks_)["states"].states[-1])


# -- what cannot be held out --------------------------------------------------------------------


def test_more_classes_than_rows_that_are_held_out():
    with pytest.raises(ValueError, match=r"validation_fraction=0\.1 holds 6 of 60 rows of y out"):
        _fit(FineTuneClassifier, y=np.arange(N) % 20, early_stopping=True)


def test_a_class_of_one_row():
    with pytest.raises(ValueError, match="two rows of every class, but y has one of 7"):
        _fit(FineTuneClassifier, y=[7, *Y[1:]], validation_fraction=0.2)


@pytest.mark.parametrize("callback", [EarlyStopping(), Checkpoint()])
def test_callbacks_that_look_at_held_out_rows_say_what_holds_them_out(callback):
    with pytest.raises(ValueError, match=r"callbacks: .* monitors .* set validation_fraction"):
        _fit(DANNClassifier, callbacks=[callback])
