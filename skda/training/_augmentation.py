"""What training rows are changed into before the network gets them."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from skda.training._module import AdaptationModule
from skda.training._parts import NetPart, to_device

_DOMAINS = ("source", "target")


class AugmentationMixin(NetPart):
    """A net that augments the rows of its training batches, and no others.

    ``augment`` is None, a callable, or a dict of callables by domain. A callable takes a tensor
    of rows as the backbone does, images as float of shape (n, C, H, W), after the normalisation
    of images and before that of `standardize`, on the device of the net, and returns another of
    the same shape and type. One of all rows gets those of all domains at once.
    """

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Raise unless rows can be augmented."""
        check_augment(self.augment)
        super().on_train_begin(net, X, y, **kwargs)

    def augmented(self, batch: Any) -> Any:
        """Return a training batch with its rows augmented.

        A method that needs several versions of its rows overrides this, and makes them with
        :func:`~skda.training.augment_rows`.

        Parameters
        ----------
        batch : tuple of (torch.Tensor, torch.Tensor)
            Rows of all domains, source first, and labels.

        Returns
        -------
        batch : tuple of (torch.Tensor, torch.Tensor)
            The same labels.
        """
        if self.augment is None:
            return batch
        X, y = batch
        if isinstance(X, Mapping):
            raise ValueError(
                "augment takes rows that are one tensor, but X holds texts or inputs by name; "
                "augment them before fit."
            )
        X = AdaptationModule.as_input(to_device(X, self.device))
        if not isinstance(self.augment, Mapping):
            return augment_rows(self.augment, X), y
        n_source = self.module_.rows.sizes[0]
        parts = X[:n_source], X[n_source:]
        augmented = [
            augment_rows(augment_of(self.augment, domain), rows, domain) if len(rows) else rows
            for domain, rows in zip(_DOMAINS, parts, strict=True)
        ]
        return torch.cat(augmented), y


def check_augment(augment: Any) -> None:
    """Raise unless this can be the parameter ``augment`` of a net.

    Parameters
    ----------
    augment : object
        What the user gave.

    Raises
    ------
    ValueError
        If a dict has other keys than ``"source"`` and ``"target"``.

    TypeError
        If it is no callable, or holds none.
    """
    if isinstance(augment, Mapping):
        if strangers := [key for key in augment if key not in _DOMAINS]:
            raise ValueError(
                f"augment has an entry {strangers[0]!r}; a dict has 'source', 'target' or both."
            )
        entries = {f"augment[{domain!r}]": value for domain, value in augment.items()}
    else:
        entries = {"augment": augment}
    for name, value in entries.items():
        if value is not None and not callable(value):
            raise TypeError(
                f"{name} must be a callable from a batch of rows to another, or None, got "
                f"{value!r}; of several transforms make one, such as "
                "torchvision.transforms.v2.Compose([...])."
            )


def augment_of(augment: Any, domain: str) -> Callable | None:
    """Return what augments the rows of a domain, ``"source"`` or ``"target"``, or None."""
    return augment.get(domain) if isinstance(augment, Mapping) else augment


def augment_rows(transform: Callable | None, X: torch.Tensor, domain: str = "") -> torch.Tensor:
    """Return the rows that a transform makes of a batch.

    Parameters
    ----------
    transform : callable or None
        From the rows to others. None returns them as they are.

    X : torch.Tensor of shape (n, ...)
        Rows.

    domain : str, default=""
        Whose, for messages.

    Returns
    -------
    X : torch.Tensor of shape (n, ...)
        Of the same shape, type and device.

    Raises
    ------
    ValueError
        If the transform returns anything else.
    """
    if transform is None:
        return X
    result = transform(X)
    if not isinstance(result, torch.Tensor):
        given = f"an object of type {type(result).__name__}"
    elif (result.shape, result.dtype, result.device) != (X.shape, X.dtype, X.device):
        given = f"{result.dtype} of shape {tuple(result.shape)} on {result.device}"
    else:
        return result
    name = f"augment[{domain!r}]" if domain else "augment"
    raise ValueError(
        f"{name} must return a tensor like the batch that it gets, {X.dtype} of shape "
        f"{tuple(X.shape)} on {X.device}, but it returned {given}; a transform of single rows "
        "goes into skda.training.per_row(...)."
    )


def per_row(transform: Callable) -> Callable:
    """Make a transform of single rows one of batches: every row gets random numbers of its own.

    A transform of torchvision draws once for what it is called with, so that on a batch all rows
    are turned by one angle and cut at one place.

    Parameters
    ----------
    transform : callable
        From a row, a tensor of shape (C, H, W) or (n_features,), to another of the same shape.

    Returns
    -------
    transform : callable
        From a batch of rows to another; it can be pickled if `transform` can.

    Raises
    ------
    TypeError
        If `transform` is no callable.

    Examples
    --------
    >>> import torch
    >>> from skda.training import per_row
    >>> shift = per_row(lambda row: row + torch.rand(()))
    >>> shift(torch.zeros(4, 3)).unique(dim=0).shape
    torch.Size([4, 3])
    """
    if not callable(transform):
        raise TypeError(f"per_row takes a callable, got {transform!r}.")
    return _PerRow(transform)


class _PerRow:
    def __init__(self, transform):
        self.transform = transform

    def __call__(self, X):
        rows = [self.transform(row) for row in X]
        for row in rows:
            if getattr(row, "shape", None) != X.shape[1:]:
                raise ValueError(
                    f"augment must return a tensor of the shape of its row, {tuple(X.shape[1:])}, "
                    f"got {getattr(row, 'shape', type(row).__name__)}."
                )
        return torch.stack(rows)

    def __repr__(self):
        return f"per_row({self.transform!r})"
