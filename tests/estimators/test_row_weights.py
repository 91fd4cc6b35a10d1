"""Rows and classes that count more or less than others: sample_weight and class_weight."""

import numpy as np
import pytest
import sklearn
import torch
from kinds import one_of_each_kind
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import AdaBoostClassifier, BaggingClassifier, VotingClassifier
from sklearn.metrics import recall_score
from sklearn.model_selection import cross_validate
from sklearn.preprocessing import StandardScaler
from torch import nn

import skda.adaptation
from skda import make_pipeline, stack_domains
from skda.adaptation import (
    AdaBNClassifier,
    ADDAClassifier,
    DANNClassifier,
    DeepCORALClassifier,
    DeepJDOTClassifier,
    MCDClassifier,
    ShallowDANNClassifier,
    TLDAClassifier,
)
from skda.base import DeepAdaptationClassifier
from skda.estimators import DeepEstimator
from skda.fine_tuning import FineTuneClassifier

METHODS = [
    cls
    for cls in map(vars(skda.adaptation).get, skda.adaptation.__all__)
    if issubclass(cls, DeepAdaptationClassifier)
]
CLASSIFIERS = [FineTuneClassifier, DeepAdaptationClassifier, *METHODS]
RNG = np.random.default_rng(0)
X = RNG.standard_normal((40, 4)).astype(np.float32)
Y = np.where(X[:, 0] > 0, "b", "a")
X_TARGET = (X[:24] + 0.5, X[10:] - 0.5)
WEIGHTS = RNG.integers(0, 4, 40).astype(float)
SHORT = {"max_epochs": 2, "batch_size": 16, "random_state": 0, "device": "cpu"}
NO_STEP = {"max_epochs": 1, "batch_size": 40, "lr": 1e-30, "random_state": 0, "device": "cpu"}


def parameters(clf):
    return torch.cat([p.detach().flatten() for p in clf.net_.module_.parameters()])


def are_equal(first, second):
    return torch.equal(parameters(first), parameters(second))


def skip_without_transport(cls):
    if cls is DeepJDOTClassifier:
        pytest.importorskip("ot")


def make(cls, **params):
    short = {name: value for name, value in SHORT.items() if hasattr(cls(), name)}
    if cls is ShallowDANNClassifier:
        del short["batch_size"]
    return cls(**{**short, **params})


def fit(clf, y=Y, **weights):
    target = {} if isinstance(clf, FineTuneClassifier) else {"X_target": X_TARGET}
    return clf.fit(X, y, **target, **weights)


@pytest.mark.parametrize("cls", one_of_each_kind(CLASSIFIERS))
def test_every_classifier_learns_by_weights(cls):
    skip_without_transport(cls)
    plain = fit(make(cls))
    assert are_equal(plain, fit(make(cls), sample_weight=np.full(40, 0.3)))
    for weighted in (fit(make(cls), sample_weight=WEIGHTS), fit(make(cls, class_weight={"a": 9}))):
        assert (parameters(weighted) - parameters(plain)).abs().max() > 1e-4


@pytest.mark.parametrize("cls", one_of_each_kind(CLASSIFIERS))
def test_labels_of_rows_without_weight_teach_nothing(cls):
    skip_without_transport(cls)
    y = np.where(WEIGHTS == 0, "a", Y)
    assert (y != Y).any()
    # Some alignments look at classes too, and know no weights.
    clf = make(cls, trade_off=0) if "trade_off" in cls().get_params() else make(cls)
    right = parameters(fit(clf, sample_weight=WEIGHTS))
    assert torch.equal(right, parameters(fit(clf, y, sample_weight=WEIGHTS)))
    assert not torch.equal(right, parameters(fit(clf, y, sample_weight=WEIGHTS + 0.1)))


def loss_of_rows(clf):
    """Return the loss of every row under a network that has hardly moved, in training mode."""
    module = clf.net_.module_.train()
    with torch.no_grad():
        logits, _ = module(torch.from_numpy(X))
    codes = torch.from_numpy(np.searchsorted(clf.classes_, Y))
    return nn.functional.cross_entropy(logits, codes, reduction="none").double().numpy()


