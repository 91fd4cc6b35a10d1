"""The shallow DANN: a layer of sigmoid units and a domain unit, trained row by row."""

import copy
import pickle

import numpy as np
import pytest
import torch
from devices import on_cpu
from scipy.special import expit, softmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.datasets import make_moons
from sklearn.model_selection import GridSearchCV
from skorch.callbacks import EpochScoring, LRScheduler
from torch import nn
from torch.nn import functional as F

from skda.adaptation import DANNClassifier, ShallowDANNClassifier
from skda.adaptation.adversarial._row_descent import RowDescent, Rows
from skda.adaptation.adversarial._shallow_dann import ShallowDANNNet, _make_sigmoid_layer
from skda.exceptions import NoTargetWarning
from skda.losses import domain_cross_entropy
from skda.model_selection import TargetEntropyScorer
from skda.nn import DomainAdversary, LayerwiseAlignment, reverse_gradient
from skda.training import AdaptationModule, DomainDataset


def shallow(**params):
    params = {"max_epochs": 3, "lr": 0.02, "random_state": 0, **params}
    return ShallowDANNClassifier(**params)


def fit(few, y_target=None, **params):
    return shallow(**params).fit(few["X"], few["y"], X_target=few["X_target"], y_target=y_target)


def weights_of(clf):
    return list(clf.net_.module_.parameters())


def equal(first, second):
    return all(map(torch.equal, weights_of(first), weights_of(second)))


def random_layers(rng, n_features=5, n_hidden=4, n_classes=3):
    widths = [(n_features, n_hidden), (n_hidden, n_classes), (n_hidden, 1)]
    return [[rng.standard_normal(size), rng.standard_normal(size[1])] for size in widths]


def row(values, label):
    return None, values, label


# -- the algorithm ----------------------------------------------------------------------------


@pytest.mark.parametrize("known", [False, True])
def test_step_is_that_of_the_paper(known):
    rng = np.random.default_rng(0)
    layers = random_layers(rng)
    (W, b), (V, c), (u, z) = layers
    u = u[:, 0]
    x, y, x_t, y_t = rng.standard_normal(5), 2, rng.standard_normal(5), 1
    mu, lam = 0.1, 0.7
    h, h_t = expit(x @ W + b), expit(x_t @ W + b)

    def classification(h, y):
        error = softmax(h @ V + c) - np.eye(3)[y]
        return np.outer(h, error), error, V @ error * h * (1 - h)

    change_V, change_c, change_b = classification(h, y)
    change_W = np.outer(x, change_b)
    if known:
        more = classification(h_t, y_t)
        change_V, change_c, change_b = change_V + more[0], change_c + more[1], change_b + more[2]
        change_W += np.outer(x_t, more[2])
    # The paper's unit says how likely the source is, this one how likely the target is.
    p, p_t = expit(-(h @ u + z)), expit(-(h_t @ u + z))
    ascent = lam * (1 - p) * -u * h * (1 - h)
    ascent_t = -lam * p_t * -u * h_t * (1 - h_t)
    change_b = change_b + ascent + ascent_t
    change_W += np.outer(x, ascent) + np.outer(x_t, ascent_t)

    descent = RowDescent(layers, mu, lam)
    logits = descent.step([row(x, y), row(x_t, y_t if known else -100)])
    (new_W, new_b), (new_V, new_c), (new_u, new_z) = descent.layers()
    np.testing.assert_allclose(new_W, W - mu * change_W, atol=1e-12)
    np.testing.assert_allclose(new_b, b - mu * change_b, atol=1e-12)
    np.testing.assert_allclose(new_V, V - mu * change_V, atol=1e-12)
    np.testing.assert_allclose(new_c, c - mu * change_c, atol=1e-12)
    change_u = lam * ((1 - p) * h - p_t * h_t)
    np.testing.assert_allclose(new_u[:, 0], u - mu * change_u, atol=1e-12)
    np.testing.assert_allclose(new_z, z - mu * lam * (1 - p - p_t), atol=1e-12)
    np.testing.assert_allclose(logits[:, :3], np.array([h, h_t]) @ V + c)
    np.testing.assert_allclose(logits[:, 3], np.array([h, h_t]) @ u + z)


