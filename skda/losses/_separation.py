"""Losses of domain separation: reconstruction up to brightness, and codes that share nothing."""

import torch
import torch.nn.functional as F

from skda.losses._checks import check_same_rows, check_same_shape


def scale_invariant_mse(reconstruction: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    r"""Squared error of a reconstruction, whatever constant is added to a row of it.

    .. math:: \ell = \frac{1}{n} \sum_i \Bigl( \frac{1}{k} \lVert r_i \rVert^2
              - \frac{1}{k^2} (1^T r_i)^2 \Bigr), \quad r_i = \hat{x}_i - x_i

    for rows of `k` values: the mean over rows of the variance of the residual. An image may be
    rendered too bright or too dark at no cost. Computed in float32, or in float64 for float64
    input.

    Parameters
    ----------
    reconstruction : torch.Tensor of shape (n, ...)
        What a decoder makes of the rows.

    inputs : torch.Tensor of shape (n, ...)
        The rows.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The loss, zero or more, in squared units of the inputs.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

    References
    ----------
    K. Bousmalis et al. Domain Separation Networks. NIPS 2016, equation 5.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import scale_invariant_mse
    >>> inputs = torch.tensor([[0.0, 2.0]])
    >>> scale_invariant_mse(inputs + 5, inputs).item()
    0.0
    >>> scale_invariant_mse(torch.zeros(1, 2), inputs).item()
    1.0
    """
    reconstruction, inputs = check_same_shape(None, reconstruction=reconstruction, inputs=inputs)
    residual = (reconstruction - inputs).flatten(1)
    return residual.var(dim=1, correction=0).mean()


def difference_loss(shared: torch.Tensor, private: torch.Tensor) -> torch.Tensor:
    r"""Overlap of two codes of the same rows; 0 if their dimensions are uncorrelated.

    .. math:: \ell = \frac{1}{d_c d_p} \lVert H_c^T H_p \rVert_F^2

    where the rows of :math:`H_c` and :math:`H_p` are the codes, less their mean over the batch,
    and of length 1 each: small codes have no advantage. It grows with the square of the number
    of rows. Computed in float32, or in float64 for float64 input.

    Parameters
    ----------
    shared : torch.Tensor of shape (n, n_shared)
        Codes of one encoder.

    private : torch.Tensor of shape (n, n_private)
        Codes of the other.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The loss, zero or more.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

    References
    ----------
    K. Bousmalis et al. Domain Separation Networks. NIPS 2016, equation 6; centring, normalisation
    and mean are those of the authors' code.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import difference_loss
    >>> shared = torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])
    >>> difference_loss(shared, torch.tensor([[1.0], [-1.0], [1.0], [-1.0]])).item()
    0.0
    >>> difference_loss(shared, shared).item()
    16.0
    """
    shared, private = map(_unit_rows, check_same_rows(shared=shared, private=private))
    return (shared.T @ private).square().mean()


def _unit_rows(codes):
    # The first row keeps the digits of codes far from the origin, and makes equal ones exact zeros.
    codes = codes - codes[0].detach()
    # A row of zeros stays one, without gradient.
    return F.normalize(codes - codes.mean(dim=0), dim=1, eps=1e-6)
