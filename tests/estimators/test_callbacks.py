"""Callbacks of skorch that score, keep and log, in estimators."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, make_scorer, roc_auc_score
from skorch.callbacks import (
    BatchScoring,
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    LRScheduler,
    MlflowLogger,
    PassthroughScoring,
    WandbLogger,
)

from skda.adaptation import DeepCORALClassifier
from skda.fine_tuning import FineTuneClassifier
from skda.model_selection import TargetEntropyScorer


@pytest.fixture
def binary(few):
    """Whether a digit is large, in words."""
    return np.array(["large", "small"])[(few["y"] < 5).astype(int)]


def fit(few, *callbacks, y=None, **params):
    params = {"max_epochs": 3, "random_state": 0, "validation_fraction": 0.3, **params}
    clf = DeepCORALClassifier(callbacks=list(callbacks), **params)
    return clf.fit(few["X"], few["y"] if y is None else y, X_target=few["X_target"])


class Outputs(EpochScoring):
    """Keeps what the net gives of held-out rows."""

    seen: list = []

    def __init__(self):
        super().__init__(self.look, name="look", lower_is_better=None)

    @staticmethod
    def look(net, X, y):
        Outputs.seen.append((net.predict_proba(X), np.asarray(y)))
        return 0.0


# -- scorers of scikit-learn ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scoring", "expected"),
    [
        ("accuracy", lambda p, y: accuracy_score(y, p.argmax(axis=1))),
        ("roc_auc_ovr", lambda p, y: roc_auc_score(y, p, multi_class="ovr")),
        ("roc_auc_ovo", lambda p, y: roc_auc_score(y, p, multi_class="ovo")),
        (None, lambda p, y: accuracy_score(y, p.argmax(axis=1))),
    ],
)
def test_score_of_several_classes_is_that_of_the_outputs(scoring, expected, few):
    Outputs.seen = []
    callback = EpochScoring(scoring, lower_is_better=False, name="scored")
    clf = fit(few, Outputs(), callback)
    scores = [expected(*outputs) for outputs in Outputs.seen]
    assert clf.history_[:, "scored"] == pytest.approx(scores)


@pytest.mark.parametrize("scoring", ["roc_auc", "average_precision", "f1", "neg_log_loss"])
def test_score_of_two_classes_takes_the_second_for_positive(scoring, few, binary):
    from sklearn.metrics import average_precision_score, f1_score, log_loss

    expected = {
        "roc_auc": lambda p, y: roc_auc_score(y, p[:, 1]),
        "average_precision": lambda p, y: average_precision_score(y, p[:, 1]),
        "f1": lambda p, y: f1_score(y, p.argmax(axis=1)),
        "neg_log_loss": lambda p, y: -log_loss(y, p),
    }
    Outputs.seen = []
    callback = EpochScoring(scoring, lower_is_better=False, name="scored")
    clf = fit(few, Outputs(), callback, y=binary)
    assert set(np.concatenate([y for _, y in Outputs.seen])) == {0, 1}
    scores = [expected[scoring](*outputs) for outputs in Outputs.seen]
    assert clf.history_[:, "scored"] == pytest.approx(scores, rel=1e-5)


def test_scorer_that_is_made_counts_as_well(few, binary):
    scorer = make_scorer(roc_auc_score, response_method="predict_proba")
    named = EpochScoring("roc_auc", lower_is_better=False, name="named")
    clf = fit(few, EpochScoring(scorer, name="made", lower_is_better=False), named, y=binary)
    assert clf.history_[:, "made"] == clf.history_[:, "named"]


def test_training_rows_are_scored_without_rows_held_out(few, binary):
    callback = EpochScoring("roc_auc", on_train=True, name="train_auc", lower_is_better=False)
    clf = fit(few, callback, y=binary, validation_fraction=None)
    assert 0.5 < clf.history_[-1, "train_auc"] <= 1


# -- scorers of the target --------------------------------------------------------------------


@pytest.mark.parametrize("use_caching", [True, False])
def test_scorer_of_the_target_sees_the_target(use_caching, few):
    rows, scorer = few["X_target"].astype(np.float32), TargetEntropyScorer()

    def of_target(net, X, y=None):
        return scorer(net, X_target=rows, X=None)

    callback = EpochScoring(
        of_target, name="entropy", lower_is_better=False, use_caching=use_caching
    )
    clf = fit(few, callback)
    last = scorer(clf, few["X"], X_target=few["X_target"])
    assert clf.history_[-1, "entropy"] == pytest.approx(last, rel=1e-5)


# -- rows that are not held out ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("callback", "message"),
    [
        (EarlyStopping(), "EarlyStopping monitors 'valid_loss'.*or monitor='train_loss'"),
        (Checkpoint(), "Checkpoint monitors 'valid_loss_best'.*or monitor='train_loss_best'"),
        (
            LRScheduler("ReduceLROnPlateau", monitor="valid_loss"),
            "LRScheduler monitors 'valid_loss'",
        ),
        (EpochScoring("roc_auc"), "EpochScoring scores held-out rows"),
        (BatchScoring("accuracy"), "BatchScoring scores held-out rows"),
        (PassthroughScoring("valid_auc"), "PassthroughScoring scores held-out rows"),
        (("auc", EpochScoring("roc_auc")), "EpochScoring scores held-out rows"),
    ],
)
def test_callback_without_its_rows_is_told_how_to_get_some(callback, message, few):
    with pytest.raises(ValueError, match=f"callbacks: {message}") as error:
        fit(few, callback, validation_fraction=None)
    assert "validation_fraction=0.1" in str(error.value)


# -- what is kept and logged ------------------------------------------------------------------


def test_checkpoint_brings_back_the_epoch_of_the_best_score(few, tmp_path):
    auc = EpochScoring("roc_auc_ovr", lower_is_better=False, name="auc")
    keep = Checkpoint(monitor="auc_best", load_best=True, dirname=tmp_path)
    clf = fit(few, auc, keep, lr=0.05, max_epochs=5)
    best = int(np.argmax(clf.history_[:, "auc"]))
    shorter = fit(few, lr=0.05, max_epochs=best + 1, lr_schedule="constant")
    assert clf.history_[best, "auc_best"] and (tmp_path / "params.pt").exists()
    assert shorter.n_iter_ == best + 1


def test_early_stopping_follows_a_score(few):
    auc = EpochScoring("accuracy", lower_is_better=False, name="acc")
    stop = EarlyStopping(monitor="acc", lower_is_better=False, patience=1, threshold=10)
    assert fit(few, auc, stop, max_epochs=9).n_iter_ < 9


class Run:
    """Stands for a run of Weights & Biases, or a client of MLflow: notes what it is told."""

    def __init__(self):
        self.told = []
        self.info = self
        self.run_id = self.experiment_id = "1"

    def __deepcopy__(self, memo):  # as theirs do, which are connections
        raise TypeError("cannot pickle a connection")

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return lambda *args, **kwargs: self.told.append((name, args, kwargs))


def test_epochs_reach_weights_and_biases(few):
    run = Run()
    fit(few, WandbLogger(run, save_model=False))
    logged = [args[0] for name, args, _ in run.told if name == "log"]
    assert len(logged) == 3
    assert {"train_loss", "valid_loss", "valid_accuracy", "alignment_loss"} <= set(logged[0])


def test_epochs_reach_mlflow(few):
    run = Run()
    fit(few, MlflowLogger(run, run, terminate_after_train=False, log_on_batch_end=False))
    names = [args[1] for name, args, _ in run.told if name == "log_metric"]
    assert names.count("train_loss") == names.count("valid_accuracy") == 3


def test_source_alone_takes_the_same(few, binary):
    callback = EpochScoring("roc_auc", lower_is_better=False)
    clf = FineTuneClassifier(
        max_epochs=2, validation_fraction=0.3, random_state=0, callbacks=[callback]
    )
    assert len(clf.fit(few["X"], binary).history_[:, "roc_auc"]) == 2


@pytest.mark.parametrize("entry", ["EarlyStopping", 3, ("stop", "EarlyStopping"), print])
def test_what_is_no_callback_is_told(entry, few):
    with pytest.raises(TypeError, match="callbacks must be a list of skorch callbacks"):
        fit(few, entry)


def test_a_class_stands_for_a_callback(few):
    Outputs.seen.clear()
    fit(few, Outputs)
    assert len(Outputs.seen) == 3