@pytest.mark.parametrize("trade_off", [0, 0.5])
def test_training_descends_the_reversed_gradient(trade_off):
    torch.manual_seed(0)
    layer = _make_sigmoid_layer((3,), hidden_layer_sizes=(4,))
    module = AdaptationModule(layer, nn.Linear(4, 2), n_targets=1)
    unit = shallow().make_loss(DomainAdversary, ("features",), {"features": 4}).discriminator
    adversary = DomainAdversary(4, copy.deepcopy(unit))
    net = ShallowDANNNet(
        copy.deepcopy(module),
        alignment=LayerwiseAlignment({"features": adversary}) if trade_off else None,
        trade_off=trade_off,
        lr=0.1,
        lr_schedule="constant",
        max_epochs=3,
        verbose=0,
    )
    x, x_t, y = torch.randn(1, 3), torch.randn(1, 3), torch.tensor([1])
    net.fit(DomainDataset(x.numpy(), y.numpy(), (x_t.numpy(),)), None)
    optimizer = torch.optim.SGD([*module.parameters(), *unit.parameters()], lr=0.1)
    for _ in range(3):
        logits, activations = module(torch.cat([x, x_t]))
        domain_logits = unit(reverse_gradient(activations["features"]))
        # The mean of both domains is half of the paper's sum.
        domain_loss = 2 * domain_cross_entropy(domain_logits[:1], domain_logits[1:])
        loss = F.cross_entropy(logits[:1], y) + trade_off * domain_loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    trained = [*net.module_.parameters(), *adversary.parameters()]
    for mine, theirs in zip(trained, optimizer.param_groups[0]["params"], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_rows_of_few_values_make_the_same_step():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2, 60)) * (rng.random((2, 60)) < 0.07)
    X[:, 7] = 1.5  # a column of both rows
    rows = Rows(X, np.array([1, -100]))
    assert len(rows[0][1]) < 10
    layers = random_layers(rng, 60)
    sparse, dense = (RowDescent(layers, 0.1, 0.7) for _ in range(2))
    sparse.step([rows[0], rows[1]])
    dense.step([row(X[0], 1), row(X[1], -100)])
    for mine, theirs in zip(sparse.layers(), dense.layers(), strict=True):
        np.testing.assert_allclose(mine[0], theirs[0], atol=1e-12)
        np.testing.assert_allclose(mine[1], theirs[1], atol=1e-12)


def test_weights_start_uniform_and_the_domain_unit_undecided(few):
    clf = fit(few, lr=1e-12)
    hidden, biases, head, _ = (on_cpu(w).numpy() for w in weights_of(clf))
    for weight in (hidden, head):
        bound = np.sqrt(6 / sum(weight.shape))
        assert 0.9 * bound < np.abs(weight).max() <= bound
    assert np.abs(biases).max() < 1e-6
    (adversary,) = clf.net_.alignment_.modules_with_state
    assert adversary.discriminator.weight.abs().max() < 1e-6


# -- what it learns from ----------------------------------------------------------------------


@pytest.mark.parametrize("early_stopping", [False, True])
def test_without_trade_off_it_is_the_plain_network(few, early_stopping):
    params = {"trade_off": 0, "early_stopping": early_stopping}
    clf = fit(few, **params)
    with pytest.warns(NoTargetWarning):
        alone = shallow(**params).fit(few["X"], few["y"])
    assert equal(clf, alone)
    assert "domain_accuracy" not in clf.history_[-1]


def test_target_changes_the_weights(few):
    assert not equal(fit(few), fit(few, trade_off=0))


def test_domains_become_alike(digits):
    losses = {}
    for trade_off in (1e-3, 1):
        clf = shallow(trade_off=trade_off, lr=0.02, max_epochs=15)
        clf.fit(digits.X, digits.y, X_target=digits.X_target)
        features = [clf.transform(X).mean(axis=0) for X in (digits.X, digits.X_target)]
        losses[trade_off] = np.linalg.norm(features[0] - features[1])
    assert losses[1] < 0.5 * losses[1e-3]


def test_labelled_target_rows_are_learned(few):
    y_target = np.where(np.arange(150) < 60, few["y_target"], -1)
    known = slice(0, 60)
    scores = [
        fit(few, labels, max_epochs=40, trade_off=trade_off).score(
            few["X_target"][known], few["y_target"][known]
        )
        for labels, trade_off in ((y_target, 0.1), (y_target, 0), (None, 0.1))
    ]
    assert min(scores[:2]) > scores[2] + 0.1


