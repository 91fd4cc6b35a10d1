"""The contract of DeepAdaptationClassifier."""

import copy
import pickle
import subprocess
import sys
from functools import partial

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from devices import on_cpu
from scipy import sparse
from skorch.callbacks import Callback
from torch import nn

from skda import stack_domains
from skda.adaptation import DANNClassifier
from skda.base import DeepAdaptationClassifier
from skda.exceptions import NoTargetWarning
from skda.losses import coral
from skda.nn import MLP, ConvNet, DomainBatchNorm
from skda.training import DomainDataset

Quick = partial(DeepAdaptationClassifier, max_epochs=2, random_state=0)


@pytest.fixture(scope="module")
def fitted(few):
    return Quick().fit(few["X"], few["y"], X_target=few["X_target"])


def weights(clf):
    return torch.cat([p.flatten() for p in on_cpu(clf.net_.module_.parameters())]).numpy()


def assert_same_fit(first, second):
    np.testing.assert_array_equal(weights(first), weights(second))


# -- target data ------------------------------------------------------------------------------


def test_tuple_of_one_target_is_the_array(fitted, few):
    assert_same_fit(fitted, Quick().fit(few["X"], few["y"], X_target=(few["X_target"],)))


def test_sample_domain_is_the_other_form_of_X_target(fitted, few):
    X, y, sample_domain = stack_domains(few["X"], few["y"], few["X_target"])
    clf = Quick().fit(X, y, sample_domain=sample_domain)
    assert_same_fit(fitted, clf)
    np.testing.assert_array_equal(clf.classes_, fitted.classes_)


@pytest.mark.filterwarnings("ignore::skda.exceptions.StackedLabelWarning")
@pytest.mark.parametrize("filler", [-1, None, np.nan, "digit 3", [99, "?", "digit 1"]])
def test_labels_of_target_rows_are_ignored(fitted, few, filler):
    X, y, sample_domain = stack_domains(few["X"], few["y"], few["X_target"])
    n_target = np.count_nonzero(sample_domain < 0)
    y = y.astype(object)
    y[sample_domain < 0] = filler * (n_target // 3) if isinstance(filler, list) else filler
    y[sample_domain > 0] = [f"digit {int(label)}" for label in y[sample_domain > 0]]
    clf = Quick().fit(X, y, sample_domain=sample_domain)
    assert clf.classes_.tolist() == [f"digit {label}" for label in range(10)]
    assert_same_fit(fitted, clf)


def test_no_target_warns(few):
    with pytest.warns(NoTargetWarning, match="X_target"):
        clf = Quick().fit(few["X"], few["y"])
    assert clf.predict(few["X"]).shape == (200,)


def test_several_targets_keep_statistics_apart(few):
    targets = (few["X_target"][:70], few["X_target"][70:] + 3)
    clf = Quick(max_epochs=8).fit(few["X"], few["y"], X_target=targets)
    norm = clf.net_.module_.domain_batch_norms()[0]
    means = [statistics.running_mean for statistics in norm.norms]
    assert len(means) == 4  # source, two targets, and their mixture for predictions
    assert (means[1] - means[2]).abs().max() > 0.5
    torch.testing.assert_close(means[3], (means[1] + means[2]) / 2)
    assert clf.predict(targets[0]).shape == (70,)


def test_labelled_target_rows_are_learned(digits):
    y_target = np.where(np.arange(len(digits.y_target)) < 300, digits.y_target, -1)
    unlabeled = DeepAdaptationClassifier(random_state=0, max_epochs=10)
    unlabeled.fit(digits.X, digits.y, X_target=digits.X_target)
    some = DeepAdaptationClassifier(random_state=0, max_epochs=10)
    some.fit(digits.X, digits.y, X_target=digits.X_target, y_target=y_target)
    rest = digits.X_target[300:], digits.y_target[300:]
    assert some.score(*rest) > unlabeled.score(*rest) + 0.1


def test_no_labelled_row_is_no_y_target(fitted, few):
    y_target = np.full(len(few["X_target"]), -1)
    clf = Quick().fit(few["X"], few["y"], X_target=few["X_target"], y_target=y_target)
    np.testing.assert_allclose(weights(clf), weights(fitted), atol=1e-6)


def test_labels_reach_training_without_a_trade_off(few):
    y_target = few["y_target"]
    clf = Quick(trade_off=0)
    clf.fit(few["X"], few["y"], X_target=few["X_target"], y_target=y_target)
    without = Quick(trade_off=0).fit(few["X"], few["y"], X_target=few["X_target"])
    assert not np.allclose(weights(clf), weights(without))


@pytest.mark.parametrize("n_source, n_target", [(20, 9), (9, 20), (30, 1), (70, 150)])
def test_domains_smaller_than_a_batch_train(few, n_source, n_target):
    y = np.arange(n_source) % 3
    clf = Quick(layers=("logits",)).fit(few["X"][:n_source], y, X_target=few["X_target"][:n_target])
    assert clf.n_iter_ == 2 and np.isfinite(weights(clf)).all()
    start = Quick(max_epochs=1).fit(few["X"][:n_source], y, X_target=few["X_target"][:n_target])
    assert not np.allclose(weights(clf), weights(start))


# -- input types ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.astype(np.float64),
        lambda X: X.tolist(),
        lambda X: np.asfortranarray(X),
        lambda X: torch.tensor(X),
        lambda X: pd.DataFrame(X).to_numpy(),
    ],
)
def test_every_container_gives_the_same_fit(fitted, few, convert):
    clf = Quick().fit(convert(few["X"]), few["y"], X_target=convert(few["X_target"]))
    assert_same_fit(fitted, clf)
    np.testing.assert_array_equal(clf.predict(convert(few["X"])), fitted.predict(few["X"]))


