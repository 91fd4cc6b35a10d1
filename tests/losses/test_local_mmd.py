"""The local maximum mean discrepancy."""

import pytest
import torch

from skda.losses import local_mmd, mmd


@pytest.fixture
def domains(normal):
    source, target = normal(13, 4, seed=0), normal(9, 4, seed=1) + 0.5
    labels = torch.arange(13) % 3
    return source, target, labels, torch.softmax(normal(9, 3, seed=2), dim=1)


def _naive(source, target, labels, probabilities, bandwidth, counted):
    def kernel(a, b):
        distances = (a[:, None] - b[None]).square().sum(dim=2)
        return sum(torch.exp(-distances / (m * bandwidth)) for m in (0.25, 0.5, 1, 2, 4)) / 5

    value = 0
    for c in counted:
        ws = (labels == c).double()
        ws, wt = ws / ws.sum(), probabilities[:, c] / probabilities[:, c].sum()
        value += ws @ kernel(source, source) @ ws + wt @ kernel(target, target) @ wt
        value -= 2 * ws @ kernel(source, target) @ wt
    return value / len(counted)


def test_value_and_gradient_are_those_of_the_definition(domains):
    source, target, *rest = domains
    leaves = [source.clone().requires_grad_(), target.clone().requires_grad_()]
    loss = local_mmd(*leaves, *rest, bandwidth=3.0)
    expected = _naive(*leaves, *rest, 3.0, range(3))
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-14)
    for grad, expected_grad in zip(
        torch.autograd.grad(loss, leaves), torch.autograd.grad(expected, leaves), strict=True
    ):
        torch.testing.assert_close(grad, expected_grad, rtol=1e-10, atol=1e-14)


def test_chunks_of_rows_add_up(domains, monkeypatch):
    expected = local_mmd(*domains, bandwidth=3.0).item()
    monkeypatch.setattr("skda.losses._kernels._CHUNK_ENTRIES", 4 * 20)
    assert local_mmd(*domains, bandwidth=3.0).item() == pytest.approx(expected, rel=1e-12)


def test_one_class_is_the_biased_discrepancy(domains):
    source, target, labels, _ = domains
    loss = local_mmd(source, target, 0 * labels, torch.ones(9, 1).double(), bandwidth="median")
    assert loss.item() == pytest.approx(mmd(source, target).item(), rel=1e-12)


def test_match_in_every_class_costs_nothing(domains):
    source, _, labels, _ = domains
    order = torch.randperm(13, generator=torch.Generator().manual_seed(0))
    certain = torch.eye(3).double()[labels[order]]
    assert local_mmd(source, source[order], labels, certain).item() == pytest.approx(0, abs=1e-14)


def test_match_across_classes_costs_something(domains):
    source, _, labels, _ = domains
    other = torch.eye(3).double()[(labels + 1) % 3]
    assert local_mmd(source, source, labels, other) > 0.1


def test_mean_bandwidth_is_that_of_all_pairs(domains):
    mean = torch.pdist(torch.cat(domains[:2])).square().mean().item()
    expected = local_mmd(*domains, bandwidth=mean).item()
    assert local_mmd(*domains).item() == pytest.approx(expected, rel=1e-12)


def test_class_without_source_rows_is_not_counted(domains):
    source, target, labels, probabilities = domains
    labels = labels % 2
    loss = local_mmd(source, target, labels, probabilities, bandwidth=3.0)
    expected = _naive(source, target, labels, probabilities, 3.0, [0, 1])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)


def test_class_without_target_probability_is_not_counted(domains):
    source, target, labels, probabilities = domains
    probabilities = probabilities * torch.tensor([1.0, 0.0, 1.0])
    loss = local_mmd(source, target, labels, probabilities, bandwidth=3.0)
    expected = _naive(source, target, labels, probabilities, 3.0, [0, 2])
    assert loss.item() == pytest.approx(expected.item(), rel=1e-12)


def test_no_common_class_costs_nothing(domains):
    source, target, labels, _ = domains
    source = source.clone().requires_grad_()
    loss = local_mmd(source, target, 0 * labels, torch.tensor([[0.0, 1.0, 0.0]] * 9).double())
    loss.backward()
    assert loss.item() == 0 and source.grad.abs().max() == 0


def test_probabilities_get_no_gradient(domains):
    source, target, labels, probabilities = domains
    probabilities = probabilities.requires_grad_()
    local_mmd(source.requires_grad_(), target, labels, probabilities).backward()
    assert probabilities.grad is None


def test_gradcheck(normal):
    labels, probabilities = torch.arange(6) % 2, torch.softmax(normal(4, 2, seed=2), dim=1)
    assert torch.autograd.gradcheck(
        lambda s, t: local_mmd(s, t, labels, probabilities, bandwidth=2.0),
        (normal(6, 3, seed=0).requires_grad_(), normal(4, 3, seed=1).requires_grad_()),
    )


def test_a_class_that_no_target_row_is_assigned_to_is_left_out():
    rows, labels = torch.randn(6, 2), torch.tensor([0, 0, 1, 1, 2, 2])
    probabilities = torch.tensor([[0.6, 0.3, 0.1], [0.2, 0.7, 0.1]])
    without = torch.tensor([[0.6, 0.3, 0.0], [0.2, 0.7, 0.0]])
    target = torch.randn(2, 2)
    loss = local_mmd(rows, target, labels, probabilities, bandwidth=1.0)
    torch.testing.assert_close(loss, local_mmd(rows, target, labels, without, bandwidth=1.0))
