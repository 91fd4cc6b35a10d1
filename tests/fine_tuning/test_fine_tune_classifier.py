"""FineTuneClassifier: what is copied, frozen, re-initialised and trained."""

import copy
import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from torch import nn

from skda.adaptation import DANNClassifier
from skda.base import DeepAdaptationClassifier
from skda.feature_extraction import DeepFeatureExtractor
from skda.fine_tuning import FineTuneClassifier
from skda.nn import MLP
from skda.training import list_blocks, per_row

Quick = partial(FineTuneClassifier, max_epochs=2, random_state=0)
WITH_NORM = partial(MLP, 64, hidden_layer_sizes=(32, 24, 16), dropout=0.3)
PLAIN = partial(MLP, 64, hidden_layer_sizes=(32, 24, 16), batch_norm=False)


def trained(make=WITH_NORM):
    """A network whose weights and statistics are not those of a new one."""
    with torch.random.fork_rng():
        torch.manual_seed(5)
        network = make()
        for _ in range(5):
            network(torch.randn(16, 64))
    return network


def state(clf):
    return clf.net_.module_.backbone.state_dict()


def unchanged(clf, network):
    """Names of the entries that training left bit-identical."""
    before = network.state_dict()
    return {name for name, value in state(clf).items() if torch.equal(value, before[name])}


def assert_same_weights(first, second):
    first, second = (clf.net_.module_.state_dict() for clf in (first, second))
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


# -- frozen blocks ----------------------------------------------------------------------------


@pytest.mark.parametrize("n_frozen", [0, 1, 2, 3])
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_frozen_blocks_are_bit_identical_and_the_others_are_not(few, n_frozen, optimizer):
    network = trained()
    clf = Quick(module=network, n_frozen=n_frozen, optimizer=optimizer)
    clf.set_params(optimizer__weight_decay=0.1).fit(few["X"], few["y"])
    frozen = tuple(f"hidden{number}." for number in range(1, n_frozen + 1))
    assert unchanged(clf, network) == {n for n in state(clf) if n.startswith(frozen or ("-",))}


def test_optimizer_does_not_know_frozen_parameters(few):
    clf = Quick(module=trained(), n_frozen=2).fit(few["X"], few["y"])
    optimizer, backbone = clf.net_.optimizer_, clf.net_.module_.backbone
    known = {id(p) for group in optimizer.param_groups for p in group["params"]}
    expected = [*backbone.hidden3.parameters(), *clf.net_.module_.head.parameters()]
    assert known == {id(p) for p in expected} == {id(p) for p in optimizer.state}


def test_frozen_dropouts_and_batch_norms_are_in_eval_mode_during_training(few):
    modes = []

    class Spy(nn.Module):
        def forward(self, x):
            modes.append((self.training, torch.is_grad_enabled()))
            return x

    network = nn.Sequential(nn.Linear(64, 8), Spy(), nn.Linear(8, 8))
    Quick(module=network, n_frozen=1).fit(few["X"], few["y"])
    assert (False, True) in modes and (True, True) not in modes


@pytest.mark.parametrize("freeze", ["all", ["hidden1", "hidden2", "hidden3"]])
def test_everything_frozen_is_everything_but_the_head(few, freeze):
    network = trained()
    clf = Quick(module=network, freeze=freeze).fit(few["X"], few["y"])
    assert unchanged(clf, network) == set(state(clf))


def test_names_freeze_submodules_anywhere(few):
    network = trained()
    clf = Quick(module=network, freeze=("hidden2.0", "hidden3")).fit(few["X"], few["y"])
    expected = {n for n in state(clf) if n.startswith(("hidden2.0", "hidden3"))}
    assert unchanged(clf, network) == expected


def test_freeze_all_is_a_linear_probe_on_cached_features(few):
    network = trained()
    clf = Quick(module=network, freeze="all", max_epochs=10).fit(few["X"], few["y"])
    features = DeepFeatureExtractor(network).fit_transform(few["X"])
    probe = Quick(module=nn.Identity(), max_epochs=10).fit(features, few["y"])
    np.testing.assert_allclose(
        clf.predict_proba(few["X"]), probe.predict_proba(features), atol=1e-5
    )