def test_every_target_domain_is_drawn_from(few):
    two = few["X_target"][:50], few["X_target"][50:60]
    clf = shallow().fit(few["X"], few["y"], X_target=two)
    other = shallow().fit(few["X"], few["y"], X_target=(two[0], two[1] + 1))
    first = shallow().fit(few["X"], few["y"], X_target=two[0])
    assert not equal(clf, other) and not equal(clf, first)
    assert clf.predict(few["X_target"]).shape == (150,)


def test_columns_are_standardized_in_each_domain(few):
    X, X_target = few["X"] * 3 + 1, few["X_target"] * 9 - 4
    clf = shallow(standardize="domain").fit(X, few["y"], X_target=X_target)

    def standardized(rows):
        spread = rows.std(axis=0)
        return (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1)

    plain = shallow().fit(standardized(X), few["y"], X_target=standardized(X_target))
    np.testing.assert_allclose(
        clf.decision_function(X_target),
        plain.decision_function(standardized(X_target)),
        atol=1e-3,
    )


def test_rows_of_a_file(few, tmp_path):
    np.save(tmp_path / "X.npy", few["X"].astype("float32"))
    X = np.load(tmp_path / "X.npy", mmap_mode="r")
    clf = shallow(early_stopping=True).fit(X, few["y"], X_target=few["X_target"])
    assert equal(clf, fit(few, early_stopping=True))


# -- the contract -----------------------------------------------------------------------------


def test_history(few):
    history = fit(few, validation_fraction=0.1).history_
    assert len(history) == 3
    for epoch in history:
        losses = [epoch["classification_loss"], epoch["alignment_loss"]]
        assert epoch["train_loss"] == pytest.approx(sum(losses))
        assert epoch["trade_off"] == 1
        assert 0 <= epoch["domain_accuracy"] <= 1 and 0 <= epoch["valid_accuracy"] <= 1
        assert epoch["valid_loss"] > 0
        assert epoch["encoder_gradient_norm"] > 0 and epoch["adversary_gradient_norm"] > 0
        assert 1 <= epoch["target_classes"] <= 10


@pytest.mark.filterwarnings("error")
def test_healthy_training_raises_no_alarm(few):
    fit(few, max_epochs=10)


def test_domain_unit_learns_and_is_defeated(few):
    clf = shallow(max_epochs=10).fit(few["X"], few["y"], X_target=few["X_target"] + 1)
    accuracies = clf.history_[:, "domain_accuracy"]
    assert accuracies[0] > 0.75
    assert np.mean(accuracies[-3:]) < 0.65


def test_early_stopping_keeps_the_best_weights(few):
    clf = fit(few, early_stopping=True, n_iter_no_change=3, lr=0.5, max_epochs=100)
    losses = clf.history_[:, "valid_loss"]
    assert len(losses) == np.argmin(losses) + 1 + 3 < 100
    shorter = fit(few, validation_fraction=0.1, lr=0.5, max_epochs=len(losses) - 3)
    assert equal(clf, shorter)


def test_same_random_state_same_weights(few):
    assert equal(fit(few), fit(few))
    assert not equal(fit(few), fit(few, random_state=1))


def test_pickle(few):
    clf = fit(few)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(
        again.predict_proba(few["X_target"]), clf.predict_proba(few["X_target"])
    )


def test_width_of_the_hidden_layer(few):
    assert fit(few).transform(few["X_target"]).shape == (150, 64)
    assert fit(few, module__hidden_layer_sizes=[7]).transform(few["X"]).shape == (200, 7)


def test_search_with_target(few):
    grid = {"module__hidden_layer_sizes": [(8,), (64,)], "trade_off": [0, 1]}
    search = GridSearchCV(clone(shallow(max_epochs=1)), grid, scoring=TargetEntropyScorer(), cv=2)
    with config_context(enable_metadata_routing=True):
        search.fit(few["X"], few["y"], X_target=(few["X_target"],))
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


