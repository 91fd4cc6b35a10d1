"""Label-efficient transfer: who learns from what, prototypes, and classes of the target."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import get_scorer, log_loss, top_k_accuracy_score

from skda.adaptation import LabelEfficientClassifier
from skda.adaptation.adversarial._label_efficient import (
    LabelEfficientTransfer,
    MultiLayerDiscriminator,
    Prototypes,
)
from skda.datasets import load_shifted_digits
from skda.model_selection import TargetEntropyScorer
from skda.nn import Activations

WIDTHS = {"hidden": 6, "features": 4, "logits": 3}
LAYERS = ("hidden", "features")
SEEDS = (0, 1, 2)


def _domains(labels=None):
    """Return leaves by layer, of 6 source rows and 4 target rows, and both domains."""
    generator = torch.Generator().manual_seed(0)
    leaves = {
        layer: torch.randn(10, width, generator=generator).requires_grad_()
        for layer, width in WIDTHS.items()
    }
    source, target = (
        Activations({name: x[rows] for name, x in leaves.items()}, LAYERS, known)
        for rows, known in ((slice(6), torch.arange(6) % 3), (slice(6, None), labels))
    )
    return leaves, source, target


def _transfer(domain_weight=1.0, semantic_weight=1.0, temperature=0.1):
    torch.manual_seed(0)
    return LabelEfficientTransfer(
        LAYERS,
        WIDTHS,
        domain_weight=domain_weight,
        semantic_weight=semantic_weight,
        temperature=temperature,
    )


def _end_epoch(transfer):
    for part in transfer.modules():
        if hasattr(part, "end_epoch"):
            part.end_epoch()


def _prototypes(temperature, means):
    prototypes = Prototypes(len(means), temperature)
    prototypes.add(torch.tensor(means), torch.arange(len(means)))
    prototypes.end_epoch()
    return prototypes


# -- prototypes -------------------------------------------------------------------------------


def test_prototypes_are_the_means_of_the_classes_that_have_rows():
    prototypes = Prototypes(4, temperature=1.0)
    prototypes.add(torch.tensor([[2.0, 0.0], [9.0, 9.0]]), torch.tensor([3, -100]))
    prototypes.add(torch.tensor([[4.0, 2.0], [5.0, 5.0]]), torch.tensor([3, 1]))
    assert prototypes.means is None
    prototypes.end_epoch()
    assert prototypes.means.tolist() == [[5.0, 5.0], [3.0, 1.0]]


def test_prototypes_are_those_of_the_last_epoch():
    prototypes = _prototypes(1.0, [[1.0, 0.0], [0.0, 1.0]])
    prototypes.add(torch.tensor([[3.0, 3.0]]), torch.tensor([0]))
    prototypes.end_epoch()
    assert prototypes.means.tolist() == [[3.0, 3.0]]


def test_no_labelled_row_no_prototypes():
    prototypes = Prototypes(2, temperature=1.0)
    prototypes.add(torch.ones(3, 2), torch.full((3,), -100))
    prototypes.end_epoch()
    assert prototypes.means is None


@pytest.mark.parametrize("temperature", [1.0, 0.1, 1e-4])
def test_entropy_falls_towards_a_prototype_and_with_the_temperature(temperature):
    prototypes = _prototypes(temperature, [[1.0, 0.0], [0.0, 1.0]])
    angles = torch.linspace(0, math.pi / 4, 5)
    rows = torch.stack([angles.cos(), angles.sin()], dim=1)
    values = [prototypes.entropy(row[None], torch.tensor([-100])).item() for row in rows]
    assert values == sorted(values)
    assert values[-1] == pytest.approx(math.log(2), abs=1e-3 / temperature)
    if temperature < 0.1:
        assert values[0] == 0.0


def test_entropy_is_that_of_unlabeled_rows():
    prototypes = _prototypes(0.1, [[1.0, 0.0], [0.0, 1.0]])
    rows = torch.tensor([[1.0, 1.0], [2.0, 0.0]])
    both, one = (prototypes.entropy(rows, torch.tensor([-100, last])) for last in (-100, 0))
    assert one.item() == pytest.approx(math.log(2))
    assert both.item() == pytest.approx(math.log(2) / 2, abs=1e-3)
    assert prototypes.entropy(rows, torch.tensor([0, 1])).item() == 0.0


def test_cross_entropy_is_that_of_labelled_rows():
    prototypes = Prototypes(4, temperature=0.5)
    prototypes.add(torch.eye(2), torch.tensor([1, 3]))
    prototypes.end_epoch()
    rows = torch.tensor([[0.0, 7.0], [1.0, 0.0]])
    loss = prototypes.cross_entropy(rows, torch.tensor([3, -100])).item()
    assert loss == pytest.approx(math.log(1 + math.exp(-2)))
    assert prototypes.cross_entropy(rows, torch.tensor([-100, -100])).item() == 0.0


# -- the discriminators -----------------------------------------------------------------------


def test_deeper_discriminator_gets_the_code_of_the_one_before():
    torch.manual_seed(0)
    discriminator = MultiLayerDiscriminator([6, 4, 3], (8, 5))
    layers = [torch.randn(2, width, requires_grad=True) for width in (6, 4, 3)]
    reached = []
    for depth in range(3):
        logit = discriminator(layers)[depth].sum()
        gradients = torch.autograd.grad(logit, layers, allow_unused=True)
        reached.append([g is not None and bool(g.any()) for g in gradients])
    assert reached == [[True, False, False], [True, True, False], [True, True, True]]


def test_discriminator_without_hidden_layers_raises(few):
    clf = LabelEfficientClassifier(alignment__hidden_layer_sizes=(), max_epochs=1)
    with pytest.raises(ValueError, match="alignment__hidden_layer_sizes is empty"):
        clf.fit(few["X"], few["y"], X_target=few["X_target"])


# -- who learns from what ---------------------------------------------------------------------


def test_features_do_not_learn_from_the_loss_of_the_discriminators():
    leaves, source, target = _domains()
    _, opponent = _transfer()(source, target)
    assert set(torch.autograd.grad(opponent, leaves.values(), allow_unused=True)) == {None}


def test_only_target_rows_learn_from_the_domain_transfer_and_at_every_layer():
    leaves, source, target = _domains()
    transfer = _transfer(semantic_weight=0.0)
    mapping, _ = transfer(source, target)
    mapping.backward()
    assert all(parameter.grad is None for parameter in transfer.parameters())
    for layer in LAYERS:
        moved = leaves[layer].grad.abs().sum(dim=1) > 0
        assert moved.tolist() == [False] * 6 + [True] * 4


def test_target_rows_come_to_look_like_source_rows():
    leaves, source, target = _domains()
    transfer = _transfer(semantic_weight=0.0)
    transfer(source, target)[0].backward()
    with torch.no_grad():
        rows = [leaves[layer][6:] for layer in LAYERS]
        moved = [leaves[layer][6:] - 0.1 * leaves[layer].grad[6:] for layer in LAYERS]
        assert (transfer.discriminator(moved) < transfer.discriminator(rows)).all()


def test_discriminators_learn_which_rows_are_of_the_target():
    _, source, target = _domains()
    transfer = _transfer()
    optimizer = torch.optim.Adam(transfer.parameters(), lr=0.01)
    for _ in range(100):
        optimizer.zero_grad()
        transfer(source, target)[1].backward()
        optimizer.step()
    for domain, is_target in ((source, False), (target, True)):
        logits = transfer.discriminator([domain[layer] for layer in LAYERS])
        assert ((logits > 0) == is_target).all()


def test_semantic_transfer_starts_with_the_second_epoch_and_moves_target_features():
    leaves, source, target = _domains(torch.tensor([0, -100, 2, -100]))
    transfer = _transfer(domain_weight=0.0)
    assert transfer(source, target)[0].item() == 0.0
    _end_epoch(transfer)
    loss, _ = transfer(source, target)
    loss.backward()
    moved = leaves["features"].grad.abs().sum(dim=1) > 0
    assert moved.tolist() == [False] * 6 + [True] * 4
    assert leaves["hidden"].grad is None and leaves["logits"].grad is None


def test_semantic_transfer_is_the_sum_of_its_three_parts():
    _, source, target = _domains(torch.tensor([0, -100, 2, -100]))
    transfer = _transfer(domain_weight=0.0, semantic_weight=3.0)
    transfer(source, target)
    _end_epoch(transfer)
    u, labels = target["features"], target.labels
    of_source, of_target = transfer.source_prototypes, transfer.target_prototypes
    assert len(of_source.means) == 3 and len(of_target.means) == 2
    parts = [
        of_source.entropy(u, labels),
        of_target.entropy(u, labels),
        of_target.cross_entropy(u, labels),
    ]
    assert all(part > 0 for part in parts)
    torch.testing.assert_close(transfer(source, target)[0], 3.0 * sum(parts))


# -- the estimator ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def disjoint():
    """Digits 0 to 4 with labels, and a target of digits 5 to 9, 25 of which are labelled."""
    return _disjoint(0)


def _disjoint(seed):
    digits = load_shifted_digits(random_state=seed)
    small, large = digits.y < 5, digits.y_target >= 5
    y_target = digits.y_target[large]
    few_labels = np.full(len(y_target), -1)
    for digit in range(5, 10):
        rows = np.flatnonzero(y_target == digit)[:5]
        few_labels[rows] = digit
    return {
        "X": digits.X[small],
        "y": digits.y[small],
        "X_target": digits.X_target[large],
        "y_target": few_labels,
    }, y_target


@pytest.fixture(scope="module")
def fitted(disjoint):
    return LabelEfficientClassifier(max_epochs=2, random_state=0).fit(**disjoint[0])


def _weights(data, **params):
    clf = LabelEfficientClassifier(**{"max_epochs": 3, "random_state": 0, **params})
    return [p.detach() for p in clf.fit(**data).net_.module_.parameters()]


def test_without_weights_it_is_fine_tuning(disjoint):
    parts = _weights(disjoint[0], domain_weight=0, semantic_weight=0)
    for mine, fine_tuned in zip(parts, _weights(disjoint[0], trade_off=0), strict=True):
        assert (mine == fine_tuned).all()


@pytest.mark.parametrize(
    "params", [{"domain_weight": 1.0}, {"semantic_weight": 3.0}, {"temperature": 1.0}]
)
def test_every_parameter_changes_the_weights(params, disjoint):
    pairs = zip(_weights(disjoint[0]), _weights(disjoint[0], **params), strict=True)
    assert any(not torch.allclose(a, b, atol=1e-4) for a, b in pairs)


def test_classes_are_those_of_both_domains(fitted):
    assert fitted.classes_.tolist() == list(range(10))
    assert fitted.target_classes_.tolist() == [5, 6, 7, 8, 9]
    assert fitted.net_.module_.head.out_features == 10


def test_predictions_choose_among_the_classes_of_the_target(fitted, disjoint):
    X = disjoint[0]["X"]  # rows of other classes
    assert fitted.predict(X).min() >= 5
    probabilities, scores = fitted.predict_proba(X), fitted.decision_function(X)
    assert (probabilities[:, :5] == 0).all() and (scores[:, :5] == -1e9).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert (scores[:, 5:] > -100).all()
    assert (fitted.classes_[scores.argmax(axis=1)] == fitted.predict(X)).all()


def test_metrics_take_the_scores(fitted, disjoint):
    data, y_target = disjoint
    scores = fitted.decision_function(data["X_target"])
    assert top_k_accuracy_score(y_target, scores, k=5, labels=fitted.classes_) == 1.0
    loss = log_loss(y_target, fitted.predict_proba(data["X_target"]), labels=fitted.classes_)
    assert 0 < loss < 10
    scorer = get_scorer("neg_log_loss")
    everything = np.concatenate([data["X"][:50], data["X_target"]])
    y = np.concatenate([data["y"][:50], y_target])
    assert np.isfinite(scorer(fitted, everything, y))
    assert TargetEntropyScorer()(fitted, None, X_target=data["X_target"]) < 0


def test_classes_that_the_source_has_restrict_nothing(few):
    labels = np.where(few["y_target"] < 3, few["y_target"], -1)
    clf = LabelEfficientClassifier(max_epochs=1, random_state=0)
    clf.fit(few["X"], few["y"], X_target=few["X_target"], y_target=labels)
    assert clf.classes_.tolist() == clf.target_classes_.tolist() == list(range(10))
    assert (clf.predict_proba(few["X_target"]) > 0).all()


def test_classes_may_overlap(disjoint):
    data, _ = disjoint
    y = np.where(data["y"] == 0, 7, data["y"])
    clf = LabelEfficientClassifier(max_epochs=1, random_state=0).fit(**{**data, "y": y})
    assert clf.classes_.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert clf.target_classes_.tolist() == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("y_target", [None, "unlabeled"])
def test_without_labels_of_the_target_the_classes_are_those_of_the_source(y_target, disjoint):
    data = dict(disjoint[0])
    clf = LabelEfficientClassifier(max_epochs=2, random_state=0).fit(**data)
    data["y_target"] = y_target and np.full(len(data["X_target"]), -1)
    clf.fit(**data)
    assert clf.classes_.tolist() == clf.target_classes_.tolist() == [0, 1, 2, 3, 4]
    assert clf.net_.alignment_.loss.source_prototypes.means.shape == (5, 64)
    assert clf.net_.alignment_.loss.target_prototypes.means is None


def test_class_numbers_follow_the_sorted_classes(disjoint):
    """Target classes that sort before the source's shift the numbers of these."""
    data, y_target = disjoint
    swapped = {**data, "y": data["y"] + 20}
    clf = LabelEfficientClassifier(max_epochs=25, random_state=0, validation_fraction=0.2)
    clf.fit(**swapped)
    assert clf.classes_.tolist() == [5, 6, 7, 8, 9, 20, 21, 22, 23, 24]
    assert clf.history_[-1, "valid_accuracy"] > 0.9
    assert clf.score(data["X_target"], y_target) > 0.5


