"""Error of a reconstruction."""

import torch

from skda.losses._checks import check_same_shape


def reconstruction_error(reconstruction: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    r"""Squared error of a reconstruction, as a share of the variance of the inputs.

    .. math:: \ell = \frac{\sum_i \lVert \hat{x}_i - x_i \rVert^2}
              {\sum_i \lVert x_i - \bar{x} \rVert^2}

    0 for perfect reconstructions and 1 for the mean of the batch in place of every row: a number
    that does not depend on how many rows and columns there are, nor on their units. Computed in
    float32, or in float64 for float64 input.

    Parameters
    ----------
    reconstruction : torch.Tensor of shape (n, n_inputs)
        What an auto-encoder makes of the rows.

    inputs : torch.Tensor of shape (n, n_inputs)
        The rows.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The share, zero or more. If all rows are alike, the mean squared error instead.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import reconstruction_error
    >>> inputs = torch.tensor([[0.0], [2.0]])
    >>> reconstruction_error(torch.tensor([[0.0], [1.0]]), inputs).item()
    0.5
    """
    reconstruction, inputs = check_same_shape(None, reconstruction=reconstruction, inputs=inputs)
    error = (reconstruction - inputs).square().mean()
    variance = inputs.detach().var(dim=0, correction=0).mean()
    return error / variance.where(variance > 0, 1)
