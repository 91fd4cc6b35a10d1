"""Losses that make features larger."""

import torch
import torch.nn.functional as F

from skda.losses._checks import check_batch, check_number


def _norms(features):
    return torch.linalg.vector_norm(check_batch("features", features), dim=1)


def adaptive_feature_norm(features: torch.Tensor, step: float = 1.0) -> torch.Tensor:
    r"""Stepwise adaptive feature norm: every row's norm is to grow by a step.

    .. math:: \ell = \frac{1}{n} \sum_i \bigl(\lVert x_i \rVert
              - (\lVert x_i \rVert_{\text{no gradient}} + r)\bigr)^2

    The value is always :math:`r^2`; the gradient makes norms larger, by the same for each row.
    Rows of zeros, which have no direction to grow in, stay. Computed in float32, or in float64
    for float64 input.

    Parameters
    ----------
    features : torch.Tensor of shape (n, n_features)
        Features of one domain; the method adds the losses of both.

    step : float, default=1.0
        :math:`r`, in units of the features.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The square of the step.

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

    References
    ----------
    R. Xu, G. Li, J. Yang, L. Lin. Larger Norm More Transferable: An Adaptive Feature Norm
    Approach for Unsupervised Domain Adaptation. ICCV 2019, equation 7.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import adaptive_feature_norm
    >>> features = torch.tensor([[3.0, 4.0]], requires_grad=True)
    >>> adaptive_feature_norm(features).backward()
    >>> features.grad
    tensor([[-1.2000, -1.6000]])
    """
    check_number("step", step)
    norms = _norms(features)
    return F.mse_loss(norms, norms.detach() + step)


def hard_feature_norm(features: torch.Tensor, radius: float = 25.0) -> torch.Tensor:
    r"""Hard adaptive feature norm: the mean norm is to be a given number.

    .. math:: \ell = \Bigl( \frac{1}{n} \sum_i \lVert x_i \rVert - R \Bigr)^2

    Computed in float32, or in float64 for float64 input.

    Parameters
    ----------
    features : torch.Tensor of shape (n, n_features)
        Features of one domain; the method adds the losses of both.

    radius : float, default=25.0
        :math:`R`, in units of the features.

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
    R. Xu, G. Li, J. Yang, L. Lin. Larger Norm More Transferable: An Adaptive Feature Norm
    Approach for Unsupervised Domain Adaptation. ICCV 2019, equation 4.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import hard_feature_norm
    >>> hard_feature_norm(torch.tensor([[3.0, 4.0]]), radius=7.0).item()
    4.0
    """
    check_number("radius", radius)
    return (_norms(features).mean() - radius).square()
