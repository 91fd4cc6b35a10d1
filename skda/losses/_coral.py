"""Correlation alignment."""

import torch
import torch.nn.functional as F
from torch.autograd.function import once_differentiable

from skda.losses._checks import check_batch, check_batches, check_domains


class _CovarianceDistance(torch.autograd.Function):
    """``|C_s - C_t|^2`` in products of features or of rows, whichever are fewer."""

    @staticmethod
    def forward(ctx, *domains):
        # The deviations a, b of the rows, with covariances a' a and b' b.
        ctx.scales = [max(len(x) - 1, 1) ** -0.5 for x in domains]
        a, b = ((x - x.mean(dim=0)).mul_(c) for x, c in zip(domains, ctx.scales, strict=True))
        ctx.sizes = [len(a), len(b)]
        ctx.by_rows = sum(ctx.sizes) < a.shape[1]
        if ctx.by_rows:
            # |a' a - b' b|^2 = |a a'|^2 + |b b'|^2 - 2 |a b'|^2
            rows = torch.cat([a, b])
            products = rows @ rows.T
            signed = products.clone()
            signed[: len(a), len(a) :].neg_()
            signed[len(a) :, : len(a)].neg_()
            ctx.save_for_backward(rows, signed)
            return torch.dot(products.flatten(), signed.flatten()).clamp_(min=0)
        # Not in one fused product, whose rounding keeps equal covariances apart.
        difference = (a.T @ a).sub_(b.T @ b)
        ctx.save_for_backward(a, b, difference)
        return torch.linalg.vector_norm(difference).square_()

    @staticmethod
    @once_differentiable
    def backward(ctx, grad):
        # Deviations sum to zero, and so do these products of theirs: the means add nothing.
        if ctx.by_rows:
            rows, signed = ctx.saved_tensors
            gradients = (signed @ rows).split(ctx.sizes)
        else:
            a, b, difference = ctx.saved_tensors
            gradients = a @ difference, (b @ difference).neg_()
        return tuple(x.mul_(4 * c * grad) for x, c in zip(gradients, ctx.scales, strict=True))


def coral(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
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

    Raises
    ------
    TypeError, ValueError
        If an argument is not as described: no dense tensor of floating-point numbers, empty, of
        another shape, or on another device than the others.

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
    source, target = check_domains(source=source, target=target)
    return _CovarianceDistance.apply(source, target) / (4 * source.shape[1] ** 2)


def attention_map(maps: torch.Tensor) -> torch.Tensor:
    r"""Where the channels of a convolutional layer are active.

    .. math:: A_{hw} = \sum_c F_{chw}^2

    flattened, and divided by its norm row by row; zeros for a row without activation. Neither the
    order of channels nor the scale of a row matters. Computed in float32, or in float64 for
    float64 input.

    Parameters
    ----------
    maps : torch.Tensor of shape (n, n_channels, height, width)
        Activations of a convolutional layer.

    Returns
    -------
    attention : torch.Tensor of shape (n, height * width)
        The maps, each with a norm of one.

    Raises
    ------
    ValueError
        If `maps` does not have four dimensions.

    References
    ----------
    S. Zagoruyko, N. Komodakis. Paying More Attention to Attention. ICLR 2017, section 3.1.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import attention_map
    >>> attention_map(torch.ones(1, 3, 2, 2))
    tensor([[0.5000, 0.5000, 0.5000, 0.5000]])
    """
    return _attention(check_batch("maps", maps, ndim=4))


def _attention(maps):
    return F.normalize(maps.square().sum(dim=1).flatten(1), dim=1)


def attention_coral(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    r"""CORAL loss between the attention maps of two domains.

    :func:`coral` of :func:`attention_map`: matches how activity at the places of an image goes
    together. Computed in float32, or in float64 for float64 input.

    Parameters
    ----------
    source : torch.Tensor of shape (n_source, n_channels, height, width)
        Activations of a convolutional layer for the source rows.

    target : torch.Tensor of shape (n_target, n_channels, height, width)
        Those for the target rows.

    Returns
    -------
    loss : torch.Tensor of shape ()
        The loss, zero or more.

    Raises
    ------
    ValueError
        If an input does not have four dimensions.

    References
    ----------
    J. Zhuo, S. Wang, W. Zhang, Q. Huang. Deep Unsupervised Convolutional Domain Adaptation. ACM
    Multimedia 2017, section 3.

    Examples
    --------
    >>> import torch
    >>> from skda.losses import attention_coral
    >>> maps = torch.rand(4, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    >>> attention_coral(maps, maps[:, [2, 0, 1]]).item() < 1e-12
    True
    """
    source, target = check_batches({"source": source, "target": target}, ndim=4)
    if source.shape[2:] != target.shape[2:]:
        raise ValueError(
            f"source has maps of {tuple(source.shape[2:])}, target of {tuple(target.shape[2:])}; "
            "heights and widths must be the same."
        )
    return coral(_attention(source), _attention(target))