@pytest.mark.parametrize("class_weight", [None, {"b": 3.0}, {"b": 0.2, "a": 2}, "balanced"])
def test_weights_of_rows_and_of_classes_multiply(class_weight):
    clf = FineTuneClassifier(class_weight=class_weight, **NO_STEP).fit(X, Y, sample_weight=WEIGHTS)
    by_class = {"a": 1.0, "b": 1.0}
    if class_weight == "balanced":
        by_class = {label: 1 / WEIGHTS[label == Y].sum() for label in "ab"}
    elif class_weight is not None:
        by_class |= class_weight
    weights = WEIGHTS * [by_class[label] for label in Y]
    expected = np.average(loss_of_rows(clf), weights=weights)
    assert clf.history_[-1, "train_loss"] == pytest.approx(expected, rel=1e-5)


def test_balanced_classes_are_those_of_scikit_learn():
    by_class = len(Y) / (2 * np.array([(label == Y).sum() for label in "ab"]))
    chosen = dict(zip("ab", by_class.tolist(), strict=True))
    assert are_equal(
        fit(make(DANNClassifier, class_weight="balanced")),
        fit(make(DANNClassifier, class_weight=chosen)),
    )


def test_weights_multiply_with_those_of_the_criterion():
    weights = {"criterion__weight": [1.0, 5.0]}
    clf = FineTuneClassifier(**weights, **NO_STEP).fit(X, Y, sample_weight=WEIGHTS)
    by_class = np.where(Y == "b", 5.0, 1.0)
    rows = loss_of_rows(clf) * by_class * WEIGHTS / WEIGHTS.mean()
    expected = rows.sum() / by_class.sum()
    assert clf.history_[-1, "train_loss"] == pytest.approx(expected, rel=1e-5)


def test_heavy_classes_are_where_training_begins():
    """With 1000 to 1 a head that began without shares would not get there in 20 steps."""
    clf = FineTuneClassifier(class_weight={"b": 1000}, max_epochs=20, random_state=0)
    assert (clf.fit(X, Y).predict(X) == "b").all()
    kept = FineTuneClassifier(class_weight={"b": 1000}, random_state=0, device="cpu", max_epochs=1)
    head = kept.fit(X, Y).net_.module_.head
    low, high = head.bias.tolist()
    assert 5 < high - low < 9


@pytest.mark.parametrize("cls", [FineTuneClassifier, DeepCORALClassifier])
@pytest.mark.parametrize("random_state", [0, 1, 2])
def test_balanced_classes_are_recalled(cls, random_state, digits):
    is_kept = (digits.y != 8) | (np.cumsum(digits.y == 8) <= 4)
    rows, y = digits.X[is_kept][:500], digits.y[is_kept][:500] == 8
    target = {} if cls is FineTuneClassifier else {"X_target": digits.X[500:]}
    recalls = []
    for class_weight in (None, "balanced"):
        clf = cls(max_epochs=8, random_state=random_state, class_weight=class_weight)
        predicted = clf.fit(rows, y, **target).predict(digits.X[500:])
        recalls.append(recall_score(digits.y[500:] == 8, predicted))
    assert recalls[1] > recalls[0] + 0.2


@pytest.mark.parametrize("cls", [DANNClassifier, ShallowDANNClassifier])
def test_weights_of_stacked_target_rows_are_ignored(cls):
    rows, labels, domains = stack_domains(X, Y, X_TARGET)
    weights = np.append(WEIGHTS, np.full(len(rows) - 40, np.nan))
    order = RNG.permutation(len(rows))
    order = np.concatenate([np.sort(order[order < 40]), order[order >= 40]])
    order[40:].sort()
    stacked = make(cls).fit(
        rows[order], labels[order], sample_domain=domains[order], sample_weight=weights[order]
    )
    assert are_equal(stacked, fit(make(cls), sample_weight=WEIGHTS))


