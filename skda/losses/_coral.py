"""Correlation alignment."""

from skda.losses._numerics import at_least_float32


def _covariance(features):
    centred = features - features.mean(dim=0, keepdim=True)
    return centred.T @ centred / max(len(features) - 1, 1)


def coral(source, target):
    r"""CORAL loss: the squared Frobenius distance between the covariances of two domains.

    .. math:: \ell = \frac{1}{4 d^2} \lVert C_S - C_T \rVert_F^2

    with the unbiased covariances :math:`C_S, C_T` of `d` features. Blind to a shift of the mean.
    Computed in float32, or in float64 for float64 input.

    Parameters
    ----------
    source : torch.Tensor of shape (n_source, n_features)
        Features of the source rows.

    target : torch.Tensor of shape (n_target, n_features)
        Features of the target rows.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The loss, zero or more.

    References
    ----------
    B. Sun, K. Saenko. Deep CORAL: Correlation Alignment for Deep Domain Adaptation. ECCV
    Workshops 2016, equations 1 to 3.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import coral
    >>> source = torch.tensor([[0.0], [2.0]])
    >>> coral(source, source + 100).item(), coral(source, 2 * source).item()
    (0.0, 9.0)
    """
    source, target = at_least_float32(source), at_least_float32(target)
    difference = _covariance(source) - _covariance(target)
    return difference.square().sum() / (4 * source.shape[1] ** 2)
