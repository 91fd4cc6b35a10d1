"""A strong alignment that does not outweigh the classification at the layers that it aligns."""

from typing import Any, ClassVar

import torch
from torch.autograd.graph import GradientEdge

from skda.training._objective import ObjectiveMixin


class LimitedAlignmentMixin(ObjectiveMixin):
    r"""For nets on whose features a large trade-off pulls no more strongly than the labels do.

    In a step whose trade-off t is above the usual one u, the alignment's part of the loss is
    multiplied by

    .. math:: \min(1, \max(g \lVert \nabla_h \mathrm{CE} \rVert / \lVert \nabla_h A \rVert, u / t))

    with h the activations that the alignment reaches, A the alignment times t, and g the limit. Too
    large a trade-off otherwise hides the labels: under Adam the ratio of the two gradients decides
    what is learned, and an annealed rate falls before the source is known. Up to the usual
    trade-off nothing is cut, and above it never below what that would do.
    """

    # How long the alignment's gradient may be, in units of the classification's.
    gradient_limit: ClassVar[float] = 1.0
    # Of the loop, which stands above.
    usual_trade_off: ClassVar[float]
    trade_off_schedule: Any

    def is_limited(self) -> bool:
        """Return whether the trade-off of some step may be above the usual one."""
        return self.trade_off > self.usual_trade_off or callable(self.trade_off_schedule)

    def limit_alignment(
        self,
        weighted: Any,
        classification_loss: torch.Tensor,
        activations: dict[str, torch.Tensor],
    ) -> torch.Tensor:
        """Return what the alignment adds to the training loss, with its gradient held down."""
        layers = [_as_computed(x) for x in activations.values() if x.requires_grad]
        if not layers or not weighted.requires_grad or not self.is_limited():
            return weighted
        pulls = self._gradients(weighted, layers)
        reached = [layer for layer, pull in zip(layers, pulls, strict=True) if pull is not None]
        if not reached:
            return weighted
        allowed = self.gradient_limit * _norm(self._gradients(classification_loss, reached))
        # Scaled gradients of float16 may both be infinite: then no step is taken anyway.
        ratio = (allowed / _norm(pulls)).nan_to_num(nan=0.0)
        # A tensor, as in recorded steps: numbers of Python are rounded elsewhere.
        trade_off = torch.as_tensor(self.current_trade_off, dtype=torch.float32)
        least = (self.usual_trade_off / trade_off).to(ratio.device)
        return weighted * torch.maximum(ratio, least).clamp(max=1)

    def _gradients(self, loss, layers):
        if self._scaler is not None:  # small gradients of float16 would be nothing
            loss = self._scaler.scale(loss)
        return torch.autograd.grad(loss, layers, retain_graph=True, allow_unused=True)


def _as_computed(x: torch.Tensor) -> Any:
    """Return what activations in float32 are a copy of: the head was given that, not the copy."""
    node = x.grad_fn
    if node is None or not node.name().startswith("ToCopyBackward"):
        return x
    source, place = node.next_functions[0]
    return x if source is None else GradientEdge(source, place)


def _norm(gradients: Any) -> torch.Tensor:
    """Return the norm of gradients of several layers taken together; None has none."""
    found = [gradient.float().square().sum() for gradient in gradients if gradient is not None]
    if not found:
        return torch.zeros(())
    # Of no gradient at all a little, by which can be divided.
    return torch.stack(found).sum().sqrt().clamp_min(1e-12)