def test_functional_dropout_is_off_when_everything_is_frozen(few):
    class Functional(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(64, 8), nn.Linear(8, 8)

        def forward(self, x):
            return nn.functional.dropout(self.second(self.first(x)), 0.5, self.training)

    network = Functional()
    clf = Quick(module=network, freeze="all").fit(few["X"], few["y"])
    probe = Quick(module=nn.Identity()).fit(clf.transform(few["X"]), few["y"])
    np.testing.assert_allclose(
        clf.predict_proba(few["X"]), probe.predict_proba(clf.transform(few["X"])), atol=1e-5
    )


def test_blocks_of_one_fit_learn_again_in_the_next(few):
    first = Quick(module=trained(), freeze="all").fit(few["X"], few["y"])
    second = Quick(module=first).fit(few["X"], few["y"])
    assert not unchanged(second, first.net_.module_.backbone) & {
        name for name in state(second) if name.endswith("weight")
    }


# -- transferred and new blocks ---------------------------------------------------------------


@pytest.mark.parametrize("make", [WITH_NORM, PLAIN])
def test_no_transferred_block_is_training_from_scratch(few, make):
    scratch = Quick(module=make).fit(few["X"], few["y"])
    for module in (trained(make), make, Quick(module=trained(make)).fit(few["X"], few["y"])):
        again = Quick(module=module, n_transfer=0).fit(few["X"], few["y"])
        assert_same_weights(again, scratch)


def test_blocks_above_the_transferred_ones_are_new(few):
    network = trained()
    clf = Quick(module=network, n_transfer=2, lr=1e-12).fit(few["X"], few["y"])
    weights = {n: (v - network.state_dict()[n]).abs().max() for n, v in state(clf).items()}
    assert weights["hidden1.0.weight"] < 1e-6 and weights["hidden2.0.weight"] < 1e-6
    assert weights["hidden3.0.weight"] > 0.01


def test_new_weights_depend_on_the_random_state(few):
    fits = [
        Quick(module=trained(), n_transfer=1, n_frozen=1, random_state=seed, lr=1e-12)
        for seed in (0, 0, 1)
    ]
    first, same, other = (state(clf.fit(few["X"], few["y"])) for clf in fits)
    assert torch.equal(first["hidden2.0.weight"], same["hidden2.0.weight"])
    assert not torch.allclose(first["hidden2.0.weight"], other["hidden2.0.weight"], atol=1e-3)


def test_transferred_blocks_without_a_learning_rate_are_frozen_ones(few):
    """AnB+ whose copied layers stand still is AnB, where there are no statistics to change."""
    network = trained(PLAIN)
    slow = Quick(module=network, n_transfer=2, layer_decay=0, head_lr_multiplier=1)
    frozen = Quick(module=network, n_transfer=2, n_frozen=2, head_lr_multiplier=1)
    assert_same_weights(*(clf.fit(few["X"], few["y"]) for clf in (slow, frozen)))


def test_frozen_blocks_without_transfer_are_random(few):
    network = trained()
    clf = Quick(module=network, n_transfer=0, n_frozen=2).fit(few["X"], few["y"])
    assert not unchanged(clf, network) & {"hidden1.0.weight", "hidden2.0.weight"}
    norm = clf.net_.module_.backbone.hidden1[1]
    assert torch.equal(norm.running_mean, torch.zeros(32))


def rates(clf):
    groups = clf.net_.optimizer_.param_groups
    by_parameter = {id(p): group["lr"] for group in groups for p in group["params"]}
    return {name: by_parameter[id(p)] for name, p in clf.net_.module_.named_parameters()}


def test_learning_rates_per_block(few):
    clf = Quick(module=trained(), n_transfer=2, layer_decay=0.5, lr=0.01).fit(few["X"], few["y"])
    expected = {"backbone.hidden1": 0.0025, "backbone.hidden2": 0.005}
    expected |= {"backbone.hidden3": 0.1, "head": 0.1}
    for name, rate in rates(clf).items():
        start = next(start for start in expected if name.startswith(start))
        assert rate == pytest.approx(expected[start]), name


@pytest.mark.parametrize(
    "params, ratio",
    [
        ({"module": trained()}, 10),
        ({"module": trained(), "n_transfer": 0}, 1),
        ({"module": WITH_NORM}, 1),
        ({}, 1),
        ({"module": WITH_NORM, "weights": trained().state_dict()}, 10),
        ({"module": trained(), "head_lr_multiplier": 3}, 3),
    ],
)
def test_head_learns_faster_than_weights_that_are_kept(few, params, ratio):
    learned = rates(Quick(**params).fit(few["X"], few["y"]))
    assert learned["head.weight"] == pytest.approx(ratio * learned["backbone.hidden1.0.weight"])


def test_weights_reach_a_class(few):
    network = trained()
    clf = Quick(module=WITH_NORM, weights=network.state_dict(), freeze="all")
    assert unchanged(clf.fit(few["X"], few["y"]), network) == set(state(clf))


# -- options of training ----------------------------------------------------------------------


@pytest.mark.parametrize("max_epochs, n_learning", [(2, 0), (3, 1), (5, 2), (7, 3), (9, 3)])
def test_gradual_unfreezing_goes_downwards(few, max_epochs, n_learning):
    network = trained()
    clf = Quick(module=network, freeze="all", unfreeze_every=2, max_epochs=max_epochs)
    clf.fit(few["X"], few["y"])
    learning = {n for n in ("hidden1", "hidden2", "hidden3") if f"{n}.0.weight" in state(clf)}
    learning -= {name.partition(".")[0] for name in unchanged(clf, network)}
    assert learning == set(["hidden3", "hidden2", "hidden1"][:n_learning])


def test_augment_sees_every_training_row_and_no_other(few):
    seen = []

    def augment(X):
        seen.append(X.shape)
        return X + 5

    clf = Quick(augment=augment, batch_size=50).fit(few["X"], few["y"])
    assert seen == [(50, 64)] * 8
    clf.predict(few["X"])
    assert len(seen) == 8
    assert not np.allclose(
        clf.predict_proba(few["X"]),
        Quick(batch_size=50).fit(few["X"], few["y"]).predict_proba(few["X"]),
    )


def test_augment_gets_uint8_images_as_the_network_does(digits):
    images = np.rint(digits.X * 255).astype(np.uint8).reshape(-1, 8, 8, 1)[:60]
    ranges = []

    def augment(row):
        ranges.append((tuple(row.shape), row.max().item() <= 1))
        return row.flip(-1)

    Quick(augment=per_row(augment)).fit(images, digits.y[:60])
    assert set(ranges) == {((1, 8, 8), True)}


def test_augment_must_keep_the_shape(few):
    with pytest.raises(ValueError, match="augment must return"):
        Quick(augment=lambda X: X[:, :3]).fit(few["X"], few["y"])


def test_random_augmentation_is_reproducible(few):
    def augment(X):
        return X + 0.1 * torch.randn_like(X)

    fits = [Quick(augment=augment).fit(few["X"], few["y"]) for _ in range(2)]
    assert_same_weights(*fits)


def test_early_stopping_keeps_the_best_weights(few):
    clf = Quick(max_epochs=60, early_stopping=True, n_iter_no_change=3, lr=0.03)
    clf.fit(few["X"], few["y"])
    assert clf.n_iter_ < 60
    assert {"train_loss", "valid_loss", "valid_accuracy"} <= set(clf.history_[-1])


def test_history_is_that_of_one_domain(few):
    clf = Quick(criterion__label_smoothing=0.3).fit(few["X"], few["y"])
    assert not {"trade_off", "alignment_loss", "classification_loss"} & set(clf.history_[-1])
    assert clf.net_.criterion_.label_smoothing == 0.3
    plain = Quick().fit(few["X"], few["y"])
    assert clf.history_[-1]["train_loss"] != plain.history_[-1]["train_loss"]


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_mixed_precision(few, precision):
    clf = Quick(module=trained(), n_frozen=1, precision=precision).fit(few["X"], few["y"])
    full = Quick(module=trained(), n_frozen=1).fit(few["X"], few["y"])
    assert all(value.dtype != torch.bfloat16 for value in state(clf).values())
    np.testing.assert_allclose(clf.predict_proba(few["X"]), full.predict_proba(few["X"]), atol=0.1)


def test_default_is_a_network_trained_on_one_domain(few):
    clf = Quick().fit(few["X"], few["y"])
    with pytest.warns(UserWarning, match="without target"):
        other = DeepAdaptationClassifier(max_epochs=2, random_state=0).fit(few["X"], few["y"])
    assert_same_weights(clf, other)


def test_global_generator_is_untouched(few):
    before = torch.get_rng_state()
    Quick(module=trained(), n_transfer=1).fit(few["X"], few["y"])
    assert torch.equal(before, torch.get_rng_state())


# -- partial_fit ------------------------------------------------------------------------------


def test_partial_fit_learns(digits):
    clf = FineTuneClassifier(random_state=0)
    for _ in range(10):
        clf.partial_fit(digits.X[:400], digits.y[:400], classes=range(10))
    assert clf.n_iter_ == 10 and clf.score(digits.X[400:], digits.y[400:]) > 0.8


def test_partial_fit_goes_on_after_fit(few):
    clf = Quick().fit(few["X"], few["y"])
    before = copy.deepcopy(state(clf))
    clf.partial_fit(few["X"][:50], few["y"][:50])
    assert clf.n_iter_ == 3
    assert not torch.equal(before["hidden1.0.weight"], state(clf)["hidden1.0.weight"])


def test_partial_fit_is_reproducible(few):
    fits = [Quick(), Quick()]
    for clf in fits:
        for _ in range(2):
            clf.partial_fit(few["X"], few["y"], classes=range(10))
    assert_same_weights(*fits)


def test_partial_fit_takes_a_single_row_and_string_labels(few):
    clf = Quick().partial_fit(few["X"][:1], ["b"], classes=["c", "b"])
    assert clf.classes_.tolist() == ["b", "c"]
    assert clf.partial_fit(few["X"][1:3], ["c", "b"]).predict(few["X"][:1])[0] in ("b", "c")


@pytest.mark.parametrize(
    "params, kwargs, message",
    [
        ({}, {}, "classes must be passed"),
        ({}, {"classes": [0, 1]}, r"y holds \[2, 3"),
        ({}, {"classes": [0]}, "one class"),
        ({"early_stopping": True}, {"classes": range(10)}, "early_stopping"),
    ],
)
def test_partial_fit_bad_input(few, params, kwargs, message):
    with pytest.raises(ValueError, match=message):
        Quick(**params).partial_fit(few["X"], few["y"], **kwargs)


def test_partial_fit_keeps_its_classes(few):
    clf = Quick().partial_fit(few["X"], few["y"], classes=range(10))
    with pytest.raises(ValueError, match="first call"):
        clf.partial_fit(few["X"], few["y"], classes=range(11))


# -- the fitted model elsewhere ---------------------------------------------------------------


@pytest.fixture(scope="module")
def fitted(few):
    return Quick(module=trained(), n_frozen=1).fit(few["X"], few["y"])


def test_backbone_of_an_extractor(fitted, few):
    features = DeepFeatureExtractor(fitted).fit_transform(few["X"])
    np.testing.assert_allclose(features, fitted.transform(few["X"]), atol=1e-5)


@pytest.mark.parametrize("cls", [DeepAdaptationClassifier, DANNClassifier, FineTuneClassifier])
@pytest.mark.parametrize("wrap", [lambda clf: clf, FrozenEstimator])
def test_start_of_another_training(fitted, few, cls, wrap):
    before = copy.deepcopy(state(fitted))
    target = {} if cls is FineTuneClassifier else {"X_target": few["X_target"]}
    clf = cls(module=wrap(fitted), max_epochs=1, lr=1e-12, random_state=0)
    clf.fit(few["X"], few["y"], **target)
    weight = clf.net_.module_.backbone.hidden2[0].weight
    torch.testing.assert_close(weight, before["hidden2.0.weight"], atol=1e-6, rtol=0)
    assert all(torch.equal(before[name], state(fitted)[name]) for name in before)


def test_adapted_network_is_fine_tuned(few):
    adapted = DANNClassifier(module=trained(), max_epochs=1, random_state=0)
    adapted.fit(few["X"], few["y"], X_target=few["X_target"])
    clf = Quick(module=adapted, freeze="all").fit(few["X"], few["y"])
    np.testing.assert_allclose(clf.transform(few["X"]), adapted.transform(few["X"]), atol=1e-5)


def test_clone_of_a_fitted_module_is_refused(fitted, few):
    with pytest.raises(NotFittedError, match="FrozenEstimator"):
        clone(Quick(module=fitted)).fit(few["X"], few["y"])


def test_standardized_backbone_is_refused(few):
    adapted = DANNClassifier(max_epochs=1, standardize="domain")
    adapted.fit(few["X"], few["y"], X_target=few["X_target"])
    with pytest.raises(ValueError, match="standardize"):
        Quick(module=adapted).fit(few["X"], few["y"])


def test_grid_search_over_blocks(few):
    search = GridSearchCV(
        Quick(module=trained(), max_epochs=1), {"n_frozen": [0, 3], "n_transfer": [None, 3]}, cv=2
    )
    assert search.fit(few["X"], few["y"]).best_score_ > 0


def test_pickle(fitted, few):
    loaded = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(loaded.predict(few["X"]), fitted.predict(few["X"]))
    loaded.partial_fit(few["X"], few["y"])
    assert unchanged(loaded, trained()) == {n for n in state(loaded) if n.startswith("hidden1.")}


def test_data_frame(few):
    X = pd.DataFrame(few["X"], columns=[f"pixel {i}" for i in range(64)])
    clf = Quick().fit(X, few["y"])
    with pytest.raises(ValueError, match="feature names"):
        clf.partial_fit(X[X.columns[::-1]], few["y"])


# -- bad parameters ---------------------------------------------------------------------------


class NoReset(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.scale = nn.Linear(64, 4), nn.Parameter(torch.ones(4))

    def forward(self, x):
        return self.first(x) * self.scale


@pytest.mark.parametrize(
    "params, message",
    [
        ({"n_frozen": 4}, "n_frozen=4, but MLP has 3 blocks: 'hidden1.0'"),
        ({"n_transfer": 4}, "n_transfer=4, but MLP has 3 blocks"),
        ({"n_frozen": -1}, "n_frozen"),
        ({"freeze": "some"}, "freeze"),
        ({"freeze": ["hiden1"]}, "freeze: MLP has no submodule 'hiden1'.*'hidden1'"),
        ({"freeze": "all", "n_frozen": 1}, "n_frozen=1 and freeze='all'"),
        ({"layer_decay": 2.0}, "layer_decay"),
        ({"unfreeze_every": 0}, "unfreeze_every"),
        ({"weights": None}, "weights: None"),
        ({"weights": {"x": torch.ones(1)}}, "weights"),
        ({"module": NoReset(), "n_transfer": 0}, "n_transfer: block 'first'.*'scale'"),
        ({"X_target": 3}, "X_target"),
    ],
    ids=str,
)
def test_bad_parameters(few, params, message):
    params = {"module": trained(), **params}
    with pytest.raises((ValueError, TypeError), match=message):
        Quick(**params).fit(few["X"], few["y"])


def test_module_is_not_changed(few):
    network = trained()
    before = copy.deepcopy(network.state_dict())
    Quick(module=network, n_transfer=1, n_frozen=1).fit(few["X"], few["y"])
    assert all(torch.equal(before[name], network.state_dict()[name]) for name in before)
    assert all(p.requires_grad for p in network.parameters()) and len(list_blocks(network)) == 3
