"""Random changes of series that leave their classes as they are.

Functions from a batch to a batch of the same shape, type and device. They draw from torch's
generator of the batch's device, anew for every row.
"""

import torch


def _one_per_row(X, draw):
    return draw(len(X), *(1,) * (X.ndim - 1), dtype=X.dtype, device=X.device)


def jitter_series(X: torch.Tensor, strength: float = 0.1) -> torch.Tensor:
    """Add white noise.

    Parameters
    ----------
    X : torch.Tensor of shape (n, n_channels, length)
        Series.

    strength : float, default=0.1
        Standard deviation of the noise, as a multiple of that of each row's channel over time.

    Returns
    -------
    X : torch.Tensor of shape (n, n_channels, length)
        New series.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import jitter_series
    >>> X = torch.sin(torch.arange(1000.0)).expand(1, 1, 1000)
    >>> noise = jitter_series(X) - X
    >>> bool(0.06 < noise.std() < 0.08)
    True
    """
    return X + strength * X.std(dim=-1, keepdim=True, correction=0) * torch.randn_like(X)


def scale_series(X: torch.Tensor, strength: float = 0.2) -> torch.Tensor:
    """Multiply every row by a factor.

    Parameters
    ----------
    X : torch.Tensor of shape (n, n_channels, length)
        Series.

    strength : float, default=0.2
        Standard deviation of the factor's logarithm, which is normal about 0.

    Returns
    -------
    X : torch.Tensor of shape (n, n_channels, length)
        New series.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import scale_series
    >>> X = scale_series(torch.ones(2, 1, 3))
    >>> bool((X == X[:, :, :1]).all()), bool(X[0, 0, 0] == X[1, 0, 0])
    (True, False)
    """
    return X * torch.exp(strength * _one_per_row(X, torch.randn))


def shift_series(X: torch.Tensor) -> torch.Tensor:
    """Shift every row in time by a number of steps; what leaves at the end enters at the start.

    For series that go on as they are, such as vibrations and movements, and not for such as have a
    beginning. All channels of a row are shifted alike.

    Parameters
    ----------
    X : torch.Tensor of shape (n, n_channels, length)
        Series.

    Returns
    -------
    X : torch.Tensor of shape (n, n_channels, length)
        New series.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import shift_series
    >>> X = torch.arange(5.0).view(1, 1, 5)
    >>> sorted(shift_series(X).flatten().tolist())
    [0.0, 1.0, 2.0, 3.0, 4.0]
    """
    length = X.shape[-1]
    steps = (_one_per_row(X.float(), torch.rand) * length).long()
    positions = (torch.arange(length, device=X.device) - steps) % length
    return X.gather(-1, positions.expand(X.shape))


def augment_series(X: torch.Tensor) -> torch.Tensor:
    """Shift, scale and jitter every row, by the defaults of these functions.

    With it DANN reached 75.2 +- 3.7 % on the other wearer's activity in place of 58.0 +- 8.1 %,
    and on machine faults 80.5 +- 4.4 % in place of 81.5 +- 4.9 % (20 epochs, 3 random states).

    Parameters
    ----------
    X : torch.Tensor of shape (n, n_channels, length)
        Series that have no beginning, see :func:`shift_series`.

    Returns
    -------
    X : torch.Tensor of shape (n, n_channels, length)
        New series.

    Examples
    --------
    >>> import torch
    >>> from skda.nn import augment_series
    >>> augment_series(torch.zeros(4, 3, 128)).shape
    torch.Size([4, 3, 128])
    """
    return jitter_series(scale_series(shift_series(X)))
