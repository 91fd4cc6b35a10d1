import pytest
import torch

from skda.training._waiting import WaitingWatch

X = torch.eye(3)
WAITS = {
    "a number": lambda: X.sum().item(),
    "a condition": lambda: bool(X[0, 0] > 0),
    "rows by a mask": lambda: X[X[:, 0] > 0],
    "places": lambda: X.nonzero(),
    "different values": lambda: X.unique(),
    "counts": lambda: torch.bincount(torch.tensor([0, 1])),
    "singular values": lambda: torch.linalg.svdvals(X),
    "eigenvalues": lambda: torch.linalg.eigvalsh(X),
    "another device": lambda: X.to("meta"),
}


@pytest.mark.parametrize("case", WAITS)
def test_what_waits_for_a_device_is_found(case):
    with WaitingWatch() as watch:
        WAITS[case]()
    assert watch.found


def test_steps_of_a_network_do_not_wait():
    layer = torch.nn.Linear(3, 2)
    optimizer = torch.optim.Adam(layer.parameters(), fused=True)
    with WaitingWatch() as watch:
        loss = torch.nn.functional.cross_entropy(
            layer(X[torch.tensor([0, 1])]), torch.tensor([0, 1])
        )
        loss.backward()
        optimizer.step()
    assert watch.found is None


def test_a_watch_goes_into_backward_passes():
    class Waits(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x.clone()

        @staticmethod
        def backward(ctx, grad):
            return grad * grad.sum().item()

    with WaitingWatch() as watch:
        Waits.apply(X.clone().requires_grad_()).sum().backward()
    assert watch.found == "_local_scalar_dense"
