"""DDC's adaptation layer, and the search for it."""

import numpy as np
import pytest
import torch

from skda.adaptation import DDCClassifier
from skda.adaptation.discrepancy._ddc import relative_mean_distance


def _fit(few, **params):
    clf = DDCClassifier(**{"max_epochs": 2, "random_state": 0, **params})
    return clf.fit(few["X"], few["y"], X_target=few["X_target"])


def test_adaptation_layer_gives_the_features(few):
    clf = _fit(few, adaptation_width=7)
    assert clf.transform(few["X_target"]).shape == (150, 7)
    assert clf.net_.module_.head.in_features == 7
    assert clf.net_.module_.bottleneck.in_features == 64


def test_adaptation_layer_in_the_middle_of_the_module(few):
    clf = _fit(few, adaptation_layer="hidden1", adaptation_width=7)
    assert clf.net_.module_.bottleneck.in_features == 128
    module = clf.net_.module_.backbone
    unused = module.hidden2[0].weight
    assert unused.grad is None and module.hidden1[0].weight.grad is not None


def test_adaptation_layer_that_does_not_exist(few):
    with pytest.raises(ValueError, match="hidden3"):
        _fit(few, adaptation_layer="hidden3")


def test_adaptation_layer_is_new_beside_a_pretrained_module(few):
    clf = _fit(few, module=_fit(few), max_epochs=1)
    rates = {
        id(parameter): group["lr"]
        for group in clf.net_.optimizer_.param_groups
        for parameter in group["params"]
    }
    module = clf.net_.module_
    assert rates[id(module.bottleneck.weight)] == pytest.approx(
        10 * rates[id(module.backbone.hidden1[0].weight)]
    )


def test_alignment_brings_the_means_together(few):
    distances = {}
    for trade_off in (1e-6, 1):
        # Batch norms per domain bring them together by themselves.
        clf = _fit(few, trade_off=trade_off, max_epochs=15, batch_norm="shared")
        with clf.net_.source_statistics():
            source = clf.transform(few["X"])
        target = clf.transform(few["X_target"])
        scale = np.square(np.concatenate([source, target])).sum(axis=1).mean()
        distances[trade_off] = np.square(source.mean(axis=0) - target.mean(axis=0)).sum() / scale
    assert distances[1] < 0.7 * distances[1e-6]


def test_select_layer_takes_the_closest_means(few):
    clf = DDCClassifier(max_epochs=2, random_state=0)
    selection = clf.select_layer(
        few["X"],
        few["y"],
        X_target=(few["X_target"],),
        layers=("hidden1", "features"),
        widths=(4, 8),
    )
    assert set(selection.layer_distances) == {"hidden1", "features"}
    assert set(selection.width_distances) == {4, 8}
    for chosen, distances in (
        (selection.adaptation_layer, selection.layer_distances),
        (selection.adaptation_width, selection.width_distances),
    ):
        assert distances[chosen] == min(distances.values()) > 0
    assert clf.adaptation_width == 256 and not hasattr(clf, "net_")


def test_the_distance_of_means_does_not_depend_on_the_scale_of_features():
    source, target = torch.randn(20, 3), torch.randn(30, 3) + 1
    loss = relative_mean_distance(source, target)
    torch.testing.assert_close(relative_mean_distance(0.01 * source, 0.01 * target), loss)
    spread = (source.var(dim=0, correction=0) + target.var(dim=0, correction=0)).sum() / 2
    means = (source.mean(dim=0) - target.mean(dim=0)).square().sum()
    torch.testing.assert_close(loss, means / spread)


def test_domains_of_one_row_each_have_a_finite_distance():
    assert relative_mean_distance(torch.ones(1, 3), torch.ones(1, 3)) == 0