def test_names_of_classes(disjoint):
    data, _ = disjoint
    names = np.array(["no", "one", "two", "three", "four", "five", "six", "seven", "8", "nineteen"])
    y_target = [None if label < 0 else names[label] for label in data["y_target"]]
    clf = LabelEfficientClassifier(max_epochs=1, random_state=0)
    clf.fit(**{**data, "y": names[data["y"]], "y_target": y_target})
    assert clf.classes_.tolist() == sorted(names)
    assert set(clf.predict(data["X_target"])) <= set(names[5:])


def test_several_targets(disjoint):
    data, _ = disjoint
    halves = {name: (data[name][:200], data[name][200:]) for name in ("X_target", "y_target")}
    clf = LabelEfficientClassifier(max_epochs=1, random_state=0).fit(**{**data, **halves})
    assert clf.target_classes_.tolist() == [5, 6, 7, 8, 9]


def test_a_single_class_that_is_new_raises(disjoint):
    data, _ = disjoint
    labels = np.where(data["y_target"] == 7, 7, -1)
    with pytest.raises(ValueError, match=r"y_target holds one class, 7, and y does not have it"):
        LabelEfficientClassifier(max_epochs=1).fit(**{**data, "y_target": labels})


@pytest.mark.parametrize(
    "as_images, params, layers",
    [
        (False, {}, ("hidden1.2", "features")),  # the output of hidden1
        (True, {}, ("flatten", "features")),  # that of conv2
        (False, {"module__hidden_layer_sizes": (32,)}, ("features",)),
        (False, {"layers": ("features", "logits")}, ("features", "logits")),
    ],
)
def test_layers(as_images, params, layers):
    digits = load_shifted_digits(random_state=0, as_images=as_images)
    clf = LabelEfficientClassifier(max_epochs=1, random_state=0, **params)
    clf.fit(digits.X[:100], digits.y[:100], X_target=digits.X_target[:100])
    assert clf.net_.alignment_.layers == layers
    assert len(clf.net_.alignment_.loss.discriminator.output) == len(layers)


# -- real data --------------------------------------------------------------------------------


@pytest.mark.slow
def test_better_than_the_labels_alone():
    gains = []
    for seed in SEEDS:
        data, y_target = _disjoint(seed)
        rest = data["y_target"] == -1
        scores = [
            LabelEfficientClassifier(random_state=seed, **params)
            .fit(**data)
            .score(data["X_target"][rest], y_target[rest])
            for params in ({}, {"trade_off": 0})
        ]
        gains.append(scores[0] - scores[1])
    assert min(gains) > 0.03 and np.mean(gains) > 0.06
