"""CoGAN: coupled generators and discriminators, with the classifier on the latter."""

import pickle

import numpy as np
import pytest
import torch
from sklearn.svm import SVC
from torch import nn

from skda.adaptation import CoGANClassifier
from skda.adaptation.adversarial import CoupledGenerator
from skda.adaptation.adversarial._cogan import CoGANNet, CoupledGame
from skda.base import DeepAdaptationClassifier
from skda.datasets import load_shifted_digits
from skda.losses import domain_cross_entropy
from skda.nn import MLP, DomainLayer
from skda.training import AdaptationModule, DomainDataset


def _fit(few, cls=CoGANClassifier, **params):
    clf = cls(**{"max_epochs": 2, "random_state": 0, **params})
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


def _flat(module):
    return torch.cat([p.detach().flatten().clone() for p in module.parameters()])


def _game(**weights):
    torch.manual_seed(0)
    weights = {"pair_weight": 0.0, "moment_weight": 0.0, "agreement_weight": 0.0, **weights}
    return CoupledGame(4, CoupledGenerator(3, (5,)), **weights).double()


def _features(shift=0.0):
    return tuple(torch.randn(6, 4, dtype=torch.float64) + shift for _ in range(2))


# -- the losses -------------------------------------------------------------------------------


def test_discriminators_learn_to_tell_both_domains_from_what_is_generated():
    game, real, generated = _game(), _features(), _features(1.0)
    expected = sum(
        domain_cross_entropy(game.judge(fake), game.judge(true))
        for fake, true in zip(generated, real, strict=True)
    )
    torch.testing.assert_close(game(real, generated), expected)


def test_the_generator_learns_inverted_labels():
    game, generated, rows = _game(), _features(), _features()
    probability = torch.sigmoid(game.judge(torch.cat(generated)))
    loss = game.generator_loss(generated, generated, rows, rows)
    torch.testing.assert_close(loss, -probability.log().mean())


def test_pairs_with_the_same_features_cost_nothing():
    real, (fake, other) = _features(), _features(1.0)
    without, weighted = _game(), _game(pair_weight=3.0)
    torch.testing.assert_close(without(real, (fake, fake)), weighted(real, (fake, fake)))
    difference = weighted(real, (fake, other)) - without(real, (fake, other))
    torch.testing.assert_close(difference, 3 * (fake - other).square().mean())


def test_rows_with_the_moments_of_real_ones_cost_nothing():
    features, rows, others = _features(), _features(), _features(2.0)
    without, weighted = _game(), _game(moment_weight=1.0)
    alone = without.generator_loss(features, features, rows, rows)
    torch.testing.assert_close(weighted.generator_loss(features, features, rows, rows), alone)
    assert weighted.generator_loss(features, features, others, rows) > alone + 1