@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8, bool])
def test_integers_become_floats(few, dtype):
    X, X_target = (np.rint(few[name] * 16).clip(0).astype(dtype) for name in ("X", "X_target"))
    clf = Quick().fit(X, few["y"], X_target=X_target)
    same = Quick().fit(X.astype(np.float32), few["y"], X_target=X_target.astype(np.float32))
    assert_same_fit(clf, same)


def test_read_only_memmap(fitted, few, tmp_path):
    rows = {}
    for name in ("X", "X_target"):
        np.save(tmp_path / f"{name}.npy", few[name])
        rows[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    assert_same_fit(fitted, Quick().fit(rows["X"], few["y"], X_target=rows["X_target"]))


@pytest.mark.parametrize(
    "labels",
    [
        np.array([f"class {i}" for i in range(10)]),
        np.array([f"class {i}" for i in range(10)], dtype=object),
        np.arange(10.0) / 1 + 5,
        np.arange(10, dtype=np.uint8) + 40,
    ],
)
def test_labels_of_any_type(fitted, few, labels):
    clf = Quick().fit(few["X"], labels[few["y"]], X_target=few["X_target"])
    np.testing.assert_array_equal(clf.classes_, labels)
    np.testing.assert_array_equal(clf.predict(few["X"]), labels[fitted.predict(few["X"])])


def test_boolean_labels_and_binary_decision_function(few):
    y = few["y"] < 5
    clf = Quick().fit(few["X"], y, X_target=few["X_target"])
    scores = clf.decision_function(few["X"])
    assert scores.shape == (200,)
    np.testing.assert_array_equal(scores > 0, clf.predict(few["X"]))


def test_data_frames_keep_names(few):
    columns = [f"pixel {i}" for i in range(64)]
    X, X_target = (pd.DataFrame(few[name], columns=columns) for name in ("X", "X_target"))
    clf = Quick().fit(X, pd.Series(few["y"]), X_target=X_target)
    assert clf.feature_names_in_.tolist() == columns
    with pytest.raises(ValueError, match="X_target has the columns"):
        Quick().fit(X, few["y"], X_target=X_target[columns[::-1]])
    with pytest.raises(ValueError, match="feature names"):
        clf.predict(X[columns[::-1]])


def test_float_and_uint8_images(digits):
    images = np.rint(digits.X * 255).astype(np.uint8).reshape(-1, 8, 8, 1)[:100]
    floats = np.moveaxis(images, 3, 1).astype(np.float32) / 255
    by_int = Quick().fit(images, digits.y[:100], X_target=images)
    by_float = Quick().fit(floats, digits.y[:100], X_target=floats)
    assert by_int.input_shape_ == (1, 8, 8) and by_int.n_features_in_ == 64
    np.testing.assert_allclose(weights(by_int), weights(by_float), atol=1e-5)
    np.testing.assert_allclose(
        by_int.predict_proba(floats), by_int.predict_proba(images), atol=1e-5
    )


def test_inputs_stay_as_they_are(few):
    X, X_target = few["X"].copy(), few["X_target"].copy()
    Quick(standardize="domain").fit(X, few["y"], X_target=X_target)
    np.testing.assert_array_equal(X, few["X"])
    np.testing.assert_array_equal(X_target, few["X_target"])


# -- fitted attributes and outputs ------------------------------------------------------------


def test_fitted_attributes(fitted):
    assert fitted.n_features_in_ == 64 and fitted.n_iter_ == 2
    assert fitted.classes_.tolist() == list(range(10))
    entry = fitted.history_[-1]
    assert {"train_loss", "classification_loss", "alignment_loss", "trade_off"} <= set(entry)
    assert entry["train_loss"] == pytest.approx(
        entry["classification_loss"] + entry["trade_off"] * entry["alignment_loss"], rel=1e-5
    )


def test_outputs(fitted, few):
    X = few["X_target"]
    probabilities, scores = fitted.predict_proba(X), fitted.decision_function(X)
    assert probabilities.shape == scores.shape == (150, 10)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    np.testing.assert_array_equal(fitted.predict(X), scores.argmax(axis=1))
    assert fitted.score(X, few["y_target"]) == np.mean(fitted.predict(X) == few["y_target"])
    assert fitted.transform(X).shape == (150, 64)


def test_transform_with_names(fitted, few):
    frame = copy.deepcopy(fitted).set_output(transform="pandas").transform(few["X"])
    assert frame.columns.tolist() == fitted.get_feature_names_out().tolist()
    assert frame.columns[0] == "deepadaptationclassifier0" and frame.shape == (200, 64)


def test_head_on_features_gives_the_scores(fitted, few):
    features = torch.from_numpy(fitted.transform(few["X"]))
    logits = on_cpu(fitted.net_.module_.head)(features).detach()
    np.testing.assert_allclose(logits, fitted.decision_function(few["X"]), atol=1e-5)


@pytest.mark.parametrize("save", ["pickle", "joblib"])
def test_persistence(fitted, few, save, tmp_path):
    if save == "pickle":
        loaded = pickle.loads(pickle.dumps(fitted))
    else:
        joblib.dump(fitted, tmp_path / "model")
        loaded = joblib.load(tmp_path / "model")
    np.testing.assert_array_equal(loaded.predict_proba(few["X"]), fitted.predict_proba(few["X"]))


def test_pickle_holds_no_training_data(few):
    marker = np.full((1, 64), 0.123456789, dtype=np.float32)
    X = np.vstack([few["X"], marker])
    clf = Quick(validation_fraction=0.1).fit(X, [*few["y"], 0], X_target=(X,))
    assert marker.tobytes() not in pickle.dumps(clf)


def test_predictions_need_no_domain_and_use_the_target_statistics(digits):
    clf = Quick(max_epochs=10).fit(digits.X, digits.y, X_target=digits.X_target)
    module = on_cpu(clf.net_.module_).eval()
    with torch.no_grad():
        logits, _ = module(torch.tensor(digits.X_target))
        with module.rows.of((1,)):  # the source's statistics
            others, _ = module(torch.tensor(digits.X_target))
    np.testing.assert_allclose(logits, clf.decision_function(digits.X_target), atol=1e-5)
    assert not torch.allclose(logits, others, atol=0.1)
    with clf.net_.source_statistics():
        np.testing.assert_allclose(others, clf.decision_function(digits.X_target), atol=1e-5)
    np.testing.assert_allclose(logits, clf.decision_function(digits.X_target), atol=1e-5)


# -- modules ----------------------------------------------------------------------------------


class Backbone(nn.Module):
    def __init__(self, in_features, width=16):
        super().__init__()
        self.first = nn.Linear(in_features, width)
        self.norm = nn.BatchNorm1d(width)

    def forward(self, x):
        return torch.relu(self.norm(self.first(x)))


def make_backbone(width=8):
    return nn.Sequential(nn.Linear(64, width), nn.Tanh())


@pytest.mark.parametrize(
    "module, params, width",
    [
        (None, {}, 64),
        (None, {"module__hidden_layer_sizes": (24, 12)}, 12),
        (MLP, {"module__dropout": 0.1}, 64),
        (Backbone, {}, 16),
        (Backbone, {"module__width": 5}, 5),
        (make_backbone, {"module__width": 6}, 6),
        (nn.Linear, {"module__out_features": 7}, 7),
        (Backbone(64, 9), {}, 9),
        (nn.Sequential(nn.LazyLinear(11)), {}, 11),
    ],
)
def test_modules_of_every_kind(few, module, params, width):
    clf = Quick(module=module, **params).fit(few["X"], few["y"], X_target=few["X_target"])
    assert clf.transform(few["X"]).shape == (200, width)


def test_instance_is_copied_and_keeps_its_weights(few):
    module = Backbone(64)
    before = copy.deepcopy(module.state_dict())
    clf = Quick(module=module, lr=1e-12, head_lr_multiplier=1)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    after = module.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert isinstance(module.norm, nn.BatchNorm1d)
    torch.testing.assert_close(
        clf.net_.module_.backbone.first.weight, before["first.weight"], atol=1e-6, rtol=0
    )


@pytest.mark.parametrize("module, ratio", [(Backbone(64), 10), (Backbone, 1)])
def test_new_layers_of_a_pretrained_module_learn_faster(few, module, ratio):
    clf = DANNClassifier(module=module, max_epochs=1, random_state=0)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    net = clf.net_
    rates = {id(p): g["lr"] for g in net.optimizer_.param_groups for p in g["params"]}
    backbone = rates[id(net.module_.backbone.first.weight)]
    for new in (*net.module_.head.parameters(), *net.alignment_.parameters()):
        assert rates[id(new)] == pytest.approx(ratio * backbone)


@pytest.mark.parametrize("batch_norm, converted", [("domain", True), ("shared", False)])
def test_batch_norms_of_a_users_module(few, batch_norm, converted):
    clf = Quick(module=Backbone, batch_norm=batch_norm)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    norm = clf.net_.module_.backbone.norm
    assert isinstance(norm, DomainBatchNorm) == converted


@pytest.mark.filterwarnings("ignore::skda.exceptions.DomainScaleWarning")
@pytest.mark.parametrize("trade_off", [0, 1e-9])
def test_shared_statistics_are_the_source_s_when_nothing_is_aligned(few, trade_off):
    """What the source teaches does not depend on target rows, nor jumps at a trade-off of 0."""
    far = 5 * few["X_target"] + 3
    fits = [
        Quick(batch_norm="shared", trade_off=t, batch_size=len(few["X"]))
        .fit(few["X"], few["y"], X_target=rows)
        .predict_proba(few["X_target"])
        for t, rows in ((trade_off, few["X_target"]), (trade_off, far), (0, few["X_target"]))
    ]
    np.testing.assert_allclose(fits[0], fits[1], atol=1e-4)
    np.testing.assert_allclose(fits[0], fits[2], atol=1e-4)


def test_shared_statistics_take_in_the_target_with_the_trade_off(few):
    net = Quick(batch_norm="shared").fit(few["X"], few["y"], X_target=few["X_target"]).net_
    shares = []
    for net.current_trade_off in (0.0, 1.0, 1e9):
        shares.append(net.target_share())
    assert shares == pytest.approx([0, 0.25, 0.5])


def test_plain_batch_norm_without_a_target(few):
    with pytest.warns(NoTargetWarning):
        clf = Quick(module=Backbone).fit(few["X"], few["y"])
    assert isinstance(clf.net_.module_.backbone.norm, nn.BatchNorm1d)


def test_images_get_a_convolutional_network(digits):
    images = digits.X.reshape(-1, 1, 8, 8)[:100]
    clf = Quick(module__channels=(4, 8)).fit(images, digits.y[:100], X_target=images)
    assert isinstance(clf.net_.module_.backbone, ConvNet)
    assert clf.predict(images).shape == (100,)


# -- alignments -------------------------------------------------------------------------------


@pytest.mark.parametrize("alignment", ["coral", "mmd", "dann", coral])
@pytest.mark.parametrize("layers", [("features",), ("logits",), ("hidden1", "hidden2.0", "logits")])
def test_alignments_at_any_layers(few, alignment, layers):
    clf = Quick(alignment=alignment, layers=layers)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    assert clf.history_[-1]["alignment_loss"] > 0


def test_name_and_function_are_the_same_alignment(few):
    first, second = (
        Quick(alignment=alignment).fit(few["X"], few["y"], X_target=few["X_target"])
        for alignment in ("coral", coral)
    )
    assert_same_fit(first, second)


def test_convolutional_activations_are_flattened(digits):
    images = digits.X.reshape(-1, 1, 8, 8)[:100]
    clf = Quick(layers=("conv1",), module__channels=(2, 4))
    clf.fit(images, digits.y[:100], X_target=images)
    assert np.isfinite(clf.history_[-1]["alignment_loss"])


class Scale(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(width))

    def forward(self, source, target):
        return (self.scale * (source.mean(dim=0) - target.mean(dim=0))).square().sum()


class Opponent(Scale):
    adversarial = True


@pytest.mark.parametrize("alignment", [Scale(), Scale])
def test_parameters_of_an_alignment_learn(few, alignment):
    clf = Quick(alignment=alignment).fit(few["X"], few["y"], X_target=few["X_target"])
    (learned,) = clf.net_.alignment_.parameters()
    assert not torch.equal(learned, torch.ones(64))
    if isinstance(alignment, nn.Module):
        assert torch.equal(alignment.scale, torch.ones(64))  # the user's own is a copy


def test_every_layer_gets_an_alignment_of_its_own(few):
    clf = Quick(alignment=Scale, layers=("hidden1", "features"))
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    assert [len(p) for p in clf.net_.alignment_.parameters()] == [128, 64]


def test_adversarial_alignment_is_played_against(few):
    """The module minimises its own loss, the features maximise it."""
    fits = [
        Quick(alignment=alignment, max_epochs=10, trade_off=5.0).fit(
            few["X"], few["y"], X_target=few["X_target"]
        )
        for alignment in (Scale, Opponent)
    ]
    friend, opponent = (clf.history_[-1]["alignment_loss"] for clf in fits)
    assert opponent > 2 * friend


def test_alignment_keywords(few):
    clf = Quick(alignment="mmd", alignment__estimator="linear")
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    other = Quick(alignment="mmd").fit(few["X"], few["y"], X_target=few["X_target"])
    assert not np.allclose(weights(clf), weights(other))


@pytest.mark.parametrize("schedule, first", [("constant", 1.0), ("progressive", None), (abs, None)])
def test_trade_off_schedules(few, schedule, first):
    clf = Quick(trade_off_schedule=schedule, max_epochs=3)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    factors = clf.history_[:, "trade_off"]
    assert factors == sorted(factors) and factors[-1] == pytest.approx(1, abs=1e-4)
    assert first is None or factors[0] == first


# -- training ---------------------------------------------------------------------------------


def test_early_stopping_looks_at_the_source_alone(few):
    clf = Quick(max_epochs=60, early_stopping=True, n_iter_no_change=3, lr=0.03)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    assert clf.n_iter_ < 60
    assert {"valid_loss", "valid_accuracy"} <= set(clf.history_[-1])
    best = min(clf.history_[:, "valid_loss"])
    # The same seed holds out the same rows.
    _, valid = clf.net_.train_split(DomainDataset(few["X"], few["y"].astype(np.int64)))
    module = on_cpu(clf.net_.module_).eval()
    with torch.no_grad(), module.rows.of((1,)):
        logits, _ = module(torch.tensor(valid.X))
    loss = nn.functional.cross_entropy(logits, torch.tensor(valid.y)).item()
    assert loss == pytest.approx(best, rel=1e-3)


def test_global_generators_are_untouched(few):
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    clf = Quick(module__dropout=0.5).fit(few["X"], few["y"], X_target=few["X_target"])
    clf.predict(few["X"])
    assert torch.equal(torch_state, torch.get_rng_state())
    np.testing.assert_array_equal(numpy_state, np.random.get_state()[1])  # noqa: NPY002


def test_callbacks_are_copied_and_take_part(few):
    class Counter(Callback):
        def __init__(self):
            self.epochs = 0

        def on_epoch_end(self, net, **kwargs):
            self.epochs += 1

    counter = Counter()
    clf = Quick(callbacks=[("counter", counter)])
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    assert counter.epochs == 0
    assert dict(clf.net_.callbacks_)["counter"].epochs == 2


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_low_precision_trains_float32_weights(few, precision):
    clf = Quick(precision=precision).fit(few["X"], few["y"], X_target=few["X_target"])
    assert weights(clf).dtype == np.float32 and np.isfinite(weights(clf)).all()
    full = Quick().fit(few["X"], few["y"], X_target=few["X_target"])
    assert not np.array_equal(weights(clf), weights(full))
    np.testing.assert_allclose(clf.predict_proba(few["X"]), full.predict_proba(few["X"]), atol=0.1)


def test_verbose_prints_losses(few, capsys):
    Quick(verbose=1).fit(few["X"], few["y"], X_target=few["X_target"])
    printed = capsys.readouterr().out
    assert "alignment_loss" in printed and "classification_loss" in printed
    Quick().fit(few["X"], few["y"], X_target=few["X_target"])
    assert capsys.readouterr().out == ""


def test_standardize_by_domain_undoes_shift_and_scale(few):
    clf = Quick(standardize="domain")
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    moved = Quick(standardize="domain")
    moved.fit(few["X"], few["y"], X_target=4 * few["X_target"] + 7)
    np.testing.assert_allclose(
        moved.predict_proba(4 * few["X_target"] + 7),
        clf.predict_proba(few["X_target"]),
        atol=1e-3,
    )


def test_prefixed_parameters_reach_their_parts(few):
    clf = Quick(
        optimizer="sgd",
        optimizer__momentum=0.9,
        criterion__label_smoothing=0.1,
        iterator_train__batch_size=32,
        iterator_valid__batch_size=7,
    )
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    assert isinstance(clf.net_.optimizer_, torch.optim.SGD)
    assert clf.net_.optimizer_.param_groups[0]["momentum"] == 0.9
    assert clf.net_.criterion_.label_smoothing == 0.1
    assert clf.history_[-1]["train_batch_count"] == 7


# -- bad input --------------------------------------------------------------------------------


def with_value(X, value):
    X = X.copy()
    X[3, 5] = value
    return X


BAD_DATA = {
    "nan": (lambda d: d | {"X": with_value(d["X"], np.nan)}, "X contains NaN"),
    "target nan": (
        lambda d: d | {"X_target": with_value(d["X_target"], np.nan)},
        "X_target contains NaN",
    ),
    "infinity": (lambda d: d | {"X": with_value(d["X"], np.inf)}, "X contains infinity"),
    "target infinity": (
        lambda d: d | {"X_target": with_value(d["X_target"], -np.inf)},
        "X_target contains infinity",
    ),
    "width": (lambda d: d | {"X_target": d["X_target"][:, :60]}, r"X_target .*\(60,\).*\(64,\)"),
    "empty target": (lambda d: d | {"X_target": d["X_target"][:0]}, "X_target has 0 rows"),
    "empty tuple": (lambda d: d | {"X_target": ()}, "X_target is an empty tuple"),
    "second target": (
        lambda d: d | {"X_target": (d["X_target"], d["X_target"][:, :3])},
        r"X_target\[1\]",
    ),
    "one class": (lambda d: d | {"y": np.zeros(200)}, "one class"),
    "both forms": (lambda d: d | {"sample_domain": np.ones(200)}, "X_target and sample_domain"),
    "sparse target of another width": (
        lambda d: d | {"X_target": sparse.csr_matrix(d["X_target"][:, :3])},
        r"X_target .*\(3,\).*\(64,\)",
    ),
    "sparse nan": (
        lambda d: d | {"X": sparse.csr_matrix(with_value(d["X"], np.nan))},
        "X contains NaN",
    ),
    "complex": (lambda d: d | {"X": d["X"].astype(complex)}, "Complex data"),
    "fewer labels": (lambda d: d | {"y": d["y"][:50]}, "^y has 50 labels for"),
    "y with nan": (lambda d: d | {"y": with_value(np.tile(d["y"], (6, 1)) * 1.0, np.nan)[3]}, "y"),
    "continuous y": (lambda d: d | {"y": np.linspace(0, 1, 200)}, "Unknown label type"),
    "no y": (lambda d: d | {"y": None}, "requires y"),
    "y_target alone": (lambda d: {**d, "X_target": None, "y_target": [1]}, "X_target"),
    "y_target length": (lambda d: d | {"y_target": [1, 2]}, "y_target has 2 labels"),
    "y_target class": (lambda d: d | {"y_target": [77] + [-1] * 149}, r"y_target holds \[77\]"),
    "5-d": (lambda d: d | {"X": d["X"].reshape(200, 1, 1, 8, 8)}, "dim"),
    "image target": (lambda d: d | {"X_target": d["X_target"].reshape(-1, 1, 8, 8)}, "X_target"),
    "two layouts": (
        lambda d: d | {"X": np.zeros((200, 3, 8, 3), np.uint8), "X_target": None},
        "image_layout=",
    ),
}


@pytest.mark.filterwarnings("ignore::skda.exceptions.NoTargetWarning")
@pytest.mark.parametrize("case", BAD_DATA)
def test_bad_data(few, case):
    change, message = BAD_DATA[case]
    data = {name: few[name] for name in ("X", "y", "X_target")}
    with pytest.raises((ValueError, TypeError), match=message):
        Quick().fit(**change(data))


BAD_PARAMETERS = [
    ({"trade_off": -1}, "trade_off"),
    ({"max_epochs": 0}, "max_epochs"),
    ({"batch_size": 1}, "batch_size"),
    ({"lr": 0.0}, "lr"),
    ({"alignment": "distance"}, "alignment"),
    ({"precision": "float8"}, "precision"),
    ({"batch_norm": "none"}, "batch_norm"),
    ({"optimizer": "newton"}, "optimizer"),
    ({"layers": ("hidden9",)}, "hidden9.*hidden1"),
    ({"layers": "features"}, "layers"),
    ({"device": "gpu"}, "device"),
    ({"max_epoch": 3}, "max_epoch.*did you mean 'max_epochs'"),
    ({"modul__dropout": 0.1}, "modul__dropout.*module__"),
    ({"module__dropuot": 0.1}, "module__dropuot.*module__dropout"),
    ({"optimizer__momentum": 0.9}, "optimizer__momentum.*optimizer__betas"),
    ({"iterator_train__shuffle": True}, "iterator_train__shuffle.*num_workers"),
    ({"criterion__smoothing": 0.1}, "criterion__smoothing.*criterion__label_smoothing"),
    ({"alignment__gamma": 1}, "alignment__gamma"),
    ({"module": nn.Linear(10, 3)}, "module: Linear failed"),
    ({"module": nn.Unflatten(1, (8, 8))}, "module: Unflatten must return features"),
    ({"module": lambda: "network"}, "module"),
    ({"module": MLP(64), "module__dropout": 0.1}, "module__dropout.*instance"),
    ({"alignment": lambda s, t: s - t[: len(s)]}, "alignment must return a scalar"),
]


@pytest.mark.parametrize("params, message", BAD_PARAMETERS, ids=lambda p: "".join(p))
def test_bad_parameters(few, params, message):
    with pytest.raises((ValueError, TypeError), match=message):
        Quick(**params).fit(few["X"], few["y"], X_target=few["X_target"][:200])


def test_set_params_rejects_unknown_names():
    with pytest.raises(ValueError, match="max_epoch"):
        Quick().set_params(max_epoch=3)


def test_failed_fit_leaves_the_fitted_net(few):
    clf = Quick().fit(few["X"], few["y"], X_target=few["X_target"])
    net = clf.net_
    with pytest.raises(ValueError):
        clf.fit(few["X"][:, :3], few["y"], X_target=few["X_target"])
    assert clf.net_ is net


@pytest.mark.parametrize(
    "shape, message", [((5, 60), "60 features"), ((5, 1, 8, 8), "fitted on a table")]
)
def test_predict_checks_the_width(fitted, shape, message):
    with pytest.raises(ValueError, match=message):
        fitted.predict(np.zeros(shape))


@pytest.mark.slow
def test_worker_processes_give_back_a_module_class_of_a_script(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        """
from joblib import Parallel, delayed
from torch import nn
from skda.base import DeepAdaptationClassifier
from skda.datasets import load_shifted_digits


class Own(nn.Linear):
    def __init__(self, in_features):
        super().__init__(in_features, 4)


if __name__ == "__main__":
    digits = load_shifted_digits(random_state=0)
    clf = DeepAdaptationClassifier(module=Own, max_epochs=1)
    fit = delayed(clf.fit)(digits.X[:100], digits.y[:100], X_target=digits.X_target[:100])
    fitted, _ = Parallel(n_jobs=2)([fit, fit])
    assert type(fitted.net_.module_.backbone) is Own
    assert fitted.predict(digits.X_target).shape == (899,)
"""
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
