"""Signs that an adversary is alive: figures for the history, and warnings."""

import math
import warnings

import torch
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from skda._callers import level_of_user
from skda.nn import DomainAccuracy, JointAlignment, LayerwiseAlignment, WeightedAlignments

# Fewer epochs show the start of training, not its failure.
_FEWEST_EPOCHS = 5
_NEAR_CHANCE = 0.02
_PINNED = 0.99
# Beyond chance, in the effective number of predicted classes.
_COLLAPSED = 0.4


def is_adversary(part):
    """Whether a part of an alignment learns against the features."""
    return bool(getattr(part, "adversarial", False)) or isinstance(part, DomainAccuracy)


def check_reversal(alignment):
    """Raise if a part of an alignment learns against the features, and the whole does not say so.

    Parameters
    ----------
    alignment : callable
        Whose attribute ``adversarial`` says whether gradients are reversed before it.

    Raises
    ------
    TypeError
        If it has none, and a module within it has.
    """
    for whole in _alignments_in(alignment):
        if not isinstance(whole, nn.Module) or hasattr(whole, "adversarial"):
            continue
        for part in _declared_in(whole):
            if part.adversarial:
                name = type(whole).__name__
                raise TypeError(
                    f"alignment: {name} holds a {type(part).__name__}, which features must learn "
                    f"to defeat, but says nothing of it, so that they would help it; write "
                    f"`adversarial = True` in {name}, or False if it reverses the gradient itself."
                )


def _declared_in(module):
    """Yield the outermost modules that say whether they learn against the features."""
    for child in module.children():
        if hasattr(child, "adversarial"):
            yield child
        else:
            yield from _declared_in(child)


def _alignments_in(alignment):
    """Yield what was given as alignments, without what the package puts around them."""
    if isinstance(alignment, WeightedAlignments):
        inner = [part for part, _ in alignment.parts()]
    elif isinstance(alignment, LayerwiseAlignment):
        inner = list(alignment.losses.values())
    elif isinstance(alignment, JointAlignment):
        inner = [alignment.loss]
    else:
        yield alignment
        return
    for part in inner:
        yield from _alignments_in(part)


def gradient_norms(*groups):
    """Return the Euclidean norms of the gradients of groups of parameters; 0 where are none."""
    norms = []
    for parameters in groups:
        gradients = [p.grad.detach() for p in parameters if p.grad is not None]
        if not gradients:
            norms.append(torch.zeros(()))
            continue
        of_each = torch._foreach_norm(gradients)  # pyright: ignore[reportPrivateImportUsage]
        norms.append(torch.linalg.vector_norm(torch.stack(of_each)))
    device = max((norm.device for norm in norms), key=lambda device: device.type != "cpu")
    return torch.stack([norm.to(device) for norm in norms]).tolist()  # one look at the device


def effective_classes(codes):
    """Return how many classes there are: the exponential of the entropy of their shares.

    Parameters
    ----------
    codes : torch.Tensor of int64 of shape (n,)
        Class numbers.

    Returns
    -------
    n_effective : float
        From 1 (all rows are of one class) to the number of classes (all are equally frequent).
    """
    shares = torch.bincount(codes.cpu()).double() / len(codes)
    return math.exp(torch.special.entr(shares).sum().item())


def warn_of_failure(history, source_classes=math.inf):
    """Warn if the figures of a training tell that its adversary failed.

    Parameters
    ----------
    history : list of dict
        The epochs.

    source_classes : float, default=inf
        Effective number of classes of the source's labels.
    """
    if len(history) < _FEWEST_EPOCHS:
        return
    for message in (_dead(history), _won(history), _collapsed(history, source_classes)):
        if message:
            warnings.warn(message, ConvergenceWarning, stacklevel=level_of_user())


def _dead(history):
    norms = [epoch["adversary_gradient_norm"] for epoch in history]
    accuracies = [epoch["domain_accuracy"] for epoch in history if "domain_accuracy" in epoch]
    if max(norms) == 0:
        return (
            "The adversary got no gradient in any epoch (adversary_gradient_norm is 0): it never "
            "learned, and nothing was aligned. Give it parameters that learn, and an output that "
            "depends on its input."
        )
    if accuracies and all(abs(accuracy - 0.5) < _NEAR_CHANCE for accuracy in accuracies):
        return (
            "The discriminator stayed at chance from the first epoch on (domain_accuracy "
            f"{min(accuracies):.2f} to {max(accuracies):.2f}): either the features do not differ "
            "between the domains, and there is nothing to adapt, or it does not learn. Let it "
            "learn faster, or make it larger."
        )
    return None


def _won(history):
    late = history[len(history) // 2 :]
    accuracies = [epoch.get("domain_accuracy", 0.0) for epoch in late]
    if min(accuracies) < _PINNED:
        return None
    return (
        "The discriminator won: it told the domains apart almost without error in the last "
        f"{len(late)} epochs (domain_accuracy {min(accuracies):.2f} or more), so the features "
        "were not aligned. Raise trade_off, bring the domains to one scale "
        "(standardize='domain'), or make the discriminator smaller or slower."
    )


def _collapsed(history, source_classes):
    numbers = [epoch["target_classes"] for epoch in history if "target_classes" in epoch]
    if not numbers:
        return None
    # Where 3 % of the source are of one class, 1.14 is what it has, and predictions come to it.
    most = min(max(numbers), source_classes)
    if numbers[-1] - 1 >= _COLLAPSED * (most - 1):
        return None
    source = f" (the source's labels: {source_classes:.2f})" if source_classes < math.inf else ""
    return (
        "The predictions collapsed: the target rows were spread over an effective number of "
        f"{max(numbers):.1f} classes earlier in training, and of {numbers[-1]:.1f} at its "
        f"end{source}. "
        "Lower trade_off or lr, or train for fewer epochs; if the target really holds only a few "
        "of the classes, SANClassifier is made for that."
    )
