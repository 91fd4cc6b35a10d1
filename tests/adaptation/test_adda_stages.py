"""What passes from the first stage of ADDA to the second, and what the second leaves alone."""

import numpy as np
import pytest
import torch
from torch import nn

from skda.adaptation import ADDAClassifier
from skda.base import DeepAdaptationClassifier

RNG = np.random.default_rng(0)
X = 2 * RNG.standard_normal((40, 6)) + 5
Y = np.arange(40) % 2
X_TARGET = RNG.standard_normal((30, 6)) - 4


def _fit(cls=ADDAClassifier, X_target=X_TARGET, **params):
    # A batch holds all rows.
    defaults = {
        "max_epochs": 3,
        "batch_size": 40,
        "random_state": 0,
        "module__hidden_layer_sizes": (8,),
        "module__activation": nn.Tanh,
    }
    return cls(**{**defaults, **params}).fit(X, Y, X_target=X_target)


def _seen_by_the_discriminator(layer, **params):
    """Return what the discriminator gets: of the source and of the target, turn by turn."""
    seen = []

    class Discriminator(nn.Linear):
        def __init__(self, width):
            super().__init__(width, 1)

        def forward(self, features):
            seen.append(features.detach().clone())
            return super().forward(features)

    _fit(discriminator=Discriminator, layers=(layer,), **params)
    return [x for x in seen if len(x) == 40], [x for x in seen if len(x) == 30]


def _sorted(rows):
    return torch.stack(sorted(rows, key=lambda row: row[0].item()))


@pytest.mark.parametrize("standardize", [None, "domain"])
@pytest.mark.parametrize("layer", ["hidden1.0", "features", "logits"])
def test_encodings_of_the_source_are_made_under_the_statistics_of_the_source(layer, standardize):
    source, _ = _seen_by_the_discriminator(layer, standardize=standardize)
    alone = _fit(DeepAdaptationClassifier, layers=(layer,), trade_off=0, standardize=standardize)
    rows = X.astype(np.float32)
    of_source, of_target = (
        _sorted(alone.net_.activations_of(rows, (layer,), domain=domain)[layer])
        for domain in ("source", "target")
    )
    for features in source:
        torch.testing.assert_close(_sorted(features), of_source, rtol=1e-4, atol=1e-5)
    if layer != "hidden1.0" or standardize:
        assert not torch.allclose(of_source, of_target, atol=0.1)


def test_encodings_of_the_source_are_the_same_in_every_epoch():
    source, target = _seen_by_the_discriminator("features", adaptation_lr=0.1)
    for features in source:
        torch.testing.assert_close(_sorted(features), _sorted(source[0]), rtol=0, atol=0)
    assert not torch.allclose(_sorted(target[0]), _sorted(target[-1]), atol=0.1)


def test_encodings_of_the_target_are_made_under_the_statistics_of_their_batch():
    _, target = _seen_by_the_discriminator("features", module__activation=nn.Identity)
    for features in target:
        torch.testing.assert_close(features.mean(dim=0), torch.zeros(8), rtol=0, atol=0.1)


@pytest.mark.parametrize("layers", [("features",), ("logits",), ("features", "logits")])
def test_the_second_stage_leaves_the_head_to_the_last_bit(layers):
    alone = _fit(DeepAdaptationClassifier, trade_off=0)
    adapted = _fit(layers=layers, adaptation_lr=0.1)
    before, after = (clf.net_.module_ for clf in (alone, adapted))
    for mine, same in zip(before.head.parameters(), after.head.parameters(), strict=True):
        assert torch.equal(mine, same)
    assert not torch.equal(before.backbone.hidden1[0].weight, after.backbone.hidden1[0].weight)


def test_progress_goes_from_0_to_exactly_1_in_each_stage():
    seen = []

    def schedule(progress):
        seen.append(progress)
        return 1.0

    _fit(lr_schedule=schedule)
    assert seen == [0, 0.5, 1] * 2


def test_the_trade_off_grows_from_0_to_1_in_the_second_stage():
    seen = []

    def schedule(progress):
        seen.append(progress)
        return progress

    clf = _fit(trade_off_schedule=schedule, trade_off=2.0)
    assert seen[-3:] == [0, 0.5, 1]
    assert clf.history_[:, "trade_off"] == [0, 1, 2]


def test_statistics_of_several_targets_are_pooled_after_the_second_stage():
    clf = _fit(X_target=(X_TARGET, X_TARGET + 9))
    (norm,) = clf.net_.module_.domain_batch_norms()
    _, *targets, pooled = norm.norms
    means = torch.stack([part.running_mean for part in targets])
    assert not torch.allclose(means[0], means[1], atol=0.1)
    torch.testing.assert_close(pooled.running_mean, means.mean(dim=0), rtol=1e-6, atol=1e-6)
