"""Features that are numbers."""

from collections.abc import Mapping
from typing import Any

import torch


def check_finite_features(features: torch.Tensor, inputs: Any, numbers: Any) -> None:
    """Raise if features of a batch are NaN or infinite.

    Parameters
    ----------
    features : torch.Tensor of shape (n, n_features)
        Of the rows.

    inputs : torch.Tensor of shape (n, ...), or dict of them
        What the network got.

    numbers : slice or ndarray of int of shape (n,)
        Which rows of X they are.

    Raises
    ------
    ValueError
        With the number of the first such row, and how large its inputs are.

    Examples
    --------
    >>> import torch
    >>> from skda.feature_extraction._finite import check_finite_features
    >>> check_finite_features(torch.tensor([[torch.inf]]), torch.ones(1, 2), slice(7, 8))
    Traceback (most recent call last):
    ...
    ValueError: X: the features of row 7 are not finite, where its inputs go up to 1 in size. ...
    """
    is_sound = torch.isfinite(features).all(dim=1)
    if is_sound.all():
        return
    bad = int((~is_sound).nonzero()[0, 0])
    number = numbers.start + bad if isinstance(numbers, slice) else int(numbers[bad])
    values = inputs.values() if isinstance(inputs, Mapping) else (inputs,)
    largest = max(float(rows[bad].abs().max()) for rows in values)
    raise ValueError(
        f"X: the features of row {number} are not finite, where its inputs go up to {largest:.3g} "
        "in size. Scale inputs to the range that the network was trained on, such as with "
        "StandardScaler for tables; if theirs is that already, look for NaN in the weights of "
        "module, or raise the precision."
    )