@pytest.mark.parametrize("cls", [DANNClassifier, ADDAClassifier, MCDClassifier])
def test_a_labelled_target_row_counts_as_a_source_row_of_mean_weight(cls):
    labels = {"y_target": tuple(np.where(np.arange(len(x)) < 9, "b", None) for x in X_TARGET)}
    assert are_equal(
        fit(make(cls), **labels), fit(make(cls), **labels, sample_weight=np.full(40, 7.0))
    )

    class Watched(cls):
        def finish_fit(self, training):
            super().finish_fit(training)
            self.dataset_ = training.dataset

    dataset = fit(make(Watched), **labels, sample_weight=WEIGHTS).dataset_
    assert (dataset.weights[dataset.labels < 0] == 0).all()
    of_target = dataset.weights[40:][dataset.labels[40:] >= 0]
    np.testing.assert_allclose(of_target, dataset.weights[:40].mean(), rtol=1e-6)


def test_labelled_target_rows_of_the_shallow_network_count_by_class():
    labels = {"y_target": tuple(np.full(len(x), "b") for x in X_TARGET)}
    without = make(ShallowDANNClassifier, class_weight={"a": 1e-9}, trade_off=1.0)
    plain = make(ShallowDANNClassifier)
    assert not are_equal(fit(plain, **labels), fit(without, **labels))


def test_held_out_rows_keep_their_weights():
    held_out = {"validation_fraction": 0.5, "iterator_valid__batch_size": 7}
    clf = FineTuneClassifier(**{**SHORT, "max_epochs": 1}, **held_out)
    clf.fit(X, Y, sample_weight=WEIGHTS)
    seed = clf.net_.train_split
    _, numbers = clf._task.split(np.searchsorted(clf.classes_, Y), 0.5, seed.random_state)
    rows, weights = X[numbers], WEIGHTS[numbers]
    logs = clf.predict_log_proba(rows)[np.arange(20), np.searchsorted(clf.classes_, Y[numbers])]
    last = clf.history_[-1]
    assert last["valid_loss"] == pytest.approx(np.average(-logs, weights=weights), rel=1e-4)
    accuracy = clf.score(rows, Y[numbers], sample_weight=weights)
    assert last["valid_accuracy"] == pytest.approx(accuracy, rel=1e-5)
    assert accuracy != clf.score(rows, Y[numbers])


def test_a_metric_that_takes_no_weights_is_named():
    class OtherTask(FineTuneClassifier.task_class):
        @staticmethod
        def metric(logits, labels):
            return (logits.argmax(dim=1) == labels).float().mean()

    class OtherClassifier(FineTuneClassifier):
        task_class = OtherTask

    clf = OtherClassifier(validation_fraction=0.5, **SHORT).fit(X, Y)
    with pytest.raises(ValueError, match=r"metric metric takes no weights; .* `weights`"):
        clf.fit(X, Y, sample_weight=WEIGHTS)


@pytest.mark.parametrize("cls", [DANNClassifier, AdaBNClassifier, TLDAClassifier])
def test_epochs_of_partial_fit_are_a_fit_with_weights(cls):
    whole = fit(make(cls, class_weight={"b": 2.0}), sample_weight=WEIGHTS)
    clf, weights = make(cls, class_weight={"b": 2.0}), {"sample_weight": WEIGHTS}
    for _ in range(2):
        clf.partial_fit(X, Y, ["a", "b"], X_target=X_TARGET, **weights)
    assert are_equal(whole, clf)


def test_balanced_classes_need_all_rows():
    clf = FineTuneClassifier(class_weight="balanced")
    with pytest.raises(ValueError, match=r"^class_weight='balanced' .* dict\(zip\("):
        clf.partial_fit(X, Y, ["a", "b"])


def test_a_part_of_the_rows_may_be_of_one_class():
    clf = FineTuneClassifier(random_state=0, device="cpu")
    clf.partial_fit(X, Y, ["a", "b"], sample_weight=np.where(Y == "a", WEIGHTS, 0))
    assert clf.n_iter_ == 1


def test_a_label_layer_learns_by_weights():
    clf = TLDAClassifier(classifier="logistic", **SHORT)
    without_step = {"lr": 1e-30, "max_epochs": 1}
    heads = [
        fit(clone_with(clf, **without_step), sample_weight=weights).net_.module_.head.bias
        for weights in (None, WEIGHTS)
    ]
    assert not torch.allclose(*heads)


def clone_with(clf, **params):
    return sklearn.clone(clf).set_params(**params)


