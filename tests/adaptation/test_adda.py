"""ADDA: a stage for the source, and one for the encoder of the target."""

import pytest
import torch
from torch import nn

from skda.adaptation import ADDAClassifier
from skda.adaptation.adversarial._adda import EncoderAdversary
from skda.base import DeepAdaptationClassifier
from skda.losses import domain_cross_entropy
from skda.nn import Activations


def _fit(few, cls=ADDAClassifier, **params):
    clf = cls(**{"max_epochs": 2, "random_state": 0, **params})
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


def _domains():
    generator = torch.Generator().manual_seed(0)
    return [
        Activations(
            {"features": (torch.randn(n, 4, generator=generator) + shift).requires_grad_()},
            ("features",),
        )
        for n, shift in ((9, 0), (7, 1))
    ]


# -- the game ---------------------------------------------------------------------------------


def test_the_discriminator_learns_both_domains_and_the_encoder_inverted_labels():
    discriminator = nn.Linear(4, 1)
    adversary = EncoderAdversary([discriminator])
    source, target = _domains()
    logits = [discriminator(domain["features"]) for domain in (source, target)]
    torch.testing.assert_close(
        adversary.adversary_loss(source, target), domain_cross_entropy(*logits)
    )
    expected = -torch.log(1 - torch.sigmoid(logits[1])).mean()
    torch.testing.assert_close(adversary(source, target), expected)


def test_the_encoder_raises_the_probability_of_the_source():
    discriminator = nn.Linear(4, 1)
    adversary = EncoderAdversary([discriminator])
    source, target = _domains()
    adversary(source, target).backward()
    features = target["features"]
    with torch.no_grad():
        moved = features - 0.1 * features.grad
        assert (discriminator(moved) < discriminator(features)).all()
    assert source["features"].grad is None


# -- the stages -------------------------------------------------------------------------------


def _source_part(clf):
    """All that the source needs: the classifier, and statistics of the batch norms."""
    module = clf.net_.module_
    parts = {f"head.{name}": value for name, value in module.head.state_dict().items()}
    for number, norm in enumerate(module.domain_batch_norms()):
        source = norm.norms[0]
        parts[f"{number}.mean"], parts[f"{number}.var"] = source.running_mean, source.running_var
    return parts


def test_classifier_and_source_statistics_stay_to_the_last_bit(few):
    alone = _fit(few, DeepAdaptationClassifier, trade_off=0)
    adapted = _source_part(_fit(few, adaptation_lr=0.1))
    for name, value in _source_part(alone).items():
        assert torch.equal(value, adapted[name]), name


def test_the_first_stage_is_the_training_on_the_source(few):
    alone = _fit(few, DeepAdaptationClassifier, trade_off=0)
    clf = _fit(few)
    assert clf.source_history_[:, "train_loss"] == alone.history_[:, "train_loss"]


def test_the_encoder_of_the_target_starts_as_that_of_the_source(few):
    alone = _fit(few, DeepAdaptationClassifier, trade_off=0)
    barely = _fit(few, adaptation_lr=1e-12)
    adapted = _fit(few, adaptation_lr=1e-2)
    first, second, third = (
        list(c.net_.module_.backbone.parameters()) for c in (alone, barely, adapted)
    )
    for mine, theirs in zip(first, second, strict=True):
        torch.testing.assert_close(mine, theirs)
    assert not torch.allclose(first[0], third[0], atol=1e-3)


def test_the_target_starts_from_the_statistics_of_the_source(few):
    clf = _fit(few, adaptation_lr=1e-12, max_epochs=1, batch_size=200)  # all rows at once
    source, target = clf.net_.module_.domain_batch_norms()[0].norms
    weight = next(clf.net_.module_.backbone.parameters()).detach()
    mean = (torch.tensor(few["X_target"], dtype=torch.float32) @ weight.T).mean(dim=0)
    expected = torch.lerp(source.running_mean, mean, target.momentum)
    torch.testing.assert_close(target.running_mean, expected)


@pytest.mark.slow
def test_an_encoder_that_learns_is_told_apart_less(digits):
    accuracy = {}
    for trade_off in (1e-9, 1.0):
        clf = ADDAClassifier(trade_off=trade_off, optimizer="adam", max_epochs=15, random_state=0)
        clf.adaptation_lr = 1e-3
        # Adam makes of any trade-off steps of the same size; this one is below its epsilon.
        clf.fit(digits.X, digits.y, X_target=digits.X_target)
        accuracy[trade_off] = clf.history_[-1, "domain_accuracy"]
    assert accuracy[1.0] < accuracy[1e-9] - 0.05


def test_both_histories_are_kept(few):
    clf = _fit(few)
    assert len(clf.source_history_) == len(clf.history_) == 2
    assert "classification_loss" in clf.source_history_[-1]
    for name in ("alignment_loss", "adversary_loss", "domain_accuracy", "target_classes"):
        assert name in clf.history_[-1]


def test_without_trade_off_there_is_no_second_stage(few):
    clf = _fit(few, trade_off=0)
    assert clf.history_ is clf.source_history_


def test_several_targets(few):
    clf = ADDAClassifier(max_epochs=2, random_state=0)
    targets = (few["X_target"][:70], few["X_target"][70:])
    clf.fit(few["X"], few["y"], X_target=targets)
    assert clf.predict(few["X_target"]).shape == (150,)


def test_keywords_reach_the_discriminator(few):
    clf = _fit(few, discriminator__hidden_layer_sizes=(7,))
    assert clf.net_.alignment_.loss.discriminators[0][1].in_features == 7


@pytest.mark.parametrize("precision", ["bfloat16"])
def test_second_stage_in_half_precision(few, precision):
    clf = _fit(few, precision=precision)
    assert torch.isfinite(torch.tensor(clf.history_[-1, "alignment_loss"]))