def test_the_row_of_the_target_costs_the_surprise_at_the_classes_of_the_source():
    features, rows, (of_source, of_target) = _features(), _features(), _features()
    without, weighted = _game(), _game(agreement_weight=3.0)
    alone = without.generator_loss(features, (of_source, of_target), rows, rows)
    loss = weighted.generator_loss(features, (of_source, of_target), rows, rows)
    surprise = -(of_source.softmax(1) * of_target.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(loss, alone + 3 * surprise)


def test_the_row_of_the_source_does_not_follow_that_of_the_target():
    game = _game(agreement_weight=1.0)
    logits = [part.requires_grad_() for part in _features()]
    game.generator_loss(_features(), logits, _features(), _features()).backward()
    of_source, of_target = (part.grad for part in logits)
    assert of_source is None and of_target.norm() > 0


def test_a_game_that_was_pickled_without_agreement_goes_on():
    game, generated, rows = _game(), _features(), _features()
    expected = game.generator_loss(generated, generated, rows, rows)
    del game.agreement_weight
    torch.testing.assert_close(game.generator_loss(generated, generated, rows, rows), expected)


# -- what is shared, and who learns -----------------------------------------------------------


class _Net(CoGANNet):
    """Keeps the weights before every step, and the gradients of chosen losses."""

    def initialize_module(self):
        super().initialize_module()
        self.steps = []
        return self

    def step_optimizers(self, *optimizers):
        before = _flat(self.module_), _flat(self.alignment_.generator)
        super().step_optimizers(*optimizers)
        after = _flat(self.module_), _flat(self.alignment_.generator)
        changed = [not torch.equal(a, b) for a, b in zip(before, after, strict=True)]
        self.steps.append((optimizers == (self.optimizer_,), changed))


def _net(trade_off=1.0, **params):
    torch.manual_seed(0)
    module = AdaptationModule(MLP(3, hidden_layer_sizes=(8, 4)), nn.Linear(4, 2), n_targets=1)
    DomainLayer.split_first(module, module.rows)
    weights = {"pair_weight": 0.0, "moment_weight": 0.0, "agreement_weight": 0.0}
    game = CoupledGame(4, CoupledGenerator(5, (3,)), **weights)
    net = _Net(module, alignment=game, trade_off=trade_off, max_epochs=1, verbose=0, **params)
    X = np.random.default_rng(0).standard_normal((40, 3)).astype("float32")
    return net.fit(DomainDataset(X, (X[:, 0] > 0).astype("int64"), (X + 1,)), None)


def test_a_step_of_one_player_leaves_the_other_as_it_is():
    steps = _net(batch_size=20).steps
    assert steps == [(False, [False, True]), (True, [True, False])] * 2


def _private(clf, kind):
    """What the source and what the target has for itself in the discriminators."""
    hidden = clf.net_.module_.backbone.hidden1
    return (hidden[0].source, hidden[0].target) if kind == "layer" else hidden[1].norms


@pytest.mark.parametrize("kind", ["norm", "layer"])
def test_labels_reach_shared_layers_and_what_is_private_to_the_source(few, kind):
    clf = _fit(few, max_epochs=1, private=kind)
    module = clf.net_.module_.train()
    module.zero_grad()
    X = torch.from_numpy(np.concatenate([few["X"][:100], few["X_target"][:100]]))
    with module.rows.of((100, 100)):
        logits, _ = module(X)
    nn.functional.cross_entropy(logits[:100], torch.tensor(few["y"][:100])).backward()
    source, target = _private(clf, kind)
    assert source.weight.grad.norm() > 0
    assert module.backbone.hidden2[0].weight.grad.norm() > 0
    assert target.weight.grad is None or not target.weight.grad.any()


@pytest.mark.parametrize("kind", ["norm", "layer"])
def test_all_that_is_not_private_is_shared(few, kind):
    alone = _fit(few, DeepAdaptationClassifier, trade_off=0, max_epochs=1).net_.module_
    clf = _fit(few, max_epochs=1, private=kind)
    source, target = _private(clf, kind)
    assert source.weight is not target.weight
    assert len(_flat(clf.net_.module_)) == len(_flat(alone)) + len(_flat(target))


@pytest.mark.parametrize("kind", ["norm", "layer"])
def test_all_players_learn(few, kind):
    short, long = (_fit(few, max_epochs=n, lr_schedule="constant", private=kind) for n in (1, 2))
    first, second = (
        (
            *_private(clf, kind),
            clf.net_.module_.backbone.hidden2,
            clf.net_.module_.head,
            clf.net_.alignment_.judge,
            clf.net_.alignment_.generator.shared,
            *clf.net_.alignment_.generator.last,
        )
        for clf in (short, long)
    )
    for mine, other in zip(first, second, strict=True):
        assert not torch.allclose(_flat(mine), _flat(other), atol=1e-4)


@pytest.mark.parametrize("name", ["pair_weight", "moment_weight", "agreement_weight"])
def test_every_loss_changes_the_network(few, name):
    first, second = (
        _fit(few, **{name: weight}).net_.module_.backbone.hidden2 for weight in (0.0, 5.0)
    )
    assert not torch.allclose(_flat(first), _flat(second), atol=1e-4)


def test_the_game_reaches_the_encoder(few):
    clf = _fit(few)
    assert clf.history_[-1, "encoder_gradient_norm"] > 0
    # What is private to the target learns from nothing else.
    assert _private(clf, "norm")[1].weight.grad.norm() > 0


def test_statistics_are_those_of_real_rows(few):
    clf = _fit(few, DeepAdaptationClassifier, alignment="coral", lr=1e-12)
    mine = _fit(few, lr=1e-12)
    for norm, other in zip(
        mine.net_.module_.domain_batch_norms(), clf.net_.module_.domain_batch_norms(), strict=True
    ):
        for statistics, expected in zip(norm.norms, other.norms, strict=True):
            torch.testing.assert_close(statistics.running_mean, expected.running_mean)
            torch.testing.assert_close(statistics.running_var, expected.running_var)


def test_history_holds_the_figures_of_the_game(few):
    clf = _fit(few)
    for name in (
        "alignment_loss",
        "adversary_loss",
        "real_accuracy",
        "encoder_gradient_norm",
        "adversary_gradient_norm",
        "target_classes",
    ):
        assert len(clf.history_[:, name]) == 2
    assert 0 <= clf.history_[-1, "real_accuracy"] <= 1


@pytest.mark.slow
def test_pairs_show_the_same_digit():
    """To a judge that knows the labels of both domains; without agreement it is 42 % of them."""
    same, by_chance = [], []
    for seed in (0, 1, 2):
        digits = load_shifted_digits(random_state=seed)
        judge = SVC(C=10).fit(
            np.concatenate([digits.X, digits.X_target]), np.concatenate([digits.y, digits.y_target])
        )
        clf = CoGANClassifier(random_state=seed)
        clf.fit(digits.X, digits.y, X_target=digits.X_target)
        source, target = map(judge.predict, clf.sample(1000, random_state=0))
        same.append(np.mean(source == target))
        by_chance.append(np.mean(source[:, None] == target))
    assert np.mean(same) > 0.5 and np.mean(by_chance) < 0.25


# -- networks and data of all kinds -----------------------------------------------------------


def _n_private_layers(clf):
    return sum(isinstance(part, DomainLayer) for part in clf.net_.module_.modules())


def test_a_frozen_layer_is_shared_and_the_next_one_private(few):
    clf = _fit(few, private="layer", n_frozen=1)
    backbone = clf.net_.module_.backbone
    assert isinstance(backbone.hidden1[0], nn.Linear)
    assert isinstance(backbone.hidden2[0], DomainLayer)


def test_a_network_with_a_private_layer_goes_on_learning(few):
    clf = _fit(few, private="layer", warm_start=True, max_epochs=1)
    before = _flat(clf.net_.module_.backbone)
    clf.fit(few["X"], few["y"], X_target=few["X_target"])
    after = _flat(clf.net_.module_.backbone)
    assert after.shape == before.shape and not torch.equal(after, before)


@pytest.mark.parametrize(
    "module", [nn.Linear(64, 8), nn.Sequential(nn.BatchNorm1d(64, affine=False), nn.Linear(64, 8))]
)
def test_without_a_batch_norm_that_learns_the_first_layer_is_private(few, module):
    before = _flat(module)
    clf = _fit(few, module=module)
    assert _n_private_layers(clf) == 1
    assert torch.equal(_flat(module), before)
    assert clf.predict(few["X_target"]).shape == (150,)


@pytest.mark.parametrize("kind", ["norm", "layer"])
def test_several_targets_share_what_is_private(few, kind):
    clf = CoGANClassifier(max_epochs=2, standardize="domain", private=kind, random_state=0)
    clf.fit(few["X"], few["y"], X_target=(few["X_target"][:70], few["X_target"][70:] + 5))
    alone = _fit(few, private=kind)
    assert len(_flat(clf.net_.module_)) == len(_flat(alone.net_.module_))
    assert clf.predict(few["X_target"]).shape == (150,)
    assert clf.sample(3, "target").max() > 2


def test_labelled_target_rows_take_part(few):
    labels = np.full(150, -1)
    labels[:50] = few["y_target"][:50]
    clf = CoGANClassifier(max_epochs=2, random_state=0)
    clf.fit(few["X"], few["y"], X_target=few["X_target"], y_target=labels)
    alone = _fit(few)
    assert clf.history_[-1, "classification_loss"] != alone.history_[-1, "classification_loss"]


@pytest.mark.parametrize("kind", ["norm", "layer"])
def test_another_training_goes_on_from_the_network_of_the_target(few, kind):
    first = _fit(few, private=kind, lr=1e-2)
    second = _fit(few, DeepAdaptationClassifier, module=first, trade_off=0, lr=1e-12)
    hidden = second.net_.module_.backbone.hidden1
    part = hidden[0] if kind == "layer" else hidden[1].norms[0]
    source, target = _private(first, kind)
    torch.testing.assert_close(part.weight, target.weight)
    assert not torch.allclose(source.weight, target.weight)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision(few, precision):
    clf = _fit(few, precision=precision)
    assert np.isfinite(clf.history_[-1, "alignment_loss"])


# -- sample -----------------------------------------------------------------------------------


def test_a_seed_gives_corresponding_rows(few):
    clf = _fit(few)
    source, target = clf.sample(7, random_state=3)
    np.testing.assert_array_equal(clf.sample(7, "source", random_state=3), source)
    np.testing.assert_array_equal(clf.sample(7, "target", random_state=3), target)
    assert source.shape == target.shape == (7, 64) and source.dtype == np.float32
    assert not np.allclose(source, target)
    assert not np.allclose(clf.sample(7, "source", random_state=4), source)


def test_a_row_is_the_same_among_others(few):
    clf = _fit(few)
    np.testing.assert_allclose(
        clf.sample(1, "source", random_state=3),
        clf.sample(9, "source", random_state=3)[:1],
        rtol=1e-5,
        atol=1e-6,
    )


@pytest.mark.parametrize("standardize", [None, "domain"])
def test_samples_are_in_the_units_of_their_domain(few, standardize):
    X_target = 100 + 50 * few["X_target"]
    clf = CoGANClassifier(max_epochs=10, standardize=standardize, random_state=0)
    clf.fit(few["X"], few["y"], X_target=X_target)
    source, target = clf.sample(200, random_state=0)
    for rows, X in ((source, few["X"]), (target, X_target)):
        assert rows.min() >= X.min() and rows.max() <= X.max()
        assert abs(rows.mean() - X.mean()) < 0.3 * X.std()


def test_images_are_generated_as_images():
    X = np.random.RandomState(0).randint(256, size=(40, 20, 9, 3), dtype=np.uint8)
    clf = CoGANClassifier(max_epochs=1, batch_size=20, random_state=0)
    clf.fit(X, np.arange(40) % 2, X_target=255 - X)
    assert [rows.shape for rows in clf.sample(3)] == [(3, 3, 20, 9)] * 2
    assert clf.sample(3, "target").max() <= 1


def test_a_pickle_gives_the_same_samples(few):
    clf = _fit(few)
    expected = clf.sample(2, "target", random_state=0)
    again = pickle.loads(pickle.dumps(clf))
    np.testing.assert_array_equal(again.sample(2, "target", random_state=0), expected)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [({"domain": "both"}, "domain must be"), ({"n_samples": 0}, "n_samples must be")],
)
def test_bad_arguments_of_sample_are_named(few, keywords, message):
    with pytest.raises(ValueError, match=message):
        _fit(few, max_epochs=1).sample(**keywords)


def test_without_trade_off_there_is_no_generator(few):
    clf = _fit(few, max_epochs=1, trade_off=0)
    with pytest.raises(ValueError, match="sample needs a generator"):
        clf.sample()


@pytest.mark.parametrize("prefix", ["generator", "generator_optimizer"])
def test_unknown_keywords_are_named(few, prefix):
    with pytest.raises(TypeError, match=f"{prefix}__unknown"):
        _fit(few, **{f"{prefix}__unknown": 1})


def test_keywords_reach_generator_and_optimizer(few):
    clf = _fit(few, generator__hidden_layer_sizes=(7,), generator_optimizer__weight_decay=0.1)
    assert clf.net_.alignment_.generator.last[0].in_features == 7
    assert clf.net_.adversary_optimizer_.param_groups[0]["weight_decay"] == 0.1