def test_a_training_goes_on_with_the_weights_that_it_began_with(tmp_path):
    clf = make(DANNClassifier, checkpoint=str(tmp_path))
    whole = parameters(fit(clf, sample_weight=WEIGHTS))
    assert torch.equal(parameters(fit(clf, sample_weight=WEIGHTS, resume=True)), whole)
    for weights in ({}, {"sample_weight": WEIGHTS + 1}):
        with pytest.raises(ValueError, match="on other data: sample_weight differs"):
            fit(clf, **weights, resume=True)


def test_weights_of_images_that_cannot_be_read_are_dropped(tmp_path):
    pillow = pytest.importorskip("PIL.Image")
    paths = []
    for number in range(12):
        paths.append(str(tmp_path / f"{number}.png"))
        pillow.fromarray(RNG.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(paths[-1])
    (tmp_path / "3.png").write_bytes(b"no image")
    y, weights = np.arange(12) % 2, 1.0 + np.arange(12)
    clf = FineTuneClassifier(on_error="drop", **SHORT)
    with pytest.warns(UserWarning, match="1 of 12 images"):
        dropped = parameters(clf.fit(paths, y, sample_weight=weights))
    kept = [number for number in range(12) if number != 3]
    clean = clf.fit([paths[n] for n in kept], y[kept], sample_weight=weights[kept])
    assert torch.equal(dropped, parameters(clean))
    wrong = pytest.raises(ValueError, match=r"^sample_weight has 11 entries for 12 rows of X")
    with wrong, pytest.warns(UserWarning, match="1 of 12 images"):
        clf.fit(paths, y, sample_weight=weights[kept])


def test_rows_of_a_data_set_have_weights():
    rows, labels = torch.from_numpy(X), np.searchsorted(["a", "b"], Y)
    dataset = torch.utils.data.TensorDataset(rows, torch.from_numpy(labels))
    weights = torch.from_numpy(WEIGHTS)
    assert are_equal(
        FineTuneClassifier(**SHORT).fit(dataset, None, sample_weight=weights),
        FineTuneClassifier(**SHORT).fit(X, labels, sample_weight=WEIGHTS.tolist()),
    )


def test_batches_of_a_loader_hold_the_weights_of_resident_ones():
    loaded = make(DANNClassifier, iterator_train__num_workers=0)
    assert are_equal(
        fit(loaded, sample_weight=WEIGHTS), fit(make(DANNClassifier), sample_weight=WEIGHTS)
    )


def test_low_precision_knows_weights():
    clf = fit(make(DANNClassifier, precision="bfloat16"), sample_weight=WEIGHTS)
    assert not are_equal(clf, fit(make(DANNClassifier, precision="bfloat16")))


def test_warm_starts_may_have_other_weights():
    clf = fit(make(DANNClassifier, warm_start=True), sample_weight=WEIGHTS)
    before = parameters(clf)
    assert not torch.equal(before, parameters(fit(clf, sample_weight=WEIGHTS + 1)))


@pytest.mark.parametrize(
    "weights, message",
    [
        (WEIGHTS[:-1], r"^sample_weight has 39 entries for 40 rows of X"),
        (-WEIGHTS, r"^sample_weight must be finite numbers of 0 or more"),
        (np.where(WEIGHTS > 2, np.inf, 1), r"^sample_weight must be finite numbers of 0 or more"),
        (["1"] * 40, r"^sample_weight must be finite numbers of 0 or more"),
        (1.0, r"^sample_weight must be finite numbers of 0 or more"),
        (np.ones((40, 2)), r"^sample_weight must be finite numbers of 0 or more"),
        (np.zeros(40), r"^sample_weight holds zeros alone"),
        ((Y == "a").astype(int), r"^sample_weight leaves .* one class, 'a'; .* two classes"),
    ],
)
@pytest.mark.parametrize("cls", [FineTuneClassifier, DANNClassifier])
def test_unusable_weights_are_named(cls, weights, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fit(make(cls), sample_weight=weights)


@pytest.mark.parametrize(
    "class_weight, message",
    [
        ({"c": 2.0}, r"^class_weight has an entry 'c', which is no class of y: \['a', 'b'\]"),
        ({"a": -1.0}, r"^class_weight\['a'\] must be a finite number of 0 or more, got -1.0"),
        ({"a": "1"}, r"^class_weight\['a'\] must be a finite number of 0 or more, got '1'"),
        ({"a": 0}, r"^class_weight leaves .* one class, 'b'; .* two classes"),
        ("auto", r"'class_weight' parameter of .* \{'balanced'\}, an instance of 'dict' or None"),
        ([1.0, 2.0], r"'class_weight' parameter of .* \{'balanced'\}, an instance of 'dict'"),
    ],
)
def test_unusable_weights_of_classes_are_named(class_weight, message):
    with pytest.raises(ValueError, match=message):
        fit(make(DANNClassifier, class_weight=class_weight))


def test_held_out_rows_without_weight_are_an_error():
    clf = FineTuneClassifier(validation_fraction=0.5, **SHORT)
    weights = np.zeros(40)
    clf.fit(X, Y)
    split = clf.net_.train_split
    train, _ = clf._task.split(np.searchsorted(["a", "b"], Y), 0.5, split.random_state)
    weights[train] = 1
    with pytest.raises(ValueError, match=r"^sample_weight: .* zero; .* held out"):
        clf.fit(X, Y, sample_weight=weights)


def test_estimators_of_other_tasks_have_no_weights_of_classes():
    assert DeepEstimator.class_weight is None
    assert "class_weight" not in DeepEstimator._get_param_names()


# -- scikit-learn's meta-estimators -------------------------------------------------------------


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_a_pipeline_passes_weights_that_are_requested(routing):
    clf = make(DANNClassifier).set_fit_request(sample_weight=True)
    scaler = StandardScaler().set_fit_request(sample_weight=False)
    pipe = make_pipeline(scaler, clf).fit(X, Y, X_target=X_TARGET, sample_weight=WEIGHTS)
    scaled = [scaler.fit(X).transform(rows) for rows in (X, *X_TARGET)]
    alone = sklearn.clone(clf).fit(scaled[0], Y, X_target=tuple(scaled[1:]), sample_weight=WEIGHTS)
    assert are_equal(pipe[-1], alone)
    with pytest.raises(ValueError, match=r"sample_weight.* not explicitly set"):
        make_pipeline(make(DANNClassifier)).fit(X, Y, X_target=X_TARGET, sample_weight=WEIGHTS)


def test_folds_have_their_weights(routing):
    clf = make(DANNClassifier).set_fit_request(sample_weight=True)
    clf.set_score_request(sample_weight=True)
    params = {"X_target": X_TARGET, "sample_weight": WEIGHTS}
    scores = cross_validate(clf, X, Y, params=params, cv=2, error_score="raise")["test_score"]
    train, test = np.arange(20, 40), np.arange(20)
    split = [(train, test)]
    (score,) = cross_validate(clf, X, Y, params=params, cv=split)["test_score"]
    clf.fit(X[train], Y[train], X_target=X_TARGET, sample_weight=WEIGHTS[train])
    assert score == pytest.approx(clf.score(X[test], Y[test], sample_weight=WEIGHTS[test]))
    assert len(scores) == 2


@pytest.mark.parametrize(
    "ensemble",
    [
        lambda clf: VotingClassifier([("network", clf)], voting="soft"),
        lambda clf: BaggingClassifier(clf, n_estimators=1, random_state=0),
        lambda clf: CalibratedClassifierCV(clf, cv=2, ensemble=False),
    ],
    ids=["voting", "bagging", "calibration"],
)
def test_ensembles_pass_weights(ensemble, routing):
    clf = make(DANNClassifier).set_fit_request(sample_weight=True)
    plain, weighted = (
        ensemble(clf).fit(X, Y, X_target=X_TARGET, **weights).predict_proba(X)
        for weights in ({}, {"sample_weight": WEIGHTS})
    )
    assert not np.allclose(plain, weighted, atol=1e-4)


def test_a_network_can_be_boosted(digits):
    rows, y = digits.X[:300], digits.y[:300]
    network = FineTuneClassifier(max_epochs=3, device="cpu")
    boosted = AdaBoostClassifier(network, n_estimators=4, random_state=0).fit(rows, y)
    assert len(boosted.estimators_) > 1
    assert boosted.score(rows, y) > boosted.estimators_[0].score(rows, y)
