"""The cost of optimal transport."""

import sys
from itertools import permutations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from skda.losses import transport_cost


def test_missing_library_is_named(normal, monkeypatch):
    monkeypatch.setitem(sys.modules, "ot", None)
    rows = normal(3, 2, seed=0)
    with pytest.raises(ImportError, match=r'pip install "skda\[transport\]"'):
        transport_cost(rows, rows, torch.zeros(3, dtype=torch.long), rows)


class TestWithPOT:
    @pytest.fixture(autouse=True)
    def _library(self):
        pytest.importorskip("ot")

    @pytest.fixture
    def domains(self, normal):
        labels = torch.tensor([0, 1, 2, 1, 0])
        return normal(5, 3, seed=0), normal(5, 3, seed=1) + 1, labels, normal(5, 3, seed=2)

    def _cost(self, source, target, labels, logits, feature_weight=0.5, label_weight=2.0):
        distances = (source[:, None] - target[None]).square().sum(dim=2)
        losses = torch.stack(
            [F.cross_entropy(logits, y.expand(5), reduction="none") for y in labels]
        )
        return feature_weight * distances + label_weight * losses

    def test_value_is_that_of_the_best_assignment(self, domains):
        cost = self._cost(*domains).numpy()
        expected = min(cost[np.arange(5), list(order)].mean() for order in permutations(range(5)))
        loss = transport_cost(*domains, feature_weight=0.5, label_weight=2.0)
        assert loss.item() == pytest.approx(expected, rel=1e-10)

    def test_rows_moved_onto_themselves_cost_nothing(self, domains):
        source, _, labels, _ = domains
        order = [3, 1, 4, 0, 2]
        certain = 100 * torch.eye(3).double()[labels[order]]
        assert transport_cost(source, source[order], labels, certain).item() < 1e-14

    def test_labels_count(self, domains):
        source, _, labels, _ = domains
        wrong = 100 * torch.eye(3).double()[(labels + 1) % 3]
        loss = transport_cost(source, source, labels, wrong, feature_weight=1e6, label_weight=1.0)
        assert loss.item() == pytest.approx(100)

    def test_gradient_is_that_of_the_cost_under_a_fixed_plan(self, domains):
        import ot

        source, target, labels, logits = domains
        leaves = [x.clone().requires_grad_() for x in (source, target, logits)]
        loss = transport_cost(leaves[0], leaves[1], labels, leaves[2])
        cost = self._cost(leaves[0], leaves[1], labels, leaves[2], 1e-3, 1e-4)
        plan = torch.from_numpy(ot.emd([], [], cost.detach().numpy()))
        expected = (plan * cost).sum()
        for grad, expected_grad in zip(
            torch.autograd.grad(loss, leaves), torch.autograd.grad(expected, leaves), strict=True
        ):
            torch.testing.assert_close(grad, expected_grad, rtol=1e-9, atol=1e-15)

    def test_gradcheck(self, domains):
        source, target, labels, logits = domains
        assert torch.autograd.gradcheck(
            lambda s, t, g: transport_cost(s, t, labels, g, feature_weight=0.5, label_weight=1.0),
            [x.requires_grad_() for x in (source, target, logits)],
        )

    @pytest.mark.parametrize("level", [0.0, 1e4])
    def test_collapsed_features_are_finite(self, level):
        source = torch.full((32, 3), level, requires_grad=True)
        logits = torch.zeros(20, 2, requires_grad=True)
        labels = torch.arange(32) % 2
        loss = transport_cost(source, torch.full((20, 3), level), labels, logits)
        loss.backward()
        assert loss.item() == pytest.approx(1e-4 * np.log(2), rel=1e-5)
        assert torch.isfinite(source.grad).all() and torch.isfinite(logits.grad).all()

    def test_offset_does_not_matter_in_float32(self, domains):
        source, target, labels, logits = domains
        source, target, logits = source.float(), target.float(), logits.float()
        near = transport_cost(source, target, labels, logits).item()
        far = transport_cost(source + 1e4, target + 1e4, labels, logits).item()
        assert far == pytest.approx(near, rel=1e-2)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_computed_in_float32(self, domains, dtype):
        source, target, labels, logits = domains
        source, target = ((300 * rows).to(dtype) for rows in (source, target))
        loss = transport_cost(source, target, labels, logits.to(dtype))
        assert loss.dtype == torch.float32
        exact = transport_cost(source.double(), target.double(), labels, logits.to(dtype).double())
        assert loss.item() == pytest.approx(exact.item(), rel=1e-4)