@pytest.mark.filterwarnings("error")
def test_scheduler_among_the_callbacks_sets_the_learning_rate(few):
    scheduler = LRScheduler("StepLR", step_size=1, gamma=0.0)
    assert equal(fit(few, callbacks=[scheduler]), fit(few, max_epochs=1))


def test_callbacks_can_score_the_training_rows(few):
    scoring = EpochScoring("accuracy", on_train=True, name="train_accuracy")
    clf = fit(few, callbacks=[scoring], max_epochs=20)
    seen = clf.history_[-1, "train_accuracy"]
    assert seen == pytest.approx(clf.score(few["X"], few["y"]), abs=0.1) and seen > 0.8


@pytest.mark.parametrize(
    "params",
    [
        {"module": nn.Identity},
        {"layers": ("logits",)},
        {"discriminator": nn.Linear},
        {"discriminator__dropout": 0.5},
        {"trade_off_schedule": "constant"},
        {"lr_schedule": "constant"},
        {"batch_size": 32},
        {"optimizer": "sgd"},
        {"optimizer__weight_decay": 0.1},
        {"criterion__label_smoothing": 0.1},
        {"batch_norm": "shared"},
        {"precision": "bfloat16"},
        {"n_frozen": 1},
    ],
)
def test_parameters_of_deep_networks_are_refused(few, params):
    (name,) = params
    with pytest.raises(TypeError, match=rf"^ShallowDANNClassifier has no parameter '{name}'"):
        fit(few, **params)


def test_other_keywords_of_the_hidden_layer_are_refused(few):
    with pytest.raises(TypeError, match=r"module__dropout: .*module__hidden_layer_sizes"):
        fit(few, module__dropout=0.5)


@pytest.mark.parametrize("sizes", [(), (8, 4), (0,), (2.5,)])
def test_there_is_one_hidden_layer(few, sizes):
    with pytest.raises(
        ValueError, match=r"module__hidden_layer_sizes(=.*one hidden layer| must be whole numbers)"
    ):
        fit(few, module__hidden_layer_sizes=sizes)
    assert fit(few, module__hidden_layer_sizes=8).transform(few["X"]).shape == (200, 8)


def test_images_are_refused(few):
    images = few["X"].reshape(-1, 1, 8, 8)
    with pytest.raises(ValueError, match=r"holds images, but Shallow.* can train on a table"):
        shallow().fit(images, few["y"], X_target=images)


def test_the_deep_dann_has_no_solver(few):
    with pytest.raises(TypeError, match="solver"):
        DANNClassifier(solver="shallow").fit(few["X"], few["y"], X_target=few["X_target"])


# -- moons ------------------------------------------------------------------------------------


def moons():
    """Two moons, and another draw of them turned by 35 degrees."""
    X, y = make_moons(150, noise=0.05, random_state=1)
    X_target, y_target = make_moons(150, noise=0.05, random_state=2)
    mean, (cos, sin) = X.mean(axis=0), (f(np.deg2rad(35)) for f in (np.cos, np.sin))
    turned = 2 * (X_target - mean) @ np.array([[cos, sin], [-sin, cos]])
    return 2 * (X - mean), y, turned, y_target


def moons_accuracy(trade_off, lr, max_epochs):
    """Accuracy on the target in per cent, averaged over three random states."""
    X, y, X_target, y_target = moons()
    scores = []
    for random_state in range(3):
        clf = ShallowDANNClassifier(
            trade_off=trade_off,
            lr=lr,
            max_epochs=max_epochs,
            module__hidden_layer_sizes=(15,),
            random_state=random_state,
        )
        clf.fit(X, y, X_target=X_target)
        assert clf.history_[-1, "classification_loss"] < 0.1
        scores.append(100 * clf.score(X_target, y_target))
    return np.mean(scores)


@pytest.mark.parametrize(
    "trade_off, lr, max_epochs",
    [
        pytest.param(6, 0.05, 500, id="as in the paper", marks=pytest.mark.exhaustive),
        pytest.param(2, 0.1, 150, id="short", marks=pytest.mark.slow),
    ],
)
def test_turned_moons(trade_off, lr, max_epochs):
    adapted = moons_accuracy(trade_off, lr, max_epochs)
    alone = moons_accuracy(0, lr, max_epochs)
    assert adapted >= 87
    assert adapted >= alone + 4
